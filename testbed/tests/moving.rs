//! Stories: a phone whose address changes in the middle of a call.
#![expect(clippy::unwrap_used, reason = "what a test cannot set up fails it")]

mod talk;

use audio::tone_share;
use std::net::SocketAddr;
use talk::{Stretch, Talk};
use testbed::simulation::{PhoneId, Said, seconds};

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// Where the server has sent requests of this method to, from line `since` of the trace on.
fn sent_to(talk: &Talk, method: &str, since: usize) -> Vec<String> {
    let requests = talk.world.trace()[since..].iter().filter(|line| line.contains(" 10.0.0.1:5060 > "));
    let requests = requests.filter(|line| line.contains(&format!(" {method} ")));
    requests.map(|line| line.split(" > ").nth(1).unwrap().split(' ').next().unwrap().to_owned()).collect()
}

#[test]
fn a_phone_that_moves_by_a_new_offer_is_found_there_in_signalling_and_sound() {
    for (mover_is_from, method) in [(true, "INVITE"), (false, "UPDATE"), (true, "UPDATE"), (false, "INVITE")]
    {
        let mut talk = Talk::new();
        let (mover, other) = talk.parties(mover_is_from);
        let since = talk.world.trace().len();
        talk.world.play(mover, |phone, _| {
            phone.sip = address("10.0.7.7:5090");
            phone.rtp = address("10.0.7.7:4444");
            phone.offer(method, Said::default());
        });
        talk.assert_both_hear("moved");
        talk.world.play(other, |phone, _| phone.offer("INVITE", Said::hold("sendonly")));
        talk.world.run_for(seconds(1.0));
        assert_eq!(sent_to(&talk, "INVITE", since), ["10.0.7.7:5090"], "{method}");
        talk.world.play(other, |phone, _| phone.offer("INVITE", Said::default()));
        talk.assert_both_hear("resumed");
        let since = talk.world.trace().len();
        let id = talk.id;
        talk.world.hang_up(id);
        talk.world.run_for(seconds(1.0));
        assert!(sent_to(&talk, "BYE", since).contains(&"10.0.7.7:5090".to_owned()));
        talk.ended();
    }
}

#[test]
fn sound_that_moves_by_a_new_offer_leaves_the_old_address_at_once() {
    let mut talk = Talk::new();
    let from = talk.from;
    talk.world.play(from, |phone, _| {
        phone.rtp = address("10.0.1.1:4800");
        phone.offer("INVITE", Said::default());
    });
    talk.assert_both_hear("at the new port");
    // Back at the old one without having said so, it hears nothing: all of it goes to the new one.
    talk.world.play(from, |phone, _| phone.rtp = address("10.0.1.1:4000"));
    let old = talk.stretch(1.0);
    assert_eq!(talk.packets(from, old), 0);
    talk.end();
}

/// A phone behind a NAT that knows its public address and says it in Contact; the NAT then gives it another port.
#[test]
fn a_binding_that_moves_is_followed_by_the_next_request_of_the_phone() {
    for contact in ["10.0.1.1:5060", "192.168.1.5:5060"] {
        let mut talk = Talk::prepared(|phone, is_from| {
            if is_from {
                phone.contact = Some(address(contact));
            }
        });
        let from = talk.from;
        talk.world.play(from, |phone, _| {
            phone.sip = address("10.0.1.1:61000");
            phone.ask("OPTIONS", "", ("", ""));
        });
        talk.world.run_for(seconds(1.0));
        let since = talk.world.trace().len();
        let id = talk.id;
        talk.world.hang_up(id);
        talk.world.run_for(seconds(1.0));
        assert!(
            sent_to(&talk, "BYE", since).contains(&"10.0.1.1:61000".to_owned()),
            "{contact}\n{}",
            talk.world.story()
        );
        talk.ended();
    }
}

/// An old phone that sends from one port and listens at another one.
#[test]
fn a_phone_that_does_not_send_from_where_it_listens_is_reached_where_it_listens() {
    let mut talk = Talk::new();
    let (from, to) = (talk.from, talk.to);
    let since = talk.world.trace().len();
    talk.world.play(from, |phone, _| phone.sends_from = Some(address("10.0.1.1:39000")));
    talk.world.play(from, |phone, _| phone.ask("OPTIONS", "", ("", "")));
    talk.world.run_for(seconds(1.0));
    talk.world.play(to, |phone, _| phone.offer("INVITE", Said::hold("sendonly")));
    talk.world.run_for(seconds(1.0));
    assert_eq!(sent_to(&talk, "INVITE", since), ["10.0.1.1:5060"]);
    talk.end();
}

fn hears(talk: &Talk, phone: PhoneId, hertz: f64, (from, until): Stretch) -> bool {
    let heard = talk.world.by_hand(phone).heard().unwrap();
    tone_share(heard.between(from, until), heard.sample_rate, hertz) > 0.95
}

/// RTP whose source changes without a word of it: believed within the same address after a silence.
#[test]
fn sound_whose_port_changes_unsaid_is_followed_after_a_silence() {
    let mut talk = Talk::new();
    let (from, to) = (talk.from, talk.to);
    talk.world.mute(from, true);
    talk.world.run_for(seconds(4.0));
    talk.world.play(from, |phone, _| phone.rtp = address("10.0.1.1:4900"));
    talk.world.mute(from, false);
    let after = talk.stretch(2.0);
    assert!(hears(&talk, to, talk::FROM_HERTZ, after));
    assert!(hears(&talk, from, talk::TO_HERTZ, after));
    talk.end();
}

#[test]
fn a_phone_behind_a_nat_that_moves_to_another_network_is_heard_after_the_hold_of_the_other_too() {
    let mut talk = Talk::prepared(|phone, is_from| {
        if is_from {
            phone.contact = Some(address("192.168.1.5:5060"));
            phone.said.connection = Some("192.168.1.5".parse().unwrap());
        }
    });
    let (from, to) = (talk.from, talk.to);
    talk.assert_both_hear("behind the first NAT");
    talk.world.play(from, |phone, _| {
        (phone.sip, phone.rtp) = (address("10.0.7.7:50001"), address("10.0.7.7:50002"));
        phone.offer("INVITE", phone.said.clone());
    });
    talk.assert_both_hear("behind the second NAT");
    for said in [Said::hold("sendonly"), Said::default()] {
        talk.world.play(to, |phone, _| phone.offer("INVITE", said));
        talk.world.run_for(seconds(1.0));
    }
    talk.assert_both_hear("after the hold");
    talk.end();
}
