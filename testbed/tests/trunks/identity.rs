//! What a carrier is told of the caller, and how numbers are written for it.

use super::carrier::{ASKED, DIALLED, Outside, number, numbered};
use call_control::{CallerId, Refusal, VariableName, VariableValue};
use numbering::Format;
use sip_b2bua::{IdentityField, TrunkSettings};
use sip_message::{FieldName, Request};
use testbed::simulation::{RawScript, Zone};

/// The INVITE that the trunk gets, as its own settings have it.
fn invite(change: impl FnOnce(&mut TrunkSettings), caller_id: Option<&str>, caller_ids: &[&str]) -> Request {
    let mut trunk = numbered(1, "sip:carrier.example:5060");
    change(&mut trunk);
    let zone = Zone::of(&[("carrier.example", &[[192, 0, 2, 1].into()])]);
    let mut outside = Outside::of(vec![trunk], zone, &[RawScript::answers_after(0.2)]);
    let caller_id = caller_id.map(|text| CallerId::new(text).expect("a caller id"));
    let call = outside.ask(|request| {
        request.caller_id = caller_id;
        request.caller_ids = caller_ids.iter().map(|text| number(text)).collect();
        let name = VariableName::new("order").expect("a name");
        request.variables.insert(name, VariableValue::new("77".into()).expect("a value"));
    });
    outside.end(call.expect("it may be shown"));
    outside.invites(0)[0].clone()
}

fn field(invite: &Request, name: &FieldName) -> Option<String> {
    invite.header.fields.get(name).map(Into::into)
}

const PAI: FieldName = FieldName::P_ASSERTED_IDENTITY;

#[test]
fn the_number_is_asked_for_in_the_domain_of_the_trunk_and_its_first_number_is_shown() {
    let invite = invite(|_| {}, None, &[]);
    assert_eq!(invite.uri.to_string(), format!("sip:{DIALLED}@carrier.example:5060"));
    assert_eq!(invite.header.to.uri.to_string(), format!("sip:{DIALLED}@carrier.example:5060"));
    assert_eq!(invite.header.from.uri.to_string(), "sip:+918065978015@carrier.example");
    assert_eq!(field(&invite, &PAI).as_deref(), Some("<sip:+918065978015@carrier.example>"));
    assert_eq!(field(&invite, &FieldName::PRIVACY), None);
    assert_eq!(field(&invite, &FieldName::new("X-Variable-order").unwrap()), None);
    assert!(
        field(&invite, &FieldName::CALL_INFO).is_none() && field(&invite, &FieldName::ALERT_INFO).is_none()
    );
}

#[test]
fn each_carrier_gets_its_own_form() {
    let plain = invite(
        |trunk| {
            trunk.writing.format = Format::Plain;
            trunk.writing.dial_prefix = "77#".into();
            trunk.user_phone = true;
            trunk.identity = IdentityField::RemotePartyId;
            trunk.from_user = Some("acct-77".into());
            trunk.from_domain = Some(sip_message::Host::new("ims.example").unwrap());
            trunk.pass_variables = true;
        },
        Some("\"Asha, Sales\" <+918065978021>"),
        &[],
    );
    assert_eq!(plain.uri.to_string(), "sip:77%23919944421125@carrier.example:5060;user=phone");
    assert_eq!(
        plain.header.from.to_string().split(";tag").next().unwrap(),
        "\"Asha, Sales\" <sip:acct-77@ims.example;user=phone>"
    );
    let identity = field(&plain, &FieldName::REMOTE_PARTY_ID);
    let expected =
        "\"Asha, Sales\" <sip:918065978021@ims.example;user=phone>;party=calling;privacy=off;screen=yes";
    assert_eq!(identity.as_deref(), Some(expected));
    assert_eq!(field(&plain, &FieldName::new("X-Variable-order").unwrap()).as_deref(), Some("77"));
    let national = invite(|trunk| trunk.writing.format = Format::National, None, &[]);
    assert_eq!(national.uri.to_string(), "sip:09944421125@carrier.example:5060");
    assert_eq!(national.header.from.uri.to_string(), "sip:08065978015@carrier.example");
    let from = invite(|trunk| trunk.identity = IdentityField::From, None, &[]);
    assert!(field(&from, &PAI).is_none() && field(&from, &FieldName::REMOTE_PARTY_ID).is_none());
}

#[test]
fn what_is_shown_is_ours_or_the_keys() {
    let user = |invite: &Request| invite.header.from.uri.as_sip().and_then(|uri| uri.decoded_user()).unwrap();
    assert_eq!(user(&invite(|_| {}, Some("+918065978023"), &[])), "+918065978023", "a number of the block");
    assert_eq!(
        user(&invite(|_| {}, Some("+442079460000"), &["+442079460000"])),
        "+442079460000",
        "of the key"
    );
    assert_eq!(
        user(&invite(|_| {}, None, &["+442079460000", "+918065978024"])),
        "+918065978024",
        "the first that the trunk has"
    );
    let mut outside = Outside::with(&[RawScript::answers_after(0.2)]);
    let refused = outside.ask(|request| request.caller_id = Some(CallerId::new("+442079460000").unwrap()));
    assert_eq!(refused, Err(Refusal::CallerIdNotAllowed { number: number("+442079460000") }));
    assert!(outside.invites(0).is_empty());
}

#[test]
fn what_is_to_be_shown_may_be_written_as_people_do() {
    for written in
        ["+918065978021", "918065978021", "08065978021", "8065978021", "00918065978021", "(080) 6597-8021"]
    {
        let of_trunk = invite(|_| {}, Some(written), &[]);
        assert_eq!(of_trunk.header.from.uri.to_string(), "sip:+918065978021@carrier.example", "{written}");
        let of_key = invite(|_| {}, Some(written), &["08065978021"]);
        assert_eq!(of_key.header.from.uri.to_string(), "sip:+918065978021@carrier.example", "{written}");
        let mut outside = Outside::with(&[RawScript::answers_after(0.2)]);
        let others = outside.ask(|request| {
            request.caller_id = Some(CallerId::new(written).unwrap());
            request.caller_ids = vec![number("08065978022")];
        });
        assert!(matches!(others, Err(Refusal::CallerIdNotAllowed { .. })), "{written}: {others:?}");
    }
}

#[test]
fn a_key_that_is_bound_shows_nothing_else_inside_either() {
    let mut outside = Outside::with(&[RawScript::answers_after(0.2)]);
    outside.world.phone("1002", testbed::simulation::answers_after(0.2), 700.0);
    outside.world.register_all();
    for (shown, is_allowed) in [("08065978021", true), ("1001", false), ("8065978022", false)] {
        let answer = outside.ask(|request| {
            request.to = number("1002");
            request.caller_id = Some(CallerId::new(shown).unwrap());
            request.caller_ids = vec![number("+918065978021")];
        });
        assert_eq!(answer.is_ok(), is_allowed, "{shown}: {answer:?}");
        if let Ok(call) = answer {
            outside.end(call);
        }
    }
}

#[test]
fn a_number_that_is_to_be_shown_goes_through_a_trunk_that_may_show_it() {
    for (caller_id, trunks) in
        [(Some("+442079460000"), [0, 1]), (None, [1, 1]), (Some("+918065978015"), [1, 0])]
    {
        let first = TrunkSettings { priority: 1, ..numbered(1, "sip:192.0.2.1") };
        let british = TrunkSettings {
            priority: 2,
            numbers: vec![numbering::NumberPattern::new("+442079460000").unwrap()],
            ..numbered(2, "sip:192.0.2.2")
        };
        let busy = RawScript::new([testbed::simulation::says(0.1, 503)]);
        let mut outside = Outside::of(vec![first, british], Zone::default(), &[busy.clone(), busy]);
        let call =
            outside.ask(|request| request.caller_id = caller_id.map(|text| CallerId::new(text).unwrap()));
        outside.end(call.unwrap());
        let asked = [0, 1].map(|gateway| outside.invites(gateway).len().min(1));
        assert_eq!(asked, trunks, "{caller_id:?}");
    }
}

#[test]
fn an_anonymous_caller_is_shown_to_nobody_and_named_to_a_trusted_trunk_alone() {
    for identity in [IdentityField::PAssertedIdentity, IdentityField::RemotePartyId, IdentityField::From] {
        for trusted in [false, true] {
            let invite =
                invite(|trunk| (trunk.identity, trunk.trusted) = (identity, trusted), Some("anonymous"), &[]);
            let from = invite.header.from.to_string();
            assert!(from.starts_with("\"Anonymous\" <sip:anonymous@anonymous.invalid>;tag="), "{from}");
            assert_eq!(field(&invite, &FieldName::PRIVACY).as_deref(), Some("id"));
            let text = String::from_utf8(invite.print()).unwrap();
            let named = trusted && identity != IdentityField::From;
            assert_eq!(text.matches("8065978015").count(), usize::from(named), "{text}");
        }
    }
}

#[test]
fn an_emergency_call_shows_the_trunks_number_and_is_dialled_as_it_is() {
    let mut outside = Outside::with(&[RawScript::answers_after(0.2)]);
    let call = outside.ask(|request| {
        request.to = number("112");
        request.caller_id = Some(CallerId::new("anonymous").unwrap());
    });
    outside.end(call.unwrap());
    let invite = outside.invites(0)[0].clone();
    assert_eq!(invite.uri.to_string(), "sip:112@192.0.2.1");
    assert_eq!(invite.header.from.uri.to_string(), "sip:+918065978015@192.0.2.1");
    assert_eq!(field(&invite, &FieldName::PRIVACY), None);
}

#[test]
fn the_phone_that_is_rung_first_sees_the_number_as_it_was_asked_for() {
    let mut outside = Outside::with(&[RawScript::answers_after(0.2)]);
    let call = outside.ask(|request| request.caller_id = Some(CallerId::new("+918065978021").unwrap()));
    outside.world.run_for(std::time::Duration::from_secs(2));
    let events = format!("{:?}", outside.world.phone_events(outside.phone));
    assert!(events.contains(ASKED) && !events.contains("8065978021"), "{events}");
    outside.end(call.unwrap());
}
