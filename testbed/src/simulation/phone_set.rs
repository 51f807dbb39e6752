//! What is plugged in: a whole phone, or one whose part the story plays.

use super::ByHand;
use sip_core::Flow;
use std::net::SocketAddr;
use std::time::Instant;
use test_phone::{Command, Handset, HandsetOutput};

#[expect(clippy::large_enum_variant, reason = "a world has a handful of them")]
pub(super) enum PhoneSet {
    Whole(Handset),
    ByHand(ByHand),
}

impl PhoneSet {
    pub(super) fn handle_sip(&mut self, octets: &[u8], flow: Flow, now: Instant) {
        match self {
            Self::Whole(handset) => handset.handle_sip(octets, flow, now),
            Self::ByHand(phone) => phone.handle_sip(octets, now),
        }
    }

    pub(super) fn handle_rtp(&mut self, octets: &[u8], from: SocketAddr, now: Instant) {
        match self {
            Self::Whole(handset) => handset.handle_rtp(octets, from, now),
            Self::ByHand(phone) => phone.handle_rtp(octets, from, now),
        }
    }

    /// A phone played by hand has no keys.
    pub(super) fn handle_command(&mut self, key: &Command, now: Instant) {
        match self {
            Self::Whole(handset) => handset.handle_command(key, now),
            Self::ByHand(_) => {}
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        match self {
            Self::Whole(handset) => handset.handle_timeout(now),
            Self::ByHand(phone) => phone.handle_timeout(now),
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        match self {
            Self::Whole(handset) => handset.poll_timeout(),
            Self::ByHand(phone) => phone.poll_timeout(),
        }
    }

    pub(super) fn poll_output(&mut self) -> Option<HandsetOutput> {
        match self {
            Self::Whole(handset) => handset.poll_output(),
            Self::ByHand(phone) => phone.poll_output(),
        }
    }
}
