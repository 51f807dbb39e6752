//! Transfers with Replaces (RFC 3891): one call of two; and what phones show afterwards.

use super::*;

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
