//! The log goes away during a call.

use crate::phone::Talk;
use crate::site::{SOON, Site};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::process::Command;

/// `O_NONBLOCK` of Linux.
const NONBLOCKING: i32 = 0o4000;

/// A server that logs whatever there is to log into a pipe, and both ends of that pipe.
fn logging_into_a_pipe() -> (Site, File) {
    let mut site = Site::prepare();
    let pipe = site.folder().join("log.pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().is_ok_and(|status| status.success()));
    let ends = OpenOptions::new().read(true).write(true).custom_flags(NONBLOCKING).open(&pipe);
    let serve = site.command("dialbridge.toml");
    let mut shell = Command::new("sh");
    shell.args(["-c", "pipe=$1; shift; exec \"$@\" 2>\"$pipe\"", "sh"]).arg(&pipe);
    shell.arg(serve.get_program()).args(serve.get_args()).current_dir(site.folder());
    site.launch(shell.env("RUST_LOG", "trace"));
    (site, ends.expect("a pipe"))
}

/// Until it takes nothing more.
fn fill(mut pipe: &File) {
    for octets in [4096, 1] {
        while pipe.write(&vec![b'x'; octets]).is_ok() {}
    }
}

/// A call that talks ends, another one is set up, talks and ends, and the server stops.
fn calls_go_on(mut site: Site, mut talk: Talk) {
    talk.hang_up(&site);
    let mut another = Talk::begin(&site, "1003", "1004");
    another.hang_up(&site);
    for call in [&talk.call, &another.call] {
        site.each_is_told_once(call);
    }
    site.stop(SOON);
}

#[test]
fn calls_go_on_when_the_reader_of_the_log_goes_away() {
    let (site, pipe) = logging_into_a_pipe();
    let talk = Talk::begin(&site, "1001", "1002");
    drop(pipe);
    calls_go_on(site, talk);
}

#[test]
fn calls_go_on_when_the_reader_of_the_log_stops_reading() {
    let (site, pipe) = logging_into_a_pipe();
    let talk = Talk::begin(&site, "1001", "1002");
    fill(&pipe);
    calls_go_on(site, talk);
    drop(pipe);
}
