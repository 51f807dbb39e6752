//! The disk is full for a while.

use crate::disk::Kind;
use crate::phone::{self, Phone, Talk};
use crate::site::{AT_ONCE, FIRST_REFUSAL, SOON, Site};
use std::time::Duration;
use testbed::wait_for;

/// When a phone picks up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PicksUp {
    /// Before anybody knows that the disk is full.
    First,
    /// After requests were refused.
    Later,
}

impl PicksUp {
    /// Since it began to ring: the disk is full by then.
    const fn after_milliseconds(self) -> u32 {
        match self {
            Self::First => 1_500,
            Self::Later => 5_000,
        }
    }
}

fn calls_go_on_and_nothing_begins_while_the_disk_is_full(kind: Kind, picks_up: PicksUp) {
    let Some(site) = Site::on(kind) else { return };
    let idle = phone::idle(&site);
    let mut talk = Talk::begin(&site, "1001", "1002");
    let mut from = Phone::picks_up_after(&site, "1003", picks_up.after_milliseconds());
    let mut to = Phone::register(&site, "1004", "answer");
    let ringing = site.place("1003", "1004");
    site.api().wait_for_event(&ringing, "call.ringing", SOON);

    site.disk().fill();
    if picks_up == PicksUp::Later {
        site.nothing_begins(&idle, FIRST_REFUSAL);
        talk.hang_up(&site);
        assert_eq!(site.requests().times_told(&talk.call, "call.ended"), 0, "told, and on no disk");
    }
    assert!(to.has_not_rung(), "the phone has picked up too early: this shows nothing");
    from.sipp.received("ACK", SOON);
    to.sipp.received("ACK", SOON);
    site.api().wait_for_state(&ringing, "connected", SOON);
    if picks_up == PicksUp::First {
        site.nothing_begins(&idle, AT_ONCE);
        talk.hang_up(&site);
    }
    site.hang_up(&ringing);
    from.sipp.succeeds(SOON);
    to.sipp.succeeds(SOON);
    site.nothing_begins(&idle, AT_ONCE);

    site.disk().make_room();
    site.is_as_before(&[&talk.call, &ringing], idle);
    assert_eq!([&talk.call, &ringing].map(|call| site.end_of(call)), ["hung_up", "hung_up"]);
}

#[test]
fn calls_go_on_and_nothing_begins_while_a_tmpfs_is_full() {
    calls_go_on_and_nothing_begins_while_the_disk_is_full(Kind::Tmpfs, PicksUp::Later);
}

#[test]
fn calls_go_on_and_nothing_begins_while_an_ext4_is_full() {
    calls_go_on_and_nothing_begins_while_the_disk_is_full(Kind::Ext4, PicksUp::First);
}

#[test]
fn a_server_whose_disk_is_full_can_be_stopped_and_started() {
    let Some(mut site) = Site::on(Kind::Tmpfs) else { return };
    let idle = phone::idle(&site);
    let mut talk = Talk::begin(&site, "1001", "1002");
    let mut rings = Phone::register(&site, "1003", "ring");
    let _to = Phone::register(&site, "1004", "ring");
    let ringing = site.place("1003", "1004");
    site.api().wait_for_event(&ringing, "call.ringing", SOON);

    site.disk().fill();
    site.nothing_begins(&idle, FIRST_REFUSAL);
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

/// Where a page that SQLite maps has several blocks, one of them can be missing: to touch it would kill the process.
#[test]
fn a_start_without_room_is_refused_with_the_reason() {
    let Some(mut site) = Site::on(Kind::Ext4) else { return };
    site.stop(SOON);
    for kib in [0, 2, 8, 12, 16, 24, 32, 48] {
        site.disk().fill();
        site.disk().leave(kib * 1024);
        match site.try_to_start() {
            Ok(()) => site.stop(SOON),
            Err((code, said)) => {
                assert_eq!(code, Some(2), "with {kib} KiB: {said}");
                assert!(said.contains("No space left"), "with {kib} KiB: {said}");
            }
        }
        site.disk().make_room();
    }
    site.start(&[]);
}
