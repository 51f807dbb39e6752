//! The messages of a phone played by hand, as text.

use super::{ByHand, Dialog};
use crate::SipText;
use sip_core::{Flow, Transport};
use test_phone::HandsetAction;

impl ByHand {
    pub(super) fn register(&mut self, lines: &str) {
        self.sequence += 1;
        let (user, domain, via, contact) = (&self.user, &self.domain, self.via(), self.contact());
        let (sequence, sip) = (self.sequence, self.sip);
        self.send(&format!(
            "REGISTER sip:{domain} SIP/2.0\r\n{via}Max-Forwards: 70\r\nFrom: <sip:{user}@{domain}>;tag=r\r\n\
             To: <sip:{user}@{domain}>\r\nCall-ID: {user}-{sip}-r\r\nCSeq: {sequence} REGISTER\r\n{contact}\
             Expires: 3600\r\n{lines}Content-Length: 0\r\n\r\n"
        ));
    }

    /// Answers a request that it kept for itself so far.
    pub fn respond(&mut self, request: &SipText, status: &str, lines: &str, body: &str) {
        let copied: String = ["Via", "From", "Call-ID", "CSeq"]
            .into_iter()
            .filter_map(|name| Some(format!("{name}: {}\r\n", request.field(name)?)))
            .collect();
        let to = request.field("To").unwrap_or_default();
        let tag = if to.contains("tag=") { "" } else { ";tag=hand" };
        let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        let (contact, length) = (self.contact(), body.len());
        self.send(&format!(
            "SIP/2.0 {status}\r\n{copied}To: {to}{tag}\r\n{contact}{lines}{kind}Content-Length: {length}\r\n\r\n{body}"
        ));
    }

    pub(super) fn first_invite(
        &self,
        uri: &str,
        lines: &str,
        call_id: &str,
        number: u32,
        body: &str,
    ) -> String {
        let (via, contact, length) = (self.via(), self.contact(), body.len());
        let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        format!(
            "INVITE {uri} SIP/2.0\r\n{via}Max-Forwards: 70\r\n{lines}Call-ID: {call_id}\r\nCSeq: {number} INVITE\r\n\
             {contact}{kind}Content-Length: {length}\r\n\r\n{body}"
        )
    }

    pub(super) fn request(&self, method: &str, number: u32, lines: &str, body: &str) -> String {
        let Some(dialog) = &self.dialog else { return String::new() };
        let Dialog { call_id, local, remote, target, .. } = dialog;
        let (via, contact, length) = (self.via(), self.contact(), body.len());
        format!(
            "{method} {target} SIP/2.0\r\n{via}Max-Forwards: 70\r\nFrom: {local}\r\nTo: {remote}\r\n\
             Call-ID: {call_id}\r\nCSeq: {number} {method}\r\n{contact}{lines}Content-Length: {length}\r\n\r\n{body}"
        )
    }

    fn via(&self) -> String {
        let (sip, sequence, outputs) = (self.sip, self.sequence, self.received.len());
        let rport = if self.sends_from.is_none() { ";rport" } else { "" };
        format!("Via: SIP/2.0/UDP {sip};branch=z9hG4bKhand{}{sequence}x{outputs}{rport}\r\n", self.user)
    }

    fn contact(&self) -> String {
        format!("Contact: <sip:{}@{}>\r\n", self.user, self.contact.unwrap_or(self.sip))
    }

    pub(super) fn send(&mut self, text: &str) {
        let flow = Flow {
            transport: Transport::Udp,
            local: self.sends_from.unwrap_or(self.sip),
            remote: self.server,
            peer: None,
        };
        self.actions.push_back(HandsetAction::Sip { flow, octets: text.as_bytes().to_vec() });
    }
}
