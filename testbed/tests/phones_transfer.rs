//! baresip and linphone hold, transfer and are transferred, with real sound.

use serde_json::{Value, json};
use std::time::Duration;
use testbed::{
    Api, Baresip, Extension, Linphone, Loopback, PhoneAccount, Recording, RtpPeer, Server, ServerOptions,
    Sipp, Wire,
};

const SOON: Duration = Duration::from_secs(8);
/// What the phones of 1001, 1002 and 1003 play, in hertz.
const TONES: [f64; 3] = [600.0, 950.0, 1700.0];
/// What plays somebody outside.
const OUTSIDE_TONE: f64 = 1250.0;
/// What the server plays to whoever is held.
const HOLD_TONE: f64 = 800.0;

/// The server with three extensions.
struct Office {
    server: Server,
    api: Api,
}

impl Office {
    fn open(tables: &str) -> Self {
        let extensions = [("1001", "Asha"), ("1002", "Ravi"), ("1003", "Meera")];
        let extensions = extensions.map(|(number, name)| Extension::new(number, name)).to_vec();
        let tables = tables.to_owned();
        let server = Server::start_with(&ServerOptions { extensions, tables, ..ServerOptions::default() });
        Self { api: server.api(), server }
    }

    fn account(&self, position: usize) -> PhoneAccount {
        PhoneAccount::of(&self.server, position, TONES[position])
    }

    fn baresip(&self, account: &PhoneAccount) -> Baresip {
        Baresip::start(account, &self.server.folder().join(&account.extension.number))
    }

    fn linphone(&self, account: &PhoneAccount) -> Linphone {
        Linphone::start(account, &self.server.folder().join(&account.extension.number))
    }

    fn talking(&self, call: &str) {
        self.api.wait_for_state(call, "talking", SOON);
        talk();
    }

    /// The API hangs up: the call at its end, once the phones have written what they heard.
    fn end(&self, call: &str) -> Value {
        assert_eq!(self.api.hang_up(call).status, 200);
        let ended = self.api.wait_for_state(call, "ended", SOON);
        assert_eq!(ended["end"]["reason"], json!("hung_up"), "{ended:#}");
        std::thread::sleep(Duration::from_millis(500));
        ended
    }

    fn path(&self, call: &str) -> Vec<String> {
        path_of(&self.api.call(call).body)
    }

    /// Waits until the call has gone through this step.
    fn wait_for_step(&self, call: &str, step: &str) -> Value {
        self.api.wait(call, SOON, step, |call| path_of(call).iter().any(|gone| gone.starts_with(step)))
    }
}

/// The steps of a call, each with its party, number and status.
fn path_of(call: &Value) -> Vec<String> {
    let steps = call["path"].as_array().into_iter().flatten();
    let word = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => "-".to_owned(),
    };
    steps
        .map(|step| ["step", "party", "number", "sip_status"].map(|key| word(&step[key])).join(" "))
        .collect()
}

/// Long enough to be found in what is recorded.
fn talk() {
    std::thread::sleep(Duration::from_millis(1500));
}

/// These tones were heard, one after the other, for a second each (or for a tenth, the beeps of a hold), and no other.
fn assert_heard(who: &str, recording: &Recording, tones: &[f64]) {
    let course = recording.course(&[&TONES[..], &[HOLD_TONE, OUTSIDE_TONE]].concat());
    let is_long = |(hertz, milliseconds): &(f64, u64)| {
        *milliseconds >= if hertz.total_cmp(&HOLD_TONE).is_eq() { 100 } else { 1000 }
    };
    let heard: Vec<f64> = course.iter().map(|(hertz, _)| *hertz).collect();
    assert!(heard == tones && course.iter().all(is_long), "{who} heard {course:?} instead of {tones:?}");
}

#[test]
fn linphone_transfers_a_call_that_it_dialled_and_the_two_that_are_left_hear_each_other() {
    let office = Office::open("");
    let (mut transferor, mut other) =
        (office.linphone(&office.account(0)), office.linphone(&office.account(1)));
    let mut third = office.baresip(&office.account(2).that_rings());
    transferor.wait_until_registered();
    other.wait_until_registered();
    third.wait_until_registered();
    transferor.dial("1002");
    let call = office.api.only_call();
    office.talking(&call);
    transferor.transfer("1003");
    third.process().wait_for_output("180 Ringing", SOON);
    assert_eq!(office.path(&call), ["transfer.started from 1003 -"]);
    std::thread::sleep(Duration::from_millis(1000));
    third.answer();
    let after = office.wait_for_step(&call, "transfer.completed");
    assert_eq!(after["from"]["reached"], json!({"number": "1003", "type": "extension"}), "{after:#}");
    assert_eq!(after["from"]["number"], json!("1001"));
    transferor.process().wait_for_output("has been transfered, you can safely close the call", SOON);
    transferor.process().wait_for_output("LinphoneCallReleased", SOON);
    talk();
    let ended = office.end(&call);
    assert_eq!(path_of(&ended), ["transfer.started from 1003 -", "transfer.completed from 1003 -"]);
    assert_heard("1001", &transferor.recording(), &[TONES[1], HOLD_TONE]);
    assert_heard("1002", &other.recording(), &[TONES[0], TONES[2]]);
    assert_heard("1003", &third.recording(), &[TONES[1]]);
    third.process().wait_for_output("session closed", SOON);
    other.process().wait_for_output("LinphoneCallReleased", SOON);
}

#[test]
fn a_transfer_that_is_declined_brings_linphone_back_to_whom_it_talked_and_baresip_hangs_up() {
    let office = Office::open("");
    let mut from = office.baresip(&office.account(0).over(Wire::Tcp));
    let mut to = office.linphone(&office.account(1).over(Wire::Tcp));
    let mut third = office.baresip(&office.account(2).that_rings());
    from.wait_until_registered();
    to.wait_until_registered();
    third.wait_until_registered();
    let call = office.api.place(&json!({"from": "1001", "to": "1002"}));
    office.talking(&call);
    let decline = |party: &str| {
        office.wait_for_step(&call, &format!("transfer.started {party} 1003"));
        let rings = || (office.api.extension("1003")["state"] == json!("busy")).then_some(());
        assert!(testbed::wait_for(SOON, rings).is_some(), "1003 is not rung");
        talk();
        third.hang_up();
    };
    to.transfer("1003");
    decline("to");
    office.wait_for_step(&call, "transfer.failed to 1003 486");
    talk();
    // This one hangs up when it is told.
    from.transfer("1003");
    decline("from");
    let ended = office.api.wait_for_state(&call, "ended", SOON);
    assert_eq!(
        (&ended["end"]["reason"], &ended["end"]["by"]),
        (&json!("hung_up"), &json!("from")),
        "{ended:#}"
    );
    let steps = ["started to 1003 -", "failed to 1003 486", "started from 1003 -", "failed from 1003 486"];
    assert_eq!(path_of(&ended), steps.map(|step| format!("transfer.{step}")));
    assert!(from.process().output().contains("call: transfer failed: 486 Busy Here"));
    to.process().wait_for_output("LinphoneCallReleased", SOON);
    std::thread::sleep(Duration::from_millis(500));
    assert_heard("1002", &to.recording(), &[TONES[0], HOLD_TONE, TONES[0]]);
    assert_heard("1001, until it waited,", &from.recording(), &[TONES[1]]);
}

#[test]
fn linphone_transfers_a_call_of_the_api_outside_where_the_dial_policy_lets_it() {
    let ip = Loopback::claim();
    let carrier = ip.free_port();
    let tables = format!(
        "[dial_policy]\ncountry = \"91\"\nallow = [\"+91\"]\n[[trunks]]\nname = \"carrier\"\n\
         address = \"sip:{carrier}\"\nnumbers = [\"+918065978015\"]\n"
    );
    let office = Office::open(&tables);
    let audio = RtpPeer::bind(ip.ip());
    let mut gateway = Sipp::start("answer", carrier, audio.address(), "-", office.server.folder());
    let (mut other, mut transferor) =
        (office.linphone(&office.account(0)), office.linphone(&office.account(1)));
    other.wait_until_registered();
    transferor.wait_until_registered();
    let call = office.api.place(&json!({"from": "1001", "to": "1002"}));
    office.talking(&call);

    transferor.transfer("0019005550123");
    transferor.process().wait_for_output("SIP/2.0 403 Forbidden", SOON);
    let goes_on = office.wait_for_step(&call, "transfer.denied");
    assert_eq!(
        (path_of(&goes_on), &goes_on["state"]),
        (vec!["transfer.denied to 0019005550123 403".to_owned()], &json!("talking"))
    );
    talk();

    // No phone is registered where it is now: it proves itself.
    transferor.unregister();
    let phones = || office.api.extension("1002")["phones"].clone();
    let is_gone = testbed::wait_for(SOON, || (phones() == json!([])).then_some(()));
    assert!(is_gone.is_some(), "1002 is still registered: {:#}", phones());
    transferor.transfer("09944421125");
    let invite = gateway.received("INVITE", SOON).message;
    assert!(invite.start_line().starts_with("INVITE sip:+919944421125@"), "{}", invite.start_line());
    assert!(invite.field("From").is_some_and(|from| from.contains("sip:+918065978015@")), "{invite:?}");
    let talking = audio.talk(invite.audio_address().expect("an offer of audio"), OUTSIDE_TONE);
    let after = office.wait_for_step(&call, "transfer.completed");
    assert_eq!(after["to"]["reached"], json!({"number": "+919944421125", "type": "external"}), "{after:#}");
    assert_eq!((&after["to"]["trunk"], &after["direction"]), (&json!("carrier"), &json!("outbound")));
    let printed = transferor.process().output();
    let mut challenges = printed.split("SIP/2.0 401 Unauthorized").skip(1);
    let is_of_refer = |header: &str| header.lines().take(8).any(|line| line.ends_with(" REFER"));
    assert!(challenges.any(is_of_refer), "its REFER was not challenged");
    transferor.process().wait_for_output("LinphoneCallReleased", SOON);
    talk();
    let ended = office.end(&call);
    let steps = [
        "transfer.denied to 0019005550123 403",
        "transfer.started to +919944421125 -",
        "transfer.completed to +919944421125 -",
    ];
    assert_eq!(path_of(&ended), steps);
    gateway.succeeds(SOON);
    let outside = talking.stop();
    assert!(outside.tone_milliseconds(TONES[0]) >= 1000 && outside.tone_milliseconds(TONES[1]) == 0);
    assert_heard("1001", &other.recording(), &[TONES[1], OUTSIDE_TONE]);
    let heard = transferor.recording();
    assert!(heard.tone_milliseconds(TONES[0]) >= 2500 && heard.tone_milliseconds(OUTSIDE_TONE) == 0);
}

#[test]
fn linphone_consults_and_makes_one_call_of_two() {
    let office = Office::open("");
    let (mut transferor, mut other) =
        (office.linphone(&office.account(0)), office.linphone(&office.account(1)));
    let mut third = office.baresip(&office.account(2));
    transferor.wait_until_registered();
    other.wait_until_registered();
    third.wait_until_registered();
    transferor.dial("1002");
    let call = office.api.only_call();
    office.talking(&call);
    transferor.hold(1);
    office.wait_for_step(&call, "held");
    transferor.dial("1003");
    let newest = || office.api.calls().into_iter().find(|id| *id != call);
    let consultation = testbed::wait_for(SOON, newest).expect("a second call");
    office.talking(&consultation);
    transferor.transfer_to_call(1, 2);
    let after = office.wait_for_step(&call, "transfer.completed");
    assert_eq!(after["from"]["reached"], json!({"number": "1003", "type": "extension"}), "{after:#}");
    let merged = office.api.wait_for_state(&consultation, "ended", SOON);
    let end = &merged["end"];
    assert_eq!((&end["reason"], &end["into"]), (&json!("transferred"), &json!(call)), "{merged:#}");
    // Both of its calls are over: it is told of the one, and hung up on in the other.
    transferor.process().wait_for_output("Call 1 with sip:1002@pbx.test ended (No error)", SOON);
    transferor.process().wait_for_output("Call 2 with sip:1003@pbx.test ended (No error)", SOON);
    talk();
    let ended = office.end(&call);
    assert_eq!(
        path_of(&ended),
        ["held to - -", "transfer.started from 1003 -", "transfer.completed from 1003 -"]
    );
    assert_heard("1001", &transferor.recording(), &[TONES[1], TONES[2]]);
    // This phone plays its file to whom it holds.
    assert_heard("1002", &other.recording(), &[TONES[0], TONES[2]]);
    assert_heard("1003", &third.recording(), &[TONES[0], TONES[1]]);
}

#[test]
fn linphone_transfers_to_a_call_of_its_own_that_still_rings() {
    let office = Office::open("");
    let mut transferor = office.linphone(&office.account(0));
    let mut other = office.linphone(&office.account(1));
    let mut third = office.baresip(&office.account(2).that_rings());
    transferor.wait_until_registered();
    other.wait_until_registered();
    third.wait_until_registered();
    let call = office.api.place(&json!({"from": "1002", "to": "1001"}));
    office.talking(&call);
    transferor.hold(1);
    office.wait_for_step(&call, "held");
    transferor.dial("1003");
    transferor.process().wait_for_output("Call 2 to sip:1003@pbx.test ringing", SOON);
    let newest = || office.api.calls().into_iter().find(|id| *id != call);
    let consultation = testbed::wait_for(SOON, newest).expect("a second call");
    transferor.transfer_to_call(1, 2);
    let given_up = office.api.wait_for_state(&consultation, "ended", SOON);
    let end = &given_up["end"];
    assert_eq!((&end["reason"], &end["into"]), (&json!("transferred"), &json!(call)), "{given_up:#}");
    // It is rung from the other call now, and nobody is connected before it answers.
    talk();
    assert_eq!(office.path(&call), ["held from - -", "transfer.started to 1003 -"]);
    third.answer();
    let after = office.wait_for_step(&call, "transfer.completed to 1003");
    assert_eq!(after["to"]["reached"], json!({"number": "1003", "type": "extension"}), "{after:#}");
    transferor.process().wait_for_output("has been transfered, you can safely close the call", SOON);
    talk();
    office.end(&call);
    assert_heard("1001", &transferor.recording(), &[TONES[1]]);
    assert_heard("1002", &other.recording(), &[TONES[0], TONES[2]]);
    assert_heard("1003", &third.recording(), &[TONES[1]]);
}

#[test]
fn baresip_transfers_its_call_and_is_transferred() {
    let office = Office::open("");
    let (mut transferor, mut third) =
        (office.baresip(&office.account(0)), office.baresip(&office.account(2)));
    let mut other = office.linphone(&office.account(1));
    transferor.wait_until_registered();
    other.wait_until_registered();
    third.wait_until_registered();
    transferor.dial("1002");
    let call = office.api.only_call();
    office.talking(&call);
    transferor.transfer("1003");
    office.wait_for_step(&call, "transfer.completed");
    transferor.process().wait_for_output("audio: destroyed", SOON);
    talk();
    assert_heard("1001", &transferor.recording(), &[TONES[1]]);
    // Whoever has taken its place is transferred to it.
    other.transfer("1001");
    let wanted = |call: &Value| call["to"]["reached"]["number"] == json!("1001");
    office.api.wait(&call, SOON, "with 1001 again", wanted);
    other.process().wait_for_output("LinphoneCallReleased", SOON);
    talk();
    let ended = office.end(&call);
    let steps = ["started from 1003", "completed from 1003", "started to 1001", "completed to 1001"];
    assert_eq!(path_of(&ended), steps.map(|step| format!("transfer.{step} -")));
    assert_eq!(ended["from"]["reached"]["number"], json!("1003"), "{ended:#}");
    assert_heard("1002", &other.recording(), &[TONES[0], TONES[2]]);
    assert_heard("1003", &third.recording(), &[TONES[1]]);
    assert_heard("1001, in its second call,", &transferor.recording(), &[TONES[2]]);
}

#[test]
fn the_api_holds_transfers_and_sends_keys_to_phones_and_they_hear_it() {
    let office = Office::open("");
    let (mut from, mut third) = (office.baresip(&office.account(0)), office.baresip(&office.account(2)));
    let mut to = office.linphone(&office.account(1));
    from.wait_until_registered();
    to.wait_until_registered();
    third.wait_until_registered();
    let call = office.api.place(&json!({"from": "1001", "to": "1002"}));
    office.talking(&call);
    let ask = |wish: &str, body: Value| {
        let answer = office.api.ask(&call, wish, &body);
        assert_eq!(answer.status, 200, "{wish}: {answer:?}");
    };
    for party in ["from", "to"] {
        ask("hold", json!({"party": party}));
        talk();
        ask("unhold", json!({"party": party}));
        talk();
    }
    assert!(from.process().output().contains("a=recvonly"), "baresip has not been held");
    ask("transfer", json!({"party": "to", "to": "1003", "to_type": "extension"}));
    let after = office.wait_for_step(&call, "transfer.completed");
    assert_eq!(after["from"]["reached"], json!({"number": "1003", "type": "extension"}), "{after:#}");
    from.process().wait_for_output("session closed", SOON);
    talk();
    let said = |print: fn(char) -> String| ['1', '2', '#'].map(print);
    for (party, phone, said) in [
        ("from", third.process(), said(|key| format!("received event: '{key}' (end=1)"))),
        ("to", to.process(), said(|key| format!("Receiving tone {key} from"))),
    ] {
        ask("dtmf", json!({"party": party, "digits": "12#"}));
        for said in &said {
            phone.wait_for_output(said, SOON);
        }
        let printed = phone.output();
        assert!(said.iter().all(|said| printed.matches(&**said).count() == 1), "{}", phone.output_tail(60));
    }
    talk();
    let ended = office.end(&call);
    let steps =
        ["held from -", "resumed from -", "held to -", "resumed to -"].map(|step| format!("{step} -"));
    let steps = [&steps[..], &["started", "completed"].map(|step| format!("transfer.{step} from 1003 -"))];
    assert_eq!(path_of(&ended), steps.concat());
    let [first, own, other] = TONES;
    assert_heard("1002", &to.recording(), &[first, HOLD_TONE, first, HOLD_TONE, first, other]);
    assert_heard("1003", &third.recording(), &[own]);
    assert_heard("1001, until it was held,", &from.recording(), &[own]);
}
