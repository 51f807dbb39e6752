//! The way to the targets, question by question, for a person who looks for a mistake in a zone.

use crate::name::Printable;
use crate::{Question, Record};
use std::fmt;

/// The greatest number of records of an answer that are kept to be shown.
const SHOWN_MAX: usize = 16;

/// A question and what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What was asked.
    pub question: Question,
    /// What was answered.
    pub found: Found,
}

/// What came of a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// Records, used or not.
    Records {
        /// The first of them, each with the reason why it is not used, if it is not.
        shown: Vec<(Record, Option<PassedOver>)>,
        /// How many others there were.
        more: usize,
    },
    /// There is no such name, or it has no such record.
    Nothing,
    /// No answer, and why.
    Failed(Box<str>),
}

/// Why a record is not used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum PassedOver {
    /// An SRV record whose target is the root (RFC 2782).
    #[error("the service is decidedly not offered")]
    NotOffered,
    /// A NAPTR record of something else, such as ENUM.
    #[error("it is not for SIP")]
    OtherService,
    /// A NAPTR record for a transport that this server does not speak, or that the URI does not allow.
    #[error("its transport is not used here")]
    OtherTransport,
    /// A NAPTR record with neither `s` nor `a`.
    #[error("its flag is neither s nor a")]
    Flags,
    /// A name that cannot be asked for.
    #[error("the name is not a host name")]
    Name,
    /// An SRV record with port 0.
    #[error("port 0 cannot be reached")]
    Port,
    /// An unspecified, multicast or broadcast address, or one of the other family.
    #[error("no request can be sent to this address")]
    Address,
    /// A record of another type than the one asked for.
    #[error("it was not asked for")]
    NotAsked,
}

impl Found {
    /// Judges each record: those that are used, and what is shown of all.
    pub(crate) fn sift<T>(
        records: &[Record],
        judge: impl Fn(&Record) -> Result<T, PassedOver>,
    ) -> (Vec<Result<T, PassedOver>>, Self) {
        let judged: Vec<_> = records.iter().map(judge).collect();
        let shown = records.iter().zip(&judged).take(SHOWN_MAX);
        let shown: Vec<_> =
            shown.map(|(record, used)| (record.clone(), used.as_ref().err().copied())).collect();
        let more = records.len() - shown.len();
        (judged, Self::Records { shown, more })
    }
}

/// One line for each record, such as `SRV _sip._udp.carrier.example: 10 60 5060 -> sip1.carrier.example`.
impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let question = &self.question;
        match &self.found {
            Found::Nothing => write!(f, "{question}: nothing"),
            Found::Failed(why) => write!(f, "{question}: no answer: {}", Printable(why)),
            Found::Records { shown, more } => {
                for (index, (record, passed_over)) in shown.iter().enumerate() {
                    let line = if index == 0 { "" } else { "\n" };
                    write!(f, "{line}{question}: {record}")?;
                    if let Some(why) = passed_over {
                        write!(f, " (passed over: {why})")?;
                    }
                }
                match more {
                    0 => Ok(()),
                    more => write!(f, "\n{question}: and {more} more"),
                }
            }
        }
    }
}
