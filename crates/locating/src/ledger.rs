//! What was asked, what is still to be answered, and how long all of it may be believed.

use crate::step::{Found, Step};
use crate::{Answer, PassedOver, Question, Record};
use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

/// The shortest time for which an outcome is believed, whatever its records say.
pub const VALID_MIN: Duration = Duration::from_secs(5);
/// The longest time for which an outcome is believed, whatever its records say.
pub const VALID_MAX: Duration = Duration::from_secs(3600);
/// The longest time for which an outcome is believed when a name server failed on the way to it.
pub const AFTER_FAILURE: Duration = Duration::from_secs(10);
/// The greatest number of questions for one URI: one for its NAPTR records, eight for the services that these name, one for
/// TLS by habit, two for each of 32 servers.
pub const QUESTIONS_MAX: usize = 1 + 8 + 1 + 2 * 32;

/// Questions and their answers.
#[derive(Debug)]
pub(crate) struct Ledger {
    /// All that were ever asked, or will be.
    known: BTreeSet<Question>,
    queue: VecDeque<Question>,
    outstanding: BTreeSet<Question>,
    steps: Vec<Step>,
    /// The shortest of the answers'.
    valid: Duration,
    /// The first name without an answer.
    failed: Option<Box<str>>,
}

/// What came of a question, as far as it can be used.
#[derive(Debug)]
pub(crate) enum Reply<T> {
    /// There are records.
    Found {
        used: Vec<T>,
        passed_over: BTreeSet<PassedOver>,
    },
    Absent,
    Failed,
}

impl Ledger {
    pub(crate) const fn new() -> Self {
        Self {
            known: BTreeSet::new(),
            queue: VecDeque::new(),
            outstanding: BTreeSet::new(),
            steps: Vec::new(),
            valid: VALID_MAX,
            failed: None,
        }
    }

    /// Tells whether the question is new; one that was asked is not asked again.
    pub(crate) fn ask(&mut self, question: Question) -> bool {
        let is_new = self.known.len() < QUESTIONS_MAX && self.known.insert(question.clone());
        if is_new {
            self.queue.push_back(question);
        }
        is_new
    }

    pub(crate) fn poll(&mut self) -> Option<Question> {
        let question = self.queue.pop_front()?;
        self.outstanding.insert(question.clone());
        Some(question)
    }

    /// Tells whether an answer was waited for, and is no more.
    pub(crate) fn settle(&mut self, question: &Question) -> bool {
        self.outstanding.remove(question)
    }

    /// Nothing is to be asked and no answer to come.
    pub(crate) fn is_idle(&self) -> bool {
        self.queue.is_empty() && self.outstanding.is_empty()
    }

    /// Writes down what was answered, and reads it.
    pub(crate) fn note<T>(
        &mut self,
        question: &Question,
        answer: &Answer,
        judge: impl Fn(&Record) -> Result<T, PassedOver>,
    ) -> Reply<T> {
        let (reply, found) = match answer {
            Answer::Records { records, valid } => {
                self.valid = self.valid.min(*valid);
                read(records, judge)
            }
            Answer::Nothing { valid } => {
                self.valid = self.valid.min(*valid);
                (Reply::Absent, Found::Nothing)
            }
            Answer::Failed(why) => {
                self.failed.get_or_insert_with(|| question.name().into());
                (Reply::Failed, Found::Failed(why.clone()))
            }
        };
        self.steps.push(Step { question: question.clone(), found });
        reply
    }

    pub(crate) fn steps(&self) -> &[Step] {
        &self.steps
    }

    pub(crate) fn failed(&self) -> Option<&str> {
        self.failed.as_deref()
    }

    pub(crate) fn valid(&self) -> Duration {
        let valid = self.valid.clamp(VALID_MIN, VALID_MAX);
        if self.failed.is_some() { valid.min(AFTER_FAILURE) } else { valid }
    }
}

/// Records of another type than the one asked for are no answer.
fn read<T>(records: &[Record], judge: impl Fn(&Record) -> Result<T, PassedOver>) -> (Reply<T>, Found) {
    let (judged, found) = Found::sift(records, judge);
    let (mut used, mut passed_over) = (Vec::new(), BTreeSet::new());
    for record in judged {
        match record {
            Ok(record) => used.push(record),
            Err(PassedOver::NotAsked) => {}
            Err(why) => _ = passed_over.insert(why),
        }
    }
    match (used.is_empty() && passed_over.is_empty(), records.is_empty()) {
        (true, true) => (Reply::Absent, Found::Nothing),
        (true, false) => (Reply::Absent, found),
        (false, _) => (Reply::Found { used, passed_over }, found),
    }
}
