//! A call as the API shows it.

use crate::{
    CallerId, Disposition, End, EndReason, EndedBy, Number, Reached, Step, VariableName, VariableValue,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
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
    /// Who it is now: the number that a forward or a transfer has led to. Absent while it is the one that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reached: Option<Reached>,
    /// The trunk through which it is reached, for a number outside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trunk: Option<Box<str>>,
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
            reached: None,
            trunk: None,
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
    /// RTP packets that came from elsewhere than the phone, and were turned away.
    #[serde(default)]
    pub packets_from_strangers: u64,
    /// From where these came: the first addresses of them, at most four.
    #[serde(default)]
    pub strangers: Vec<IpAddr>,
    /// RTP packets of a payload type that was not agreed, among those received: they were not passed on.
    #[serde(default)]
    pub packets_not_agreed: u64,
    /// Interarrival jitter (RFC 3550 A.8), milliseconds.
    pub jitter_ms: f64,
    /// How a listener would judge it: a mean opinion score by the E-model (ITU-T G.107), 1 to 4.5. Absent before
    /// anything came.
    pub mos: Option<f64>,
    /// From the 2xx to the first RTP packet, milliseconds.
    pub first_packet_ms_after_answer: Option<u64>,
}

/// Who of a call is outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallDirection {
    /// Nobody: both parties are extensions, or what the server itself offers to them.
    Internal,
    /// Somebody outside was called.
    Outbound,
    /// Somebody outside called in.
    Inbound,
}

impl CallDirection {
    /// The word, such as `internal`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Internal => "internal",
            Self::Outbound => "outbound",
            Self::Inbound => "inbound",
        }
    }

    /// That of a call that was asked for here, of parties of these kinds.
    pub fn of_parties(parties: [PartyType; 2]) -> Self {
        if parties.contains(&PartyType::External) { Self::Outbound } else { Self::Internal }
    }
}

/// A call: the resource of the API, the body of events, the record. Its JSON has `disposition` beside these fields.
#[derive(Debug, Clone, PartialEq, Deserialize)]
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
    /// Who is outside.
    pub direction: CallDirection,
    /// From the request to the end, or until now; of the monotonic clock, as all seconds here, to the millisecond.
    pub duration_seconds: f64,
    /// How long `to` was rung: from its first INVITE until it answered or was given up, or until now.
    pub ring_seconds: f64,
    /// From the connection to the end, or until now; 0 before.
    pub talk_seconds: f64,
    /// What it went through beyond its two parties, in order: holds, forwards, transfers. At most [`STEPS_MAX`](crate::STEPS_MAX).
    #[serde(default)]
    pub path: Vec<Step>,
    /// The request came.
    pub created_at: Timestamp,
    /// Both had answered.
    pub connected_at: Option<Timestamp>,
    /// Both legs were over.
    pub ended_at: Option<Timestamp>,
    /// Why it ended; `null` while it runs.
    pub end: Option<End>,
}

/// The JSON of a call.
#[derive(Serialize)]
struct Shown<'a> {
    call_id: CallId,
    state: CallState,
    from: &'a PartyView,
    to: &'a PartyView,
    caller_id: &'a Option<CallerId>,
    variables: &'a BTreeMap<VariableName, VariableValue>,
    direction: CallDirection,
    disposition: Disposition,
    duration_seconds: f64,
    ring_seconds: f64,
    talk_seconds: f64,
    path: &'a [Step],
    created_at: Timestamp,
    connected_at: Option<Timestamp>,
    ended_at: Option<Timestamp>,
    end: &'a Option<End>,
}

impl Serialize for Call {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let shown = Shown {
            call_id: self.call_id,
            state: self.state,
            from: &self.from,
            to: &self.to,
            caller_id: &self.caller_id,
            variables: &self.variables,
            direction: self.direction,
            disposition: Disposition::of(self),
            duration_seconds: self.duration_seconds,
            ring_seconds: self.ring_seconds,
            talk_seconds: self.talk_seconds,
            path: &self.path,
            created_at: self.created_at,
            connected_at: self.connected_at,
            ended_at: self.ended_at,
            end: &self.end,
        };
        shown.serialize(serializer)
    }
}

impl Call {
    /// A call that begins now, with parties that have not been called yet.
    pub fn beginning(
        call_id: CallId,
        parties: [PartyView; 2],
        direction: CallDirection,
        created_at: Timestamp,
    ) -> Self {
        let [from, to] = parties;
        Self {
            call_id,
            state: CallState::CallingFrom,
            from,
            to,
            caller_id: None,
            variables: BTreeMap::new(),
            direction,
            duration_seconds: 0.0,
            ring_seconds: 0.0,
            talk_seconds: 0.0,
            path: Vec::new(),
            created_at,
            connected_at: None,
            ended_at: None,
            end: None,
        }
    }

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
            into: None,
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
