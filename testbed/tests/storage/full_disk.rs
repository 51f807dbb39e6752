//! The disk is full for a while.

use crate::disk::Kind;
use crate::phone::{Phone, Talk};
use crate::site::{SOON, Site};
use std::time::Duration;
use testbed::wait_for;

/// A phone picks up so long after it began to ring: by then the disk is full, and it is known.
const PICKS_UP_AFTER_MILLISECONDS: u32 = 5_000;

/// Phones of 1005, which rings until it is cancelled, and of 1006.
pub(crate) fn idle_phones(site: &Site) -> [Phone; 2] {
    ["1005", "1006"].map(|number| Phone::register(site, number, "ring"))
}

fn calls_go_on_and_nothing_begins_while_the_disk_is_full(kind: Kind) {
    let Some(site) = Site::on(kind) else { return };
    let idle = idle_phones(&site);
    let mut talk = Talk::begin(&site, "1001", "1002");
    let mut from = Phone::picks_up_after(&site, "1003", PICKS_UP_AFTER_MILLISECONDS);
    let mut to = Phone::register(&site, "1004", "answer");
    let ringing = site.place("1003", "1004");
    site.api().wait_for_event(&ringing, "call.ringing", SOON);

    site.disk().fill();
    site.nothing_begins(&idle, Duration::from_millis(2_500));
    talk.hang_up(&site);
    assert_eq!(site.requests().times_told(&talk.call, "call.ended"), 0, "told, and on no disk");

    assert!(to.has_not_rung(), "the phone has picked up before the disk was full: this shows nothing");
    from.sipp.received("ACK", SOON);
    to.sipp.received("ACK", SOON);
    site.api().wait_for_state(&ringing, "connected", SOON);
    site.hang_up(&ringing);
    from.sipp.succeeds(SOON);
    to.sipp.succeeds(SOON);
    site.nothing_begins(&idle, Duration::from_millis(500));

    site.disk().make_room();
    site.is_as_before(&[&talk.call, &ringing], idle);
    assert_eq!([&talk.call, &ringing].map(|call| site.end_of(call)), ["hung_up", "hung_up"]);
}

#[test]
fn calls_go_on_and_nothing_begins_while_a_tmpfs_is_full() {
    calls_go_on_and_nothing_begins_while_the_disk_is_full(Kind::Tmpfs);
}

#[test]
fn calls_go_on_and_nothing_begins_while_an_ext4_is_full() {
    calls_go_on_and_nothing_begins_while_the_disk_is_full(Kind::Ext4);
}

#[test]
fn a_server_whose_disk_is_full_can_be_stopped_and_started() {
    let Some(mut site) = Site::on(Kind::Tmpfs) else { return };
    let idle = idle_phones(&site);
    let mut talk = Talk::begin(&site, "1001", "1002");
    let mut rings = Phone::register(&site, "1003", "ring");
    let _to = Phone::register(&site, "1004", "ring");
    let ringing = site.place("1003", "1004");
    site.api().wait_for_event(&ringing, "call.ringing", SOON);

    site.disk().fill();
    site.nothing_begins(&idle, Duration::from_millis(2_500));
    site.stop(Duration::from_secs(20));
    talk.both_are_told();
    rings.sipp.succeeds(SOON);

    site.disk().make_room();
    site.start(&[]);
    let ended = wait_for(SOON, || {
        let calls = site.requests().calls();
        calls.iter().all(|call| call["state"] == "ended").then_some(calls)
    });
    let calls = ended.unwrap_or_else(|| panic!("{:#?}", site.requests().calls()));
    for call in [&talk.call, &ringing] {
        assert!(calls.iter().any(|it| it["call_id"] == **call), "{call} has no record: {calls:#?}");
    }
    for call in calls.iter().filter_map(|call| call["call_id"].as_str()) {
        site.each_is_told_once(call);
    }
    site.is_as_before(&[&talk.call, &ringing], idle);
}
