//! The INVITE usage of a dialog (RFC 3261 §9, §13 to §15; RFC 5057): from the INVITE to the BYE.
//!
//! Three machines follow each other: [`Outgoing`] or [`Incoming`] until the INVITE is answered, then
//! [`Established`]. They decide; the endpoint writes the messages that their [`Action`]s ask for.
//!
//! The tables of [`Outgoing`], [`Incoming`] and [`Established`] say what each event does in each state, and which test
//! shows it. The race conditions of RFC 5407 §3, each with its tests in `tests/race_conditions.rs`:
//!
//! | flow | what happens | tests |
//! |---|---|---|
//! | §3.1.1 | Callee Receives Initial INVITE Retransmission (Preparative State) While in the Moratorium State | `s3_1_1_the_callee_answers_a_copy_of_the_invite_by_its_2xx_only`, `s3_1_1_the_caller_acknowledges_each_copy_of_the_2xx` |
//! | §3.1.2 | Callee Receives CANCEL (Early State) While in the Moratorium State | `s3_1_2_the_callee_stands_by_its_2xx_when_the_cancel_comes_late`, `s3_1_2_the_caller_acknowledges_and_hangs_up_what_crossed_its_cancel` |
//! | §3.1.3 | Callee Receives BYE (Early State) While in the Moratorium State | `s3_1_3_the_callee_ends_on_a_bye_of_the_early_dialog`, `s3_1_3_the_caller_sends_no_bye_in_an_early_dialog` |
//! | §3.1.4 | Callee Receives re-INVITE (Established State) While in the Moratorium State (Case 1) | `s3_1_4_the_callee_takes_a_re_invite_before_the_ack_when_the_session_is_agreed` |
//! | §3.1.5 | Callee Receives re-INVITE (Established State) While in the Moratorium State (Case 2) | `s3_1_5_the_callee_refuses_a_re_invite_before_the_ack_that_brings_the_answer`, `s3_1_5_the_caller_offers_again_what_came_before_its_ack` |
//! | §3.1.6 | Callee Receives BYE (Established State) While in the Moratorium State | `s3_1_6_the_callee_ends_on_a_bye_that_overtakes_the_ack`, `s3_1_6_the_caller_acknowledges_a_copy_of_the_2xx_behind_its_bye` |
//! | §3.2.1 | UA Receives BYE (Established State) While in the Mortal State | `s3_2_1_byes_that_cross_are_both_answered` |
//! | §3.2.2 | UA Receives re-INVITE (Established State) While in the Mortal State | `s3_2_2_a_re_invite_that_crosses_our_bye_finds_no_dialog`, `s3_2_2_our_re_invite_that_the_bye_of_the_peer_crossed_is_told_481_and_acknowledged` |
//! | §3.2.3 | UA Receives 200 OK for re-INVITE (Established State) While in the Mortal State | `s3_2_3_a_2xx_to_our_re_invite_is_acknowledged_behind_a_bye_of_either_side` |
//! | §3.2.4 | Callee Receives ACK (Moratorium State) While in the Mortal State | `s3_2_4_the_callee_absorbs_an_ack_that_comes_behind_the_bye`, `s3_2_4_the_callee_holds_its_bye_back_until_the_ack` |
//! | §3.3.1 | re-INVITE Crossover | `s3_3_1_re_invites_that_cross_are_both_refused_and_both_come_again` |
//! | §3.3.2 | UPDATE and re-INVITE Crossover | `s3_3_2_an_update_with_an_offer_that_crosses_our_re_invite_is_refused`, `s3_3_2_our_update_without_an_offer_and_a_re_invite_pass_each_other` |
//! | §3.3.3 | Receiving REFER (Established State) While in the Mortal State | `s3_3_3_a_refer_that_crosses_our_bye_finds_no_dialog` |

mod established;
mod incoming;
mod outgoing;

pub(crate) use established::{Agreement, Established, Event as EstablishedEvent, Held, Offered, Refresher};
pub(crate) use incoming::{Event as IncomingEvent, Incoming};
pub(crate) use outgoing::{Event as OutgoingEvent, Outgoing};

use crate::InviteEvent;
use crate::authentication::Retry;
use crate::endpoint::TransactionId;
use crate::{Gone, GoneCause, Timers};
use sip_message::{FieldName, Reason, Response, StatusCode};
use std::time::Duration;

/// What a usage wants done.
#[derive(Debug)]
pub(crate) enum Action {
    /// For the user. [`InviteEvent::Gone`] is the last of these.
    Emit(InviteEvent),
    /// Our INVITE once more, with credentials or a longer session interval.
    Retry(Box<Retry>),
    /// A reliable provisional response is acknowledged (RFC 3262 §4).
    Prack { response: Box<Response>, rseq: u32 },
    /// CANCEL our INVITE (RFC 3261 §9.1).
    Cancel(Option<Reason>),
    /// No final response to our INVITE or re-INVITE is awaited any longer (RFC 3261 §9.1).
    Abandon,
    /// Our INVITE was answered: the dialog stands. With `ending` it is acknowledged and torn down.
    Establish { response: Box<Response>, ending: Option<Ending> },
    /// Our answer to the INVITE: the dialog stands, the 2xx is to be repeated. Without a body when a reliable
    /// provisional response brought the session.
    Accept { body: Option<Vec<u8>> },
    /// A response to a request that waits.
    Respond { transaction: TransactionId, answer: Answer },
    /// The last provisional response, once more (RFC 3262 §3).
    RepeatProvisional,
    /// The 2xx whose ACK is awaited, once more.
    RepeatAccepted,
    /// The ACK of the 2xx, with the answer when the 2xx made the offer.
    Acknowledge { body: Option<Vec<u8>> },
    /// A re-INVITE with an offer; without one of the user, with the session as it is (RFC 4028 §7.4).
    Reinvite { body: Option<Vec<u8>> },
    /// An UPDATE without an offer.
    Update,
    /// An OPTIONS, to see whether the peer is still there.
    Probe,
    /// BYE, with or without interest in its outcome.
    Bye { reason: Option<Reason>, watched: bool },
}

/// How a waiting request is answered.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// 200 with a session description, to INVITE or UPDATE; without one when there is one already.
    Session(Option<Vec<u8>>),
    /// A status, with fields that go with it.
    Status { status: StatusCode, fields: Vec<(FieldName, Box<str>)> },
    /// A provisional response above 100, reliable with an RSeq (RFC 3262 §3).
    Progress { status: StatusCode, body: Option<Vec<u8>>, rseq: Option<u32> },
    /// 500 with a Retry-After of 0 to 10 s (RFC 3261 §14.2).
    RetryLater,
}

impl Answer {
    pub(crate) fn status(status: StatusCode) -> Self {
        Self::Status { status, fields: Vec::new() }
    }
}

/// Why a usage that is to end will be gone.
#[derive(Debug, Clone)]
pub(crate) struct Ending {
    pub(crate) cause: GoneCause,
    pub(crate) reason: Option<Reason>,
}

impl Ending {
    pub(crate) fn new(cause: GoneCause, reason: Option<Reason>) -> Self {
        Self { cause, reason }
    }

    fn gone(self) -> Action {
        Action::Emit(InviteEvent::Gone(Gone { cause: self.cause, reason: self.reason, response: None }))
    }
}

/// How long the far side may take: 64*T1 (RFC 3261 §9.1, §13.3.1.4).
fn patience(timers: Timers) -> Duration {
    timers.t1 * 64
}
