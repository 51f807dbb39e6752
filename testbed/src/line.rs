//! The real server with a phone of either party, each a SIPp scenario and some sound.

use crate::{Api, Extension, Loopback, Registration, RtpPeer, Server, Sipp, Talking, Transport};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::time::Duration;

/// For what takes no time.
pub const SOON: Duration = Duration::from_secs(5);
/// What `from` plays, in hertz.
pub const FROM_TONE: f64 = 600.0;
/// What `to` plays, in hertz.
pub const TO_TONE: f64 = 950.0;

/// A server and the two parties of a call: their SIP addresses, registered, and their sound.
pub struct Line {
    /// The real binary.
    pub server: Server,
    /// Its API.
    pub api: Api,
    /// Where 1001 registered.
    pub from: SocketAddr,
    /// Where 1002 registered.
    pub to: SocketAddr,
    /// The sound of 1001.
    pub from_audio: RtpPeer,
    /// The sound of 1002.
    pub to_audio: RtpPeer,
    _from_ip: Loopback,
    _to_ip: Loopback,
}

impl Line {
    /// Starts a server, and registers a phone of either party.
    pub fn open() -> Self {
        let server = Server::start();
        let (from_ip, to_ip) = (Loopback::claim(), Loopback::claim());
        let (from, to) = (from_ip.free_port(), to_ip.free_port());
        register(&server, from, &server.extensions[0]);
        register(&server, to, &server.extensions[1]);
        let (from_audio, to_audio) = (RtpPeer::bind(from_ip.ip()), RtpPeer::bind(to_ip.ip()));
        let api = server.api();
        Self { server, api, from, to, from_audio, to_audio, _from_ip: from_ip, _to_ip: to_ip }
    }

    /// SIPp as the phone of `from`.
    pub fn phone_of_from(&self, scenario: &str, status: &str) -> Sipp {
        Sipp::start(scenario, self.from, self.from_audio.address(), status, self.server.folder())
    }

    /// SIPp as the phone of `to`.
    pub fn phone_of_to(&self, scenario: &str, status: &str) -> Sipp {
        Sipp::start(scenario, self.to, self.to_audio.address(), status, self.server.folder())
    }

    /// SIPp as the phone of a party: `from` or `to`.
    pub fn phone_of(&self, party: &str, scenario: &str, status: &str) -> Sipp {
        match party {
            "from" => self.phone_of_from(scenario, status),
            _ => self.phone_of_to(scenario, status),
        }
    }

    /// Places the call.
    pub fn call(&self) -> String {
        self.api.place(&json!({"from": "1001", "to": "1002"}))
    }

    /// The call, once it has ended.
    pub fn ended(&self, call: &str) -> Value {
        self.api.wait_for_state(call, "ended", SOON)
    }

    /// Both talk and listen from now on, each to where its INVITE says: `from`, then `to`.
    pub fn talk(&self, from: &Sipp, to: &Sipp) -> (Talking, Talking) {
        let offered =
            |phone: &Sipp| phone.received("INVITE", SOON).message.audio_address().expect("an offer of audio");
        let from_talks = self.from_audio.talk(offered(from), FROM_TONE);
        (from_talks, self.to_audio.talk(offered(to), TO_TONE))
    }
}

/// Registers a phone of an extension at `at`.
pub fn register(server: &Server, at: SocketAddr, extension: &Extension) {
    let answer = Registration::new(Transport::Udp, at, server.sip, extension.credentials()).register(600);
    assert_eq!(answer.status(), Some(200), "{}", answer.as_str());
}

/// Reason, by, party and status of an ended call.
pub fn end(call: &Value) -> (&str, &str, Option<&str>, Option<u64>) {
    let end = &call["end"];
    let text = |key: &str| end[key].as_str();
    (text("reason").unwrap_or("-"), text("by").unwrap_or("-"), text("party"), end["sip_status"].as_u64())
}

/// `who` refuses with `status`; the call ends for this reason, and the other party is let go.
pub fn refused(who: &str, status: &str, reason: &str) {
    let line = Line::open();
    let code = status[..3].parse().ok();
    if who == "from" {
        let (mut from, to) = (line.phone_of_from("refuse", status), line.phone_of_to("answer", "-"));
        let call = line.call();
        from.succeeds(SOON);
        assert_eq!(end(&line.ended(&call)), (reason, "from", Some("from"), code));
        assert_eq!(to.count("INVITE"), 0, "to was called although from has refused");
    } else {
        let (mut from, mut to) = (line.phone_of_from("answer", "-"), line.phone_of_to("refuse", status));
        let call = line.call();
        to.succeeds(SOON);
        from.succeeds(SOON);
        assert_eq!(end(&line.ended(&call)), (reason, "to", Some("to"), code));
    }
}
