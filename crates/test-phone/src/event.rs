//! What happens to a phone, for those who watch it.

use crate::{Figures, Outcome};
use serde::Serialize;
use sip_core::GoneCause;
use std::collections::BTreeMap;
use std::time::SystemTime;
use time::OffsetDateTime;

/// Something happened.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum PhoneEvent {
    /// The registrar said yes.
    Registered {
        /// Until then, in seconds.
        expires: u64,
        /// True when it was registered before.
        refreshed: bool,
    },
    /// The registrar said no, or nothing.
    RegisterFailed {
        /// Its final status; absent when there was none.
        status: Option<u16>,
        /// For people.
        reason: String,
    },
    /// The registration was removed.
    Unregistered,
    /// An INVITE came in.
    Incoming {
        /// User part of From: the number shown.
        number: String,
        /// Display name of From.
        name: Option<String>,
        /// Call-ID.
        call_id: String,
        /// Encoding names that were offered, in order.
        codecs: Vec<String>,
        /// Asks to be answered at once.
        auto_answer: bool,
        /// Header fields that begin with `X-`, and others that say something about the caller.
        fields: BTreeMap<String, String>,
    },
    /// An INVITE was sent.
    Calling {
        /// The number.
        number: String,
        /// Call-ID.
        call_id: String,
    },
    /// We ring (a call that comes in), or the other side does.
    Ringing {
        /// 180, 183 …
        status: u16,
        /// Audio can be heard already.
        early_media: bool,
    },
    /// We answered, or the other side did.
    Answered {
        /// Codec that was agreed, when it is known yet.
        codec: Option<&'static str>,
    },
    /// The ACK came, or was sent.
    Confirmed,
    /// The first packet of audio of the call.
    FirstAudio {
        /// Milliseconds after the answer; absent when it came before.
        ms_after_answer: Option<u64>,
    },
    /// A digit came in as telephone event.
    Dtmf {
        /// One of `0123456789*#ABCD`.
        digit: char,
    },
    /// Digits are being sent.
    DtmfSent {
        /// The digits.
        digits: String,
    },
    /// The call is on hold.
    Held {
        /// Who put it there.
        by: HeldBy,
    },
    /// The call goes on.
    Resumed {
        /// Who held it.
        by: HeldBy,
    },
    /// Our hold or resume was refused; the call goes on as it was.
    ReofferRefused {
        /// The final status.
        status: u16,
    },
    /// A request came in the dialog (INFO, MESSAGE) and was answered with 200.
    Requested {
        /// The method.
        method: String,
        /// What its body is.
        content_type: Option<String>,
        /// The body, as far as it is text.
        body: String,
    },
    /// A call came in while there was one already: 486.
    Refused {
        /// The number shown.
        number: String,
    },
    /// The call is over.
    Ended {
        /// Why.
        #[serde(flatten)]
        cause: EndCause,
        /// The Reason header field as it would be printed (RFC 3326).
        reason: Option<String>,
    },
    /// The audio of the call that ended.
    Media(Figures),
    /// The script has ended.
    Finished(Outcome),
}

/// Who put a call on hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum HeldBy {
    /// This phone.
    Us,
    /// The other side.
    Peer,
}

/// Why a call is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "cause", rename_all = "snake_case")]
pub enum EndCause {
    /// The other side hung up.
    HungUpByPeer,
    /// We hung up.
    HungUp,
    /// We refused a call that came in.
    Rejected,
    /// The other side refused our call.
    Refused {
        /// Its final status.
        status: u16,
    },
    /// The other side gave up before we answered.
    CancelledByPeer,
    /// We gave up before the other side answered.
    Cancelled,
    /// Nobody answered our INVITE.
    TimedOut,
    /// Our INVITE could not be sent.
    Unreachable,
    /// Our answer was never acknowledged.
    NoAck,
    /// The dialog was unknown to the other side, or its session timer ran out.
    SessionExpired,
}

impl From<GoneCause> for EndCause {
    fn from(cause: GoneCause) -> Self {
        match cause {
            GoneCause::Refused { status } => Self::Refused { status: status.code() },
            GoneCause::TimedOut => Self::TimedOut,
            GoneCause::Unreachable => Self::Unreachable,
            GoneCause::Cancelled => Self::Cancelled,
            GoneCause::CancelledByPeer => Self::CancelledByPeer,
            GoneCause::Rejected => Self::Rejected,
            GoneCause::HungUpByPeer => Self::HungUpByPeer,
            // A phone saves nothing that it could be told to end.
            GoneCause::HungUp | GoneCause::NothingToEnd => Self::HungUp,
            GoneCause::NoAck => Self::NoAck,
            GoneCause::SessionExpired => Self::SessionExpired,
        }
    }
}

/// An event and when it happened.
#[derive(Debug, Clone)]
pub struct Report {
    /// By the wall clock.
    pub at: SystemTime,
    /// What happened.
    pub event: PhoneEvent,
}

impl Report {
    /// One line of JSON without its end: `{"at":"2026-11-22T10:00:00.000Z","event":"registered",…}`.
    pub fn to_json(&self) -> String {
        let line = Line { at: timestamp(self.at), event: &self.event };
        serde_json::to_string(&line).expect("an event has string keys and finite numbers")
    }
}

#[derive(Serialize)]
struct Line<'a> {
    at: String,
    #[serde(flatten)]
    event: &'a PhoneEvent,
}

/// RFC 3339 in UTC with milliseconds.
fn timestamp(at: SystemTime) -> String {
    let at = OffsetDateTime::from(at);
    let (year, month, day) = at.to_calendar_date();
    let (hour, minute, second, millisecond) = at.to_hms_milli();
    format!("{year:04}-{:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millisecond:03}Z", u8::from(month))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn an_event_is_one_line_of_json_that_begins_with_its_moment() {
        let at = SystemTime::UNIX_EPOCH + Duration::from_millis(1_795_255_200_007);
        let ended = PhoneEvent::Ended { cause: EndCause::Refused { status: 486 }, reason: None };
        assert_eq!(
            Report { at, event: ended }.to_json(),
            r#"{"at":"2026-11-21T10:00:00.007Z","event":"ended","cause":"refused","status":486,"reason":null}"#
        );
    }

    #[test]
    fn text_of_strangers_cannot_end_the_line() {
        let event = PhoneEvent::Refused { number: "1\r\n{}\u{2028}".to_owned() };
        let line = Report { at: SystemTime::UNIX_EPOCH, event }.to_json();
        assert!(!line.contains(['\r', '\n']), "{line}");
    }
}
