//! The SIP messages of running calls, kept as they went by: which call, party and phone each belongs to is known here.
//!
//! Nothing is read but the Call-ID; text and words are made of it when somebody asks. Secrets are cut out before
//! anything is kept.

mod recording;
mod redaction;

use call_control::{CallId, Party};
use recording::Recording;
use sip_core::Flow;
use std::collections::HashMap;
use std::sync::Arc;

pub(crate) use recording::{Entry, FarEnd, Recorded};
pub(crate) use redaction::push_redacted;

/// What all running calls sent and received.
#[derive(Debug, Default)]
pub(crate) struct Recorder {
    calls: HashMap<CallId, CallRecorder>,
    /// By the Call-ID of each dialog.
    dialogs: HashMap<Arc<str>, (CallId, Party)>,
}

#[derive(Debug)]
enum CallRecorder {
    Open {
        recording: Recording,
        dialogs: Vec<Arc<str>>,
    },
    /// As it goes to the store.
    Closed(Arc<[u8]>),
}

impl Recorder {
    /// Messages with this Call-ID are those of a phone that is about to be rung.
    pub(crate) fn begin_dialog(
        &mut self,
        call: CallId,
        party: Party,
        sip_call_id: &str,
        device: &Device<'_>,
    ) {
        let recorder = self
            .calls
            .entry(call)
            .or_insert_with(|| CallRecorder::Open { recording: Recording::default(), dialogs: Vec::new() });
        let CallRecorder::Open { recording, dialogs } = recorder else { return };
        let sip_call_id = Arc::<str>::from(sip_call_id);
        recording.push(
            &Entry {
                is_device: true,
                party,
                sent: true,
                flow_of: device.flow.into(),
                at: device.registered_at,
            },
            |octets| octets.extend_from_slice(device.user_agent.as_bytes()),
        );
        dialogs.push(Arc::clone(&sip_call_id));
        self.dialogs.insert(sip_call_id, (call, party));
    }

    /// A message was sent or received; that of no call is not kept.
    pub(crate) fn note(&mut self, octets: &[u8], flow: Flow, sent: bool, unix_milliseconds: i64) {
        let dialog = sip_message::raw_call_id(octets).and_then(|sip_call_id| self.dialogs.get(sip_call_id));
        let Some((call, party)) = dialog else { return };
        if let Some(CallRecorder::Open { recording, .. }) = self.calls.get_mut(call) {
            let entry =
                Entry { is_device: false, party: *party, sent, flow_of: flow.into(), at: unix_milliseconds };
            recording.push(&entry, |kept| push_redacted(kept, octets));
        }
    }

    /// What is kept of a call, running or about to be forgotten.
    pub(crate) fn octets_of(&self, call: CallId) -> Arc<[u8]> {
        match self.calls.get(&call) {
            Some(CallRecorder::Open { recording, .. }) => recording.print().into(),
            Some(CallRecorder::Closed(octets)) => Arc::clone(octets),
            None => Recording::default().print().into(),
        }
    }

    /// The call is over: nothing more is kept of it.
    pub(crate) fn close(&mut self, call: CallId) -> Arc<[u8]> {
        let octets = self.octets_of(call);
        if let Some(CallRecorder::Open { dialogs, .. }) =
            self.calls.insert(call, CallRecorder::Closed(Arc::clone(&octets)))
        {
            for dialog in dialogs {
                self.dialogs.remove(&dialog);
            }
        }
        octets
    }

    /// The store has it.
    pub(crate) fn forget(&mut self, call: CallId) {
        self.calls.remove(&call);
    }
}

/// A phone that is about to be rung.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Device<'a> {
    /// From where it registered.
    pub(crate) flow: Flow,
    /// When it did last, in milliseconds since 1970.
    pub(crate) registered_at: i64,
    /// What it calls itself; may be empty.
    pub(crate) user_agent: &'a str,
}
