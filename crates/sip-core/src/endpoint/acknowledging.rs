//! 2xx to our INVITEs, and the ACK of each (RFC 3261 §13.2.2.4).

use super::Endpoint;
use super::compose::SDP;
use super::transactions::Owner;
use super::usage::{Stage, Usage};
use crate::authentication::Attempts;
use crate::dialog::{Dialog, Way};
use crate::invite::OutgoingEvent;
use crate::transaction::key;
use crate::{Flow, InviteId, transport};
use sip_message::{Method, Request, Response};
use std::time::Instant;

/// ACKs that one usage remembers.
const ACKS_MAX: usize = 16;

/// ACKs that were sent: repeated for repeated 2xx.
#[derive(Debug)]
pub(super) struct Acks {
    sent: Vec<(AckKey, Flow, Box<[u8]>)>,
    /// So many of them at most: further branches of a fork are not answered.
    max: usize,
}

/// The CSeq of the INVITE, and the tag of the peer.
type AckKey = (u32, Box<str>);

impl Acks {
    pub(super) fn at_most(max: usize) -> Self {
        Self { sent: Vec::new(), max }
    }

    /// Those of re-INVITEs are not repeated any more.
    pub(super) fn keep_only_of(&mut self, first: u32) {
        self.sent.retain(|((cseq, _), ..)| *cseq == first);
    }
}

impl Default for Acks {
    fn default() -> Self {
        Self::at_most(ACKS_MAX)
    }
}

impl Endpoint {
    /// A 2xx to our INVITE: the answer, a copy of it, or another branch of a fork.
    pub(super) fn handle_success(&mut self, invite: InviteId, response: Response, now: Instant) {
        if self.acknowledge_again(invite, &ack_key(&response)) {
            return;
        }
        let Some(usage) = self.usages.get(&invite) else { return };
        let tag = response.header.to.tag().unwrap_or_default();
        match &usage.stage {
            Stage::Outgoing { .. } if !usage.gone => {
                self.outgoing(invite, OutgoingEvent::Success(Box::new(response)), now);
            }
            // Of a re-INVITE that was given up, or a copy of the 2xx whose ACK waits for the user.
            Stage::Established { dialog, first, .. } if dialog.remote_tag() == tag => {
                if response.header.cseq.number != first.cseq {
                    self.acknowledge_reinvite(invite, &response);
                }
            }
            Stage::Outgoing { .. } | Stage::Established { .. } => self.end_branch(invite, &response, now),
            Stage::Incoming { .. } => {}
        }
    }

    /// Gives the 2xx to our re-INVITE its ACK; `false` for a copy.
    pub(super) fn acknowledge_reinvite(&mut self, invite: InviteId, response: &Response) -> bool {
        let key = ack_key(response);
        if self.acknowledge_again(invite, &key) {
            return false;
        }
        let Some(Stage::Established { dialog, .. }) = self.stage_mut(invite) else { return false };
        dialog.refresh_target(&response.header);
        let (ack, flow) = (dialog.ack(response.header.cseq.number), dialog.flow());
        self.send_ack(invite, key, ack, flow);
        true
    }

    /// Gives the first 2xx its ACK.
    pub(super) fn acknowledge_first(&mut self, invite: InviteId, body: Option<Vec<u8>>) {
        let Some(usage) = self.usages.get_mut(&invite) else { return };
        let Stage::Established { dialog, first, .. } = &usage.stage else { return };
        let mut ack = dialog.ack(first.cseq);
        if let Some(body) = body {
            ack.set_body(SDP, body.clone());
            usage.session = body;
        }
        let (key, flow) = ((first.cseq, dialog.remote_tag().into()), dialog.flow());
        self.send_ack(invite, key, ack, flow);
    }

    /// Repeats the ACK of a 2xx that has one.
    fn acknowledge_again(&mut self, invite: InviteId, key: &AckKey) -> bool {
        let sent =
            self.usages.get(&invite).and_then(|usage| usage.acks.sent.iter().find(|(of, ..)| of == key));
        let Some((_, flow, octets)) = sent else { return false };
        let (flow, octets) = (*flow, octets.to_vec());
        self.send(flow, octets);
        true
    }

    /// Sends an ACK with the credentials of its INVITE and keeps it for copies of the 2xx.
    fn send_ack(&mut self, invite: InviteId, key: AckKey, mut ack: Request, flow: Flow) {
        let branch = key::branch(self.random.number());
        ack.header.via = vec![transport::via(flow, &branch)];
        let Some(usage) = self.usages.get_mut(&invite) else { return };
        for (field, value) in &usage.authentication.given {
            ack.header.fields.push(field.clone(), value);
        }
        ack.header.fields.push(sip_message::FieldName::USER_AGENT, &self.config.user_agent);
        let octets = ack.print();
        // Most usages have one.
        usage.acks.sent.reserve_exact(1);
        usage.acks.sent.push((key, flow, octets.as_slice().into()));
        self.send(flow, octets);
    }

    /// Another branch of a fork answered too: ACK and BYE in a dialog of its own.
    fn end_branch(&mut self, invite: InviteId, response: &Response, now: Instant) {
        let Some(usage) = self.usages.get_mut(&invite) else { return };
        if usage.acks.sent.len() >= usage.acks.max {
            return;
        }
        let Usage { flow, sent_to, reach, stage, .. } = &mut **usage;
        let way = Way { flow: *flow, sent_to: sent_to.as_ref(), reach: *reach };
        let Some(early) = stage.early_mut() else { return };
        let begun = early.remove(response.header.to.tag().unwrap_or_default());
        let mut dialog = Dialog::confirm(response, way, begun);
        let (ack, flow) = (dialog.ack(response.header.cseq.number), dialog.flow());
        self.send_ack(invite, ack_key(response), ack, flow);
        let mut bye = dialog.request(Method::BYE);
        self.dress_request(&mut bye);
        self.start_client(bye, flow, Owner::Nobody, Attempts::default(), now);
    }
}

fn ack_key(response: &Response) -> AckKey {
    (response.header.cseq.number, response.header.to.tag().unwrap_or_default().into())
}
