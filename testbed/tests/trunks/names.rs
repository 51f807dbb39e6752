//! Trunks whose names lead to addresses late, wrong, or not at all.

use super::carrier::{Outside, numbered};
use call_control::{EndReason, PartyState};
use std::time::Duration;
use testbed::simulation::{RawScript, Zone, seconds};

fn zone() -> Zone {
    Zone::of(&[("carrier.example", &[[192, 0, 2, 1].into()])])
}

fn outside(zone: Zone) -> Outside {
    let trunks = vec![numbered(1, "sip:carrier.example"), numbered(2, "sip:192.0.2.2")];
    Outside::of(trunks, zone, &[RawScript::answers_after(0.5), RawScript::answers_after(0.5)])
}

#[test]
fn a_name_is_looked_up_before_anybody_calls() {
    let mut outside = outside(zone());
    let call = outside.call();
    outside.world.run_for(seconds(2.0));
    assert_eq!(outside.world.call(call).to.trunk.as_deref(), Some("trunk 1"));
    outside.end(call);
}

#[test]
fn a_name_that_nobody_knows_sends_the_call_to_the_next_trunk_at_once() {
    for is_down in [false, true] {
        let mut nothing = Zone::of(&[]);
        nothing.is_down = is_down;
        let mut outside = outside(nothing);
        let call = outside.call();
        outside.world.run_for(seconds(1.5));
        assert_eq!(outside.world.call(call).to.trunk.as_deref(), Some("trunk 2"));
        outside.end(call);
    }
}

#[test]
fn looking_up_and_silence_take_four_seconds_together() {
    // The phone answers half a second after the request; the lookup began at the start of the server.
    for (delay, silent, reached) in
        [(2.0, false, "trunk 1"), (3.0, true, "trunk 2"), (60.0, false, "trunk 2")]
    {
        let mut late = zone();
        late.delay = seconds(delay);
        let trunks = vec![numbered(1, "sip:carrier.example"), numbered(2, "sip:192.0.2.2")];
        let first = if silent { RawScript::new([]) } else { RawScript::answers_after(0.2) };
        let mut outside = Outside::of(trunks, late, &[first, RawScript::answers_after(0.2)]);
        let call = outside.call();
        outside.world.run_for(seconds(5.5));
        assert_eq!(outside.world.call(call).to.trunk.as_deref(), Some(reached), "{delay} s");
        assert_eq!(outside.world.call(call).to.state, PartyState::Answered, "{delay} s");
        outside.end(call);
    }
}

#[test]
fn what_was_known_is_used_on_when_name_servers_fail() {
    let mut short = zone();
    short.valid = Duration::from_secs(10);
    let mut outside = outside(short);
    outside.world.run_for(seconds(5.0));
    let mut down = zone();
    down.is_down = true;
    outside.world.set_zone(down);
    outside.world.run_for(seconds(300.0));
    let call = outside.call();
    outside.world.run_for(seconds(2.0));
    assert_eq!(outside.world.call(call).to.trunk.as_deref(), Some("trunk 1"));
    outside.end(call);
    // When it is known that the name leads nowhere, it is used no more.
    outside.world.set_zone(Zone::of(&[]));
    outside.world.run_for(seconds(300.0));
    let record = outside.call_to_its_end();
    assert_eq!(record.to.trunk.as_deref(), Some("trunk 2"));
    assert_eq!(record.end.as_ref().unwrap().reason, EndReason::HungUp);
}

#[test]
fn a_carrier_that_moves_is_followed() {
    let mut short = zone();
    short.valid = Duration::from_secs(10);
    let trunks = vec![numbered(1, "sip:carrier.example")];
    let mut outside =
        Outside::of(trunks, short, &[RawScript::answers_after(0.5), RawScript::answers_after(0.5)]);
    outside.call_to_its_end();
    outside.world.set_zone(Zone::of(&[("carrier.example", &[[192, 0, 2, 2].into()])]));
    outside.world.run_for(seconds(11.0));
    outside.call_to_its_end();
    assert_eq!((outside.invites(0).len(), outside.invites(1).len()), (1, 1));
}
