//! The database is moved away under a running server, and moved back.

use crate::phone::{self, Talk};
use crate::site::{AT_ONCE, FIRST_REFUSAL, Site};
use std::time::Duration;

#[test]
fn nothing_is_made_in_the_place_of_a_database_that_was_moved_away() {
    let site = Site::open();
    let idle = phone::idle(&site);
    let mut talk = Talk::begin(&site, "1001", "1002");
    let mut longer = Talk::begin(&site, "1003", "1004");
    let (place, away) = (site.data().join("dialbridge.db"), site.folder().join("away.db"));

    std::fs::rename(&place, &away).expect("the database is moved");
    site.nothing_begins(&idle, FIRST_REFUSAL);
    talk.hang_up(&site);
    // Long enough for what failed to be given again.
    std::thread::sleep(Duration::from_secs(3));
    site.nothing_begins(&idle, AT_ONCE);
    assert!(!place.exists(), "something was made in its place");

    std::fs::rename(&away, &place).expect("the database is moved back");
    longer.hang_up(&site);
    site.is_as_before(&[&talk.call, &longer.call], idle);
}
