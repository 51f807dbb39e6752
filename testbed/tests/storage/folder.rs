//! A second server wants the data folder.

use crate::phone::{self, Talk};
use crate::site::Site;
use std::time::{Duration, Instant};
use testbed::{Loopback, Running};

#[test]
fn a_second_server_on_a_folder_ends_and_names_the_first_which_goes_on() {
    let mut site = Site::open();
    let idle = phone::idle(&site);
    let mut talk = Talk::begin(&site, "1001", "1002");
    let ip = Loopback::claim();
    site.write_second_configuration("second.toml", &ip);
    let first = site.process().id();
    // With other addresses, and started twice by mistake.
    for configuration in ["second.toml", "dialbridge.toml"] {
        let log = site.folder().join(format!("{configuration}.log"));
        let asked = Instant::now();
        let mut second = Running::start("dialbridge", &mut site.command(configuration), &log);
        let status = second.wait(Duration::from_secs(2));
        let code = status.unwrap_or_else(|| panic!("it runs {:?} later", asked.elapsed())).code();
        assert_eq!(code, Some(2));
        let said = second.output();
        assert!(said.contains(&format!("(process {first})")), "{said}");
    }
    assert!(site.process().ended().is_none());
    talk.hang_up(&site);
    site.is_as_before(&[&talk.call], idle);
}

#[test]
fn a_server_that_was_killed_leaves_the_folder_to_the_next_one() {
    let mut site = Site::open();
    let idle = phone::idle(&site);
    let mut talk = Talk::begin(&site, "1001", "1002");
    site.kill();
    let started = Instant::now();
    site.start(&[]);
    assert!(started.elapsed() < Duration::from_secs(2), "ready only after {:?}", started.elapsed());
    talk.both_are_told();
    assert_eq!(site.end_of(&talk.call), "server_crashed");
    site.is_as_before(&[&talk.call], idle);
    site.stop(Duration::from_secs(5));
}
