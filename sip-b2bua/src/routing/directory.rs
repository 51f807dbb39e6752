//! The extensions that there are.

use crate::settings::Extension;
use audio::Codec;
use call_control::{Number, PartyType, Refusal};
use sip_core::digest::Secret;
use std::collections::BTreeMap;

/// What is known of each extension, but for its secret and where its phones are: those the registrar has.
#[derive(Debug, Default)]
pub(crate) struct Directory {
    extensions: BTreeMap<Number, Profile>,
}

#[derive(Debug)]
struct Profile {
    name: Option<Box<str>>,
    codecs: Option<Vec<Codec>>,
}

impl Directory {
    /// Takes these extensions in the place of those before, and gives their secrets, by the user part of their
    /// address-of-record.
    pub(crate) fn replace(&mut self, extensions: Vec<Extension>) -> Vec<(Box<str>, Secret)> {
        let mut secrets = Vec::with_capacity(extensions.len());
        self.extensions.clear();
        for Extension { number, name, secret, codecs } in extensions {
            secrets.push((number.as_str().into(), secret));
            self.extensions.insert(number, Profile { name, codecs });
        }
        secrets
    }

    pub(crate) fn has(&self, number: &Number) -> bool {
        self.extensions.contains_key(number)
    }

    /// What a phone shows of it.
    pub(crate) fn name_of(&self, number: &Number) -> Option<&str> {
        self.extensions.get(number)?.name.as_deref()
    }

    /// What its phones are offered; `None` when it is what all are offered.
    pub(crate) fn codecs_of(&self, number: &Number) -> Option<&[Codec]> {
        self.extensions.get(number)?.codecs.as_deref()
    }

    /// What a number stands for, as `asked` or as it looks. Extensions are all there is to reach.
    pub(crate) fn find(
        &self,
        number: &Number,
        asked: Option<PartyType>,
        field: &'static str,
    ) -> Result<(), Refusal> {
        match asked {
            Some(PartyType::Extension) | None if self.has(number) => Ok(()),
            None if number.looks_external() => Err(Refusal::NoTrunk(number.clone())),
            Some(PartyType::External) => Err(Refusal::NoTrunk(number.clone())),
            asked @ (None
            | Some(PartyType::Extension | PartyType::Queue | PartyType::Ivr | PartyType::AiAgent)) => {
                let party_type = asked.unwrap_or(PartyType::Extension);
                Err(Refusal::NotFound { party_type, number: number.clone(), field })
            }
        }
    }
}
