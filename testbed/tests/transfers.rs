//! Stories: phones that transfer their calls (RFC 3515, RFC 5589, RFC 3891), and the API that does.
#![expect(clippy::unwrap_used, reason = "what a test cannot set up fails it")]

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

/// Whom a phone was told in the call that it talks to, the last time, and by which request.
fn told_of(world: &World, phone: PhoneId) -> Option<(String, String)> {
    let mut requests =
        world.by_hand(phone).received().iter().rev().filter(|message| message.method().is_some());
    let (request, identity) =
        requests.find_map(|request| Some((request, request.field("P-Asserted-Identity")?)))?;
    Some((request.method()?.to_owned(), identity.to_owned()))
}

#[test]
fn whoever_talks_to_somebody_else_after_a_transfer_is_told_whom() {
    for referrer_is_from in [true, false] {
        let mut three = Three::new(answers_after(0.5));
        let (referrer, other) = three.talk.parties(referrer_is_from);
        assert_eq!(told_of(&three.talk.world, other), None, "it knows whom it talks to");
        three.refer(referrer, "Refer-To: <sip:1003@10.0.0.1>\r\n");
        three.talk.world.run_for(seconds(3.0));
        // By the offer that ends its hold.
        let told = told_of(&three.talk.world, other);
        assert_eq!(
            told,
            Some(("INVITE".into(), "<sip:1003@pbx.example.com>".into())),
            "{}",
            three.talk.world.story()
        );
        three.end();
    }
    // Whoever was consulted with a call of its own is told by UPDATE, if it takes that.
    for takes_updates in [true, false] {
        let mut consulting = Consulting::by_hand(takes_updates);
        consulting.three.talk.world.run_for(seconds(5.0));
        let (referrer, other) = consulting.three.talk.parties(true);
        consulting.refer(referrer);
        let Consulting { mut three, .. } = consulting;
        three.talk.world.run_for(seconds(2.0));
        assert_eq!(three.answer_to_refer(referrer), Some(202), "{}", three.talk.world.story());
        let told = told_of(&three.talk.world, three.third);
        let expected = ("UPDATE".to_owned(), "<sip:1002@pbx.example.com>".to_owned());
        assert_eq!(told, takes_updates.then_some(expected), "{}", three.talk.world.story());
        assert_eq!(told_of(&three.talk.world, other).unwrap().1, "<sip:1003@pbx.example.com>");
        three.talk.world.hang_up(three.talk.id);
        three.talk.ended();
    }
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
fn the_api_transfers_either_party_and_lets_the_other_one_go() {
    for party in [Party::From, Party::To] {
        let mut three = Three::new(answers_after(3.0));
        let (kept, let_go) = three.talk.parties(party == Party::From);
        assert_eq!(three.talk.world.wish(three.talk.id, transfer(party, "1003")), Ok(()));
        let ringing = three.talk.stretch(1.0);
        // Both are told that they wait: neither hears the other one.
        for phone in [kept, let_go] {
            assert!(three.talk.packets(phone, ringing) > 40, "{}", three.talk.world.story());
            assert!(three.talk.share(phone, ringing) < 0.2, "{}", three.talk.world.story());
        }
        three.talk.world.run_for(seconds(2.0));
        assert!(!three.talk.world.by_hand(let_go).is_in_call(), "{}", three.talk.world.story());
        three.assert_third_and(kept, hertz_of(party == Party::From), "after the transfer");
        let call = three.talk.world.call(three.talk.id);
        assert_eq!(call.party(party.other()).reached.as_ref().unwrap().number.as_str(), "1003");
        assert_eq!(three.talk.world.channels_in_use(), 0);
        // And once more, with the one who took the place.
        let again = three.talk.world.phone("1004", answers_after(1.0), 2300.0);
        three.talk.world.register_all();
        assert_eq!(three.talk.world.wish(three.talk.id, transfer(party, "1004")), Ok(()));
        three.talk.world.run_for(seconds(3.0));
        assert!(three.talk.world.is_busy(again) && !three.talk.world.is_busy(three.third));
        three.end();
    }
}

#[test]
fn a_hold_of_the_api_ends_with_a_transfer_and_that_is_told() {
    for script in [answers_after(1.0), refuses(sip_message::StatusCode::BUSY_HERE)] {
        let mut three = Three::new(script);
        let id = three.talk.id;
        assert_eq!(three.talk.world.wish(id, Wish::Hold(Party::To)), Ok(()));
        three.talk.world.run_for(seconds(1.0));
        assert_eq!(three.talk.world.wish(id, transfer(Party::To, "1003")), Ok(()));
        three.talk.world.run_for(seconds(4.0));
        assert_eq!(three.talk.world.wish(id, Wish::Resume(Party::To)), Err(NotNow::NotHeld.into()));
        let held_and_not: Vec<_> = three.path().into_iter().map(|(step, party, _)| (step, party)).collect();
        assert_eq!(
            held_and_not[..2],
            [(StepKind::Held, Some(Party::To)), (StepKind::Resumed, Some(Party::To))]
        );
        assert!(three.talk.world.events_of(id).contains(&CallEventKind::Resumed));
        three.end();
    }
}

#[test]
fn what_cannot_be_asked_is_said_before_anybody_is_rung() {
    let mut three = Three::new(answers_after(1.0));
    let id = three.talk.id;
    let mut refused = |to: &str| match three.talk.world.wish(id, transfer(Party::To, to)) {
        Err(WishRefusal::Refused(refusal)) => refusal,
        other => panic!("{to}: {other:?}"),
    };
    assert_eq!(refused("1001"), Refusal::SameParty);
    assert_eq!(refused("1002"), Refusal::SameParty);
    assert_eq!(refused("1005"), Refusal::NotRegistered { field: "to" });
    assert!(matches!(refused("1999"), Refusal::NotFound { field: "to", .. }));
    assert!(matches!(refused("+441632960000"), Refusal::NoTrunk { field: "to", .. }));
    let world = &mut three.talk.world;
    assert_eq!(world.wish(id, Wish::Resume(Party::To)), Err(NotNow::NotHeld.into()));
    let unknown = CallId::new(1, &[7; 10]);
    assert_eq!(world.wish(unknown, Wish::Hold(Party::To)), Err(WishRefusal::NotFound(unknown)));
    assert!(!world.is_busy(three.third));
    // One that still rings has nobody to be transferred.
    let early = world.click_to_call(World::request("1003", "1004"));
    assert!(early.is_err(), "1004 has no phone");
    three.end();
}

#[test]
fn the_api_holds_a_party_and_it_hears_that_it_is_held() {
    for party in [Party::From, Party::To] {
        let mut talk = Talk::new();
        let (held, other) = talk.parties(party == Party::From);
        assert_eq!(talk.world.wish(talk.id, Wish::Hold(party)), Ok(()));
        assert_eq!(talk.world.wish(talk.id, Wish::Hold(party)), Ok(()), "it is held already");
        // Longer than the time after which silence ends a call.
        let on_hold = talk.stretch(150.0);
        assert_eq!(talk.world.by_hand(held).told().unwrap().direction, "sendonly");
        assert_eq!(talk.world.by_hand(other).told().unwrap().direction, "sendrecv");
        for phone in [held, other] {
            let packets = talk.packets(phone, on_hold);
            assert!((7_400..=7_600).contains(&packets), "{packets}\n{}", talk.world.story());
            assert!(talk.share(phone, on_hold) < 0.2);
        }
        assert_eq!(talk.world.wish(talk.id, Wish::Resume(party)), Ok(()));
        talk.world.run_for(seconds(1.0));
        talk.assert_both_hear("after the hold");
        let steps: Vec<_> =
            talk.world.call(talk.id).path.iter().map(|step| (step.step, step.party)).collect();
        assert_eq!(steps, [(StepKind::Held, Some(party)), (StepKind::Resumed, Some(party))]);
        let events = talk.world.events_of(talk.id);
        assert!(events.ends_with(&[CallEventKind::Held, CallEventKind::Resumed]), "{events:?}");
        talk.end();
    }
}

#[test]
fn both_can_be_held_and_either_phone_may_refuse_it() {
    let refusals = ["488 Not Acceptable Here", "500 Server Internal Error", "491 Request Pending"];
    for refusal in refusals {
        let mut talk = Talk::new();
        talk.world.play(talk.to, |phone, _| phone.next_time("INVITE", Otherwise::With(refusal, "")));
        assert_eq!(talk.world.wish(talk.id, Wish::Hold(Party::To)), Ok(()));
        assert_eq!(talk.world.wish(talk.id, Wish::Hold(Party::From)), Ok(()));
        let on_hold = talk.stretch(10.0);
        for phone in [talk.from, talk.to] {
            assert!(talk.packets(phone, on_hold) > 450, "{refusal}\n{}", talk.world.story());
            assert!(talk.share(phone, on_hold) < 0.2, "{refusal}");
        }
        assert_eq!(talk.world.wish(talk.id, Wish::Resume(Party::To)), Ok(()));
        let still = talk.stretch(3.0);
        assert!(talk.share(talk.to, still) < 0.2, "{refusal}: from is still held");
        assert_eq!(talk.world.wish(talk.id, Wish::Resume(Party::From)), Ok(()));
        talk.world.run_for(seconds(3.0));
        talk.assert_both_hear(refusal);
        talk.end();
    }
}

/// The values that name the dialog of a phone's call (RFC 3891): Call-ID, the server's tag and its own.
fn replaces(world: &World, phone: PhoneId) -> String {
    let ack: &SipText = world.by_hand(phone).requests("ACK")[0];
    let tag = |name| ack.field(name).unwrap().split("tag=").nth(1).unwrap().to_owned();
    format!("{}%3Bto-tag%3D{}%3Bfrom-tag%3D{}", ack.field("Call-ID").unwrap(), tag("From"), tag("To"))
}

/// 1001 talks to 1002 with one device, and to 1003 with another one.
struct Consulting {
    three: Three,
    second: PhoneId,
    consultation: CallId,
}

impl Consulting {
    fn new(referrer_is_from: bool, third: test_phone::Script) -> Self {
        Self::of(Three::new(third), referrer_is_from)
    }

    fn of(mut three: Three, referrer_is_from: bool) -> Self {
        let (referrer, _) = three.talk.parties(referrer_is_from);
        let user = if referrer_is_from { "1001" } else { "1002" };
        three
            .talk
            .world
            .play(referrer, |phone, _| phone.next_time("INVITE", Otherwise::With("486 Busy Here", "")));
        let second = three.talk.world.phone_by_hand(user, 2300.0);
        three.talk.world.register_all();
        let consultation = three.talk.world.click_to_call(World::request(user, "1003")).unwrap();
        Self { three, second, consultation }
    }

    /// 1003 is played by hand, and takes UPDATE or says nothing of it.
    fn by_hand(takes_updates: bool) -> Self {
        let mut talk = Talk::ringing(["1001", "1002"], |_, _| {});
        let third = talk.world.phone_by_hand("1003", THIRD_HERTZ);
        if takes_updates {
            talk.world.play(third, |phone, _| phone.allows = "Allow: INVITE, ACK, BYE, CANCEL, UPDATE\r\n");
        }
        talk.world.register_all();
        Self::of(Three { talk: talk.talking(), third, hears: Vec::new() }, true)
    }

    fn refer(&mut self, referrer: PhoneId) {
        let replaces = replaces(&self.three.talk.world, self.second);
        self.three.refer(referrer, &format!("Refer-To: <sip:1003@10.0.0.1?Replaces={replaces}>\r\n"));
    }
}

#[test]
fn an_attended_transfer_makes_one_call_of_two() {
    for referrer_is_from in [true, false] {
        let mut consulting = Consulting::new(referrer_is_from, answers_after(1.0));
        consulting.three.talk.world.run_for(seconds(5.0));
        let (referrer, other) = consulting.three.talk.parties(referrer_is_from);
        consulting.refer(referrer);
        let Consulting { mut three, second, consultation } = consulting;
        assert_eq!(three.answer_to_refer(referrer), Some(202), "{}", three.talk.world.story());
        assert_eq!(pairs(&three.told(referrer)), [TRYING, ("SIP/2.0 200 OK", "terminated")]);
        three.assert_third_and(other, hertz_of(!referrer_is_from), "after the transfer");
        three.talk.world.run_for(seconds(2.0));
        for phone in [referrer, second] {
            assert!(!three.talk.world.by_hand(phone).is_in_call(), "{}", three.talk.world.story());
        }
        let merged = three.talk.world.run_until_written(consultation);
        let end = merged.end.as_ref().unwrap();
        assert_eq!((end.reason, end.into), (EndReason::Transferred, Some(three.talk.id)));
        for party in [&merged.from, &merged.to] {
            assert!(party.state == PartyState::Gone && party.ended_at.is_some(), "{party:?}");
        }
        let place = if referrer_is_from { Party::From } else { Party::To };
        let call = three.talk.world.call(three.talk.id);
        assert_eq!(call.party(place).reached.as_ref().unwrap().number.as_str(), "1003");
        assert!(three.talk.world.line_is_busy("1003"));
        // What the phone that was adopted does now is done in the call that goes on.
        three.talk.world.press(three.third, &test_phone::Command::Hold);
        three.talk.world.run_for(seconds(2.0));
        let told = three.talk.world.by_hand(other).told().unwrap();
        assert_eq!(told.direction, "sendonly", "{}", three.talk.world.story());
        let ladder = three.talk.world.ladder(three.talk.id);
        assert!(ladder.messages.iter().any(|message| message.party == place && message.summary == "INVITE"));
        three.talk.world.press(three.third, &test_phone::Command::HangUp);
        let ended = three.ended();
        assert_eq!(ended.end.as_ref().unwrap().reason, EndReason::HungUp);
    }
}

#[test]
fn a_consultation_that_still_rings_is_rung_from_the_other_call() {
    let mut consulting = Consulting::new(true, answers_after(6.0));
    consulting.three.talk.world.run_for(seconds(3.0));
    let (referrer, other) = consulting.three.talk.parties(true);
    consulting.refer(referrer);
    let Consulting { mut three, consultation, .. } = consulting;
    assert_eq!(three.answer_to_refer(referrer), Some(202), "{}", three.talk.world.story());
    let merged = three.talk.world.run_until_written(consultation);
    let end = merged.end.as_ref().unwrap();
    assert_eq!((end.reason, end.into), (EndReason::Transferred, Some(three.talk.id)));
    three.talk.world.run_for(seconds(8.0));
    three.assert_third_and(other, talk::TO_HERTZ, "after the transfer");
    three.end();
}

#[test]
fn an_invite_takes_nobodys_place_by_itself_and_is_told_why() {
    let talk = Talk::new();
    let known = replaces(&talk.world, talk.from).replace("%3B", ";").replace("%3D", "=");
    let mut talk = talk;
    let caller = talk.world.phone_by_hand("1003", THIRD_HERTZ);
    talk.world.register_all();
    let uri = "sip:1002@10.0.0.1";
    let named = format!("From: <sip:1003@pbx.example.com>;tag=three\r\nTo: <{uri}>\r\n");
    for (lines, status) in [
        (format!("Replaces: {known}\r\n"), 403),
        (format!("Require: replaces\r\nReplaces: {known}\r\n"), 403),
        ("Replaces: nobody;to-tag=a;from-tag=b\r\n".into(), 481),
        ("Replaces: nonsense\r\n".into(), 400),
        (format!("Replaces: {known}\r\nReplaces: {known}\r\n"), 400),
    ] {
        talk.world.play(caller, |phone, now| phone.call(uri, &named, now));
        talk.world.run_for(seconds(0.5));
        let proof = talk.world.by_hand(caller).proof(uri, "1003", "secret-of-1003");
        talk.world.play(caller, |phone, now| phone.call(uri, &format!("{named}{proof}{lines}"), now));
        talk.world.run_for(seconds(0.5));
        let answers = talk.world.by_hand(caller).answers("INVITE");
        assert_eq!(answers.last().unwrap().status(), Some(status), "{lines}\n{}", talk.world.story());
    }
    talk.assert_both_hear("after refusals");
    talk.end();
}

#[test]
fn a_call_of_somebody_else_cannot_be_named() {
    let mut consulting = Consulting::new(true, answers_after(1.0));
    consulting.three.talk.world.run_for(seconds(5.0));
    let (_, other) = consulting.three.talk.parties(true);
    // 1002 names the call of 1001.
    consulting.refer(other);
    let Consulting { three, second, consultation } = consulting;
    assert_eq!(three.answer_to_refer(other), Some(403), "{}", three.talk.world.story());
    assert!(three.talk.world.by_hand(second).is_in_call());
    let mut talk = three.talk;
    talk.assert_both_hear("after the refusal");
    talk.world.hang_up(consultation);
    talk.end();
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
