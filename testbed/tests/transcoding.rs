//! Stories: phones that have no codec in common.

use audio::{Codec, tone_milliseconds};
use call_control::EndReason;
use std::time::Duration;
use test_phone::{Answering, Command, PhoneEvent, Reply, Script};
use testbed::simulation::World;

const FROM_HERTZ: f64 = 700.0;
const TO_HERTZ: f64 = 1100.0;

/// A phone that answers after a second and speaks one codec only.
fn speaks(codec: Codec) -> Script {
    let reply = Reply::Accept { after: Duration::from_secs(1) };
    Script {
        answering: Answering { reply, ..Answering::default() },
        codecs: vec![codec],
        ..Script::default()
    }
}

#[test]
fn phones_of_different_codecs_talk() {
    for (one, two) in [
        (Codec::Opus, Codec::Pcmu),
        (Codec::Pcmu, Codec::G722),
        (Codec::Pcma, Codec::Pcmu),
        (Codec::G722, Codec::Opus),
    ] {
        let mut world = World::with_seed(31);
        let from = world.phone("1008", speaks(one), FROM_HERTZ);
        let to = world.phone("1009", speaks(two), TO_HERTZ);
        world.register_all();
        let id = world.click_to_call(World::request("1008", "1009")).unwrap();
        world.run_for(Duration::from_secs(6));
        world.press(from, &Command::Dtmf("5#".into()));
        world.run_for(Duration::from_secs(3));
        world.hang_up(id);
        let call = world.run_until_ended(id);
        assert_eq!(call.end.as_ref().unwrap().reason, EndReason::HungUp, "{one:?} and {two:?}");
        let codecs = [&call.from, &call.to].map(|party| party.media.as_ref().unwrap().codec.clone());
        assert_eq!(codecs, [one.name(), two.name()]);
        for (phone, hertz) in [(from, TO_HERTZ), (to, FROM_HERTZ)] {
            let media = world.heard(phone).unwrap();
            let heard = tone_milliseconds(&media.heard.samples, media.heard.sample_rate, hertz);
            assert!(heard >= 2_500, "{one:?} and {two:?}: {heard} ms of {hertz} Hz");
            assert_eq!((media.figures.sources, media.figures.packets_lost), (1, 0), "{one:?} and {two:?}");
        }
        let digits = world
            .phone_events(to)
            .iter()
            .filter_map(|event| if let PhoneEvent::Dtmf { digit } = event { Some(*digit) } else { None });
        assert_eq!(digits.collect::<String>(), "5#", "{one:?} and {two:?}");
    }
}

#[test]
fn nothing_is_transcoded_where_it_can_be_done_without() {
    let mut world = World::with_seed(32);
    world.phone("1008", speaks(Codec::Pcma), FROM_HERTZ);
    let script = Script { codecs: vec![Codec::Pcma, Codec::Pcmu, Codec::G722], ..speaks(Codec::Pcma) };
    let to = world.phone("1009", script, TO_HERTZ);
    world.register_all();
    let id = world.click_to_call(World::request("1008", "1009")).unwrap();
    world.run_for(Duration::from_secs(4));
    world.hang_up(id);
    let call = world.run_until_ended(id);
    let offered = world.phone_events(to).iter().find_map(|event| {
        if let PhoneEvent::Incoming { codecs, .. } = event { Some(codecs.clone()) } else { None }
    });
    assert_eq!(offered.unwrap()[..4], ["PCMA", "opus", "G722", "PCMU"]);
    let codecs = [&call.from, &call.to].map(|party| party.media.as_ref().unwrap().codec.clone());
    assert_eq!(codecs, ["PCMA", "PCMA"]);
}
