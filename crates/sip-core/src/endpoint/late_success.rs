//! A 2xx to an INVITE of ours that nobody waits for any more.
//!
//! The phone repeats it until the ACK, and then has a call with nobody: it gets its ACK, and a BYE. By then the usage is
//! forgotten, perhaps by a run before this one, so the From tag has to tell that the INVITE was ours: it is a keyed hash of
//! the Call-ID, both of which only those know whom we called. Both answers go to where the 2xx came from, and to few
//! branches of it, so that nobody makes us send anything to somebody else.

use super::Endpoint;
use super::acknowledging::Acks;
use super::usage::{Stage, Usage, contact};
use crate::dialog::{Dialog, Way};
use crate::invite::{Ending, Established};
use crate::transaction::key;
use crate::{Flow, GoneCause, Reach};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use sip_message::{CallId, Response};
use std::time::Instant;

/// Branches of one INVITE that are ended, as long as the first one is remembered.
const BRANCHES_MAX: usize = 4;

impl Endpoint {
    /// The From tag of an INVITE of ours.
    pub(super) fn tag_of_own_call(&self, call_id: &CallId) -> u64 {
        let Ok(mut hash) = Hmac::<Sha256>::new_from_slice(&self.call_key.0) else {
            unreachable!("HMAC takes a key of any length (RFC 2104 §3)")
        };
        hash.update(call_id.0.as_bytes());
        hash.finalize().into_bytes().iter().take(8).fold(0, |tag, octet| tag << 8 | u64::from(*octet))
    }

    /// Acknowledges and ends the call of a 2xx without a usage (RFC 3261 §13.2.2.4), when the INVITE was ours.
    pub(super) fn end_late_success(&mut self, response: &Response, flow: Flow, now: Instant) {
        let header = &response.header;
        let tag = header.from.tag().and_then(key::number);
        let Some(local_tag) = tag.filter(|tag| *tag == self.tag_of_own_call(&header.call_id)) else { return };
        if self.transactions.len() >= self.config.transactions_max {
            return;
        }
        let mut dialog =
            Dialog::confirm(response, Way { flow, sent_to: None, reach: Reach::AlongFlow }, None);
        dialog.answer_to_source();
        let machine = Established::unwanted(Ending::new(GoneCause::Cancelled, None), self.config.timers);
        let stage = Stage::resumed(machine, header.cseq.number, dialog);
        let usage = Usage::new(header.call_id.clone(), local_tag, flow, contact(None, flow, false), stage);
        // The user was told long ago.
        let usage = Usage { gone: true, acks: Acks::at_most(BRANCHES_MAX), ..usage };
        let invite = self.own_invite_id();
        self.add_usage(invite, usage);
        self.drive(invite, now);
    }
}
