//! Stories: phones that transfer their calls (RFC 3515, RFC 5589, RFC 3891), and the API that does.
#![expect(clippy::unwrap_used, reason = "what a test cannot set up fails it")]

#[path = "transfers/attended.rs"]
mod attended;
#[path = "transfers/by_api.rs"]
mod by_api;
mod talk;

use audio::tone_share;
use call_control::{
    Call, CallEventKind, CallId, EndReason, EndedBy, NotNow, Number, Party, PartyState, Refusal, Step,
    StepKind, Transfer, Wish, WishRefusal,
};
use std::sync::Arc;
use talk::Talk;
use testbed::SipText;
use testbed::simulation::{
    Network, Otherwise, PhoneId, RawScript, Said, World, Zone, answers_after, each_seed, percent, refuses,
    rings_for_ever, seconds, talks_for, trunk,
};

const THIRD_HERTZ: f64 = 1700.0;

/// Two phones that talk, 1001 and 1002, and a third one that does as `script` says.
struct Three {
    talk: Talk,
    third: PhoneId,
    /// What the third one has to have heard, and when: it is asked when its call is over.
    hears: Vec<(talk::Stretch, f64, &'static str)>,
}

impl Three {
    fn new(script: test_phone::Script) -> Self {
        let mut talk = Talk::ringing(["1001", "1002"], |_, _| {});
        let third = talk.world.phone("1003", script, THIRD_HERTZ);
        talk.world.register_all();
        Self { talk: talk.talking(), third, hears: Vec::new() }
    }

    fn refer(&mut self, phone: PhoneId, lines: &str) {
        self.talk.world.play(phone, |phone, _| phone.ask("REFER", lines, ("", "")));
        self.talk.world.run_for(seconds(0.5));
    }

    /// Status lines of the outcomes that a phone was told of, each with the state of its subscription.
    fn told(&self, phone: PhoneId) -> Vec<(String, String)> {
        let notified = self.talk.world.by_hand(phone).requests("NOTIFY").into_iter();
        notified
            .map(|notify| {
                assert!(notify.field("Event").unwrap().starts_with("refer"), "{notify:?}");
                assert_eq!(notify.field("Content-Type"), Some("message/sipfrag;version=2.0"));
                assert!(notify.field("Contact").is_some(), "{notify:?}");
                let state = notify.field("Subscription-State").unwrap();
                (notify.body().trim().to_owned(), state.split(';').next().unwrap().to_owned())
            })
            .collect()
    }

    fn answer_to_refer(&self, phone: PhoneId) -> Option<u16> {
        self.talk.world.by_hand(phone).answers("REFER").last().and_then(|answer| answer.status())
    }

    fn path(&self) -> Vec<(StepKind, Option<Party>, Option<String>)> {
        let path = &self.talk.world.call(self.talk.id).path;
        let step = |step: &Step| (step.step, step.party, step.number.as_ref().map(ToString::to_string));
        path.iter().map(step).collect()
    }

    /// The third one and a phone hear each other for two seconds from now on.
    fn assert_third_and(&mut self, phone: PhoneId, hertz: f64, what: &'static str) {
        let stretch = self.talk.stretch(2.0);
        let heard = self.talk.world.by_hand(phone).heard().unwrap();
        let share = tone_share(heard.between(stretch.0, stretch.1), heard.sample_rate, THIRD_HERTZ);
        assert!(share > 0.95, "{what}: {share}\n{}", self.talk.world.story());
        self.hears.push((stretch, hertz, what));
    }

    /// The API hangs up, and everything ends as it should.
    fn end(mut self) {
        self.talk.world.hang_up(self.talk.id);
        let call = self.ended();
        assert_eq!(call.end.as_ref().unwrap().reason, EndReason::HungUp, "{}", self.talk.world.story());
    }

    fn ended(&mut self) -> Arc<Call> {
        let call = self.talk.ended();
        for ((from, until), hertz, what) in std::mem::take(&mut self.hears) {
            let heard = &self.talk.world.heard(self.third).unwrap().heard;
            let share = tone_share(heard.between(from, until), heard.sample_rate, hertz);
            assert!(share > 0.95, "{what}: the third one hears {share}\n{}", self.talk.world.story());
        }
        call
    }
}

const fn hertz_of(is_from: bool) -> f64 {
    if is_from { talk::FROM_HERTZ } else { talk::TO_HERTZ }
}

fn number(text: &str) -> Number {
    Number::new(text).unwrap()
}

fn transfer(party: Party, to: &str) -> Wish {
    Wish::Transfer(Transfer { party, to: number(to), to_type: None, caller_ids: Vec::new() })
}

const TRYING: (&str, &str) = ("SIP/2.0 100 Trying", "active");

fn pairs(told: &[(String, String)]) -> Vec<(&str, &str)> {
    told.iter().map(|(line, state)| (line.as_str(), state.as_str())).collect()
}

#[test]
fn a_phone_transfers_its_call_and_the_other_two_go_on() {
    for referrer_is_from in [true, false] {
        let mut three = Three::new(answers_after(4.0));
        let (referrer, other) = three.talk.parties(referrer_is_from);
        three.refer(referrer, "Refer-To: <sip:1003@10.0.0.1>\r\n");
        assert_eq!(three.answer_to_refer(referrer), Some(202), "{}", three.talk.world.story());
        assert_eq!(pairs(&three.told(referrer)), [TRYING]);
        // Whoever waits hears that somebody is rung, and not whoever has transferred it.
        let ringing = three.talk.stretch(1.5);
        assert!(three.talk.packets(other, ringing) > 50, "{}", three.talk.world.story());
        assert!(three.talk.share(other, ringing) < 0.2, "{}", three.talk.world.story());
        three.talk.world.run_for(seconds(2.0));
        let told = three.told(referrer);
        assert_eq!(pairs(&told), [TRYING, ("SIP/2.0 200 OK", "terminated")], "{}", three.talk.world.story());
        three.assert_third_and(other, hertz_of(!referrer_is_from), "after the transfer");
        // It does not hang up by itself: it is hung up on.
        three.talk.world.run_for(seconds(2.0));
        assert_eq!(three.talk.seen(referrer).last().unwrap(), "BYE");
        assert!(!three.talk.world.by_hand(referrer).is_in_call());
        let place = if referrer_is_from { Party::From } else { Party::To };
        let to = || Some("1003".to_owned());
        assert_eq!(
            three.path(),
            [
                (StepKind::TransferStarted, Some(place), to()),
                (StepKind::TransferCompleted, Some(place), to())
            ]
        );
        let call = three.talk.world.call(three.talk.id).clone();
        assert_eq!(call.party(place).reached.as_ref().unwrap().number.as_str(), "1003");
        assert_eq!(call.party(place).number.as_str(), if referrer_is_from { "1001" } else { "1002" });
        three.talk.world.press(three.third, &test_phone::Command::HangUp);
        let ended = three.ended();
        let end = ended.end.as_ref().unwrap();
        assert_eq!((end.reason, end.by), (EndReason::HungUp, EndedBy::from(place)));
        assert!(three.talk.world.events_of(three.talk.id).contains(&CallEventKind::Transferred));
        assert!(ended.party(place).media.as_ref().unwrap().packets_received > 100, "{ended:?}");
    }
}

#[test]
fn a_phone_that_hangs_up_by_itself_is_not_waited_for() {
    let mut three = Three::new(answers_after(1.0));
    let (referrer, other) = three.talk.parties(true);
    three.refer(referrer, "Refer-To: <sip:1003@10.0.0.1>\r\n");
    three.talk.world.run_for(seconds(1.5));
    three.talk.world.play(referrer, |phone, _| phone.ask("BYE", "", ("", "")));
    three.talk.world.run_for(seconds(5.0));
    assert!(!three.talk.seen(referrer).iter().any(|seen| seen == "BYE"), "{}", three.talk.world.story());
    three.assert_third_and(other, talk::TO_HERTZ, "after its BYE");
    three.end();
}

#[test]
fn a_transfer_that_fails_brings_both_back() {
    for (script, line) in [
        (refuses(sip_message::StatusCode::BUSY_HERE), "SIP/2.0 486 Busy Here"),
        (rings_for_ever(), "SIP/2.0 480 Temporarily Unavailable"),
    ] {
        for referrer_is_from in [true, false] {
            let mut three = Three::new(script.clone());
            let (referrer, _) = three.talk.parties(referrer_is_from);
            // As phones do: hold first.
            three.talk.world.play(referrer, |phone, _| phone.offer("INVITE", Said::hold("sendonly")));
            three.talk.world.run_for(seconds(1.0));
            three.refer(referrer, "Refer-To: <sip:1003@10.0.0.1>\r\n");
            three.talk.world.run_for(seconds(70.0));
            assert_eq!(pairs(&three.told(referrer)), [TRYING, (line, "terminated")]);
            three.talk.world.play(referrer, |phone, _| phone.offer("INVITE", Said::default()));
            three.talk.world.run_for(seconds(1.0));
            three.talk.assert_both_hear(line);
            let steps: Vec<_> = three.path().into_iter().map(|(step, ..)| step).collect();
            use StepKind::{Held, Resumed, TransferFailed, TransferStarted};
            assert_eq!(steps, [Held, TransferStarted, TransferFailed, Resumed]);
            three.end();
        }
    }
}

#[test]
fn a_phone_that_hangs_up_at_its_202_has_left_and_the_other_one_goes_on_or_is_told_why_not() {
    // Our NOTIFYs meet nobody any more: that is no reason to stop (RFC 3515 section 2.4.4).
    for answer in [
        Otherwise::With("481 Call/Transaction Does Not Exist", ""),
        Otherwise::With("405 Method Not Allowed", "Allow: INVITE, ACK, BYE, CANCEL\r\n"),
        Otherwise::Silence,
    ] {
        for (script, reached) in
            [(answers_after(3.0), true), (refuses(sip_message::StatusCode::BUSY_HERE), false)]
        {
            let mut three = Three::new(script);
            let (referrer, other) = three.talk.parties(true);
            three.talk.world.play(referrer, |phone, _| phone.next_time("NOTIFY", answer.clone()));
            three.talk.world.play(referrer, |phone, _| {
                phone.ask("REFER", "Refer-To: <sip:1003@10.0.0.1>\r\n", ("", ""));
            });
            three.talk.world.run_for(seconds(0.05));
            three.talk.world.play(referrer, |phone, _| phone.ask("BYE", "", ("", "")));
            three.talk.world.run_for(seconds(6.0));
            if reached {
                three.assert_third_and(other, talk::TO_HERTZ, "the phone is gone");
                three.end();
            } else {
                let call = three.ended();
                let end = call.end.as_ref().unwrap();
                assert_eq!((end.reason, end.sip_status), (EndReason::TransferFailed, Some(486)));
                assert_eq!((end.by, end.party), (EndedBy::Server, Some(Party::From)));
                let bye = three.talk.world.by_hand(other).requests("BYE").into_iter().next_back().unwrap();
                assert!(bye.field("Reason").unwrap().contains("cause=486"), "{bye:?}");
            }
        }
    }
}

#[test]
fn whoever_waits_may_hang_up_and_the_api_may_end_it_at_any_moment() {
    for by_api in [true, false] {
        let mut three = Three::new(rings_for_ever());
        let (referrer, other) = three.talk.parties(true);
        three.refer(referrer, "Refer-To: <sip:1003@10.0.0.1>\r\n");
        three.talk.world.run_for(seconds(2.0));
        assert!(three.talk.world.is_busy(three.third));
        if by_api {
            three.talk.world.hang_up(three.talk.id);
        } else {
            three.talk.world.play(other, |phone, _| phone.ask("BYE", "", ("", "")));
        }
        let call = three.ended();
        let by = if by_api { EndedBy::Api } else { EndedBy::To };
        let end = call.end.as_ref().unwrap();
        assert_eq!((end.reason, end.by), (EndReason::HungUp, by));
        assert!(!three.talk.world.is_busy(three.third), "{}", three.talk.world.story());
    }
}

#[test]
fn what_may_not_be_dialled_or_is_nobodys_is_refused_and_the_call_goes_on() {
    let mut three = Three::new(answers_after(1.0));
    let referrer = three.talk.from;
    for (lines, status) in [
        ("Refer-To: <sip:0019005550123@10.0.0.1>\r\n", 603), // There is no dial policy: nothing is outside.
        ("Refer-To: <sip:1002@10.0.0.1>\r\n", 603),
        ("Refer-To: <sip:1001@10.0.0.1>\r\n", 603),
        ("Refer-To: <sip:1003@elsewhere.example>\r\n", 603),
        ("Refer-To: <sip:1003@192.0.2.5>\r\n", 603),
        ("Refer-To: <sip:nobody@10.0.0.1>\r\n", 603),
        ("Refer-To: <sip:10.0.0.1>\r\n", 603),
        ("Refer-To: <mailto:1003@10.0.0.1>\r\n", 603),
        ("Refer-To: <sip:1003@10.0.0.1;method=BYE>\r\n", 603),
        ("Refer-To: <sip:1003@10.0.0.1>\r\nRefer-To: <sip:1004@10.0.0.1>\r\n", 400),
        ("Refer-To: <sip:1003@10.0.0.1>, <sip:1004@10.0.0.1>\r\n", 400),
        ("", 400),
        ("Refer-To: nonsense\r\n", 400),
        ("Refer-To: <sip:1003@10.0.0.1?Replaces=a%3Bto-tag%3Db%3Bfrom-tag%3Dc>\r\n", 603),
        ("Refer-To: <sip:1003@10.0.0.1?Replaces=a>\r\n", 400),
    ] {
        three.refer(referrer, lines);
        assert_eq!(three.answer_to_refer(referrer), Some(status), "{lines}\n{}", three.talk.world.story());
    }
    assert!(three.told(referrer).is_empty() && !three.talk.world.is_busy(three.third));
    let denied = three.path();
    let all_denied = denied.iter().all(|(step, ..)| *step == StepKind::TransferDenied);
    // One of them cannot be read, and nobody has looked at it.
    assert!(all_denied && denied.len() == 14, "{denied:?}");
    three.talk.assert_both_hear("after refusals");
    three.end();
}

#[test]
fn whoever_writes_into_a_dialog_from_elsewhere_proves_itself_before_it_transfers_the_call() {
    const LINES: &str = "Refer-To: <sip:1003@10.0.0.1>\r\n";
    for referrer_is_from in [true, false] {
        let mut three = Three::new(answers_after(1.0));
        let (referrer, other) = three.talk.parties(referrer_is_from);
        let (own, others) = if referrer_is_from { ("1001", "1002") } else { ("1002", "1001") };
        // Another request makes the server follow it there: that is no proof.
        three.talk.world.play(referrer, |phone, _| {
            phone.sip = "10.0.7.7:5090".parse().unwrap();
            phone.ask("OPTIONS", "", ("", ""));
        });
        three.talk.world.run_for(seconds(0.5));
        // At once: a phone sends it again after half a second.
        three.talk.world.play(referrer, |phone, _| phone.ask("REFER", LINES, ("", "")));
        three.talk.world.run_for(seconds(0.05));
        assert_eq!(three.answer_to_refer(referrer), Some(401), "{}", three.talk.world.story());
        let as_user = |three: &mut Three, credentials: (&str, &str)| {
            three.talk.world.play(referrer, |phone, _| phone.ask_as(credentials, "REFER", LINES));
            three.talk.world.run_for(seconds(0.5));
            three.answer_to_refer(referrer)
        };
        assert_eq!(as_user(&mut three, (own, "guessed")), Some(401), "{}", three.talk.world.story());
        assert!(three.path().is_empty(), "a challenge is no refusal: {:?}", three.path());
        // Another phone of ours is not the one whose call it is.
        let secret = |user: &str| format!("secret-of-{user}");
        assert_eq!(as_user(&mut three, (others, &secret(others))), Some(403), "{}", three.talk.world.story());
        let place = if referrer_is_from { Party::From } else { Party::To };
        assert_eq!(three.path(), [(StepKind::TransferDenied, Some(place), None)]);
        assert!(three.told(referrer).is_empty() && !three.talk.world.is_busy(three.third));
        three.refer(referrer, LINES);
        assert_eq!(as_user(&mut three, (own, &secret(own))), Some(202), "{}", three.talk.world.story());
        three.talk.world.run_for(seconds(2.0));
        three.assert_third_and(other, hertz_of(!referrer_is_from), "after the transfer");
        three.end();
    }
}

#[test]
fn a_phone_that_wants_no_news_gets_none() {
    let mut three = Three::new(answers_after(1.0));
    let referrer = three.talk.from;
    three.refer(referrer, "Refer-To: <sip:1003@10.0.0.1>\r\nRefer-Sub: false\r\nSupported: norefersub\r\n");
    let accepted = three.talk.world.by_hand(referrer).answers("REFER")[0].clone();
    assert_eq!((accepted.status(), accepted.field("Refer-Sub")), (Some(202), Some("false")));
    assert!(accepted.field("Contact").is_some(), "{accepted:?}");
    three.talk.world.run_for(seconds(6.0));
    assert!(three.told(referrer).is_empty(), "{}", three.talk.world.story());
    three.end();
}

#[test]
fn a_second_transfer_is_told_of_by_its_name_and_one_at_a_time() {
    let mut three = Three::new(refuses(sip_message::StatusCode::BUSY_HERE));
    let referrer = three.talk.from;
    three.refer(referrer, "Refer-To: <sip:1003@10.0.0.1>\r\n");
    three.talk.world.run_for(seconds(3.0));
    let waits = three.talk.world.phone("1004", rings_for_ever(), 2300.0);
    three.talk.world.register_all();
    three.refer(referrer, "Refer-To: <sip:1004@10.0.0.1>\r\n");
    three.refer(referrer, "Refer-To: <sip:1003@10.0.0.1>\r\n");
    assert_eq!(three.answer_to_refer(referrer), Some(491));
    assert_eq!(
        three.talk.world.wish(three.talk.id, transfer(Party::To, "1003")),
        Err(NotNow::BeingTransferred.into())
    );
    assert_eq!(
        three.talk.world.wish(three.talk.id, Wish::Hold(Party::To)),
        Err(NotNow::BeingTransferred.into())
    );
    let notify = three.talk.world.by_hand(referrer).requests("NOTIFY").into_iter().next_back().unwrap();
    assert!(notify.field("Event").unwrap().starts_with("refer;id="), "{notify:?}");
    assert!(three.talk.world.is_busy(waits));
    three.end();
}

#[test]
fn a_phone_that_has_transferred_its_call_transfers_it_no_more() {
    for referrer_is_from in [true, false] {
        let mut three = Three::new(answers_after(0.5));
        let fourth = three.talk.world.phone("1004", answers_after(0.5), 2300.0);
        three.talk.world.register_all();
        let (referrer, other) = three.talk.parties(referrer_is_from);
        three.refer(referrer, "Refer-To: <sip:1003@10.0.0.1>\r\n");
        three.talk.world.run_for(seconds(0.5));
        assert_eq!(three.told(referrer).len(), 2, "it knows that it has succeeded");
        three.refer(referrer, "Refer-To: <sip:1004@10.0.0.1>\r\n");
        assert_eq!(three.answer_to_refer(referrer), Some(403), "{}", three.talk.world.story());
        three.assert_third_and(other, hertz_of(!referrer_is_from), "after the second wish");
        assert!(!three.talk.world.is_busy(fourth));
        three.end();
    }
}

#[test]
fn a_call_is_transferred_outside_where_the_policy_lets_it_be() {
    let carrier = trunk("carrier", "sip:10.0.9.1");
    let mut world = World::with_trunks(7, vec![carrier], Zone::default());
    let gateway = world.gateway("10.0.9.1:5060", RawScript::answers_after(0.5));
    let from = world.phone_by_hand("1001", talk::FROM_HERTZ);
    let to = world.phone_by_hand("1002", talk::TO_HERTZ);
    world.register_all();
    let id = world.click_to_call(World::request("1001", "1002")).unwrap();
    world.run_for(seconds(5.0));
    // A number may stand at us or at the trunk, and nowhere else.
    for (uri, status) in [
        ("sip:0019005550123@10.0.0.1", 403),
        ("sip:+19005550123@10.0.9.1", 403),
        ("sip:+919944421125@10.0.9.2", 603),
        ("sip:+919944421125@10.0.9.1", 202),
    ] {
        let lines = format!("Refer-To: <{uri}>\r\n");
        world.play(from, |phone, _| phone.ask("REFER", &lines, ("", "")));
        world.run_for(seconds(0.5));
        let answers = world.by_hand(from).answers("REFER");
        assert_eq!(answers.last().unwrap().status(), Some(status), "{}", world.story());
    }
    world.run_for(seconds(5.0));
    assert_eq!(world.channels_in_use(), 1, "{}", world.story());
    let call = world.call(id);
    assert_eq!(call.from.reached.as_ref().unwrap().number.as_str(), "+919944421125");
    assert_eq!(call.from.trunk.as_deref(), Some("carrier"));
    assert_eq!(call.direction, call_control::CallDirection::Outbound);
    // Whoever is at the trunk transfers nothing.
    let _ = (gateway, to);
    world.hang_up(id);
    world.run_until_ended(id);
    assert_eq!(world.channels_in_use(), 0);
}

/// A lossy network, everybody at random: one right end, and nothing is left.
#[test]
fn whatever_is_lost_a_transfer_comes_to_an_end() {
    let network =
        Network { loss: percent(10), doubling: percent(5), delay: seconds(0.02), jitter: seconds(0.03) };
    each_seed(200, |seed| {
        let mut world = World::with_seed(seed);
        world.set_network(network);
        let from = world.phone_by_hand("1001", talk::FROM_HERTZ);
        let _to = world.phone("1002", answers_after(1.0), talk::TO_HERTZ);
        let script = match seed % 3 {
            0 => refuses(sip_message::StatusCode::BUSY_HERE),
            1 => rings_for_ever(),
            _ => talks_for(5.0),
        };
        let _third = world.phone("1003", script, THIRD_HERTZ);
        world.run_for(seconds(5.0));
        let Ok(id) = world.click_to_call(World::request("1001", "1002")) else { return };
        world.run_for(seconds(8.0));
        if seed % 2 == 0 {
            let _ = world.wish(id, transfer(if seed % 4 == 0 { Party::From } else { Party::To }, "1003"));
        } else {
            world.play(from, |phone, _| phone.ask("REFER", "Refer-To: <sip:1003@10.0.0.1>\r\n", ("", "")));
        }
        world.run_for(seconds((seed % 13) as f64));
        world.hang_up(id);
        let call = world.run_until_ended(id);
        assert!(call.end.is_some());
    });
}
