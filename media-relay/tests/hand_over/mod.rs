//! Packets that are away to be transcoded, and what happens meanwhile.

use super::{Bench, SESSION, sides};
use audio::Codec;
use sides::Side;

/// Between two parties, of whom the second one hears a packet when it is handed back.
fn slow(source: Codec, target: Codec) -> Bench {
    Bench { is_slow: true, ..Bench::between(source, target) }
}

impl Bench {
    fn hand_back(&mut self) {
        let job = self.away.remove(0);
        self.relay.handle_transcoded(Box::new(job), self.now);
        self.perform();
    }

    /// Those too that are given away in the meantime.
    fn hand_all_back(&mut self) {
        while !self.away.is_empty() {
            self.hand_back();
        }
    }
}

#[test]
fn while_one_is_away_the_next_ones_wait_and_leave_in_their_order() {
    let mut bench = slow(Codec::Pcmu, Codec::Opus);
    bench.talk(5);
    assert_eq!((bench.away.len(), bench.sent.len()), (1, 0));
    bench.hand_back();
    assert_eq!((bench.away.len(), bench.sent.len()), (1, 1));
    bench.hand_all_back();
    assert_eq!(bench.steps(), [(1, 960); 4]);
}

#[test]
fn of_those_that_wait_the_ten_newest_are_heard_and_the_others_are_a_loss() {
    let mut bench = slow(Codec::Pcmu, Codec::Opus);
    bench.talk(31);
    bench.hand_all_back();
    let mut expected = vec![(21, 21 * 960)];
    expected.extend([(1, 960); 9]);
    assert_eq!(bench.steps(), expected);
    bench.talk(2);
    bench.hand_all_back();
    assert_eq!(bench.steps()[10..], [(1, 960); 2]);
}

#[test]
fn what_is_left_out_while_one_is_away_is_no_loss() {
    const NOT_AGREED: u8 = 13;
    let mut bench = slow(Codec::Pcmu, Codec::Opus);
    for _ in 0..3 {
        bench.talk(2);
        let packet = bench.packet(NOT_AGREED, bench.timestamp, &[1]);
        bench.hand_in(packet);
        bench.talk(2);
        bench.hand_all_back();
    }
    assert_eq!(bench.steps(), [(1, 960); 11]);
}

#[test]
fn what_comes_back_when_the_hearer_has_taken_another_payload_type_is_dropped() {
    let mut bench = slow(Codec::Pcmu, Codec::Opus);
    bench.talk(3);
    bench.describe(Side::Two, Codec::Opus, 96);
    bench.talk(2);
    assert_eq!(bench.away.len(), 2);
    bench.hand_back();
    assert_eq!((bench.away.len(), bench.sent.len()), (1, 0), "the next one waits for the one that counts");
    bench.hand_all_back();
    assert_eq!((bench.payload_types(), bench.steps()), (vec![96; 2], vec![(1, 960)]));
}

#[test]
fn what_comes_back_when_a_sound_has_begun_is_dropped_with_what_waited() {
    for ticks in [0, 1, 3] {
        let mut bench = slow(Codec::Pcmu, Codec::Pcma);
        bench.talk(1);
        bench.hand_all_back();
        bench.talk(4);
        bench.command(sides::play_over(SESSION, Side::Two));
        bench.pass(ticks);
        let sent = bench.sent.len();
        bench.hand_all_back();
        assert_eq!(bench.sent.len(), sent, "after {ticks} packets of the sound");
        bench.pass(5);
        bench.command(sides::stop(SESSION, Side::Two));
        bench.talk(2);
        bench.hand_all_back();
        assert_eq!(bench.sent.len(), sent + 7);
        assert!(bench.steps().iter().all(|(packets, _)| *packets == 1), "{:?}", bench.steps());
    }
}

#[test]
fn what_comes_back_when_a_sound_that_gives_way_has_begun_is_dropped_and_those_that_waited_are_heard() {
    let mut bench = slow(Codec::Pcmu, Codec::Pcma);
    bench.talk(4);
    bench.command(sides::play(SESSION, Side::Two));
    bench.pass(1);
    let sent = bench.sent.len();
    assert!(sent > 0, "the sound");
    bench.hand_back();
    assert_eq!(bench.sent.len(), sent);
    bench.hand_all_back();
    assert_eq!(bench.sent.len(), sent + 3);
    assert!(bench.steps().iter().all(|(packets, _)| *packets == 1), "{:?}", bench.steps());
}
