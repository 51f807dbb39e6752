//! Carriers that call in: however they write the number, from wherever they may, and to whomever it leads.

use super::carrier::numbered;
use call_control::{Call, CallDirection, EndReason, Party, PartyType};
use numbering::NumberPattern;
use sip_b2bua::{Destination, IdentityField, TrunkSettings};
use sip_message::{FieldName, Method, StatusCode};
use std::sync::Arc;
use test_phone::Command;
use testbed::simulation::{Otherwise, PhoneId, World, Zone, answers_after, refuses, seconds};

const OURS: &str = "+918065978015";

fn leads_to(number: &str, party_type: PartyType) -> Vec<(NumberPattern, Destination)> {
    let destination = Destination { number: super::carrier::number(number), party_type };
    vec![
        (NumberPattern::new(OURS).expect("a number"), destination.clone()),
        (NumberPattern::new("+91806597802X").expect("a number"), destination),
    ]
}

/// 1002 has a phone, and 192.0.2.1 is a carrier whose calls lead to it.
struct Inbound {
    world: World,
    phone: PhoneId,
    carrier: PhoneId,
}

impl Inbound {
    fn with(change: impl FnOnce(&mut TrunkSettings), phone: test_phone::Script) -> Self {
        let mut trunk = TrunkSettings {
            destinations: leads_to("1002", PartyType::Extension),
            ..numbered(1, "sip:192.0.2.1")
        };
        change(&mut trunk);
        let mut world = World::with_trunks(9, vec![trunk], Zone::default());
        let phone = world.phone("1002", phone, 700.0);
        let carrier = world.caller("192.0.2.1:5060", 900.0);
        world.register_all();
        Self { world, phone, carrier }
    }

    /// An INVITE with this Request-URI and these header lines in the place of From and To.
    fn calls(&mut self, uri: &str, lines: &str) {
        self.world.play(self.carrier, |carrier, now| carrier.call(uri, lines, now));
        self.world.run_for(seconds(3.0));
    }

    fn only_record(&mut self) -> Arc<Call> {
        let records = self.world.records();
        assert_eq!(records.len(), 1, "{}", self.world.story());
        let id = records[0].call_id;
        if self.world.is_live(id) {
            self.world.hang_up(id);
        }
        self.world.run_until_ended(id)
    }

    fn statuses(&self) -> Vec<u16> {
        let answers = self.world.by_hand(self.carrier).answers("INVITE");
        answers.into_iter().filter_map(|answer| answer.status()).collect()
    }
}

fn named(user: &str) -> String {
    format!("From: <sip:{user}@carrier.example>;tag=c\r\nTo: <sip:{OURS}@carrier.example>\r\n")
}

#[test]
fn the_number_is_ours_in_each_way_that_it_is_written_and_shown_in_one() {
    for user in [
        "+918065978015",
        "918065978015",
        "08065978015",
        "00918065978015",
        "8065978015",
        "%2B918065978015",
        "+918065978015;npdi",
    ] {
        let mut inbound = Inbound::with(|_| {}, answers_after(0.3));
        inbound.calls(&format!("sip:{user}@10.0.0.1"), &named("09944421125"));
        let call = inbound.only_record();
        assert_eq!((call.to.number.as_str(), call.to.party_type), (OURS, PartyType::Extension), "{user}");
        assert_eq!(
            (call.from.number.as_str(), call.from.trunk.as_deref()),
            ("+919944421125", Some("trunk 1")),
            "{user}"
        );
        assert_eq!(
            (call.direction, call.end.as_ref().unwrap().reason),
            (CallDirection::Inbound, EndReason::HungUp),
            "{user}"
        );
        let shown = format!("{:?}", inbound.world.phone_events(inbound.phone));
        assert!(shown.contains("+919944421125"), "{shown}");
    }
}

#[test]
fn the_number_may_stand_in_to_or_in_the_called_party() {
    let account = |trunk: &mut TrunkSettings| trunk.username = Some("acct-77".into());
    for lines in [
        named("+442079460000"),
        format!(
            "From: <sip:+442079460000@c>;tag=c\r\nTo: <sip:acct-77@c>\r\nP-Called-Party-ID: <sip:{OURS}@c>\r\n"
        ),
        format!("From: <sip:+442079460000@c>;tag=c\r\nTo: <tel:{OURS}>\r\n"),
    ] {
        let mut inbound = Inbound::with(account, answers_after(0.3));
        inbound.calls("sip:acct-77@10.0.0.1:5060", &lines);
        assert_eq!(inbound.only_record().to.number.as_str(), OURS, "{lines}");
    }
}

#[test]
fn a_number_in_the_request_uri_that_is_not_ours_is_that_of_somebody_else_whatever_to_says() {
    for user in ["+918065979999", "08065979999", "+919944421125", "7777", "9944421125;npdi"] {
        for lines in [
            named("+442079460000"),
            named("+442079460000") + &format!("P-Called-Party-ID: <sip:{OURS}@c>\r\n"),
        ] {
            let mut inbound = Inbound::with(|_| {}, answers_after(0.3));
            inbound.calls(&format!("sip:{user}@10.0.0.1"), &lines);
            assert_eq!(inbound.statuses(), [404], "{user}\n{lines}");
            assert!(inbound.world.records().is_empty());
        }
    }
    // An account may look like a number.
    let account = |trunk: &mut TrunkSettings| trunk.username = Some("8065970000".into());
    let mut inbound = Inbound::with(account, answers_after(0.3));
    inbound.calls("sip:8065970000@10.0.0.1", &named("+442079460000"));
    assert_eq!(inbound.only_record().to.number.as_str(), OURS);
}

#[test]
fn the_caller_is_shown_in_one_way_however_the_carrier_writes_it() {
    for (from, shown) in [
        ("sip:442079460000@c", "+442079460000"),
        ("sip:14155550123@c", "+14155550123"),
        ("sip:00442079460000@c", "+442079460000"),
        ("tel:2079460000;phone-context=+44", "+442079460000"),
        ("sip:7946-0000;phone-context=+4420@c;user=phone", "+442079460000"),
        ("sip:9944421125@c", "+919944421125"),
        ("sip:919944421125@c", "+919944421125"),
        ("sip:12345@c", "12345"),
    ] {
        let mut inbound = Inbound::with(|_| {}, answers_after(0.3));
        let lines = format!("From: <{from}>;tag=c\r\nTo: <sip:{OURS}@c>\r\n");
        inbound.calls(&format!("sip:{OURS}@10.0.0.1"), &lines);
        assert_eq!(inbound.only_record().from.number.as_str(), shown, "{from}");
    }
}

#[test]
fn remote_party_id_counts_where_a_trusted_trunk_has_it_and_its_privacy_always() {
    let calling = "Remote-Party-ID: \"Boss\" <sip:+442079469999@c>;party=calling;screen=yes";
    for (identity, trusted, rest, shown) in [
        (IdentityField::RemotePartyId, true, ";privacy=off", "+442079469999"),
        (IdentityField::RemotePartyId, true, "", "+442079469999"),
        (IdentityField::RemotePartyId, false, ";privacy=off", "+442079460000"),
        (IdentityField::PAssertedIdentity, true, ";privacy=off", "+442079460000"),
        (IdentityField::RemotePartyId, true, ";privacy=full", "anonymous"),
        (IdentityField::RemotePartyId, true, ";privacy=\"name,uri\"", "anonymous"),
        (IdentityField::PAssertedIdentity, false, ";privacy=full", "anonymous"),
    ] {
        let trunk = |trunk: &mut TrunkSettings| (trunk.identity, trunk.trusted) = (identity, trusted);
        let mut inbound = Inbound::with(trunk, answers_after(0.3));
        // Whom it calls is told there, too.
        let called = format!("Remote-Party-ID: <sip:{OURS}@c>;party=called;privacy=full\r\n");
        let lines = format!("{}{called}{calling}{rest}\r\n", named("+442079460000"));
        inbound.calls(&format!("sip:{OURS}@10.0.0.1"), &lines);
        assert_eq!(inbound.only_record().from.number.as_str(), shown, "{identity:?} {trusted} {rest}");
    }
}

#[test]
fn a_number_of_another_customer_is_refused_and_a_stranger_is_challenged() {
    let mut inbound = Inbound::with(|_| {}, answers_after(0.3));
    let lines = "From: <sip:1@c>;tag=c\r\nTo: <sip:+918011111111@c>\r\n";
    inbound.calls("sip:+918011111111@10.0.0.1", lines);
    assert_eq!(inbound.statuses(), [404]);
    assert!(inbound.world.records().is_empty());
    let mut stranger = Inbound::with(
        |trunk| trunk.address.host = sip_message::Host::new("192.0.2.99").unwrap(),
        answers_after(0.3),
    );
    stranger.calls(&format!("sip:{OURS}@10.0.0.1"), &named("+442079460000"));
    assert_eq!(stranger.statuses(), [401]);
    assert!(stranger.world.records().is_empty());
    let networks = |trunk: &mut TrunkSettings| {
        trunk.address.host = sip_message::Host::new("192.0.2.99").unwrap();
        trunk.from = vec!["192.0.2.0/28".parse().unwrap()];
    };
    let mut known = Inbound::with(networks, answers_after(0.3));
    known.calls(&format!("sip:{OURS}@10.0.0.1"), &named("+442079460000"));
    assert_eq!(known.statuses(), [200]);
}

/// A trunk somewhere else, whose calls prove whose they are.
fn proving(trunk: &mut TrunkSettings) {
    trunk.address.host = sip_message::Host::new("192.0.2.99").expect("an address");
    trunk.credentials = Some(sip_core::digest::Identity::new("acct-77", "secret"));
    trunk.inbound_digest = true;
}

const TO_US: &str = "sip:+918065978015@10.0.0.1";

impl Inbound {
    /// Calls once more, and shows these credentials.
    fn proves(&mut self, uri: &str, username: &str, password: &str) {
        let proof = self.world.by_hand(self.carrier).proof(uri, username, password);
        self.calls(uri, &(named("+442079460000") + &proof));
    }
}

#[test]
fn a_carrier_that_knows_the_password_may_call_from_anywhere() {
    let mut inbound = Inbound::with(proving, answers_after(0.3));
    inbound.calls(TO_US, &named("+442079460000"));
    inbound.proves(TO_US, "acct-77", "secret");
    assert_eq!(inbound.statuses(), [401, 200]);
    let call = inbound.only_record();
    assert_eq!((call.direction, call.from.trunk.as_deref()), (CallDirection::Inbound, Some("trunk 1")));
    assert_eq!((call.from.number.as_str(), call.to.number.as_str()), ("+442079460000", OURS));
    let mut other = Inbound::with(proving, answers_after(0.3));
    other.calls("sip:+918011111111@10.0.0.1", "From: <sip:1@c>;tag=c\r\nTo: <sip:1@c>\r\n");
    let proof = other.world.by_hand(other.carrier).proof("sip:+918011111111@10.0.0.1", "acct-77", "secret");
    let lines = format!("From: <sip:1@c>;tag=c\r\nTo: <sip:1@c>\r\n{proof}");
    other.calls("sip:+918011111111@10.0.0.1", &lines);
    assert_eq!(other.statuses(), [401, 404], "a number of somebody else");
    assert!(other.world.records().is_empty());
}

#[test]
fn whoever_knows_no_password_is_challenged_from_the_trunks_own_address_too() {
    for at_home in [true, false] {
        let change = |trunk: &mut TrunkSettings| {
            proving(trunk);
            if at_home {
                trunk.address.host = sip_message::Host::new("192.0.2.1").unwrap();
            }
        };
        let mut inbound = Inbound::with(change, answers_after(0.3));
        inbound.calls(TO_US, &named("+442079460000"));
        inbound.proves(TO_US, "acct-77", "wrong");
        inbound.proves(TO_US, "acct-78", "secret");
        inbound.proves(TO_US, "nobody", "nothing");
        assert_eq!(inbound.statuses(), [401; 4], "{at_home}");
        assert!(inbound.world.records().is_empty());
        // Nothing tells the account from one that is not there.
        let answers = inbound.world.by_hand(inbound.carrier).answers("INVITE");
        let names = |answer: &&testbed::SipText| {
            let lines = answer.as_str().lines().map(|line| line.split(':').next().unwrap().to_owned());
            lines.collect::<Vec<_>>()
        };
        let lines: Vec<_> = answers.iter().map(names).collect();
        assert!(lines.iter().all(|one| *one == lines[1]), "{lines:?}");
    }
}

#[test]
fn whoever_guesses_at_a_trunk_is_not_answered_any_more() {
    let mut inbound = Inbound::with(proving, answers_after(0.3));
    inbound.calls(TO_US, &named("+442079460000"));
    for _ in 0..40 {
        let proof = inbound.world.by_hand(inbound.carrier).proof(TO_US, "acct-77", "guess");
        let lines = named("+442079460000") + &proof;
        inbound.world.play(inbound.carrier, |carrier, now| carrier.call(TO_US, &lines, now));
        inbound.world.run_for(seconds(0.2));
    }
    let answered = inbound.statuses().len();
    assert!((15..=25).contains(&answered), "{answered}");
    inbound.proves(TO_US, "acct-77", "secret");
    assert_eq!(inbound.statuses().len(), answered, "nor is the right one then");
    assert!(inbound.world.records().is_empty());
}

#[test]
fn two_trunks_at_one_address_are_told_apart_by_their_accounts() {
    for (account, name) in [("acct-1", "trunk 1"), ("acct-2", "trunk 2")] {
        let trunks = [1, 2].map(|index| TrunkSettings {
            destinations: leads_to("1002", PartyType::Extension),
            credentials: Some(sip_core::digest::Identity::new(&format!("acct-{index}"), "secret")),
            inbound_digest: true,
            ..numbered(index, "sip:192.0.2.1")
        });
        let mut world = World::with_trunks(9, trunks.into(), Zone::default());
        let phone = world.phone("1002", answers_after(0.3), 700.0);
        let carrier = world.caller("192.0.2.1:5060", 900.0);
        world.register_all();
        let mut inbound = Inbound { world, phone, carrier };
        inbound.calls(TO_US, &named("+442079460000"));
        inbound.proves(TO_US, account, "secret");
        assert_eq!(inbound.only_record().from.trunk.as_deref(), Some(name));
    }
}

#[test]
fn credentials_for_somebody_else_do_not_hide_the_address_of_a_trunk() {
    let mut inbound = Inbound::with(|_| {}, answers_after(0.3));
    let stray = "Authorization: Digest username=\"x\", realm=\"elsewhere\", nonce=\"n\", uri=\"sip:x\", response=\"00\"\r\n";
    inbound.calls(TO_US, &(named("+442079460000") + stray));
    assert_eq!(inbound.statuses(), [200]);
}

#[test]
fn whoever_wants_to_be_shown_to_nobody_is_not() {
    for (lines, trusted) in [
        (
            "From: \"Anonymous\" <sip:anonymous@anonymous.invalid>;tag=c\r\nPrivacy: ID;critical\r\nP-Asserted-Identity: <sip:+442079460000@c>\r\n",
            true,
        ),
        ("From: <sip:+442079460000@c>;tag=c\r\nPrivacy: header; id\r\n", false),
        ("From: \"x\" <sip:anonymous@anonymous.invalid>;tag=c\r\n", false),
    ] {
        let mut inbound = Inbound::with(|trunk| trunk.trusted = trusted, answers_after(0.3));
        inbound.calls(&format!("sip:{OURS}@10.0.0.1"), &format!("{lines}To: <sip:{OURS}@c>\r\n"));
        let call = inbound.only_record();
        assert_eq!(call.from.number.as_str(), "anonymous");
        let shown = format!("{:?}", inbound.world.phone_events(inbound.phone));
        assert!(!shown.contains("2079460000"), "{shown}");
    }
}

#[test]
fn an_identity_is_believed_only_of_a_trusted_carrier() {
    for (trusted, expected) in [(true, "+442079460000"), (false, "+919944421125")] {
        let mut inbound = Inbound::with(|trunk| trunk.trusted = trusted, answers_after(0.3));
        let lines = named("+919944421125") + "P-Asserted-Identity: \"Boss\" <sip:+442079460000@c>\r\n";
        inbound.calls(&format!("sip:{OURS}@10.0.0.1"), &lines);
        assert_eq!(inbound.only_record().from.number.as_str(), expected);
    }
}

#[test]
fn a_broken_name_costs_the_name_and_not_the_call() {
    for name in
        ["\"Name\\\\ \"", "\"a\\\"b<c>\"", "\"\u{202e}evil\"", "Ünicode", &format!("\"{}\"", "x".repeat(200))]
    {
        let mut inbound = Inbound::with(|_| {}, answers_after(0.3));
        let lines = format!("From: {name} <sip:+442079460000@c>;tag=c\r\nTo: <sip:{OURS}@c>\r\n");
        inbound.calls(&format!("sip:{OURS}@10.0.0.1"), &lines);
        assert_eq!(inbound.statuses(), [200], "{name}");
    }
}

#[test]
fn the_carrier_hears_why_nobody_answers() {
    for (status, phone) in [(486, refuses(StatusCode::BUSY_HERE)), (603, refuses(StatusCode::DECLINE))] {
        let mut inbound = Inbound::with(|_| {}, phone);
        inbound.calls(&format!("sip:{OURS}@10.0.0.1"), &named("+442079460000"));
        assert_eq!(inbound.statuses(), [status]);
    }
    let mut nobody = Inbound::with(
        |trunk| trunk.destinations = leads_to("1003", PartyType::Extension),
        answers_after(0.3),
    );
    nobody.calls(&format!("sip:{OURS}@10.0.0.1"), &named("+442079460000"));
    assert_eq!(nobody.statuses(), [480], "no phone is registered");
    let mut nowhere = Inbound::with(|trunk| trunk.destinations.clear(), answers_after(0.3));
    nowhere.calls(&format!("sip:{OURS}@10.0.0.1"), &named("+442079460000"));
    assert_eq!(nowhere.statuses(), [404]);
}

#[test]
fn a_call_that_comes_in_may_lead_out_again_and_is_held_to_the_policy() {
    let gateway = |inbound: &mut Inbound| {
        inbound.world.gateway("192.0.2.2:5060", testbed::simulation::RawScript::answers_after(0.3))
    };
    for (to, status) in [("+442079460123", 200), ("+4930901820", 403)] {
        let trunks = vec![
            TrunkSettings {
                destinations: leads_to(to, PartyType::External),
                prefixes: vec![numbering::Entry::new("+999").unwrap()],
                ..numbered(1, "sip:192.0.2.1")
            },
            numbered(2, "sip:192.0.2.2"),
        ];
        let mut world = World::with_trunks(9, trunks, Zone::default());
        let phone = world.phone("1002", answers_after(0.3), 700.0);
        let carrier = world.caller("192.0.2.1:5060", 900.0);
        world.register_all();
        let mut inbound = Inbound { world, phone, carrier };
        let out = gateway(&mut inbound);
        inbound.calls(&format!("sip:{OURS}@10.0.0.1"), &named("+919944421125"));
        assert_eq!(inbound.statuses(), [status], "{to}");
        let call = inbound.only_record();
        assert_eq!(call.direction, CallDirection::Inbound, "{to}");
        let invites = inbound.world.raw(out).received(&Method::INVITE);
        assert_eq!(invites.len(), usize::from(status == 200), "{to}");
        if let Some(invite) = invites.first() {
            assert_eq!(
                invite.header.from.uri.to_string(),
                "sip:+918065978015@192.0.2.2",
                "only numbers of ours are shown"
            );
            assert!(invite.header.fields.get(&FieldName::P_ASSERTED_IDENTITY).is_some());
        }
    }
}

#[test]
fn a_call_that_comes_along_two_bindings_rings_once() {
    let mut inbound =
        Inbound::with(|trunk| trunk.from = vec!["192.0.2.0/28".parse().unwrap()], answers_after(0.3));
    let other = inbound.world.caller("192.0.2.3:5060", 950.0);
    let lines = named("+442079460000");
    inbound.world.play(inbound.carrier, |carrier, now| carrier.call(TO_US, &lines, now));
    inbound.world.run_for(seconds(0.05));
    // The same Call-ID, From tag and CSeq, under another Via (RFC 3261 §8.2.2.2).
    inbound.world.play(other, |carrier, now| carrier.call(TO_US, &lines, now));
    inbound.world.run_for(seconds(3.0));
    let answers = inbound.world.by_hand(other).answers("INVITE");
    assert_eq!(answers.iter().filter_map(|answer| answer.status()).collect::<Vec<_>>(), [482]);
    assert_eq!(inbound.statuses(), [200]);
    assert_eq!(inbound.only_record().from.trunk.as_deref(), Some("trunk 1"));
}

#[test]
fn a_caller_that_asks_for_our_offer_is_connected_with_its_answer_and_not_without() {
    const NOTHING: &str = "";
    let g729 = "v=0\r\no=c 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 18\r\n";
    let closed =
        "v=0\r\no=c 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 0 RTP/AVP 8\r\n";
    for answer in [None, Some(NOTHING), Some("no description"), Some(g729), Some(closed)] {
        let mut inbound = Inbound::with(|_| {}, answers_after(0.3));
        inbound.world.play(inbound.carrier, |carrier, _| {
            (carrier.asks_for_offer, carrier.late_answer) = (true, answer);
        });
        inbound.calls(&format!("sip:{OURS}@10.0.0.1"), &named("+442079460000"));
        let id = inbound.world.records()[0].call_id;
        assert_eq!(inbound.world.is_live(id), answer.is_none(), "{answer:?}\n{}", inbound.world.story());
        let record = inbound.only_record();
        let end = record.end.as_ref().unwrap();
        if answer.is_some() {
            assert_eq!((end.reason, end.party), (EndReason::NoCommonCodec, Some(Party::From)), "{answer:?}");
            let bye = inbound.world.by_hand(inbound.carrier).requests("BYE")[0];
            assert!(bye.field("Reason").unwrap().contains("cause=488"), "{bye:?}");
            assert!(!inbound.world.is_busy(inbound.phone));
        } else {
            assert_eq!(end.reason, EndReason::HungUp);
        }
    }
}

#[test]
fn a_carrier_that_asks_who_we_are_in_its_own_call_is_told() {
    const CHALLENGE: &str = "Proxy-Authenticate: Digest realm=\"carrier\", nonce=\"n\", qop=\"auth\"\r\n";
    for (method, has_account) in [("BYE", true), ("INVITE", true), ("BYE", false)] {
        let account = |trunk: &mut TrunkSettings| {
            trunk.credentials = has_account.then(|| sip_core::digest::Identity::new("acct-77", "secret"));
        };
        let mut inbound = Inbound::with(account, answers_after(0.3));
        inbound.calls(&format!("sip:{OURS}@10.0.0.1"), &named("+442079460000"));
        inbound.world.play(inbound.carrier, |carrier, _| {
            carrier.next_time(method, Otherwise::With("407 Proxy Authentication Required", CHALLENGE));
        });
        let key = if method == "BYE" { Command::HangUp } else { Command::Hold };
        inbound.world.press(inbound.phone, &key);
        inbound.world.run_for(seconds(2.0));
        let asked = inbound.world.by_hand(inbound.carrier).requests(method);
        let proofs: Vec<_> = asked.iter().map(|request| request.field("Proxy-Authorization")).collect();
        let Some((Some(last), [None, ..])) = proofs.split_last().map(|(last, before)| (*last, before)) else {
            assert!(!has_account && proofs.iter().all(Option::is_none), "{method}: {proofs:?}");
            continue;
        };
        assert!(has_account && last.contains("username=\"acct-77\"") && !last.contains("secret"), "{last}");
        inbound.world.end_all();
        inbound.world.run_until_nothing_is_left();
    }
}
