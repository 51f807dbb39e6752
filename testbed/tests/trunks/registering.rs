//! Trunks that keep a registration: with registrars that answer oddly, refuse, fall silent, and come back.

use super::carrier::{Outside, numbered};
use call_control::{EndReason, PartyState, RegistrationState};
use sip_b2bua::TrunkSettings;
use sip_core::digest::Identity;
use sip_message::Method;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;
use testbed::simulation::{RawScript, Zone, says, seconds};

type Answer = (&'static str, &'static str);

const CHALLENGE: Answer =
    ("401 Unauthorized", "WWW-Authenticate: Digest realm=\"carrier\", nonce=\"n\", qop=\"auth\"\r\n");
const SILENCE: Answer = ("", "");
const OK: Answer = ("200 OK", "Contact: CONTACT;expires=600\r\n");

fn registering(address: &str) -> TrunkSettings {
    TrunkSettings {
        username: Some("acct-77".into()),
        credentials: Some(Identity::new("acct-77", "secret")),
        registration: Some(Duration::from_secs(600)),
        ..numbered(1, address)
    }
}

/// One trunk at 192.0.2.1, whose registrar says this to the first REGISTERs.
fn outside(answers: &[Answer]) -> Outside {
    let trunks = vec![registering("sip:192.0.2.1")];
    let mut outside =
        Outside::with_registrars(trunks, Zone::default(), &[RawScript::answers_after(0.3)], &[answers]);
    outside.world.run_for(seconds(0.1));
    outside
}

/// A name that leads to 192.0.2.1, then 192.0.2.2.
fn two() -> Zone {
    let address = |last| IpAddr::from([192, 0, 2, last]);
    Zone::of(&[("a.example", &[address(1)]), ("b.example", &[address(2)])])
        .with_srv("_sip._udp.carrier.example", &[(10, 5060, "a.example"), (20, 5060, "b.example")])
}

impl Outside {
    fn says(&mut self, gateway: usize, answers: &[Answer]) {
        self.world.carrier_mut(self.gateways[gateway]).registers(answers);
    }

    /// When REGISTERs came, in seconds from the first one of all.
    fn registers(&self, gateway: usize) -> Vec<f64> {
        let all = [0, 1].into_iter().filter(|index| *index < self.gateways.len());
        let first = all.filter_map(|index| {
            Some(self.world.carrier(self.gateways[index]).asked(&Method::REGISTER).first()?.0)
        });
        let first = first.min().expect("nothing was asked");
        let asked = self.world.carrier(self.gateways[gateway]).asked(&Method::REGISTER);
        asked.into_iter().map(|(at, _)| (at - first).as_secs_f64()).collect()
    }

    /// The same, copies of a REGISTER apart.
    fn rounds(&self, gateway: usize) -> Vec<f64> {
        let asked = self.world.carrier(self.gateways[gateway]).asked(&Method::REGISTER);
        let mut rounds: Vec<(u32, f64)> = asked
            .iter()
            .zip(self.registers(gateway))
            .map(|((_, request), at)| (request.header.cseq.number, at))
            .collect();
        rounds.dedup_by_key(|(cseq, _)| *cseq);
        rounds.into_iter().map(|(_, at)| at).collect()
    }
}

#[test]
fn a_registration_is_made_with_its_account_and_refreshed_in_time() {
    let mut outside = outside(&[OK]);
    outside.world.run_for(seconds(1000.0));
    let asked = outside.world.carrier(outside.gateways[0]).asked(&Method::REGISTER);
    let (_, first) = asked[0];
    assert_eq!(first.uri.to_string(), "sip:192.0.2.1");
    assert_eq!(first.header.to.to_string(), "<sip:acct-77@192.0.2.1>");
    assert!(first.print().windows(34).any(|part| part == b"Contact: <sip:acct-77@10.0.0.1:506"), "{first:?}");
    assert!(asked.iter().all(|(_, it)| it.header.call_id == first.header.call_id), "RFC 3261 §10.2");
    assert_eq!(outside.registers(0).len(), 3, "now, at 480 s and at 960 s");
    assert!((outside.registers(0)[1] - 480.0).abs() < 1.0);
}

#[test]
fn however_the_binding_is_granted_it_is_refreshed_in_its_time() {
    for (lines, refresh) in [
        ("Contact: <sip:other@198.51.100.1>;expires=3600, CONTACT;expires=60\r\n", 48.0),
        ("Contact: <sip:other@198.51.100.1>;expires=3600\r\nContact: CONTACT;expires=60\r\n", 48.0),
        ("Contact: CONTACT\r\nExpires: 120\r\n", 96.0),
        ("Contact: <sip:acct-77@10.0.0.1:5999;transport=UDP>;expires=60\r\n", 48.0),
        ("Contact: <sip:acct-77@203.0.113.9:1024>;expires=60\r\n", 48.0),
        ("Expires: 120\r\n", 96.0),
        ("", 480.0),
    ] {
        let answer: &'static str = lines;
        let mut outside = outside(&[("200 OK", answer)]);
        outside.world.run_for(seconds(refresh + 2.0));
        let asked = outside.registers(0);
        assert_eq!(asked.len(), 2, "{lines}: {asked:?}");
        assert!((asked[1] - refresh).abs() < 1.0, "{lines}: {asked:?}");
    }
}

#[test]
fn a_200_without_our_binding_is_no_registration() {
    for lines in ["Contact: CONTACT;expires=0\r\n", "Contact: <sip:other@198.51.100.1>;expires=3600\r\n"] {
        let mut outside = outside(&[("200 OK", lines)]);
        let record = outside.call_to_its_end();
        assert_eq!(record.end.as_ref().unwrap().reason, EndReason::TrunkFailed, "{lines}");
        assert!(outside.invites(0).is_empty(), "{lines}");
    }
}

#[test]
fn a_challenge_is_answered_and_a_wrong_password_slows_down() {
    let mut good = outside(&[CHALLENGE, OK]);
    good.world.run_for(seconds(5.0));
    let asked = good.world.carrier(good.gateways[0]).asked(&Method::REGISTER);
    let proof = asked[1].1.header.fields.get(&sip_message::FieldName::AUTHORIZATION).expect("credentials");
    assert!(proof.contains("username=\"acct-77\"") && !proof.contains("secret"), "{proof}");
    assert_eq!(asked.len(), 2);
    for refusal in [CHALLENGE, ("403 Forbidden", ""), ("404 Not Found", "")] {
        let mut refused = outside(&[refusal]);
        refused.world.run_for(seconds(3600.0));
        let rounds = refused.registers(0).len();
        assert!((4..=16).contains(&rounds), "{}: {rounds} in an hour", refusal.0);
    }
}

#[test]
fn a_longer_time_is_asked_for_once() {
    let brief = ("423 Interval Too Brief", "Min-Expires: 1800\r\n");
    let longer = ("423 Interval Too Brief", "Min-Expires: 7200\r\n");
    let mut outside_once = outside(&[brief, OK]);
    outside_once.world.run_for(seconds(5.0));
    let asked = outside_once.world.carrier(outside_once.gateways[0]).asked(&Method::REGISTER);
    let expires =
        |index: usize| asked[index].1.header.fields.get(&sip_message::FieldName::EXPIRES).map(String::from);
    assert_eq!((expires(0).as_deref(), expires(1).as_deref()), (Some("600"), Some("1800")));
    assert_eq!(asked.len(), 2);
    let mut rising = outside(&[brief, longer]);
    rising.world.run_for(seconds(60.0));
    let count = rising.registers(0).len();
    assert!((3..=10).contains(&count), "{count} in a minute");
}

#[test]
fn a_registrar_that_fails_is_asked_again_and_again_and_never_given_up() {
    for refusal in
        [("480 Temporarily Unavailable", ""), ("500 Server Internal Error", ""), ("400 Bad Request", "")]
    {
        let mut outside = outside(&[refusal]);
        outside.world.run_for(seconds(7200.0));
        let asked = outside.registers(0);
        assert!(asked.iter().filter(|at| **at < 30.0).count() >= 3, "soon again at first: {asked:?}");
        assert!((20..=60).contains(&asked.len()), "{} in two hours of {}", asked.len(), refusal.0);
        outside.says(0, &[OK]);
        outside.world.run_for(seconds(370.0));
        let call = outside.call();
        outside.world.run_for(seconds(2.0));
        assert_eq!(outside.world.call(call).to.state, PartyState::Answered, "{}", refusal.0);
        outside.end(call);
    }
}

#[test]
fn a_registrar_that_wants_to_be_left_alone_is() {
    let mut outside = outside(&[("503 Service Unavailable", "Retry-After: 120\r\n"), OK]);
    outside.world.run_for(seconds(115.0));
    assert_eq!(outside.registers(0).len(), 1);
    outside.world.run_for(seconds(300.0));
    assert!(outside.registers(0).len() >= 2);
}

#[test]
fn calls_leave_along_the_way_that_is_registered_and_by_no_other() {
    let mut outside = Outside::of(
        vec![registering("sip:carrier.example")],
        two(),
        &[RawScript::answers_after(0.3), RawScript::answers_after(0.3)],
    );
    outside.says(1, &[OK]); // The first one is silent.
    outside.world.run_for(seconds(6.0));
    assert!((outside.rounds(1)[0] - 4.0).abs() < 0.1, "{:?}", outside.rounds(1));
    for count in 1..=2 {
        let call = outside.call();
        outside.world.run_for(seconds(2.0));
        assert_eq!(outside.world.call(call).to.state, PartyState::Answered);
        outside.world.hang_up(call);
        outside.world.run_for(seconds(1.0));
        assert_eq!((outside.invites(0).len(), outside.invites(1).len()), (0, count));
    }
}

#[test]
fn when_the_registered_address_takes_no_call_it_is_registered_at_the_next_and_called_there() {
    for busy in [RawScript::new([says(0.1, 503)]), RawScript::new([])] {
        let mut outside = Outside::of(
            vec![registering("sip:carrier.example")],
            two(),
            &[busy, RawScript::answers_after(0.3)],
        );
        outside.says(0, &[OK]);
        outside.says(1, &[OK]);
        outside.world.run_for(seconds(1.0));
        let call = outside.call();
        outside.world.run_for(seconds(6.0));
        assert_eq!(outside.world.call(call).to.state, PartyState::Answered);
        let registered = outside.world.carrier(outside.gateways[1]).asked(&Method::REGISTER)[0].0;
        let invited = outside.world.raw(outside.gateways[1]).log()[0].at;
        assert!(registered < invited, "first registered, then called");
        assert_eq!(outside.invites(0).len(), 1);
        outside.end(call);
    }
}

#[test]
fn a_call_waits_for_a_registration_that_is_under_way_and_no_longer_than_four_seconds() {
    let mut outside = Outside::of(
        vec![registering("sip:carrier.example"), numbered(2, "sip:192.0.2.3")],
        two(),
        &[RawScript::answers_after(0.3), RawScript::answers_after(0.3), RawScript::answers_after(0.3)],
    );
    outside.says(1, &[OK]);
    let call = outside.call();
    outside.world.run_for(seconds(8.0));
    assert_eq!(outside.world.call(call).to.state, PartyState::Answered);
    outside.world.hang_up(call);
    outside.world.run_for(seconds(1.0));
    let mut none = Outside::of(
        vec![registering("sip:192.0.2.1"), numbered(2, "sip:192.0.2.2")],
        Zone::default(),
        &[RawScript::answers_after(0.3), RawScript::answers_after(0.3)],
    );
    let call = none.call();
    none.world.run_for(seconds(6.0));
    assert_eq!(none.world.call(call).to.trunk.as_deref(), Some("trunk 2"));
    none.end(call);
    assert!(none.invites(0).is_empty(), "it was never registered");
}

#[test]
fn a_register_is_repeated_until_the_next_one_and_no_number_is_used_twice() {
    let mut outside = outside(&[]);
    outside.world.run_for(seconds(60.0));
    // It challenges, and says nothing more.
    outside.says(0, &[CHALLENGE, SILENCE]);
    outside.world.run_for(seconds(40.0));
    outside.says(0, &[CHALLENGE, OK]);
    outside.world.run_for(seconds(300.0));
    assert_eq!(outside.world.trunks()[0].registration, Some(RegistrationState::Registered));
    let asked = outside.world.carrier(outside.gateways[0]).asked(&Method::REGISTER);
    let numbers: Vec<u32> = asked.iter().map(|(_, request)| request.header.cseq.number).collect();
    assert!(numbers.is_sorted(), "one at a time: {numbers:?}");
    let mut contents = BTreeMap::new();
    for (_, request) in asked {
        let branch = request.header.via[0].branch().map(str::to_owned);
        let known = contents.entry(request.header.cseq.number).or_insert_with(|| branch.clone());
        assert_eq!(*known, branch, "a number belongs to one REGISTER");
    }
    assert!(contents.len() >= 5, "{contents:?}");
}

#[test]
fn a_carrier_may_take_longer_for_its_answer_than_we_wait_for_it() {
    let mut outside = outside(&[]);
    outside.world.run_for(seconds(19.5));
    // The third round is given up, and the fourth has not begun.
    let asked = outside.registers(0).len();
    assert_eq!(
        (outside.rounds(0).len(), outside.world.trunks()[0].registration),
        (3, Some(RegistrationState::Failed))
    );
    outside.says(0, &[OK]);
    outside.world.run_for(seconds(3.5));
    assert_eq!((outside.rounds(0).len(), outside.registers(0).len()), (3, asked + 1));
    assert_eq!(outside.world.trunks()[0].registration, Some(RegistrationState::Registered));
}

#[test]
fn the_routes_that_the_registrar_names_are_taken_and_its_path_is_not() {
    let routes = "Contact: CONTACT;expires=600\r\nService-Route: <sip:one.example;lr;x=1>\r\n\
                  Service-Route: <sip:two.example;lr>\r\nPath: <sip:path.example;lr>\r\n";
    let mut outside = outside(&[("200 OK", routes)]);
    outside.call_to_its_end();
    let invite = outside.invites(0)[0];
    let sent: Vec<String> =
        invite.header.fields.get_all(&sip_message::FieldName::ROUTE).map(Into::into).collect();
    assert_eq!(sent, ["<sip:one.example;lr;x=1>", "<sip:two.example;lr>"]);
}

#[test]
fn a_name_that_is_known_at_last_is_registered_at_at_once() {
    let mut down = two();
    down.is_down = true;
    let mut outside =
        Outside::of(vec![registering("sip:carrier.example")], down, &[RawScript::answers_after(0.3)]);
    outside.says(0, &[OK]);
    outside.world.run_for(seconds(900.0));
    outside.world.set_zone(two());
    outside.world.run_for(seconds(12.0));
    assert_eq!(outside.registers(0).len(), 1);
}

#[test]
fn an_address_that_falls_silent_to_options_is_called_last() {
    let trunk = TrunkSettings { probe: Some(Duration::from_secs(60)), ..numbered(1, "sip:carrier.example") };
    let mut outside = Outside::of(vec![trunk], two(), &[RawScript::new([]), RawScript::answers_after(0.3)]);
    for gateway in outside.gateways.clone() {
        outside.world.carrier_mut(gateway).answers_options(Some(("405 Method Not Allowed", "")));
    }
    outside.world.run_for(seconds(61.0));
    outside.world.carrier_mut(outside.gateways[0]).answers_options(None);
    // Two probes of which each is given up after 32 s.
    outside.world.run_for(seconds(160.0));
    let call = outside.call();
    outside.world.run_for(seconds(2.0));
    assert_eq!(outside.world.call(call).to.state, PartyState::Answered);
    outside.end(call);
    assert!(outside.invites(0).is_empty(), "the silent one was asked");
}

/// What the last REGISTER asked for, its Call-ID and CSeq number, and its Contact.
fn last_asked(outside: &Outside) -> (String, String, u32, String) {
    let asked = outside.world.carrier(outside.gateways[0]).asked(&Method::REGISTER);
    let header = &asked.last().expect("a REGISTER").1.header;
    let expires = header.fields.get(&sip_message::FieldName::EXPIRES).unwrap_or_default().to_owned();
    let Some(sip_message::Contacts::List(contacts)) = &header.contact else { panic!("no Contact") };
    (expires, header.call_id.0.to_string(), header.cseq.number, contacts[0].uri.to_string())
}

#[test]
fn a_server_that_stops_takes_its_registration_back_and_asks_for_no_other() {
    let mut outside = outside(&[OK]);
    outside.world.run_for(seconds(1.0));
    let (asked_for, call_id, cseq, contact) = last_asked(&outside);
    assert_eq!(asked_for, "600");
    outside.says(0, &[CHALLENGE, ("200 OK", "")]);
    outside.world.unregister();
    assert!(!outside.world.is_unregistered());
    outside.world.run_for(seconds(1.0));
    assert!(outside.world.is_unregistered());
    // With the credentials, once they were asked for.
    assert_eq!(last_asked(&outside), ("0".into(), call_id, cseq + 2, contact));
    let asked = outside.world.carrier(outside.gateways[0]).asked(&Method::REGISTER);
    assert!(asked.last().unwrap().1.header.fields.get(&sip_message::FieldName::AUTHORIZATION).is_some());
    let count = asked.len();
    outside.world.unregister();
    outside.world.run_for(seconds(7200.0));
    assert_eq!(outside.registers(0).len(), count);
}

#[test]
fn a_registration_that_is_being_asked_for_is_taken_back_too_and_none_is_when_the_carrier_knows_nothing() {
    let mut asking = outside(&[]);
    asking.world.unregister();
    asking.world.run_for(seconds(1.0));
    assert_eq!(last_asked(&asking).0, "0");
    assert!(!asking.world.is_unregistered(), "it is silent");
    asking.world.run_for(seconds(40.0));
    assert!(asking.world.is_unregistered(), "it was given up");
    let mut refused = outside(&[("403 Forbidden", "")]);
    refused.world.run_for(seconds(1.0));
    refused.world.unregister();
    assert!(refused.world.is_unregistered());
    refused.world.run_for(seconds(3600.0));
    assert_eq!(refused.registers(0).len(), 1);
    let mut plain = Outside::with(&[RawScript::answers_after(0.3)]);
    plain.world.unregister();
    assert!(plain.world.is_unregistered());
}
