//! Stories: parties from whom nothing is heard. The server of a world ends a call after 60 seconds of it.
#![expect(clippy::unwrap_used, reason = "what a test cannot set up fails it")]

mod talk;

use audio::Codec::Opus;
use call_control::{CallState, EndReason, Party};
use talk::Talk;
use testbed::simulation::{Said, seconds};

fn assert_cut_off(mut talk: Talk, party: Party) {
    let call = talk.ended();
    let end = call.end.as_ref().unwrap();
    assert_eq!((end.reason, end.party), (EndReason::MediaTimeout, Some(party)));
}

#[test]
fn whoever_should_send_and_does_not_is_cut_off() {
    let mut talk = Talk::new();
    let to = talk.to;
    talk.world.mute(to, true);
    talk.world.run_for(seconds(58.0));
    assert_eq!(talk.world.state(talk.id), CallState::Talking);
    talk.world.run_for(seconds(4.0));
    assert_ne!(talk.world.state(talk.id), CallState::Talking);
    assert_cut_off(talk, Party::To);
}

#[test]
fn nobody_on_hold_is_cut_off_and_the_time_begins_anew_with_the_resume() {
    for said in [Said::hold("sendonly"), Said::hold("inactive"), Said::hold("recvonly")] {
        let mut talk = Talk::new();
        let (from, to) = (talk.from, talk.to);
        talk.world.play(from, |phone, _| phone.offer("INVITE", said));
        talk.world.mute(from, true);
        talk.world.mute(to, true);
        talk.world.run_for(seconds(200.0));
        assert_eq!(talk.world.state(talk.id), CallState::Talking, "{}", talk.world.story());
        talk.world.play(from, |phone, _| phone.offer("INVITE", Said::default()));
        talk.world.mute(from, false);
        talk.world.run_for(seconds(58.0));
        assert_eq!(talk.world.state(talk.id), CallState::Talking, "{}", talk.world.story());
        talk.world.run_for(seconds(4.0));
        assert_cut_off(talk, Party::To);
    }
}

#[test]
fn a_phone_that_suppresses_silence_may_be_silent_and_the_other_one_may_not() {
    let comfort_noise = Said { comfort_noise: true, ..Said::default() };
    let attribute = Said { lines: "a=silenceSupp:on - - - -\r\n", ..Said::default() };
    let opus = Said { lines: "a=fmtp:107 useinbandfec=1; usedtx=1\r\n", ..Said::only(Opus) };
    for (said, users) in
        [(comfort_noise, ["1001", "1002"]), (attribute, ["1001", "1002"]), (opus, ["1008", "1009"])]
    {
        let mut talk = Talk::ringing(users, |phone, is_from| {
            if is_from {
                phone.said = said.clone();
            }
        })
        .talking();
        let (from, to) = (talk.from, talk.to);
        talk.world.mute(from, true);
        talk.world.run_for(seconds(200.0));
        assert_eq!(talk.world.state(talk.id), CallState::Talking, "{said:?}");
        talk.world.mute(from, false);
        talk.assert_both_hear("it speaks again");
        talk.world.mute(to, true);
        talk.world.run_for(seconds(62.0));
        assert_cut_off(talk, Party::To);
    }
}

#[test]
fn silence_suppression_that_is_switched_off_or_ended_by_an_offer_is_none() {
    let off = "a=silenceSupp:off - - - -\r\n";
    for lines in [off, "a=fmtp:0 usedtx=0\r\n"] {
        let mut talk = Talk::prepared(|phone, _| phone.said.lines = "a=silenceSupp:on - - - -\r\n");
        let from = talk.from;
        talk.world.play(from, |phone, _| phone.offer("INVITE", Said { lines, ..Said::default() }));
        talk.world.mute(from, true);
        talk.world.run_for(seconds(62.0));
        assert_cut_off(talk, Party::From);
    }
}
