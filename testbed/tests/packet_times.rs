//! Stories: phones that put more or less than 20 ms into a packet, and a transcoder between them.
#![expect(clippy::unwrap_used, reason = "what a test cannot set up fails it")]

mod talk;

use audio::Codec::{self, G722, Opus, Pcma, Pcmu};
use std::time::Duration;
use talk::Talk;
use testbed::simulation::{Network, Said};

/// A call in which `from` sends packets of that time and `to` speaks another codec.
fn talk_of(packet_time: u16, one: Codec, two: Codec) -> Talk {
    Talk::ringing(["1008", "1009"], |phone, is_from| {
        phone.said = Said::only(if is_from { one } else { two });
        phone.said.packet_time = if is_from { packet_time } else { 20 };
    })
    .talking()
}

/// Between packets that `to` hears, in milliseconds: the shortest and the longest.
fn gaps(talk: &mut Talk) -> (u128, u128) {
    let (from, until) = talk.stretch(3.0);
    let heard = talk.world.by_hand(talk.to).heard().unwrap();
    let arrivals = heard.arrivals.iter().filter(|arrival| arrival.at >= from && arrival.at < until);
    let times: Vec<_> = arrivals.map(|arrival| arrival.at).collect();
    let gaps = times.windows(2).map(|pair| (pair[1] - pair[0]).as_millis());
    (gaps.clone().min().unwrap(), gaps.max().unwrap())
}

#[test]
fn whatever_packet_time_comes_in_twenty_milliseconds_go_out_evenly() {
    for packet_time in [10, 20, 30, 40, 60, 100] {
        for (one, two) in [(Pcmu, Pcma), (Pcma, G722), (Pcmu, Opus), (G722, Pcmu)] {
            let mut talk = talk_of(packet_time, one, two);
            let what = format!("{packet_time} ms, {one:?} to {two:?}");
            assert_eq!(gaps(&mut talk), (20, 20), "{what}");
            talk.assert_both_hear(&what);
            talk.end();
        }
    }
}

#[test]
fn on_a_network_with_jitter_nothing_is_held_back_for_long_and_nothing_is_lost() {
    for packet_time in [20, 30, 60] {
        let mut talk = talk_of(packet_time, Pcmu, Opus);
        let (delay, jitter) = (Duration::from_millis(20), Duration::from_millis(15));
        talk.world.set_network(Network { delay, jitter, ..Network::default() });
        let (_, longest) = gaps(&mut talk);
        assert!(longest <= u128::from(packet_time) + 70, "{packet_time} ms: {longest} ms");
        talk.assert_both_hear(&format!("{packet_time} ms"));
        talk.end();
    }
}

#[test]
fn where_nothing_is_transcoded_packets_pass_as_they_are() {
    let mut talk = talk_of(60, Pcmu, Pcmu);
    assert_eq!(gaps(&mut talk), (60, 60));
    talk.end();
}
