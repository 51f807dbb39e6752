//! Limits of the configuration, as a client meets them.

use crate::running::{KEY, OTHER_KEY, Phone, Running, configuration};

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
