//! Phones of a site, each a run of SIPp for one call.

use crate::site::{SOON, Site};
use std::net::SocketAddr;
use testbed::{Audio, Extension, Loopback, Registration, RtpPeer, SipText, Sipp, Step, Talking, Transport};

/// A phone that has registered, and where its sound is.
pub(crate) struct Phone {
    pub(crate) sipp: Sipp,
    pub(crate) audio: RtpPeer,
    _ip: Loopback,
}

impl Phone {
    pub(crate) fn register(site: &Site, number: &str, scenario: &str) -> Self {
        Self::start(site, number, |at, audio| Sipp::start(scenario, at, audio, "-", site.folder()))
    }

    /// One that rings for so long, picks up, and waits for its BYE.
    pub(crate) fn picks_up_after(site: &Site, number: &str, milliseconds: u32) -> Self {
        Self::start(site, number, |at, audio| {
            let steps = [
                Step::Invited,
                Step::Respond("180 Ringing", "", None),
                Step::Pause(milliseconds),
                Step::Respond("200 OK", "Content-Disposition: session", Some(Audio::at(audio))),
                Step::Await("ACK"),
                Step::Await("BYE"),
                Step::Answer("200 OK", "", None),
            ];
            Sipp::steps(&steps, at, site.folder())
        })
    }

    /// Nobody has called it.
    pub(crate) fn has_not_rung(&self) -> bool {
        self.sipp.count("INVITE") == 0
    }

    fn start(site: &Site, number: &str, sipp: impl FnOnce(SocketAddr, SocketAddr) -> Sipp) -> Self {
        let ip = Loopback::claim();
        let at = ip.free_port();
        let answer = registered(site, number, at);
        assert_eq!(answer.status(), Some(200), "{}", answer.as_str());
        let audio = RtpPeer::bind(ip.ip());
        Self { sipp: sipp(at, audio.address()), audio, _ip: ip }
    }
}

/// Phones of 1005, which rings until it is cancelled, and of 1006.
pub(crate) fn idle(site: &Site) -> [Phone; 2] {
    ["1005", "1006"].map(|number| Phone::register(site, number, "ring"))
}

/// No call has begun.
pub(crate) fn nobody_rings(idle: &[Phone; 2]) {
    assert!(idle.iter().all(Phone::has_not_rung), "a phone was rung for a call that was refused");
}

/// The answer to a REGISTER of this extension, with a device at `at`.
pub(crate) fn registered(site: &Site, number: &str, at: SocketAddr) -> SipText {
    let extension = Extension::new(number, "");
    Registration::new(Transport::Udp, at, site.sip(), extension.credentials()).register(600)
}

/// A call in which both talk.
pub(crate) struct Talk {
    pub(crate) call: String,
    pub(crate) from: Phone,
    pub(crate) to: Phone,
    _sound: [Talking; 2],
}

impl Talk {
    pub(crate) fn begin(site: &Site, from: &str, to: &str) -> Self {
        let phones = [from, to].map(|number| Phone::register(site, number, "answer"));
        let call = site.place(from, to);
        let _sound = phones.each_ref().map(|phone| {
            let invite = phone.sipp.received("INVITE", SOON).message;
            phone.audio.talk(invite.audio_address().expect("an offer of audio"), 600.0)
        });
        site.api().wait_for_event(&call, "call.talking", SOON);
        let [from, to] = phones;
        Self { call, from, to, _sound }
    }

    /// It is hung up by the API: both phones are told, and the API shows it.
    pub(crate) fn hang_up(&mut self, site: &Site) {
        site.hang_up(&self.call);
        self.both_are_told();
        assert_eq!(site.end_of(&self.call), "hung_up");
    }

    /// Both phones get a BYE.
    pub(crate) fn both_are_told(&mut self) {
        self.from.sipp.succeeds(SOON);
        self.to.sipp.succeeds(SOON);
    }
}
