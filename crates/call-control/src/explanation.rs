//! What a call was like, in words.

use crate::{CallId, LadderMessage, Party};
use serde::{Deserialize, Serialize};

/// What is to be said of a call; the most telling comes first, and there is always something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// Of this call.
    pub call_id: CallId,
    /// What was found.
    pub findings: Vec<Finding>,
}

/// One thing that is to be said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What it is, for programs.
    pub code: FindingCode,
    /// How much it matters.
    pub severity: Severity,
    /// Whom it is about, when it is one of the two.
    pub party: Option<Party>,
    /// What happened, and what can be done about it, for people.
    pub sentence: String,
    /// The messages that show it.
    pub evidence: Vec<LadderMessage>,
}

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The call failed by it, or was bad.
    Fault,
    /// Worth a look; the call went on.
    Hint,
    /// As it should be.
    Fine,
}

/// What can be found: the closed list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingCode {
    /// It went as it should.
    WentWell,
    /// Nothing is wrong until now.
    Running,
    /// Somebody ended it before both had answered.
    Cancelled,
    /// A phone says that its user is busy.
    Busy,
    /// A user declined.
    Declined,
    /// A phone refused with another status.
    Refused,
    /// A phone sends elsewhere.
    Redirected,
    /// A phone asks us for a password.
    Challenged,
    /// A phone rang and was not answered.
    NoAnswer,
    /// A phone gave no sign of life.
    Unreachable,
    /// There is no codec that both sides know.
    NoCommonCodec,
    /// The audio was transcoded.
    Transcoded,
    /// A session description names an address that is not reached from elsewhere.
    PrivateAddress,
    /// A phone never acknowledged our answer.
    AckMissing,
    /// Our ACK did not reach a phone.
    AckNotHeard,
    /// No audio came from one party.
    OneWayAudio,
    /// No audio came from either.
    NoAudio,
    /// Audio came from elsewhere than the phone.
    Strangers,
    /// A phone sent what was not agreed.
    NotAgreed,
    /// A session description cannot be read.
    DescriptionUnreadable,
    /// Much of the audio was lost or came late.
    PoorAudio,
    /// A party held the call.
    Held,
    /// The audio of a party stopped.
    MediaTimeout,
    /// A phone did not confirm that the call still stands.
    SessionExpired,
    /// It lasted as long as it may.
    MaxDuration,
    /// No trunk took it.
    TrunkFailed,
    /// The number may not be dialled.
    PolicyDenied,
    /// No channel of a trunk was free.
    LimitReached,
    /// Destinations lead in a circle.
    LoopDetected,
    /// It went into another call.
    Transferred,
    /// Nobody took the place of whoever transferred it and hung up.
    TransferFailed,
    /// The server was told to stop.
    ServerStopped,
    /// The server died.
    ServerCrashed,
    /// A fault of the server.
    InternalError,
    /// The messages are not there, or not all of them: there may be more to say.
    MessagesMissing,
}
