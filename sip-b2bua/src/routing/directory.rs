//! What numbers stand for: the extensions that there are, and the world outside as far as it may be dialled.

use super::auto_answer::AutoAnswer;
use crate::scenario::Whom;
use crate::settings::{Extension, Forward};
use audio::Codec;
use call_control::{Number, PartyType, Refusal};
use numbering::{DIGITS_MAX, Denial, DialPolicy, Unreadable};
use sip_core::digest::Secret;
use std::collections::BTreeMap;

/// What is known of each extension, but for its secret and where its phones are: those the registrar has.
#[derive(Debug)]
pub(crate) struct Directory {
    extensions: BTreeMap<Number, Profile>,
    dial_policy: Option<DialPolicy>,
}

#[derive(Debug)]
struct Profile {
    name: Option<Box<str>>,
    codecs: Option<Vec<Codec>>,
    forward: Option<Forward>,
    auto_answer: Option<AutoAnswer>,
}

impl Directory {
    /// No extensions yet, and this part of the world outside.
    pub(crate) const fn new(dial_policy: Option<DialPolicy>) -> Self {
        Self { extensions: BTreeMap::new(), dial_policy }
    }

    /// Takes these extensions in the place of those before, and gives their secrets, by the user part of their
    /// address-of-record.
    pub(crate) fn replace(&mut self, extensions: Vec<Extension>) -> Vec<(Box<str>, Secret)> {
        let mut secrets = Vec::with_capacity(extensions.len());
        self.extensions.clear();
        for Extension { number, name, secret, codecs, forward, auto_answer } in extensions {
            secrets.push((number.as_str().into(), secret));
            self.extensions.insert(number, Profile { name, codecs, forward, auto_answer });
        }
        secrets
    }

    pub(crate) fn has(&self, number: &Number) -> bool {
        self.extensions.contains_key(number)
    }

    /// Those of all extensions, in their order.
    pub(crate) fn numbers(&self) -> impl Iterator<Item = &Number> {
        self.extensions.keys()
    }

    /// What a phone shows of it.
    pub(crate) fn name_of(&self, number: &Number) -> Option<&str> {
        self.extensions.get(number)?.name.as_deref()
    }

    /// What its phones are offered; `None` when it is what all are offered.
    pub(crate) fn codecs_of(&self, number: &Number) -> Option<&[Codec]> {
        self.extensions.get(number)?.codecs.as_deref()
    }

    /// Where else it is reached.
    pub(crate) fn forward_of(&self, number: &Number) -> Option<&Forward> {
        self.extensions.get(number)?.forward.as_ref()
    }

    /// What makes its phones answer by themselves, where that is set.
    pub(crate) fn auto_answer_of(&self, number: &Number) -> Option<AutoAnswer> {
        self.extensions.get(number)?.auto_answer
    }

    /// Whether a number outside passes all limits.
    pub(crate) fn is_emergency(&self, number: &Number) -> bool {
        self.dial_policy.as_ref().is_some_and(|policy| policy.is_emergency(number))
    }

    /// A number as it is written everywhere, where that is known.
    pub(crate) fn international(&self, number: &Number) -> Option<Number> {
        self.dial_policy.as_ref()?.plan().international(number).ok()
    }

    /// Whom a number stands for, as `asked` or as it looks; a number outside as it is dialled.
    pub(crate) fn find(
        &self,
        number: &Number,
        asked: Option<PartyType>,
        field: &'static str,
    ) -> Result<Whom, Refusal> {
        match asked {
            Some(PartyType::Extension) | None if self.has(number) => {
                Ok(Whom { number: number.clone(), party_type: PartyType::Extension })
            }
            _ if number.digits() > DIGITS_MAX => {
                Err(Refusal::NoSuchNumber { field, why: Unreadable::TooLong.to_string().into() })
            }
            Some(PartyType::External) => self.outside(number, field),
            None if self.looks_outside(number) => self.outside(number, field),
            asked @ (None
            | Some(PartyType::Extension | PartyType::Queue | PartyType::Ivr | PartyType::AiAgent)) => {
                let party_type = asked.unwrap_or(PartyType::Extension);
                Err(Refusal::NotFound { party_type, number: number.clone(), field })
            }
        }
    }

    fn looks_outside(&self, number: &Number) -> bool {
        number.looks_external() || self.dial_policy.as_ref().is_some_and(|policy| policy.names(number))
    }

    /// Without a policy there is nothing outside.
    fn outside(&self, number: &Number, field: &'static str) -> Result<Whom, Refusal> {
        let number = number.clone();
        match self.dial_policy.as_ref().map(|policy| policy.judge(&number)) {
            None => Err(Refusal::NoTrunk { number, field }),
            Some(Ok(number)) => Ok(Whom { number, party_type: PartyType::External }),
            Some(Err(Denial::Unreadable(why))) => {
                Err(Refusal::NoSuchNumber { field, why: why.to_string().into() })
            }
            Some(Err(Denial::Forbidden(rule))) => {
                Err(Refusal::PolicyDenied { number, rule: rule.to_string().into(), field })
            }
        }
    }
}
