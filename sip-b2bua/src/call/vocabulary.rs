//! What a call is told, and what it wants done.

use crate::leg::Information;
use call_control::{CallEventKind, Party, Timestamp};
use media_relay::{Description, Side, Sound};
use sip_core::{InviteId, NewInvite, Responder};
use sip_message::{Reason, StatusCode};
use std::time::{Duration, Instant};

/// The present: the monotonic clock for timers, the wall clock for what people read.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// Of the monotonic clock.
    pub now: Instant,
    /// Milliseconds since 1970.
    pub unix_milliseconds: i64,
}

impl Moment {
    /// What the wall clock showed at an earlier moment, in milliseconds since 1970.
    pub(crate) fn wall_clock_at(self, earlier: Instant) -> i64 {
        let ago = self.now.saturating_duration_since(earlier).as_millis();
        self.unix_milliseconds.saturating_sub(i64::try_from(ago).unwrap_or(i64::MAX))
    }

    pub(crate) fn timestamp(self) -> Option<Timestamp> {
        Timestamp::from_unix_milliseconds(self.unix_milliseconds)
    }
}

/// What a call wants done, in order.
#[derive(Debug)]
pub(crate) enum Effect {
    /// Which phones to ring is asked for only now: some may have come or gone since the call began.
    Ring(Party),
    Invite {
        party: Party,
        fork: usize,
        invite: Box<NewInvite>,
    },
    HangUp {
        invite: InviteId,
        reason: Option<Reason>,
    },
    AnswerOffer {
        invite: InviteId,
        body: Vec<u8>,
    },
    RefuseOffer {
        invite: InviteId,
        status: StatusCode,
    },
    Offer {
        invite: InviteId,
        body: Vec<u8>,
    },
    Respond {
        responder: Responder,
        status: StatusCode,
    },
    /// Send an INFO.
    Inform {
        invite: InviteId,
        information: Information,
    },
    Relay(RelayAction),
    /// The view changed, and this happened.
    Happened {
        event: CallEventKind,
        party: Option<Party>,
    },
    /// The view changed.
    Changed,
    /// Both legs are over, the figures are in: the view is the record.
    Over,
}

/// What is asked of the relay session of the call.
#[derive(Debug, Clone, PartialEq)]
pub enum RelayAction {
    /// Say what was agreed with a side.
    Describe(Side, Description),
    /// Play to a side.
    Play(Side, Sound),
    /// Let the other side hear this one already.
    Listen(Side),
    /// Let both sides hear each other.
    Connect,
    /// Ask for the figures.
    Report,
    /// Close; figures come back.
    Close,
}

/// How long things may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CallLimits {
    pub(crate) no_answer: [Duration; 2],
    pub(crate) max_duration: Option<Duration>,
}

/// The side of the relay session that faces a party.
pub(crate) const fn side(party: Party) -> Side {
    match party {
        Party::From => Side::One,
        Party::To => Side::Two,
    }
}

/// The party that a side of the relay session faces.
pub(crate) const fn party(side: Side) -> Party {
    match side {
        Side::One => Party::From,
        Side::Two => Party::To,
    }
}
