//! Reliable provisional responses and PRACK (RFC 3262).

use super::Endpoint;
use super::compose::body_of;
use super::transactions::Owner;
use super::usage::{FirstInvite, Stage, Usage};
use crate::authentication::Attempts;
use crate::dialog::{Dialog, Way};
use crate::invite::{Action, Answer, IncomingEvent};
use crate::{Flow, InviteId};
use sip_message::{FieldName, Header, Method, Request, Response, StatusCode};
use std::time::Instant;

/// The option tag (RFC 3262 §8.1).
pub(super) const RELIABLE: &str = "100rel";

/// The first RSeq is at least 1 and leaves room for as many again (RFC 3262 §3).
const FIRST_RSEQ_MAX: u32 = 0x3fff_ffff;

/// What is known of our reliable provisional responses to an INVITE.
#[derive(Debug, Default)]
pub(super) struct Provisionals {
    /// The RSeq of the one whose PRACK is awaited.
    unacknowledged: Option<u32>,
    /// One of them had a body.
    describes: bool,
    /// What the PRACK of that one answered, when it made the offer.
    pub(super) answer: Option<Vec<u8>>,
}

impl Provisionals {
    /// A provisional response goes out, reliable with an RSeq.
    pub(super) fn sent(&mut self, rseq: Option<u32>, describes: bool) {
        self.unacknowledged = rseq;
        self.describes |= rseq.is_some() && describes;
    }

    /// The status for a PRACK of that RSeq and CSeq; `None` for what is not unacknowledged.
    fn acknowledge(
        &mut self,
        first: FirstInvite,
        rack: Option<(u32, u32)>,
        body: Option<Vec<u8>>,
    ) -> Option<StatusCode> {
        let awaited = (self.unacknowledged?, first.cseq);
        if rack != Some(awaited) {
            return None;
        }
        self.unacknowledged = None;
        // Only the answer to an offer of ours is taken; another offer before the 2xx is too early.
        Some(match body {
            Some(answer) if first.late_offer && self.describes && self.answer.is_none() => {
                self.answer = Some(answer);
                StatusCode::OK
            }
            Some(_) => StatusCode::NOT_ACCEPTABLE_HERE,
            None => StatusCode::OK,
        })
    }
}

impl Endpoint {
    /// The first RSeq, when provisional responses to `invite` are to be reliable.
    pub(super) fn first_rseq(&mut self, invite: &Request) -> Option<u32> {
        let required = has_option(&invite.header, &FieldName::REQUIRE, RELIABLE);
        let welcome =
            self.config.rings_reliably && has_option(&invite.header, &FieldName::SUPPORTED, RELIABLE);
        let [a, b, c, d, ..] = self.random.number().to_be_bytes();
        (required || welcome).then_some(u32::from_be_bytes([a, b, c, d]) % FIRST_RSEQ_MAX + 1)
    }

    /// Acknowledges a reliable provisional response in its early dialog (RFC 3262 §4).
    pub(super) fn prack(&mut self, invite: InviteId, response: &Response, rseq: u32, now: Instant) {
        let Some(usage) = self.usages.get_mut(&invite) else { return };
        let tag: Box<str> = response.header.to.tag().unwrap_or_default().into();
        let Usage { flow, sent_to, reach, stage, .. } = &mut **usage;
        let way = Way { flow: *flow, sent_to: sent_to.as_ref(), reach: *reach };
        let Some(early) = stage.early_mut() else { return };
        let dialog = early.entry(tag).or_insert_with(|| Dialog::from_response(response, way));
        let mut prack = dialog.request(Method::PRACK);
        let flow = dialog.flow();
        let cseq = &response.header.cseq;
        prack.header.fields.push(FieldName::RACK, format!("{rseq} {} {}", cseq.number, cseq.method));
        self.dress_request(&mut prack);
        self.start_client(prack, flow, Owner::Prack(invite), Attempts::default(), now);
    }

    /// RFC 3262 §3: a PRACK of what is not unacknowledged is 481.
    pub(super) fn handle_prack(&mut self, invite: InviteId, mut prack: Request, flow: Flow, now: Instant) {
        let Some(usage) = self.usages.get_mut(&invite) else { return };
        let is_incoming = matches!(usage.stage, Stage::Incoming { .. });
        let (rack, body) = (rack_of(&prack.header), body_of(std::mem::take(&mut prack.body)));
        let provisionals = usage.stage.provisionals_mut();
        let Some(status) = provisionals.and_then(|(first, it)| it.acknowledge(first, rack, body)) else {
            return self.answer_statelessly(&prack, StatusCode::CALL_TRANSACTION_DOES_NOT_EXIST, flow);
        };
        let Some(transaction) = self.start_server(prack, flow, None, now) else { return };
        self.perform(invite, Action::Respond { transaction, answer: Answer::status(status) }, now);
        if is_incoming {
            self.incoming(invite, IncomingEvent::Acknowledged, now);
        }
    }
}

/// Makes a provisional response reliable (RFC 3262 §3).
pub(super) fn make_reliable(response: &mut Response, rseq: u32) {
    response.header.fields.push(FieldName::REQUIRE, RELIABLE);
    response.header.fields.push(FieldName::RSEQ, rseq.to_string());
}

/// The RSeq of a reliable provisional response.
pub(crate) fn rseq_of(response: &Response) -> Option<u32> {
    let is_reliable = has_option(&response.header, &FieldName::REQUIRE, RELIABLE);
    response.header.fields.get(&FieldName::RSEQ).filter(|_| is_reliable)?.parse().ok()
}

pub(super) fn has_option(header: &Header, field: &FieldName, option: &str) -> bool {
    header.fields.tokens(field).iter().any(|token| token.eq_ignore_ascii_case(option))
}

/// RSeq and CSeq of the INVITE in a RAck (RFC 3262 §7.2).
fn rack_of(header: &Header) -> Option<(u32, u32)> {
    let mut words = header.fields.get(&FieldName::RACK)?.split_ascii_whitespace();
    let (rseq, cseq) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    (words.next()? == "INVITE" && words.next().is_none()).then_some((rseq, cseq))
}
