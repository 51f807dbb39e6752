//! Calls that are led on: the carrier that gets them is told by whom, as it knows them.

use super::carrier::{Outside, number, numbered};
use call_control::PartyType;
use numbering::{Format, NumberPattern, Writing};
use sip_b2bua::{Destination, TrunkSettings};
use sip_message::{FieldName, Method, Request};
use testbed::simulation::{
    PhoneId, RawScript, World, Zone, answers_after, rings_for_ever, says_with, seconds,
};

const OURS: &str = "+918065978015";
const ALSO_OURS: &str = "+918065978021";

/// 192.0.2.1 calls in; what is led on goes out through 192.0.2.2.
struct LedOn {
    world: World,
    carrier: PhoneId,
    out: PhoneId,
}

impl LedOn {
    /// Calls in lead to this extension.
    fn to(extension: &str, change: impl FnOnce(&mut TrunkSettings)) -> Self {
        Self::to_party(extension, PartyType::Extension, change)
    }

    fn to_party(to: &str, party_type: PartyType, change: impl FnOnce(&mut TrunkSettings)) -> Self {
        let destination = Destination { number: number(to), party_type };
        let all = |destination: Destination| {
            [OURS, ALSO_OURS]
                .map(|ours| (NumberPattern::new(ours).expect("a number"), destination.clone()))
                .to_vec()
        };
        let first = TrunkSettings {
            destinations: all(destination),
            prefixes: vec![numbering::Entry::new("+999").expect("a prefix")],
            ..numbered(1, "sip:192.0.2.1")
        };
        let mut second = numbered(2, "sip:192.0.2.2");
        change(&mut second);
        let mut world = World::with_trunks(11, vec![first, second], Zone::default());
        let carrier = world.caller("192.0.2.1:5060", 900.0);
        let out = world.gateway("192.0.2.2:5060", RawScript::answers_after(0.3));
        Self { world, carrier, out }
    }

    /// A call from outside to one of our numbers.
    fn calls(&mut self, ours: &str, lines: &str) -> &Request {
        let lines = format!("From: <sip:+442079460000@c>;tag=c\r\nTo: <sip:{ours}@c>\r\n{lines}");
        let uri = format!("sip:{ours}@10.0.0.1");
        self.world.play(self.carrier, |carrier, now| carrier.call(&uri, &lines, now));
        self.world.run_for(seconds(8.0));
        let invites = self.world.raw(self.out).received(&Method::INVITE);
        let [invite] = invites[..] else { panic!("{}", self.world.story()) };
        invite
    }
}

fn diversions(invite: &Request) -> Vec<String> {
    invite.header.fields.get_all(&FieldName::DIVERSION).map(Into::into).collect()
}

#[test]
fn a_call_that_is_led_on_shows_our_number_and_says_that_it_was_called() {
    for ours in [OURS, ALSO_OURS] {
        let mut call = LedOn::to("1007", |_| {});
        let invite = call.calls(ours, "");
        assert_eq!(diversions(invite), [format!("<sip:{ours}@192.0.2.2>;reason=unavailable")]);
        assert_eq!(invite.header.from.uri.to_string(), format!("sip:{ours}@192.0.2.2"));
    }
    let mut rings = LedOn::to("1007", |_| {});
    rings.world.phone("1007", rings_for_ever(), 600.0);
    rings.world.register_all();
    assert_eq!(diversions(rings.calls(OURS, "")), [format!("<sip:{OURS}@192.0.2.2>;reason=no-answer")]);
    let mut leads_out = LedOn::to_party("+442079460123", PartyType::External, |_| {});
    assert_eq!(
        diversions(leads_out.calls(OURS, "")),
        [format!("<sip:{OURS}@192.0.2.2>;reason=unconditional")]
    );
}

#[test]
fn what_was_said_of_the_way_before_is_kept_below_it() {
    let before = "Diversion: <sip:+442079460001@c;user=phone>;reason=user-busy;counter=1\r\n\
                  Diversion: \"First\" <tel:+442079460002>;reason=no-answer\r\n";
    let of_history = "History-Info: <sip:+442079460002@c?Reason=SIP%3Bcause%3D408>;index=1,\r\n \
                      <sip:+442079460001@c?Reason=SIP%3Bcause%3D486>;index=1.1;mp=1,\r\n <sip:+918065978015@us>;index=1.2;mp=1.1\r\n";
    for lines in [before, of_history] {
        let mut call = LedOn::to("1007", |_| {});
        let expected = [
            format!("<sip:{OURS}@192.0.2.2>;reason=unavailable"),
            "<sip:+442079460001@192.0.2.2>;reason=user-busy".into(),
            "<sip:+442079460002@192.0.2.2>;reason=no-answer".into(),
        ];
        assert_eq!(diversions(call.calls(OURS, lines)), expected, "{lines}");
    }
    let many = "Diversion: <sip:+442079460001@c>;reason=away\r\n".repeat(30);
    let mut call = LedOn::to("1007", |_| {});
    assert_eq!(diversions(call.calls(OURS, &many)).len(), 10);
}

#[test]
fn each_carrier_is_told_as_it_writes_and_knows_numbers() {
    let mut national = LedOn::to("1007", |trunk| {
        trunk.writing = Writing { format: Format::National, ..trunk.writing.clone() };
        trunk.user_phone = true;
        trunk.from_domain = Some(sip_message::Host::new("us.example").unwrap());
    });
    let value = "<sip:08065978015@us.example;user=phone>;reason=unavailable";
    assert_eq!(diversions(national.calls(OURS, "")), [value]);
    let mut other = LedOn::to("1007", |trunk| {
        trunk.numbers = vec![NumberPattern::new("+914066660000").unwrap()];
    });
    let invite = other.calls(OURS, "");
    assert_eq!(diversions(invite), ["<sip:+914066660000@192.0.2.2>;reason=unavailable"]);
    assert_eq!(invite.header.from.uri.to_string(), "sip:+914066660000@192.0.2.2");
}

#[test]
fn whoever_calls_anonymously_leaves_no_trace_of_the_way() {
    for lines in ["Privacy: id\r\n", "Privacy: ID;critical\r\nDiversion: <sip:+442079460001@c>\r\n"] {
        for trusted in [false, true] {
            let mut call = LedOn::to("1007", |trunk| trunk.trusted = trusted);
            let invite = call.calls(OURS, lines);
            assert_eq!(diversions(invite), [] as [&str; 0], "{lines}");
            let text = String::from_utf8(invite.print()).unwrap();
            assert!(text.contains("sip:anonymous@anonymous.invalid"), "{text}");
            assert!(!text.contains("2079460001") && !text.contains("2079460000"), "{text}");
        }
    }
    let mut hidden = LedOn::to("1007", |_| {});
    let lines = "Diversion: <sip:+442079460001@c>;reason=away;privacy=full\r\n";
    assert_eq!(diversions(hidden.calls(OURS, lines)).len(), 1, "what is hidden is not told");
}

#[test]
fn a_phone_that_names_somebody_else_leads_the_call_on() {
    let mut call = LedOn::to("1002", |_| {});
    let contact = "Contact: <sip:+442079460123@pbx.example.com>\r\n";
    call.world.raw_phone("1002", RawScript::new([says_with(contact, 0.2, 302)]));
    call.world.register_all();
    assert_eq!(diversions(call.calls(OURS, "")), [format!("<sip:{OURS}@192.0.2.2>;reason=deflection")]);
}

#[test]
fn a_phone_here_sees_the_way_and_says_nothing_of_it_that_is_believed() {
    let mut call = LedOn::to("1002", |_| {});
    let phone = call.world.phone("1002", answers_after(0.3), 600.0);
    call.world.register_all();
    let lines = "From: <sip:+442079460000@c>;tag=c\r\nTo: <sip:+918065978015@c>\r\n\
                 Diversion: <sip:+442079460001@c>;reason=user-busy\r\n";
    call.world.play(call.carrier, |carrier, now| carrier.call("sip:+918065978015@10.0.0.1", lines, now));
    call.world.run_for(seconds(3.0));
    let shown = format!("{:?}", call.world.phone_events(phone));
    assert!(shown.contains("<sip:+442079460001@pbx.example.com>;reason=user-busy"), "{shown}");
    let mut plain = Outside::with(&[RawScript::answers_after(0.3)]);
    let call = plain.call();
    plain.world.run_for(seconds(3.0));
    assert_eq!(diversions(plain.invites(0)[0]), [] as [&str; 0], "nobody has led it on");
    plain.end(call);
}

#[test]
fn an_extension_that_is_away_is_known_outside_by_the_trunks_first_number() {
    let mut outside = Outside::with(&[RawScript::answers_after(0.5)]);
    let call = outside.world.click_to_call(World::request("1001", "1007")).unwrap();
    outside.world.run_for(seconds(4.0));
    assert_eq!(diversions(outside.invites(0)[0]), [format!("<sip:{OURS}@192.0.2.1>;reason=unavailable")]);
    outside.end(call);
}
