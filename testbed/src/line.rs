//! Two extensions whose phones are SIPp and whose sound is ours, on a server of their own.

use crate::{Api, Extension, Loopback, Registration, RtpPeer, Server, Sipp, Talking, Transport};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::time::Duration;

/// What should happen at once happens within this time.
pub const SOON: Duration = Duration::from_secs(5);
/// What 1001 plays, in hertz.
pub const FROM_TONE: f64 = 600.0;
/// What 1002 plays, in hertz.
pub const TO_TONE: f64 = 950.0;

/// A server and the two parties of a call: their SIP addresses, registered, and their sound.
pub struct Line {
    /// The real binary.
    pub server: Server,
    /// Its API.
    pub api: Api,
    /// The phone of 1001.
    pub from: SocketAddr,
    /// The phone of 1002.
    pub to: SocketAddr,
    /// What 1001 says and hears.
    pub from_audio: RtpPeer,
    /// What 1002 says and hears.
    pub to_audio: RtpPeer,
    _from_ip: Loopback,
    _to_ip: Loopback,
}

impl Line {
    /// Starts the server; both parties are registered over UDP.
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

    /// SIPp as the phone of 1001.
    pub fn phone_of_from(&self, scenario: &str, status: &str) -> Sipp {
        Sipp::start(scenario, self.from, self.from_audio.address(), status, self.server.folder())
    }

    /// SIPp as the phone of 1002.
    pub fn phone_of_to(&self, scenario: &str, status: &str) -> Sipp {
        Sipp::start(scenario, self.to, self.to_audio.address(), status, self.server.folder())
    }

    /// Calls 1001, then 1002.
    pub fn call(&self) -> String {
        self.api.place(&json!({"from": "1001", "to": "1002"}))
    }

    /// Waits for the end of a call.
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

fn register(server: &Server, at: SocketAddr, extension: &Extension) {
    let answer = Registration::new(Transport::Udp, at, server.sip, extension.credentials()).register(600);
    assert_eq!(answer.status(), Some(200), "{}", answer.as_str());
}
