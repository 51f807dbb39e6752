//! Limits of the configuration, as a client meets them.

use crate::running::{KEY, OTHER_KEY, Phone, Running, configuration, dialbridge, status};

#[test]
fn a_key_that_has_its_calls_gets_no_further_one_and_another_key_does() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.toml");
    let text = configuration(folder.path(), "42500-42599", KEY);
    let more = format!(
        "[[api_keys]]\nname = \"b\"\nkey = \"{OTHER_KEY}\"\npermissions = [\"calls.*\"]\n\
         [[extensions]]\nnumber = \"1002\"\npassword = \"b\"\n[limits]\ncalls_per_key = 1\n"
    );
    std::fs::write(&file, text + &more).unwrap();
    let running = Running::start(&file, "info");
    let _phones = [("1001", "secret-of-1001"), ("1002", "b")]
        .map(|(user, password)| Phone::ringing_for_ever(&running, user, password));
    assert_eq!(running.click_to_call(KEY), 200);
    assert_eq!(running.click_to_call(KEY), 429);
    assert_eq!(running.click_to_call(OTHER_KEY), 200);
}

#[test]
fn outside_numbers_are_judged_by_the_dial_policy_before_a_trunk_is_looked_for() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.toml");
    let policy = "[dial_policy]\ncountry = \"91\"\nnational_prefix = \"0\"\nallow = [\"+91\", \"+1\", \"112\"]\n\
                  deny = [\"+1900\", \"139\"]\nemergency = [\"112\", \"108\"]\n";
    std::fs::write(&file, configuration(folder.path(), "43800-43899", KEY) + policy).unwrap();
    let mut running = Running::start(&file, "info");
    let doubt = "the emergency number 108 is refused: dial_policy.allow does not name it";
    assert!(running.seen.contains(doubt), "{}", running.seen);
    let checked = dialbridge(&["check", "--config", file.to_str().unwrap()]).output().unwrap();
    assert!(checked.status.success() && String::from_utf8_lossy(&checked.stdout).contains(doubt));
    for (to, status) in [
        // Allowed, however they are written; there is no trunk.
        ("9944421125", 422),
        ("+91 99444-21125", 422),
        ("tel:+919944421125", 422),
        ("0091 9944421125", 422),
        ("(099) 4442-1125", 422),
        ("112", 422),
        // Denied, or not allowed.
        ("108", 403),
        ("139", 403),
        ("+1 900 555 0123", 403),
        ("0019005550123", 403),
        ("+4930901820", 403),
        ("004930901820", 403),
        // None that can be dialled.
        ("+91112", 400),
        ("12345678901234567", 400),
        ("9944421125;phone-context=+91", 400),
        ("sip:9944421125@192.0.2.1", 400),
        // A short number that nobody has is looked for inside.
        ("1003", 404),
    ] {
        assert_eq!(running.click_to_call_of(KEY, "1001", to), status, "{to}");
    }
    let line = running.wait_for("number=+19005550123");
    assert!(line.contains("key=a") && line.contains("dial_policy.deny has +1900"), "{line}");
}

#[test]
fn whoever_calls_for_help_passes_the_limits() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.toml");
    let more = "[dial_policy]\ncountry = \"91\"\nallow = [\"+91\", \"112\"]\nemergency = [\"112\"]\n\
                [limits]\ncalls_per_second = 1\ncalls_per_key = 1\n\
                [[trunks]]\nname = \"carrier\"\naddress = \"sip:127.0.0.1:9\"\nnumbers = [\"+918065978015\"]\n";
    std::fs::write(&file, configuration(folder.path(), "43800-43899", KEY) + more).unwrap();
    let running = Running::start(&file, "info");
    assert_eq!(running.click_to_call_of(KEY, "9900112233", "9944421125"), 200);
    assert_eq!(running.click_to_call_of(KEY, "9900112234", "9944421125"), 429);
    for from in ["9900112235", "9900112236"] {
        assert_eq!(running.click_to_call_of(KEY, from, "112"), 200);
    }
}

#[test]
fn a_caller_id_that_is_refused_leaves_a_line_with_the_name_of_the_key() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.toml");
    let more = "[dial_policy]\ncountry = \"91\"\nallow = [\"+91\"]\n\
                [[trunks]]\nname = \"carrier\"\naddress = \"sip:127.0.0.1:9\"\nnumbers = [\"+918065978015\"]\n";
    std::fs::write(&file, configuration(folder.path(), "43900-43999", KEY) + more).unwrap();
    let mut running = Running::start(&file, "info");
    let body = r#"{"from":"9900112233","to":"9944421125","caller_id":"+442079460000"}"#;
    assert_eq!(running.post("/api/v1/calls/click-to-call", body), 403);
    let line = running.wait_for("a caller_id that may not be shown");
    assert!(line.contains("key=\"a\"") && line.contains("number=+442079460000"), "{line}");
}

/// 112 descriptors: 64 for files, 12 for connections, 36 for the media of 9 calls.
#[cfg(unix)]
#[test]
fn when_descriptors_run_out_calls_are_refused_by_that_name_and_the_api_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.toml");
    let users: Vec<String> = (1101..1112).map(|user| user.to_string()).collect();
    let extension = |user: &String| format!("[[extensions]]\nnumber = \"{user}\"\npassword = \"b\"\n");
    let extensions: String = users.iter().map(extension).collect();
    std::fs::write(&file, configuration(folder.path(), "42600-42999", KEY) + &extensions).unwrap();
    let running = Running::start_with_descriptors(&file, 112);
    assert!(running.seen.contains("limits.calls is 2000, and the 112 descriptors"), "{}", running.seen);
    let _phones: Vec<Phone> = users.iter().map(|user| Phone::ringing_for_ever(&running, user, "b")).collect();
    let _callee = Phone::ringing_for_ever(&running, "1001", "secret-of-1001");
    let answers: Vec<u16> = users.iter().map(|from| running.click_to_call_of(KEY, from, "1001")).collect();
    assert_eq!(answers, [vec![200; 9], vec![503; 2]].concat());
    let health = "GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    assert_eq!(status(running.http, health).unwrap(), 200);
    let list =
        format!("GET /api/v1/calls HTTP/1.1\r\nHost: a\r\nX-API-Key: {KEY}\r\nConnection: close\r\n\r\n");
    assert_eq!(status(running.http, &list).unwrap(), 200);
}

#[cfg(unix)]
#[test]
fn check_says_that_descriptors_are_too_few() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.toml");
    std::fs::write(&file, configuration(folder.path(), "42600-42999", KEY)).unwrap();
    let check = |limit: &str| {
        let script = format!("ulimit -n {limit} && exec \"$0\" check --config \"$1\"");
        let program = env!("CARGO_BIN_EXE_dialbridge");
        let answer =
            std::process::Command::new("sh").args(["-c", &script, program]).arg(&file).output().unwrap();
        assert!(answer.status.success());
        String::from_utf8(answer.stdout).unwrap()
    };
    assert!(check("112").contains("further calls will be refused with 503 no_descriptor"));
    let hard = dialbridge(&["check", "--config", file.to_str().unwrap()]).output().unwrap();
    assert!(!String::from_utf8(hard.stdout).unwrap().contains("no_descriptor"), "this machine allows enough");
}

#[test]
fn health_is_answered_on_an_address_of_its_own_and_nothing_else_is() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.toml");
    let text = configuration(folder.path(), "42500-42599", KEY);
    let http = "[http]\nhealth_listen = \"127.0.0.1:0\"\nproxies = [\"10.0.0.0/8\", \"192.0.2.7\"]\n";
    std::fs::write(&file, text.replace("[http]\n", http)).unwrap();
    let running = Running::start(&file, "info");
    let health =
        running.seen.split("health=").nth(1).unwrap().split_whitespace().next().unwrap().parse().unwrap();
    let ask = |path: &str| {
        status(
            health,
            &format!("GET {path} HTTP/1.1\r\nHost: a\r\nX-API-Key: {KEY}\r\nConnection: close\r\n\r\n"),
        )
        .unwrap()
    };
    assert_eq!(["/healthz", "/readyz", "/api/v1/calls", "/"].map(ask), [200, 200, 404, 404]);
}
