//! Stories: requests of both sides of a leg, or of both legs, that cross each other.

mod talk;

use call_control::{EndReason, EndedBy, Party};
use talk::Talk;
use testbed::simulation::{Otherwise, Said, seconds};

const GLARE: Otherwise = Otherwise::With("491 Request Pending", "");

#[test]
fn both_phones_offer_in_the_same_moment_and_what_both_want_comes_true() {
    let wishes = [("sendonly", ""), ("", "sendonly"), ("sendonly", "sendonly"), ("inactive", "sendonly")];
    for (of_from, of_to) in wishes {
        let mut talk = Talk::new();
        let (from, to) = (talk.from, talk.to);
        for (phone, wish) in [(from, of_from), (to, of_to)] {
            talk.world.play(phone, |phone, _| phone.offer("INVITE", Said::hold(wish)));
        }
        let hold = talk.stretch(10.0);
        let hears = |talk: &Talk, phone| talk.packets(phone, hold) > 100;
        let of = |wish: &str| (wish != "inactive", wish.is_empty());
        let ((from_sends, from_hears), (to_sends, to_hears)) = (of(of_from), of(of_to));
        assert_eq!(hears(&talk, from), from_hears && to_sends, "{of_from} {of_to}: {}", talk.world.story());
        assert_eq!(hears(&talk, to), to_hears && from_sends, "{of_from} {of_to}: {}", talk.world.story());
        for phone in [from, to] {
            talk.world.play(phone, |phone, _| phone.offer("INVITE", Said::default()));
        }
        talk.world.run_for(seconds(10.0));
        talk.assert_both_hear("both resumed in the same moment");
        talk.end();
    }
}

#[test]
fn an_offer_of_ours_that_meets_one_of_the_phone_is_491_both_ways_and_made_again() {
    let mut talk = Talk::new();
    let (from, to) = (talk.from, talk.to);
    talk.world.play(to, |phone, _| phone.next_time("INVITE", GLARE));
    talk.world.play(from, |phone, _| phone.offer("INVITE", Said::hold("sendonly")));
    // Our offer to `to` is under way now, and that of `to` to us.
    talk.world.run_for(seconds(0.0015));
    talk.world.play(to, |phone, _| phone.offer("INVITE", Said::default()));
    talk.world.run_for(seconds(1.0));
    assert_eq!(talk.world.by_hand(to).answers("INVITE")[0].status(), Some(491), "{}", talk.world.story());
    talk.world.play(to, |phone, _| phone.offer("INVITE", Said::default()));
    talk.world.run_for(seconds(1.0));
    assert_eq!(talk.world.by_hand(to).answers("INVITE").last().unwrap().status(), Some(200));
    let hold = talk.stretch(5.0);
    assert_eq!(talk.packets(from, hold), 0);
    assert_eq!(talk.world.by_hand(to).told().unwrap().direction, "sendonly", "{}", talk.world.story());
    assert_eq!(talk.world.by_hand(to).requests("INVITE").len(), 3, "the first, the one that met, and again");
    talk.world.play(from, |phone, _| phone.offer("INVITE", Said::default()));
    talk.assert_both_hear("resumed");
    talk.end();
}

#[test]
fn a_phone_that_meets_every_offer_with_491_talks_on() {
    let mut talk = Talk::new();
    let (from, to) = (talk.from, talk.to);
    talk.world.play(to, |phone, _| (0..20).for_each(|_| phone.next_time("INVITE", GLARE)));
    talk.world.play(from, |phone, _| phone.offer("INVITE", Said::hold("sendonly")));
    talk.world.run_for(seconds(60.0));
    let tries = talk.world.by_hand(to).requests("INVITE").len();
    assert!((3..10).contains(&tries), "{tries} offers");
    talk.world.play(to, |phone, _| phone.as_usual("INVITE"));
    talk.world.play(from, |phone, _| phone.offer("INVITE", Said::default()));
    talk.assert_both_hear("resumed");
    talk.end();
}

#[test]
fn a_phone_that_refuses_to_be_held_talks_on() {
    for status in ["488 Not Acceptable Here", "500 Server Internal Error", "603 Decline"] {
        let mut talk = Talk::new();
        let (from, to) = (talk.from, talk.to);
        talk.world.play(to, |phone, _| phone.next_time("INVITE", Otherwise::With(status, "")));
        talk.world.play(from, |phone, _| phone.offer("INVITE", Said::hold("sendonly")));
        let hold = talk.stretch(3.0);
        assert_eq!(talk.packets(from, hold), 0);
        talk.world.play(from, |phone, _| phone.offer("INVITE", Said::default()));
        talk.assert_both_hear(status);
        talk.end();
    }
}

#[test]
fn a_bye_that_crosses_our_offer_ends_the_call_for_both() {
    for leaver_is_from in [true, false] {
        let mut talk = Talk::new();
        let (leaver, other) = talk.parties(leaver_is_from);
        talk.world.play(leaver, |phone, _| phone.next_time("INVITE", Otherwise::Silence));
        talk.world.play(other, |phone, _| phone.offer("INVITE", Said::hold("sendonly")));
        talk.world.run_for(seconds(0.0015));
        talk.world.play(leaver, |phone, _| phone.ask("BYE", "", ("", "")));
        let call = talk.ended();
        let end = call.end.as_ref().unwrap();
        let by = if leaver_is_from { EndedBy::From } else { EndedBy::To };
        assert_eq!((end.reason, end.by), (EndReason::HungUp, by));
        assert_eq!(talk.seen(other).iter().filter(|seen| *seen == "BYE").count(), 1);
    }
}

#[test]
fn the_api_ends_a_call_while_an_offer_is_under_way_on_either_leg() {
    for silent in [[true, false], [false, true]] {
        let mut talk = Talk::new();
        let phones = [talk.from, talk.to];
        for (phone, is_silent) in phones.into_iter().zip(silent) {
            let other = if phone == talk.from { talk.to } else { talk.from };
            if is_silent {
                talk.world.play(phone, |phone, _| phone.next_time("INVITE", Otherwise::Silence));
                talk.world.play(other, |phone, _| phone.offer("UPDATE", Said::hold("sendonly")));
            }
        }
        talk.world.run_for(seconds(0.7));
        for (phone, is_silent) in phones.into_iter().zip(silent) {
            let invites = talk.world.by_hand(phone).requests("INVITE").len();
            assert_eq!(invites > 1, is_silent, "{silent:?}");
        }
        talk.world.hang_up(talk.id);
        let call = talk.ended();
        assert_eq!(call.end.as_ref().unwrap().by, EndedBy::Api);
    }
}

#[test]
fn a_phone_that_never_answers_our_offer_is_gone() {
    let mut talk = Talk::new();
    let (from, to) = (talk.from, talk.to);
    talk.world.play(to, |phone, _| phone.next_time("INVITE", Otherwise::Silence));
    talk.world.play(from, |phone, _| phone.offer("INVITE", Said::hold("sendonly")));
    let call = talk.ended();
    let end = call.end.as_ref().unwrap();
    assert_eq!((end.reason, end.party), (EndReason::SessionExpired, Some(Party::To)));
}

#[test]
fn an_answer_that_comes_after_the_hang_up_changes_nothing() {
    let mut talk = Talk::new();
    let (from, to) = (talk.from, talk.to);
    talk.world.play(to, |phone, _| phone.next_time("INVITE", Otherwise::Silence));
    talk.world.play(from, |phone, _| phone.offer("INVITE", Said::hold("sendonly")));
    talk.world.run_for(seconds(0.3));
    let invite = (*talk.world.by_hand(to).requests("INVITE").last().unwrap()).clone();
    talk.world.hang_up(talk.id);
    talk.world.play(to, |phone, _| phone.respond(&invite, "200 OK", "", invite.body()));
    let call = talk.ended();
    assert_eq!(call.end.as_ref().unwrap().reason, EndReason::HungUp);
    assert!(talk.seen(to).iter().filter(|seen| *seen == "ACK").count() >= 2, "{:?}", talk.seen(to));
}
