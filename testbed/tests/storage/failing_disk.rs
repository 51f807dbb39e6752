//! The disk fails for good: every write is an input or output error, or refused as on a read-only disk.

use crate::disk::Kind;
use crate::phone::{self, Phone, Talk};
use crate::site::{AT_ONCE, FIRST_REFUSAL, SOON, Site};
use std::time::Duration;

#[test]
fn calls_end_and_the_server_can_be_stopped_on_a_disk_that_fails() {
    let Some(mut site) = Site::on(Kind::Ext4) else { return };
    let idle = phone::idle(&site);
    let mut talk = Talk::begin(&site, "1001", "1002");
    let mut longer = Talk::begin(&site, "1001", "1002");
    let mut rings = Phone::register(&site, "1003", "ring");
    let _to = Phone::register(&site, "1004", "ring");
    let ringing = site.place("1003", "1004");
    site.api().wait_for_event(&ringing, "call.ringing", SOON);

    site.disk().break_down();
    site.nothing_begins(&idle, FIRST_REFUSAL);
    talk.hang_up(&site);
    site.hang_up(&ringing);
    rings.sipp.succeeds(SOON);
    assert_eq!(site.end_of(&ringing), "cancelled");
    site.nothing_begins(&idle, AT_ONCE);
    assert_eq!(site.requests().times_told(&talk.call, "call.ended"), 0, "told, and on no disk");

    site.stop(Duration::from_secs(20));
    longer.both_are_told();
    phone::nobody_rings(&idle);
}
