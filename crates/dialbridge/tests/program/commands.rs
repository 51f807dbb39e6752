//! What the commands print, and with what they end.

use crate::running::{KEY, Running, configuration, dialbridge};
use std::net::{TcpListener, UdpSocket};
use std::process::{Output, Stdio};

fn run(arguments: &[&str]) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = dialbridge(arguments).output().unwrap();
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

#[test]
fn wrong_use_and_wrong_configuration_end_with_1() {
    assert_eq!(run(&["--no-such-flag"]).0, Some(1));
    assert_eq!(run(&["no-such-command"]).0, Some(1));
    assert_eq!(run(&["check"]).0, Some(1));
    assert_eq!(run(&["--help"]).0, Some(0));
    assert_eq!(run(&["--version"]).0, Some(0));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.toml");
    let path = file.to_str().unwrap();
    std::fs::write(&file, "[http]\nlisten = 1\n\n[sip]\nfoo = 2\n").unwrap();
    let (code, found, _) = run(&["check", "--config", path]);
    assert_eq!(code, Some(1));
    let lines: Vec<&str> = found.lines().collect();
    assert_eq!(lines.len(), 2, "{found}");
    assert!(lines[0].starts_with(&format!("{path}:2: http.listen: ")), "{found}");
    assert!(lines[1].starts_with(&format!("{path}:5: sip.foo: ")), "{found}");
    let (code, _, log) = run(&["serve", "--config", path]);
    assert_eq!(code, Some(1));
    assert!(log.contains(lines[0]) && log.contains(lines[1]), "{log}");
    assert_eq!(run(&["check", "--config", "/no/such/file"]).0, Some(1));
}

#[test]
fn a_right_configuration_is_ok() {
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/dialbridge.example.toml");
    let (code, found, _) = run(&["check", "--config", example]);
    assert_eq!((code, found), (Some(0), format!("{example}: ok (extensions: 2, API keys: 1, trunks: 0)\n")));
}

#[test]
fn a_key_is_printed_once_and_its_entry_holds_only_the_hash() {
    let (code, printed, _) =
        run(&["key", "--name", "crm", "--permission", "calls.click_to_call", "calls.read"]);
    assert_eq!(code, Some(0));
    let (before, entry) = printed.split_at(printed.find("[[api_keys]]").unwrap());
    let key = before.lines().find(|line| line.starts_with("ak_")).unwrap();
    assert!(!entry.contains(key));
    let keys = dialbridge::config::parse(entry).unwrap().keys();
    assert_eq!(keys[0].sha256, control_api::key_sha256(key));
    assert_eq!(keys[0].permissions.len(), 2);

    let (code, printed, complaint) = run(&["key", "--name", "crm", "--permission", "calls.clik_to_call"]);
    assert_eq!((code, printed.as_str()), (Some(1), ""));
    assert!(
        complaint.contains("is calls.click_to_call meant?") && complaint.contains("config.write"),
        "{complaint}"
    );
    assert_eq!(run(&["key", "--name", "a\"b", "--permission", "calls.read"]).0, Some(1));
}

#[test]
fn an_address_in_use_ends_with_2_and_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.toml");
    let text = configuration(folder.path(), "41000-41099", KEY);
    let http = TcpListener::bind("127.0.0.1:0").unwrap();
    let sip = UdpSocket::bind("127.0.0.1:0").unwrap();
    let (http, sip) = (http.local_addr().unwrap(), (sip.local_addr().unwrap(), sip, http));
    for (free, taken) in [("\"127.0.0.1:0\"", http), ("udp:127.0.0.1:0", sip.0)] {
        let quoted = if free.starts_with('"') { format!("\"{taken}\"") } else { format!("udp:{taken}") };
        std::fs::write(&file, text.replace(free, &quoted)).unwrap();
        let (code, _, log) = run(&["serve", "--config", file.to_str().unwrap()]);
        assert_eq!(code, Some(2), "{log}");
        assert!(log.contains(&taken.to_string()) && log.contains("another program has it"), "{log}");
    }
    let (file_as_folder, other) = (folder.path().join("file"), folder.path().join("data"));
    std::fs::write(&file_as_folder, "").unwrap();
    let file_as_folder = file_as_folder.to_str().unwrap();
    std::fs::write(&file, text.replace(other.to_str().unwrap(), file_as_folder)).unwrap();
    let (code, _, log) = run(&["serve", "--config", file.to_str().unwrap()]);
    assert_eq!(code, Some(2), "{log}");
    assert!(log.contains(file_as_folder) && log.contains("must be writable"), "{log}");
}

#[test]
fn a_data_folder_that_another_server_has_ends_with_2_and_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.toml");
    std::fs::write(&file, configuration(folder.path(), "42600-42699", KEY)).unwrap();
    let _first = Running::start(&file, "info");
    let (code, _, log) = run(&["serve", "--config", file.to_str().unwrap()]);
    assert_eq!(code, Some(2), "{log}");
    let data = folder.path().join("data");
    assert!(log.contains(data.to_str().unwrap()) && log.contains("end that server"), "{log}");
}

#[test]
fn the_demo_shows_a_call_and_keeps_its_picture() {
    let folder = tempfile::tempdir().unwrap();
    let demo = |arguments: &[&str]| {
        dialbridge(&[&["demo"], arguments].concat())
            .env("TMPDIR", folder.path())
            .stdout(Stdio::piped())
            .spawn()
    };
    let asked = folder.path().join("a/b");
    // What an earlier demo left is written over.
    let usual = folder.path().join("dialbridge-demo");
    std::fs::create_dir(&usual).unwrap();
    std::fs::write(usual.join("ladder.svg"), "old").unwrap();
    let demos = [demo(&["--output", asked.to_str().unwrap()]).unwrap(), demo(&[]).unwrap()];
    for (demo, kept) in demos.into_iter().zip([&asked, &usual]) {
        let Output { status, stdout, .. } = demo.wait_with_output().unwrap();
        let told = String::from_utf8(stdout).unwrap();
        assert_eq!(status.code(), Some(0), "{told}");
        assert!(told.contains(&format!("The ladder as a picture: {}/ladder.svg", kept.display())), "{told}");
        assert!(told.contains("The call went well"), "{told}");
        let size = |name| std::fs::metadata(kept.join(name)).unwrap().len();
        for name in ["ladder.json", "call.json", "explanation.json", "report.txt", "heard-by-1001.wav"] {
            assert!(size(name) > 0, "{name}");
        }
        let messages = std::fs::read_to_string(kept.join("messages.sip")).unwrap();
        assert!(
            messages.contains("Authorization: Digest realm=") && !messages.contains("nonce="),
            "{messages}"
        );
        assert!(std::fs::read_to_string(kept.join("ladder.svg")).unwrap().starts_with("<svg "));
    }
    let left: Vec<_> =
        std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "{left:?}");
}

#[test]
fn trunks_are_looked_up_when_that_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("trunks.toml");
    // Nobody answers at that port.
    let closed = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let trunk = |name: &str, address: &str, number: &str| {
        format!("[[trunks]]\nname = \"{name}\"\naddress = \"{address}\"\nnumbers = [\"{number}\"]\n")
    };
    let one =
        format!("[sip]\nresolvers = [\"{closed}\"]\n{}", trunk("a", "sip:192.0.2.1:5080", "+918065978015"));
    let both = one.clone() + &trunk("b", "sip:carrier.example", "+918065978016");
    let path = file.display().to_string();
    for (text, online, expected, said) in [
        (&one, true, 0, "  -> UDP 192.0.2.1:5080"),
        (&both, true, 1, "  cannot be resolved: no name server answered"),
        (&both, false, 0, "trunks: 2"),
    ] {
        std::fs::write(&file, text).unwrap();
        let mut arguments = vec!["check", "--config", &path];
        arguments.extend(online.then_some("--online"));
        let (code, found, _) = run(&arguments);
        assert!(code == Some(expected) && found.contains(said), "{code:?} {found}");
    }
}
