//! Phones and strangers that come over TLS.

use crate::certificates::Authority;
use crate::running::{KEY, Phone, Running, configuration, dialbridge};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

/// What `openssl s_client -tls1 -noservername` says first.
const HELLO_OF_TLS_1_0: &str = "160301007f0100007b030133d17aeeae07639d11d7382305aa7dd0eb3ba783cb900b2ce5badbf05a22db1100002ec00a\
     c0140039003800880087c019003a0089c009c0130033003200450044c0180034004600350084002f004100ff01000024000b000403000102000a000c\
     000a001d0017001e00190018002300000016000000170000";
/// The same with `-tls1_2 -cipher kRSA`.
const HELLO_OF_RSA: &str = "160301009501000091030328d14cf29d89ca9e111947988a9f05b661bfc8fa2467fbb194c919500440fb02000028009dc0a1\
     c09dc051009cc0a0c09cc050003d00c0003c00ba003b00350084002f00410002000100ff01000040002300000016000000170000000d0030002e0403\
     05030603080708080809080a080b080408050806040105010601030302030301020103020202040205020602";

/// A server with a certificate for 127.0.0.1 and pbx.test.
fn configured_so(folder: &Path, rtp: &str, authority: &Authority, more: &str) -> Running {
    configured(folder, rtp, authority, more, "[media]")
}

/// The same with lines for `[sip]` before `[media]`.
pub(crate) fn configured(
    folder: &Path,
    rtp: &str,
    authority: &Authority,
    more: &str,
    media: &str,
) -> Running {
    let files = authority.certify(&["pbx.test", "127.0.0.1"]);
    let listen = format!("\"tcp:127.0.0.1:0\", \"tls:127.0.0.1:0\"]\ntls = {}", files.table());
    let text = configuration(folder, rtp, KEY).replace("\"tcp:127.0.0.1:0\"]", &listen);
    let text = text.replace("[media]", media);
    let file = folder.join("a.toml");
    std::fs::write(&file, text + more).unwrap();
    Running::start(&file, "info")
}

const SECOND: &str = "[[extensions]]\nnumber = \"1002\"\npassword = \"b\"\n";

fn phone(running: &Running, user: &str, password: &str, more: &[&str]) -> Phone {
    let more: Vec<&str> = ["--transport", "tls"].iter().chain(more).copied().collect();
    Phone::registered_at(running.sip("tls"), user, password, &more)
}

#[test]
fn phones_register_and_are_called_over_tls() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path(), "ours");
    let running = configured_so(folder.path(), "44000-44099", &authority, SECOND);
    let mut first =
        phone(&running, "1001", "secret-of-1001", &["--tls-roots", &authority.roots(), "--tone", "600"]);
    let mut second =
        phone(&running, "1002", "b", &["--tls-insecure", "--expect-tone", "600", "--calls", "1"]);
    assert_eq!(running.click_to_call(KEY), 200);
    first.wait_for("\"event\":\"answered\"");
    second.wait_for("\"event\":\"answered\"");
    std::thread::sleep(Duration::from_secs(2));
    first.signal("TERM");
    second.wait_for("\"event\":\"finished\"");
    let messages = running.get("/api/v1/calls?limit=1");
    let id = messages.split("\"call_id\":\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let ladder = running.get(&format!("/api/v1/calls/{id}/ladder"));
    for expected in ["SIP/2.0/TLS 127.0.0.1:", ";transport=tls>"] {
        assert!(ladder.contains(expected), "{expected} is not in {ladder}");
    }
}

#[test]
fn a_phone_that_looks_at_the_certificate_does_not_believe_another_authority_or_name() {
    let folder = tempfile::tempdir().unwrap();
    let (ours, theirs) = (Authority::new(folder.path(), "ours"), Authority::new(folder.path(), "theirs"));
    let mut running = configured_so(folder.path(), "44100-44199", &ours, "");
    let try_with = |server: &str, roots: &str| {
        let more = ["--transport", "tls", "--tls-roots", roots, "--exit-after", "1s"];
        let mut command = dialbridge(&["phone", "--server", server, "--user", "1001", "--password", "x"]);
        let output = command.args(more).output().unwrap();
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let server = running.sip("tls").to_owned();
    assert!(try_with(&server, &theirs.roots()).contains("UnknownIssuer"));
    let line = running.wait_for("it does not believe the certificate of [sip] tls");
    assert!(line.contains("127.0.0.1:"), "{line}");
    let by_name = try_with(&server.replace("127.0.0.1", "localhost"), &ours.roots());
    assert!(by_name.contains("not valid for name"), "{by_name}");
    let unreadable = try_with(&server, "/nowhere.pem");
    assert!(unreadable.contains("--tls-roots: the file /nowhere.pem cannot be read"), "{unreadable}");
}

#[test]
fn old_phones_are_refused_with_a_line_that_says_what_they_offer_and_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path(), "ours");
    let mut running = configured_so(folder.path(), "44200-44299", &authority, "");
    for (hello, offered, why) in [
        (HELLO_OF_TLS_1_0, "TLS 1.0", "it does not speak TLS 1.2"),
        (HELLO_OF_RSA, "TLS 1.2 or newer", "it offers no cipher that is safe"),
    ] {
        let mut stream = connect(&running);
        stream.write_all(&hex::decode(hello).unwrap()).unwrap();
        let mut answer = Vec::new();
        // A reset is an end as well.
        let _ended = stream.read_to_end(&mut answer);
        assert!(answer.starts_with(&[21, 3]), "no alert (RFC 5246 section 7.2): {answer:?}");
        let line = running.wait_for("a phone cannot be served over TLS");
        for expected in [&format!("remote={}", stream.local_addr().unwrap()), offered, why, "over tcp or udp"]
        {
            assert!(line.contains(expected), "{expected} is not in {line}");
        }
    }
    // However many come, they do not fill the log, nor the server.
    for _ in 0..50 {
        let mut stream = connect(&running);
        stream.write_all(&hex::decode(HELLO_OF_TLS_1_0).unwrap()).unwrap();
        let _ended = stream.read_to_end(&mut Vec::new());
    }
    let _phone = phone(&running, "1001", "secret-of-1001", &["--tls-roots", &authority.roots()]);
    running.signal("TERM");
    running.wait_for("stopped");
    let lines = running.seen.matches("a phone cannot be served over TLS").count();
    assert!((2..=12).contains(&lines), "{lines} lines");
}

fn connect(running: &Running) -> TcpStream {
    let stream = TcpStream::connect(running.sip("tls")).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(15))).unwrap();
    stream
}

#[test]
fn whoever_says_nothing_or_garbage_is_let_go_and_keeps_nobody_out() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path(), "ours");
    let running = configured_so(folder.path(), "44300-44399", &authority, "");
    let begun = Instant::now();
    let hello = hex::decode(HELLO_OF_RSA).unwrap();
    let begins: [&[u8]; 3] = [b"", &hello[..1], &hello[..60]];
    let mut silent: Vec<TcpStream> = (0..300)
        .map(|number| {
            let mut stream = connect(&running);
            stream.write_all(begins[number % begins.len()]).unwrap();
            stream
        })
        .collect();
    for garbage in [
        &b"OPTIONS sip:a SIP/2.0\r\nVia: SIP/2.0/TLS a\r\n\r\n"[..],
        &[0xff; 70_000],
        &[22, 3, 1, 0xff, 0xff],
    ] {
        let mut stream = connect(&running);
        // It may have been refused before all of it was sent.
        let _refused = stream.write_all(garbage);
        let _ended = stream.read_to_end(&mut Vec::new());
        assert!(begun.elapsed() < Duration::from_secs(12), "{:?}", &garbage[..4]);
    }
    let _phone = phone(&running, "1001", "secret-of-1001", &["--tls-roots", &authority.roots()]);
    // One source has 256 places for those who have not logged in; its oldest one gives way.
    std::thread::sleep(Duration::from_millis(1100));
    let _one_more = connect(&running);
    let ended = silent[0].read(&mut [0; 16]);
    assert!(matches!(ended, Ok(0) | Err(_)) && begun.elapsed() < Duration::from_secs(8), "{ended:?}");
    let latest = silent.last_mut().unwrap();
    let ended = latest.read(&mut [0; 16]);
    assert!(matches!(ended, Ok(0) | Err(_)), "{ended:?}");
    let waited = begun.elapsed();
    assert!((8..13).contains(&waited.as_secs()), "it was let go after {waited:?}");
}

#[test]
fn a_renewed_certificate_is_shown_after_sighup() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path(), "ours");
    let mut running = configured_so(folder.path(), "44400-44499", &authority, "");
    let other = Authority::new(folder.path(), "other");
    let (new, old) = (other.certify(&["127.0.0.1"]), folder.path().join("ours-pbx.test"));
    std::fs::copy(new.certificate, old.with_extension("test.pem")).unwrap();
    // Half of a renewal changes nothing.
    running.signal("HUP");
    running.wait_for("sip.tls.key: this is not the key of the first certificate in");
    drop(phone(&running, "1001", "secret-of-1001", &["--tls-roots", &authority.roots()]));
    std::fs::copy(new.key, old.with_extension("test.key")).unwrap();
    running.signal("HUP");
    running.wait_for("the configuration was read again");
    let _phone = phone(&running, "1001", "secret-of-1001", &["--tls-roots", &other.roots()]);
}
