//! Stories: what phones do in the middle of a call.
#![expect(clippy::unwrap_used, reason = "what a test cannot set up fails it")]

mod talk;

use audio::Codec::{G722, Opus, Pcma, Pcmu};
use call_control::Party;
use talk::Talk;
use testbed::simulation::{Otherwise, Said};

/// The codec of a party, as the API shows it.
fn codec_of(talk: &Talk, party: Party) -> String {
    talk.world.call(talk.id).party(party).media.as_ref().unwrap().codec.clone()
}

#[test]
fn a_phone_changes_its_codec_and_both_go_on_hearing_each_other() {
    for (changer, method) in [(Party::From, "INVITE"), (Party::To, "UPDATE")] {
        let mut talk = Talk::ringing(["1008", "1009"], |_, _| {}).talking();
        let (phone, _) = talk.parties(changer == Party::From);
        for codec in [Pcma, G722, Opus, Pcmu] {
            talk.world.play(phone, |phone, _| phone.offer(method, Said::only(codec)));
            talk.assert_both_hear(codec.name());
            assert_eq!(codec_of(&talk, changer), codec.name());
            assert_eq!(codec_of(&talk, changer.other()), "PCMU", "nobody asked the other one");
        }
        talk.end();
    }
}

#[test]
fn the_codec_in_use_stays_where_it_is_still_offered() {
    let mut talk = Talk::new();
    let from = talk.from;
    let said = Said { codecs: vec![Pcma, Pcmu], ..Said::default() };
    talk.world.play(from, |phone, _| phone.offer("INVITE", Said { direction: "sendonly", ..said.clone() }));
    talk.world.run_for(testbed::simulation::seconds(1.0));
    let formats = talk.world.by_hand(from).told().unwrap().formats;
    assert_eq!(formats, [("PCMU".to_owned(), 0)], "one codec is in use, and no other may be sent");
    assert_eq!(codec_of(&talk, Party::From), "PCMU");
    talk.end();
}

#[test]
fn a_codec_that_is_not_ours_is_refused_and_the_call_goes_on() {
    let mut talk = Talk::new();
    let from = talk.from;
    let offer = "v=0\r\no=hand 1 9 IN IP4 10.0.1.1\r\ns=-\r\nc=IN IP4 10.0.1.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 18\r\n";
    for method in ["INVITE", "UPDATE"] {
        talk.world.play(from, |phone, _| phone.ask(method, "", ("application/sdp", offer)));
        talk.assert_both_hear(method);
        assert_eq!(talk.world.by_hand(from).answers(method).last().unwrap().status(), Some(488));
    }
    talk.end();
}

#[test]
fn opus_under_another_number_is_spoken_under_it_and_named_so_ever_after() {
    let mut talk = Talk::ringing(["1008", "1009"], |_, _| {}).talking();
    let (from, to) = (talk.from, talk.to);
    let opus = Said { opus: 101, ..Said::only(Opus) };
    talk.world.play(from, |phone, _| phone.offer("INVITE", opus));
    talk.assert_both_hear("opus as 101");
    talk.world.play(to, |phone, _| phone.offer("INVITE", Said::hold("sendonly")));
    talk.world.run_for(testbed::simulation::seconds(1.0));
    let formats = talk.world.by_hand(from).told().unwrap().formats;
    assert_eq!(formats[0], ("opus".to_owned(), 101));
    assert!(formats[1..].iter().all(|(_, number)| *number != 101), "{formats:?}");
    talk.world.play(to, |phone, _| phone.offer("INVITE", Said::default()));
    talk.assert_both_hear("after hold");
    talk.end();
}

#[test]
fn a_reinvite_without_an_offer_is_offered_everything_and_answered_in_its_ack() {
    for answers_with in [Pcmu, Pcma] {
        let mut talk = Talk::prepared(|phone, _| phone.said.codecs = vec![Pcmu]);
        let to = talk.to;
        talk.world.play(to, |phone, _| {
            phone.said.codecs = vec![answers_with];
            phone.ask("INVITE", "", ("", ""));
        });
        talk.assert_both_hear("late offer");
        let answer = talk.world.by_hand(to).answers("INVITE")[0].clone();
        assert_eq!(answer.status(), Some(200));
        assert!(answer.body().contains("m=audio ") && answer.body().contains("PCMU"), "{}", answer.as_str());
        assert_eq!(codec_of(&talk, Party::To), answers_with.name());
        talk.end();
    }
}

#[test]
fn hold_and_resume_by_the_answer_to_a_late_offer() {
    let mut talk = Talk::new();
    let (from, to) = (talk.from, talk.to);
    talk.world.play(from, |phone, _| {
        phone.said.direction = "sendonly";
        phone.ask("INVITE", "", ("", ""));
    });
    let hold = talk.stretch(3.0);
    assert_eq!(talk.world.by_hand(to).told().unwrap().direction, "sendonly");
    assert_eq!(talk.packets(from, hold), 0);
    talk.world.play(from, |phone, _| {
        phone.said.direction = "";
        phone.ask("INVITE", "", ("", ""));
    });
    talk.assert_both_hear("resumed");
    talk.end();
}

#[test]
fn a_2xx_without_an_answer_ends_the_call_at_once() {
    for breaker in [Party::From, Party::To] {
        let mut talk = Talk::ringing(["1001", "1002"], |phone, is_from| {
            if is_from == (breaker == Party::From) {
                phone.next_time("INVITE", Otherwise::WithoutBody);
            }
        });
        let call = talk.ended();
        let end = call.end.as_ref().unwrap();
        assert_eq!((end.reason, end.party), (call_control::EndReason::NoCommonCodec, Some(breaker)));
        let (broken, _) = talk.parties(breaker == Party::From);
        assert_eq!(talk.seen(broken)[2..], ["INVITE", "ACK", "BYE"]);
    }
}
