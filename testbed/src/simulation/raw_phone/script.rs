//! What a raw phone is told.

use super::super::seconds;
use super::habits::Habits;
use std::time::Duration;

/// How a raw phone meets the requests of the server. Times count from the request.
#[derive(Debug, Clone)]
pub struct RawScript {
    /// To an INVITE.
    pub to_invite: Vec<Deed>,
    /// To a CANCEL, in place of what is still to be said to the INVITE.
    pub to_cancel: Vec<Deed>,
    /// To a BYE; 0 for silence.
    pub to_bye: u16,
    /// When the first ACK of a 2xx comes.
    pub to_ack: Vec<Deed>,
    /// So many copies of each final response to an INVITE are lost on their way.
    pub lost_finals: usize,
    /// So many ACKs of each final response are lost on their way.
    pub lost_acks: usize,
    /// Repeats a final response until its ACK, as it should.
    pub repeats: bool,
    /// How its answers are written.
    pub habits: Habits,
}

/// One thing that a raw phone does.
#[derive(Debug, Clone)]
pub struct Deed {
    pub(super) after: Duration,
    pub(super) what: What,
}

#[derive(Debug, Clone)]
pub(super) enum What {
    /// A response to the INVITE, with the To tag of a branch.
    Answer { status: u16, branch: char, fields: Box<str> },
    /// A response to the CANCEL.
    AnswerCancel { status: u16 },
    /// BYE in the dialog of a branch.
    Bye { branch: char },
    /// An INVITE in the dialog of a branch.
    Reinvite { branch: char },
}

impl RawScript {
    /// Says this to an INVITE; is proper in all else: 200 to a CANCEL and 487 to its INVITE, 200 to a BYE.
    pub fn new(to_invite: impl Into<Vec<Deed>>) -> Self {
        Self {
            to_invite: to_invite.into(),
            to_cancel: vec![says_of_cancel(0.0, 200), says(0.0, 487)],
            to_bye: 200,
            to_ack: Vec::new(),
            lost_finals: 0,
            lost_acks: 0,
            repeats: true,
            habits: Habits::default(),
        }
    }

    /// Rings at once and answers after so many seconds.
    pub fn answers_after(after: f64) -> Self {
        Self::new([says(0.0, 180), says(after, 200)])
    }

    /// Rings at once, and for ever.
    pub fn rings() -> Self {
        Self::new([says(0.0, 180)])
    }

    /// Rings at once and refuses after so many seconds.
    pub fn refuses_after(after: f64, status: u16) -> Self {
        Self::new([says(0.0, 180), says(after, status)])
    }

    /// Says this to a CANCEL.
    #[must_use]
    pub fn to_cancel(self, deeds: impl Into<Vec<Deed>>) -> Self {
        Self { to_cancel: deeds.into(), ..self }
    }

    /// Does this at the first ACK of a 2xx.
    #[must_use]
    pub fn to_ack(self, deeds: impl Into<Vec<Deed>>) -> Self {
        Self { to_ack: deeds.into(), ..self }
    }
}

/// A response to the INVITE. A 2xx brings an answer.
pub fn says(after: f64, status: u16) -> Deed {
    says_as('a', after, status)
}

/// The same, of another branch of a fork behind the phone.
pub fn says_as(branch: char, after: f64, status: u16) -> Deed {
    Deed { after: seconds(after), what: What::Answer { status, branch, fields: "".into() } }
}

/// The same, with further header fields, each with its line end.
pub fn says_with(fields: &str, after: f64, status: u16) -> Deed {
    Deed { after: seconds(after), what: What::Answer { status, branch: 'a', fields: fields.into() } }
}

/// A response to the CANCEL.
pub fn says_of_cancel(after: f64, status: u16) -> Deed {
    Deed { after: seconds(after), what: What::AnswerCancel { status } }
}

/// BYE in the dialog of its first branch.
pub fn hangs_up(after: f64) -> Deed {
    Deed { after: seconds(after), what: What::Bye { branch: 'a' } }
}

/// An INVITE in the dialog of its first branch.
pub fn reinvites(after: f64) -> Deed {
    Deed { after: seconds(after), what: What::Reinvite { branch: 'a' } }
}
