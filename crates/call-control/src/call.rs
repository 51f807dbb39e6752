//! A call as the API shows it.

use crate::{CallerId, End, EndReason, EndedBy, Number, VariableName, VariableValue};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use time::OffsetDateTime;

/// The id of a call: a UUID of version 7 (RFC 9562 §5.7), so that ids sort by time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CallId(uuid::Uuid);

impl CallId {
    /// From the wall clock and ten random octets.
    pub fn new(unix_milliseconds: u64, random: &[u8; 10]) -> Self {
        Self(uuid::Builder::from_unix_timestamp_millis(unix_milliseconds, random).into_uuid())
    }
}

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl FromStr for CallId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        uuid::Uuid::parse_str(text).map(Self)
    }
}

/// A moment of the wall clock, printed as RFC 3339 in UTC with milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(OffsetDateTime);

impl Timestamp {
    /// From milliseconds since 1970; `None` past the year 9999.
    pub fn from_unix_milliseconds(milliseconds: i64) -> Option<Self> {
        OffsetDateTime::from_unix_timestamp_nanos(i128::from(milliseconds) * 1_000_000).ok().map(Self)
    }

    /// Milliseconds since 1970.
    pub fn unix_milliseconds(self) -> i64 {
        self.0.unix_timestamp() * 1000 + i64::from(self.0.millisecond())
    }
}

/// The text is no moment of the years 0 to 9999.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a moment such as 2026-11-22T10:00:00Z")]
pub struct TimestampError;

impl FromStr for Timestamp {
    type Err = TimestampError;

    /// Reads RFC 3339, with any offset.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        OffsetDateTime::parse(text, &time::format_description::well_known::Rfc3339)
            .ok()
            .and_then(|moment| moment.checked_to_offset(time::UtcOffset::UTC))
            .map(Self)
            .ok_or(TimestampError)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let t = self.0;
        write!(
            f,
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
            t.year(),
            u8::from(t.month()),
            t.day(),
            t.hour(),
            t.minute(),
            t.second(),
            t.millisecond()
        )
    }
}

impl Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// One of the two parties of a call. Neither is the caller: both are called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Party {
    /// Rung first.
    From,
    /// Called when `from` has answered.
    To,
}

impl Party {
    /// The one at the far end.
    pub const fn other(self) -> Self {
        match self {
            Self::From => Self::To,
            Self::To => Self::From,
        }
    }
}

/// Where a call stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallState {
    /// `from` is being rung.
    CallingFrom,
    /// `from` answered, `to` is being rung.
    CallingTo,
    /// Both answered; their media is connected.
    Connected,
    /// Audio has arrived from both sides.
    Talking,
    /// Over.
    Ended,
}

/// Where one party stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PartyState {
    /// Not called yet.
    Waiting,
    /// INVITE sent.
    Calling,
    /// A 18x came.
    Ringing,
    /// A 2xx came.
    Answered,
    /// Its leg is over.
    Gone,
}

/// What a number stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PartyType {
    /// A phone of ours that registers.
    Extension,
    /// A queue of agents.
    Queue,
    /// A menu.
    Ivr,
    /// An agent behind a WebSocket.
    AiAgent,
    /// A number of the outside world, over a trunk.
    External,
}

/// A party in the call object.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PartyView {
    /// As it was asked for.
    pub number: Number,
    /// What the number stands for.
    #[serde(rename = "type")]
    pub party_type: PartyType,
    /// Where it stands.
    pub state: PartyState,
    /// First 18x.
    pub ringing_at: Option<Timestamp>,
    /// The 2xx.
    pub answered_at: Option<Timestamp>,
    /// End of its leg.
    pub ended_at: Option<Timestamp>,
    /// Call-ID of its dialog.
    pub sip_call_id: Option<String>,
    /// The last SIP status it answered with.
    pub sip_status: Option<u16>,
    /// What its audio was like; `null` before it answered.
    pub media: Option<Media>,
}

impl PartyView {
    /// A party that has not been called yet.
    pub const fn waiting(number: Number, party_type: PartyType) -> Self {
        Self {
            number,
            party_type,
            state: PartyState::Waiting,
            ringing_at: None,
            answered_at: None,
            ended_at: None,
            sip_call_id: None,
            sip_status: None,
            media: None,
        }
    }
}

/// The audio that came from a party.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Media {
    /// Encoding name (RFC 3551), such as `PCMU`.
    pub codec: String,
    /// RTP packets.
    pub packets_received: u64,
    /// RTP packets that were expected and did not come (RFC 3550 A.3).
    pub packets_lost: u64,
    /// Interarrival jitter (RFC 3550 A.8), milliseconds.
    pub jitter_ms: f64,
    /// How a listener would judge it: a mean opinion score by the E-model (ITU-T G.107), 1 to 4.5. Absent before
    /// anything came.
    pub mos: Option<f64>,
    /// From the 2xx to the first RTP packet, milliseconds.
    pub first_packet_ms_after_answer: Option<u64>,
}

/// A call: the resource of the API, the body of events, the record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Call {
    /// Its id.
    pub call_id: CallId,
    /// Where it stands.
    pub state: CallState,
    /// Who is rung first.
    pub from: PartyView,
    /// Who is called then.
    pub to: PartyView,
    /// Shown to `to`.
    pub caller_id: Option<CallerId>,
    /// As they were given.
    pub variables: BTreeMap<VariableName, VariableValue>,
    /// The request came.
    pub created_at: Timestamp,
    /// Both had answered.
    pub connected_at: Option<Timestamp>,
    /// Both legs were over.
    pub ended_at: Option<Timestamp>,
    /// Why it ended; `null` while it runs.
    pub end: Option<End>,
}

impl Call {
    /// The view of one party.
    pub const fn party(&self, party: Party) -> &PartyView {
        match party {
            Party::From => &self.from,
            Party::To => &self.to,
        }
    }

    /// The call, ended by a fault of the server, which says nothing of the parties.
    #[must_use]
    pub fn broken_off(mut self, reason: EndReason, at: Timestamp) -> Self {
        for party in [Party::From, Party::To] {
            let view = self.party_mut(party);
            match view.state {
                PartyState::Waiting | PartyState::Gone => {}
                PartyState::Calling | PartyState::Ringing | PartyState::Answered => {
                    view.state = PartyState::Gone;
                    view.ended_at = Some(at);
                }
            }
        }
        self.state = CallState::Ended;
        self.ended_at = Some(at);
        self.end = Some(End {
            reason,
            by: EndedBy::Server,
            party: None,
            sip_status: None,
            // Temporary failure.
            q850_cause: Some(41),
        });
        self
    }

    /// The view of one party, to be changed.
    pub const fn party_mut(&mut self, party: Party) -> &mut PartyView {
        match party {
            Party::From => &mut self.from,
            Party::To => &mut self.to,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_is_rfc_3339_with_milliseconds_and_reads_back() {
        let moment = Timestamp::from_unix_milliseconds(1_795_255_200_007).unwrap();
        assert_eq!(moment.to_string(), "2026-11-21T10:00:00.007Z");
        let json = serde_json::to_string(&moment).unwrap();
        assert_eq!(serde_json::from_str::<Timestamp>(&json).unwrap(), moment);
        assert_eq!(moment.unix_milliseconds(), 1_795_255_200_007);
        assert_eq!("2026-11-21T15:30:00.007+05:30".parse::<Timestamp>().unwrap(), moment);
        for bad in ["", "2026-11-21", "2026-13-21T10:00:00Z", "9999-12-31T23:59:59-01:00"] {
            assert_eq!(bad.parse::<Timestamp>(), Err(TimestampError), "{bad}");
        }
    }

    #[test]
    fn call_ids_sort_by_time_and_read_back() {
        let (early, late) = (CallId::new(1, &[255; 10]), CallId::new(2, &[0; 10]));
        assert!(early < late);
        assert_eq!(early.to_string().parse::<CallId>().unwrap(), early);
    }
}
