//! What is plugged in: a whole phone, one whose part the story plays, or one that says what no proper stack says.

use super::{ByHand, Carrier, RawPhone};
use sip_core::Flow;
use std::net::SocketAddr;
use std::time::Instant;
use test_phone::{Command, Handset, HandsetAction};

#[expect(clippy::large_enum_variant, reason = "a world has a handful of them")]
pub(super) enum PhoneSet {
    Whole(Handset),
    ByHand(ByHand),
    /// The handset registers; `raw` takes everything else.
    Raw {
        handset: Handset,
        raw: RawPhone,
        flow: Flow,
    },
    /// What a carrier has: nobody registers it.
    Gateway {
        carrier: Carrier,
        flow: Flow,
    },
}

impl PhoneSet {
    /// The phone that says what no proper stack says, if there is one.
    pub(super) const fn raw(&self) -> Option<&RawPhone> {
        match self {
            Self::Raw { raw, .. } => Some(raw),
            Self::Gateway { carrier, .. } => Some(&carrier.calls),
            Self::Whole(_) | Self::ByHand(_) => None,
        }
    }

    pub(super) const fn registers(&self) -> bool {
        match self {
            Self::Whole(_) | Self::Raw { .. } => true,
            Self::ByHand(phone) => phone.registers(),
            Self::Gateway { .. } => false,
        }
    }

    pub(super) fn handle_sip(&mut self, octets: &[u8], flow: Flow, now: Instant) {
        match self {
            Self::Whole(handset) => handset.handle_sip(octets, flow, now),
            Self::ByHand(phone) => phone.handle_sip(octets, now),
            Self::Raw { handset, raw, .. } => {
                if !raw.handle_sip(octets, now) {
                    handset.handle_sip(octets, flow, now);
                }
            }
            Self::Gateway { carrier, .. } => carrier.handle_sip(octets, now),
        }
    }

    pub(super) fn handle_rtp(&mut self, octets: &[u8], from: SocketAddr, now: Instant) {
        match self {
            Self::Whole(handset) => handset.handle_rtp(octets, from, now),
            Self::ByHand(phone) => phone.handle_rtp(octets, from, now),
            Self::Raw { handset, .. } => handset.handle_rtp(octets, from, now),
            Self::Gateway { .. } => {}
        }
    }

    /// A phone played by hand has no keys.
    pub(super) fn handle_command(&mut self, key: &Command, now: Instant) {
        match self {
            Self::Whole(handset) | Self::Raw { handset, .. } => handset.handle_command(key, now),
            Self::ByHand(_) | Self::Gateway { .. } => {}
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        match self {
            Self::Whole(handset) => handset.handle_timeout(now),
            Self::ByHand(phone) => phone.handle_timeout(now),
            Self::Gateway { carrier, .. } => carrier.calls.handle_timeout(now),
            Self::Raw { handset, raw, .. } => {
                if handset.poll_timeout().is_some_and(|due| due <= now) {
                    handset.handle_timeout(now);
                }
                if raw.poll_timeout().is_some_and(|due| due <= now) {
                    raw.handle_timeout(now);
                }
            }
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        match self {
            Self::Whole(handset) => handset.poll_timeout(),
            Self::ByHand(phone) => phone.poll_timeout(),
            Self::Gateway { carrier, .. } => carrier.calls.poll_timeout(),
            Self::Raw { handset, raw, .. } => {
                handset.poll_timeout().into_iter().chain(raw.poll_timeout()).min()
            }
        }
    }

    pub(super) fn poll_action(&mut self) -> Option<HandsetAction> {
        match self {
            Self::Whole(handset) => handset.poll_action(),
            Self::ByHand(phone) => phone.poll_action(),
            Self::Gateway { carrier, flow } => {
                carrier.poll_output().map(|octets| HandsetAction::Sip { flow: *flow, octets })
            }
            Self::Raw { handset, raw, flow } => {
                let said = raw.poll_output().map(|octets| HandsetAction::Sip { flow: *flow, octets });
                said.or_else(|| handset.poll_action().map(|action| as_it_registers(action, raw)))
            }
        }
    }
}

/// The handset beside a raw phone says nothing but REGISTER.
fn as_it_registers(action: HandsetAction, raw: &RawPhone) -> HandsetAction {
    match action {
        HandsetAction::Sip { flow, octets } => HandsetAction::Sip { flow, octets: raw.registers(&octets) },
        other @ (HandsetAction::Rtp { .. } | HandsetAction::Report(_) | HandsetAction::CallMedia(_)) => other,
    }
}
