//! Stories: every way in which a phone can say that it holds, on the whole server.

mod talk;

use call_control::CallState;
use std::net::{IpAddr, Ipv4Addr};
use talk::Talk;
use testbed::simulation::{Said, seconds};

const NOWHERE: Option<IpAddr> = Some(IpAddr::V4(Ipv4Addr::UNSPECIFIED));

/// How a phone says that it holds, and what the other one is told.
fn kinds() -> [(Said, &'static str); 6] {
    let old = |direction| Said { connection: NOWHERE, ..Said::hold(direction) };
    [
        (Said::hold("sendonly"), "sendonly"),
        (Said::hold("inactive"), "inactive"),
        (Said::hold("recvonly"), "recvonly"),
        (old(""), "sendonly"),
        (old("sendonly"), "sendonly"),
        (old("inactive"), "inactive"),
    ]
}

#[test]
fn each_kind_by_each_method_from_each_side_reaches_the_other_and_ends_with_audio_both_ways() {
    for holder_is_from in [true, false] {
        let mut talk = Talk::new();
        let (holder, held) = talk.parties(holder_is_from);
        for (method, resume) in [("INVITE", "INVITE"), ("UPDATE", "UPDATE"), ("INVITE", "UPDATE")] {
            for (said, told) in kinds() {
                let what =
                    format!("{method} {} {:?}, from: {holder_is_from}", said.direction, said.connection);
                talk.world.play(holder, |phone, _| phone.offer(method, said.clone()));
                let hold = talk.stretch(3.0);
                assert_eq!(talk.world.by_hand(held).told().unwrap().direction, told, "{what}");
                let heard = talk.packets(holder, hold);
                assert_eq!(heard > 0, told == "recvonly", "{what}: the holder hears {heard} packets");
                let heard = talk.packets(held, hold);
                assert_eq!(heard > 0, told == "sendonly", "{what}: the held one hears {heard} packets");
                talk.world.play(holder, |phone, _| phone.offer(resume, Said::default()));
                talk.assert_both_hear(&what);
                assert_eq!(talk.world.by_hand(held).told().unwrap().direction, "sendrecv", "{what}");
            }
        }
        talk.end();
    }
}

#[test]
fn whoever_holds_while_the_other_rings_hears_no_tone_and_holds_when_it_answers() {
    for said in
        [Said::hold("sendonly"), Said { connection: NOWHERE, ..Said::default() }, Said::hold("inactive")]
    {
        let mut talk = Talk::ringing(["1001", "1002"], |phone, is_from| {
            phone.answers_after = Some(seconds(if is_from { 1.0 } else { 12.0 }));
        });
        let from = talk.from;
        talk.world.run_for(seconds(3.0));
        talk.world.play(from, |phone, _| phone.offer("INVITE", said.clone()));
        let hold = talk.stretch(4.0);
        assert_eq!(talk.packets(from, hold), 0, "the tone goes to a phone that holds");
        talk.world.run_for(seconds(8.0));
        let to = talk.world.by_hand(talk.to).told().unwrap();
        assert_eq!(to.direction, if said.direction == "inactive" { "inactive" } else { "sendonly" });
        talk.world.play(from, |phone, _| phone.offer("INVITE", Said::default()));
        talk.assert_both_hear("after it");
        talk.end();
    }
}

#[test]
fn the_tone_returns_to_a_phone_that_resumes_while_the_other_rings() {
    let mut talk = Talk::ringing(["1001", "1002"], |phone, is_from| {
        phone.answers_after = is_from.then(|| seconds(1.0));
    });
    let from = talk.from;
    talk.world.run_for(seconds(3.0));
    for said in [Said::hold("sendonly"), Said::default()] {
        let receives = said.direction.is_empty();
        talk.world.play(from, |phone, _| phone.offer("UPDATE", said));
        let stretch = talk.stretch(7.0);
        assert_eq!(talk.packets(from, stretch) > 300, receives);
    }
    talk.world.hang_up(talk.id);
    talk.ended();
}

#[test]
fn both_hold_in_different_ways_and_each_resume_gives_back_its_half() {
    let mut talk = Talk::new();
    let (from, to) = (talk.from, talk.to);
    talk.world.play(from, |phone, _| phone.offer("UPDATE", Said::hold("sendonly")));
    talk.world.run_for(seconds(2.0));
    talk.world.play(to, |phone, _| phone.offer("INVITE", Said { connection: NOWHERE, ..Said::default() }));
    let both = talk.stretch(90.0);
    assert_eq!((talk.packets(from, both), talk.packets(to, both)), (0, 0));
    assert_eq!(talk.world.state(talk.id), CallState::Talking, "{}", talk.world.story());
    talk.world.play(to, |phone, _| phone.offer("INVITE", Said::default()));
    let one = talk.stretch(3.0);
    assert_eq!(talk.packets(from, one), 0, "from still holds");
    assert!(talk.share(to, one) > 0.95);
    talk.world.play(from, |phone, _| phone.offer("UPDATE", Said::default()));
    talk.assert_both_hear("after both");
    talk.end();
}

/// A phone that is held says so in its refresh; that is no wish of its own.
#[test]
fn a_held_phone_that_refreshes_its_session_does_not_disturb_the_one_who_holds() {
    for (said, seen) in [(Said::hold("sendonly"), "recvonly"), (Said::hold("inactive"), "inactive")] {
        let mut talk = Talk::new();
        let (from, to) = (talk.from, talk.to);
        talk.world.play(from, |phone, _| phone.offer("INVITE", said));
        talk.world.run_for(seconds(1.0));
        let before = talk.seen(from);
        talk.world.play(to, |phone, _| phone.offer("INVITE", Said::hold(seen)));
        talk.world.run_for(seconds(1.0));
        talk.world.play(to, |phone, _| phone.said = Said::default());
        assert_eq!(talk.seen(from), before, "{seen}");
        talk.world.play(from, |phone, _| phone.offer("INVITE", Said::default()));
        talk.assert_both_hear(seen);
        talk.end();
    }
}
