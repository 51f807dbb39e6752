//! The API transfers a party, and holds one.

use super::*;

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
