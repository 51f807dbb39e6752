//! The database is moved away under a running server, and moved back.

use crate::full_disk::idle_phones;
use crate::phone::Talk;
use crate::site::Site;
use std::time::Duration;

#[test]
fn nothing_is_made_in_the_place_of_a_database_that_was_moved_away() {
    let site = Site::open();
    let idle = idle_phones(&site);
    let mut talk = Talk::begin(&site, "1001", "1002");
    let mut longer = Talk::begin(&site, "1003", "1004");
    let (place, away) = (site.data().join("dialbridge.db"), site.folder().join("away.db"));

    std::fs::rename(&place, &away).expect("the database is moved");
    site.nothing_begins(&idle, Duration::from_millis(2_500));
    talk.hang_up(&site);
    // Long enough for what failed to be given again.
    std::thread::sleep(Duration::from_secs(3));
    site.nothing_begins(&idle, Duration::from_millis(500));
    assert!(!place.exists(), "something was made in its place");

    std::fs::rename(&away, &place).expect("the database is moved back");
    longer.hang_up(&site);
    site.is_as_before(&[&talk.call, &longer.call], idle);
}
