//! TCP connections of phones and of strangers.

use crate::running::{KEY, Phone, Running, configuration};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// Connects as a stranger; whatever is waited for comes soon or not at all.
fn connect(running: &Running) -> TcpStream {
    let stream = TcpStream::connect(running.sip("tcp")).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.set_write_timeout(Some(Duration::from_secs(3))).unwrap();
    stream
}

fn options(number: usize) -> String {
    format!(
        "OPTIONS sip:a SIP/2.0\r\nVia: SIP/2.0/TCP a;branch=z9hG4bK{number}\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:a@b>\r\n\
         Call-ID: {number}\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
    )
}

/// Reads until so many answers have come, or none comes any more.
fn answers(stream: &mut TcpStream, expected: usize) -> usize {
    let (mut count, mut rest, mut buffer) = (0, String::new(), [0; 65_536]);
    while count < expected {
        let Ok(length @ 1..) = stream.read(&mut buffer) else { break };
        rest.push_str(std::str::from_utf8(&buffer[..length]).unwrap());
        while let Some(end) = rest.find("\r\n\r\n") {
            count += usize::from(rest.starts_with("SIP/2.0 200"));
            rest.drain(..end + 4);
        }
    }
    count
}

#[test]
fn thousands_of_requests_at_once_are_all_answered_and_the_connection_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.toml");
    std::fs::write(&file, configuration(folder.path(), "43000-43099", KEY)).unwrap();
    let running = Running::start(&file, "info");
    let mut stream = connect(&running);
    let mut writing = stream.try_clone().unwrap();
    let all: String = (0..5_000).map(options).collect();
    let writer = std::thread::spawn(move || writing.write_all(all.as_bytes()));
    assert_eq!(answers(&mut stream, 5_000), 5_000);
    writer.join().unwrap().unwrap();
    stream.write_all(options(5_000).as_bytes()).unwrap();
    assert_eq!(answers(&mut stream, 1), 1);
}

#[test]
fn whoever_does_not_read_is_waited_for_and_then_given_up_and_others_are_served() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.toml");
    std::fs::write(&file, configuration(folder.path(), "43100-43199", KEY)).unwrap();
    let running = Running::start(&file, "info");
    let mut deaf = connect(&running);
    let all: String = (0..1_000).map(options).collect();
    // Sooner or later the server reads no more of it.
    let refused = (0..1_000).find_map(|_| deaf.write_all(all.as_bytes()).err());
    assert!(refused.is_some(), "a million requests were taken without an answer being read");
    let mut other = connect(&running);
    other.write_all(options(1).as_bytes()).unwrap();
    assert_eq!(answers(&mut other, 1), 1);
    // It is closed when it has not read for 10 s.
    let begun = Instant::now();
    while deaf.write_all(b"\r\n").is_ok() {
        assert!(begun.elapsed() < Duration::from_secs(20), "it is kept");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// 400 descriptors: 42 connections of phones.
#[cfg(unix)]
#[test]
fn strangers_that_stay_keep_no_phone_out_and_a_phone_keeps_its_connection() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.toml");
    let more = "[[extensions]]\nnumber = \"1002\"\npassword = \"b\"\n";
    std::fs::write(&file, configuration(folder.path(), "43200-43299", KEY) + more).unwrap();
    let running = Running::start_with_descriptors(&file, 400);
    let mut first = Phone::answering_over_tcp(&running, "1001", "secret-of-1001");
    let strangers: Vec<TcpStream> = (0..60)
        .map(|number| {
            let mut stranger = connect(&running);
            stranger.write_all(options(number).as_bytes()).unwrap();
            stranger
        })
        .collect();
    let begun = Instant::now();
    let mut second = Phone::answering_over_tcp(&running, "1002", "b");
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    assert_eq!(running.click_to_call_of(KEY, "1001", "1002"), 200);
    first.wait_for("\"event\":\"answered\"");
    second.wait_for("\"event\":\"answered\"");
    drop(strangers);
}
