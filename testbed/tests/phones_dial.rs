//! baresip and linphone dial an extension and a number outside, and are asked to answer by themselves.

use serde_json::{Value, json};
use std::time::Duration;
use testbed::{
    Baresip, Linphone, Loopback, PhoneAccount, Recording, RtpPeer, Server, ServerOptions, SipText, Sipp,
};

const SOON: Duration = Duration::from_secs(8);
const FROM_TONE: f64 = 600.0;
const TO_TONE: f64 = 950.0;
const OUTSIDE: &str = "09944421125";

/// Either of the two.
enum Phone {
    Baresip(Baresip),
    Linphone(Linphone),
}

/// Which of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Make {
    Baresip,
    Linphone,
}

impl Phone {
    fn start(make: Make, account: &PhoneAccount, server: &Server) -> Self {
        let folder = server.folder().join(&account.extension.number);
        match make {
            Make::Baresip => {
                let mut phone = Baresip::start(account, &folder);
                phone.wait_until_registered();
                Self::Baresip(phone)
            }
            Make::Linphone => {
                let mut phone = Linphone::start(account, &folder);
                phone.wait_until_registered();
                Self::Linphone(phone)
            }
        }
    }

    fn dial(&mut self, number: &str) {
        match self {
            Self::Baresip(phone) => phone.dial(number),
            Self::Linphone(phone) => phone.dial(number),
        }
    }

    fn hang_up(&mut self) {
        match self {
            Self::Baresip(phone) => phone.hang_up(),
            Self::Linphone(phone) => phone.hang_up(),
        }
    }

    fn recording(&self) -> Recording {
        match self {
            Self::Baresip(phone) => phone.recording(),
            Self::Linphone(phone) => phone.recording(),
        }
    }

    fn printed(&mut self) -> String {
        match self {
            Self::Baresip(phone) => phone.process().output(),
            Self::Linphone(phone) => phone.process().output(),
        }
    }
}

fn heard(recording: &Recording, tone: f64, own: f64) {
    let (other, echo) = (recording.tone_milliseconds(tone), recording.tone_milliseconds(own));
    assert!(
        other >= 2000 && echo < 200,
        "heard {other} ms of the other's {tone} Hz and {echo} ms of its own {own} Hz"
    );
}

/// Reason, by whom, direction and both numbers.
fn summary(call: &Value) -> String {
    let end = &call["end"];
    let words =
        [&end["reason"], &end["by"], &call["direction"], &call["from"]["number"], &call["to"]["number"]];
    words.map(|word| word.as_str().unwrap_or("-")).join(" ")
}

fn dials_an_extension(from: Make, to: Make) {
    let server = Server::start();
    let mut from = Phone::start(from, &PhoneAccount::of(&server, 0, FROM_TONE), &server);
    let to = Phone::start(to, &PhoneAccount::of(&server, 1, TO_TONE), &server);
    from.dial("1002");
    let api = server.api();
    let call = api.only_call();
    api.wait_for_state(&call, "talking", SOON);
    std::thread::sleep(Duration::from_millis(3500));
    from.hang_up();
    let ended = api.wait_for_state(&call, "ended", SOON);
    assert_eq!(summary(&ended), "hung_up from internal 1001 1002", "{ended:#}");
    std::thread::sleep(Duration::from_millis(500));
    heard(&from.recording(), TO_TONE, FROM_TONE);
    heard(&to.recording(), FROM_TONE, TO_TONE);
}

#[test]
fn baresip_dials_linphone() {
    dials_an_extension(Make::Baresip, Make::Linphone);
}

#[test]
fn linphone_dials_baresip() {
    dials_an_extension(Make::Linphone, Make::Baresip);
}

fn dials_outside(make: Make) {
    let ip = Loopback::claim();
    let carrier = ip.free_port();
    let tables = format!(
        "[dial_policy]\ncountry = \"91\"\nallow = [\"+91\"]\n[[trunks]]\nname = \"carrier\"\n\
         address = \"sip:{carrier}\"\nnumbers = [\"+918065978015\"]\n"
    );
    let server = Server::start_with(&ServerOptions { tables, ..ServerOptions::default() });
    let audio = RtpPeer::bind(ip.ip());
    let mut gateway = Sipp::start("answer", carrier, audio.address(), "-", server.folder());
    let mut phone = Phone::start(make, &PhoneAccount::of(&server, 0, FROM_TONE), &server);
    phone.dial(OUTSIDE);
    let invite = gateway.received("INVITE", SOON).message;
    assert!(invite.start_line().starts_with("INVITE sip:+919944421125@"), "{}", invite.start_line());
    assert!(invite.field("From").is_some_and(|from| from.contains("sip:+918065978015@")), "{invite:?}");
    let talking = audio.talk(invite.audio_address().expect("an offer of audio"), TO_TONE);
    let api = server.api();
    let call = api.only_call();
    api.wait_for_state(&call, "talking", SOON);
    std::thread::sleep(Duration::from_millis(3500));
    phone.hang_up();
    gateway.succeeds(SOON);
    let ended = api.wait_for_state(&call, "ended", SOON);
    assert_eq!(summary(&ended), format!("hung_up from outbound 1001 {OUTSIDE}"), "{ended:#}");
    let outside = talking.stop();
    assert!(outside.tone_milliseconds(FROM_TONE) >= 2000, "{} ms", outside.tone_milliseconds(FROM_TONE));
    std::thread::sleep(Duration::from_millis(500));
    heard(&phone.recording(), TO_TONE, FROM_TONE);
}

#[test]
fn baresip_dials_a_number_outside() {
    dials_outside(Make::Baresip);
}

#[test]
fn linphone_dials_a_number_outside() {
    dials_outside(Make::Linphone);
}

/// The INVITE among what a phone has printed.
fn invite_in(printed: &str) -> SipText {
    let at = printed.find("INVITE sip:").expect("it prints the INVITE");
    SipText::new(&printed[at..].replace("\r\n", "\n").replace('\n', "\r\n"))
}

/// It is asked to answer by itself: whether it does. It hears the call either way, and nothing is the matter with it.
fn asked_to_answer(make: Make) -> bool {
    let server = Server::start();
    let account = PhoneAccount::of(&server, 0, FROM_TONE).that_rings();
    let mut phone = Phone::start(make, &account, &server);
    let _to = Phone::start(Make::Baresip, &PhoneAccount::of(&server, 1, TO_TONE), &server);
    let api = server.api();
    let call = api.place(&json!({"from": "1001", "to": "1002", "auto_answer": true, "timeout": 4}));
    api.wait_for_event(&call, "call.ringing", SOON);
    let invite = invite_in(&phone.printed());
    let asks = ["Call-Info", "Alert-Info", "Answer-Mode"].iter().any(|name| invite.field(name).is_some());
    assert!(asks, "{}", invite.as_str());
    let answered = testbed::wait_for(Duration::from_secs(3), || {
        (api.call(&call).body["from"]["state"] == json!("answered")).then_some(())
    });
    if answered.is_some() {
        api.wait_for_state(&call, "talking", SOON);
        assert_eq!(api.hang_up(&call).status, 200);
    }
    let ended = api.wait_for_state(&call, "ended", SOON);
    let reason = if answered.is_some() { "hung_up" } else { "no_answer" };
    assert_eq!(ended["end"]["reason"], json!(reason), "{ended:#}");
    answered.is_some()
}

#[test]
fn baresip_is_asked_to_answer_and_rings_unharmed() {
    assert!(!asked_to_answer(Make::Baresip));
}

#[test]
fn linphone_is_asked_to_answer_and_rings_unharmed() {
    assert!(!asked_to_answer(Make::Linphone));
}
