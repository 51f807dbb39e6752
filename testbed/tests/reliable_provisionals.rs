//! Stories: phones that ring reliably (RFC 3262).
#![expect(clippy::unwrap_used, reason = "what a test cannot set up fails it")]

mod talk;

use audio::Codec::Pcma;
use call_control::{EndReason, Party};
use talk::Talk;
use testbed::SipText;
use testbed::simulation::{Otherwise, PhoneId, Said, seconds};

/// A party rings and its phone keeps the INVITE for the story.
fn kept(party: Party) -> (Talk, PhoneId, SipText) {
    let mut talk = Talk::ringing(["1001", "1002"], |phone, is_from| {
        if is_from == (party == Party::From) {
            phone.next_time("INVITE", Otherwise::Silence);
        }
    });
    talk.world.run_for(seconds(1.2));
    let phone = if party == Party::From { talk.from } else { talk.to };
    let invite = (*talk.world.by_hand(phone).requests("INVITE")[0]).clone();
    talk.world.play(phone, |phone, _| phone.as_usual("INVITE"));
    (talk, phone, invite)
}

/// The phone answers the INVITE that it kept: a reliable provisional response, or another one.
fn respond(
    talk: &mut Talk,
    phone: PhoneId,
    invite: &SipText,
    status: &str,
    rseq: Option<u32>,
    said: Option<Said>,
) {
    let lines = rseq.map_or(String::new(), |rseq| format!("Require: 100rel\r\nRSeq: {rseq}\r\n"));
    talk.world.play(phone, |phone, now| {
        let body = said.map_or(String::new(), |said| phone.description_of(&said));
        phone.respond(invite, status, &lines, &body);
        if !body.is_empty() {
            phone.learn(invite, now);
        }
    });
    talk.world.run_for(seconds(0.2));
}

fn racks(talk: &Talk, phone: PhoneId) -> Vec<String> {
    let pracks = talk.world.by_hand(phone).requests("PRACK").into_iter();
    pracks.map(|prack| prack.field("RAck").unwrap().to_owned()).collect()
}

#[test]
fn an_answer_in_a_reliable_183_and_none_in_the_200_makes_a_call() {
    for party in [Party::From, Party::To] {
        let (mut talk, phone, invite) = kept(party);
        assert!(invite.fields("Supported").any(|value| value.contains("100rel")));
        respond(&mut talk, phone, &invite, "183 Session Progress", Some(7), Some(Said::only(Pcma)));
        talk.world.play(phone, |phone, _| phone.said = Said::only(Pcma));
        talk.world.play(phone, |phone, now| phone.learn(&invite, now));
        assert_eq!(racks(&talk, phone), ["7 1 INVITE"]);
        respond(&mut talk, phone, &invite, "200 OK", None, None);
        let mut talk = talk.talking();
        talk.assert_both_hear("answered early");
        let codec = talk.world.call(talk.id).party(party).media.as_ref().unwrap().codec.clone();
        assert_eq!(codec, "PCMA");
        talk.end();
    }
}

#[test]
fn what_is_out_of_its_turn_gets_no_prack_until_its_turn() {
    let (mut talk, phone, invite) = kept(Party::To);
    respond(&mut talk, phone, &invite, "180 Ringing", Some(10), None);
    respond(&mut talk, phone, &invite, "183 Session Progress", Some(12), Some(Said::default()));
    assert_eq!(racks(&talk, phone), ["10 1 INVITE"]);
    let (from, early) = (talk.from, talk.stretch(1.0));
    assert!(talk.share(from, early) < 0.1, "what was not acknowledged is not heard");
    respond(&mut talk, phone, &invite, "181 Call Is Being Forwarded", Some(11), None);
    respond(&mut talk, phone, &invite, "183 Session Progress", Some(12), Some(Said::default()));
    respond(&mut talk, phone, &invite, "183 Session Progress", Some(12), Some(Said::default()));
    assert_eq!(racks(&talk, phone), ["10 1 INVITE", "11 1 INVITE", "12 1 INVITE"]);
    let early = talk.stretch(1.0);
    assert!(talk.share(from, early) > 0.95, "early media");
    respond(&mut talk, phone, &invite, "200 OK", None, None);
    let mut talk = talk.talking();
    talk.assert_both_hear("answered");
    talk.end();
}

#[test]
fn a_phone_that_rings_reliably_and_declines_or_is_cancelled_ends_the_call_as_usual() {
    for status in ["486 Busy Here", ""] {
        let (mut talk, phone, invite) = kept(Party::To);
        respond(&mut talk, phone, &invite, "183 Session Progress", Some(1), Some(Said::default()));
        if status.is_empty() {
            talk.world.hang_up(talk.id);
        } else {
            talk.world.play(phone, |phone, _| phone.refuse_call(status));
        }
        let reason = talk.ended().end.as_ref().unwrap().reason;
        assert_eq!(reason, if status.is_empty() { EndReason::Cancelled } else { EndReason::Busy });
    }
}

#[test]
fn early_media_gives_way_to_the_answer_with_another_codec() {
    let (mut talk, phone, invite) = kept(Party::To);
    respond(&mut talk, phone, &invite, "183 Session Progress", None, Some(Said::default()));
    let (from, early) = (talk.from, talk.stretch(2.0));
    assert!(talk.share(from, early) > 0.95);
    talk.world.play(phone, |phone, _| phone.said = Said::only(Pcma));
    respond(&mut talk, phone, &invite, "200 OK", None, Some(Said::only(Pcma)));
    let mut talk = talk.talking();
    talk.assert_both_hear("PCMA after PCMU");
    talk.end();
}
