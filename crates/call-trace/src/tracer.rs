//! The SIP messages of running calls, kept as they went by: which call, party and phone each belongs to is known here.
//!
//! Nothing is read but the Call-ID; text and words are made of it when somebody asks. Secrets are cut out before
//! anything is kept.

use crate::FarEnd;
use crate::redaction::push_redacted;
use crate::trace::{Entry, Trace};
use call_control::{CallId, Party};
use sip_message::Transport;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

/// What all running calls sent and received.
#[derive(Debug, Default)]
pub struct Tracer {
    calls: HashMap<CallId, CallTrace>,
    /// By the Call-ID of each dialog.
    dialogs: HashMap<Arc<str>, (CallId, Party)>,
}

#[derive(Debug)]
enum CallTrace {
    Open {
        trace: Trace,
        dialogs: Vec<Arc<str>>,
    },
    /// As it goes to the store.
    Closed(Arc<[u8]>),
}

impl Tracer {
    /// Messages with this Call-ID are those of a phone that is about to be rung, has called, or comes from another call.
    pub fn begin_dialog(&mut self, call: CallId, party: Party, sip_call_id: &str, phone: &RungPhone<'_>) {
        let CallTrace::Open { trace, dialogs } = self.of(call) else { return };
        let sip_call_id = Arc::<str>::from(sip_call_id);
        let (far_end, at, is_trunk) = (phone.far_end, phone.registered_at, phone.trunk.is_some());
        trace.push(&Entry { is_phone: true, is_trunk, party, sent: true, far_end, at }, |octets| {
            octets.extend_from_slice(phone.trunk.unwrap_or(phone.user_agent).as_bytes());
        });
        dialogs.push(Arc::clone(&sip_call_id));
        self.dialogs.insert(sip_call_id, (call, party));
    }

    /// A trunk had no room for a call.
    pub fn pass_over(&mut self, call: CallId, party: Party, trunk: &str, unix_milliseconds: i64) {
        let CallTrace::Open { trace, .. } = self.of(call) else { return };
        let nowhere = FarEnd { transport: Transport::Udp, address: SocketAddr::from(([0, 0, 0, 0], 0)) };
        let (far_end, at) = (nowhere, unix_milliseconds);
        trace.push(&Entry { is_phone: false, is_trunk: true, party, sent: true, far_end, at }, |octets| {
            octets.extend_from_slice(trunk.as_bytes());
        });
    }

    fn of(&mut self, call: CallId) -> &mut CallTrace {
        let begin = || CallTrace::Open { trace: Trace::default(), dialogs: Vec::new() };
        self.calls.entry(call).or_insert_with(begin)
    }

    /// A message was sent or received; that of no call is not kept.
    pub fn note(&mut self, octets: &[u8], far_end: FarEnd, sent: bool, unix_milliseconds: i64) {
        let dialog = sip_message::raw_call_id(octets).and_then(|sip_call_id| self.dialogs.get(sip_call_id));
        let Some((call, party)) = dialog else { return };
        if let Some(CallTrace::Open { trace, .. }) = self.calls.get_mut(call) {
            let entry = Entry {
                is_phone: false,
                is_trunk: false,
                party: *party,
                sent,
                far_end,
                at: unix_milliseconds,
            };
            trace.push(&entry, |kept| push_redacted(kept, octets));
        }
    }

    /// What is kept of a call, running or about to be forgotten.
    pub fn octets_of(&self, call: CallId) -> Arc<[u8]> {
        match self.calls.get(&call) {
            Some(CallTrace::Open { trace, .. }) => trace.print().into(),
            Some(CallTrace::Closed(octets)) => Arc::clone(octets),
            None => Trace::default().print().into(),
        }
    }

    /// The call is over: nothing more is kept of it.
    pub fn close(&mut self, call: CallId) -> Arc<[u8]> {
        let octets = self.octets_of(call);
        if let Some(CallTrace::Open { dialogs, .. }) =
            self.calls.insert(call, CallTrace::Closed(Arc::clone(&octets)))
        {
            // One that has gone into another call is traced there.
            let is_its = |dialog: &Arc<str>| self.dialogs.get(dialog).is_some_and(|(of, _)| *of == call);
            let its: Vec<_> = dialogs.into_iter().filter(is_its).collect();
            for dialog in its {
                self.dialogs.remove(&dialog);
            }
        }
        octets
    }

    /// The store has it.
    pub fn forget(&mut self, call: CallId) {
        self.calls.remove(&call);
    }
}

/// A phone that is about to be rung, or a trunk.
#[derive(Debug, Clone, Copy)]
pub struct RungPhone<'a> {
    /// From where it registered.
    pub far_end: FarEnd,
    /// When it did last, in milliseconds since 1970.
    pub registered_at: i64,
    /// What it calls itself; may be empty.
    pub user_agent: &'a str,
    /// It is an address of this trunk.
    pub trunk: Option<&'a str>,
}
