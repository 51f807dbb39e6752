//! Reliable provisional responses and PRACK (RFC 3262).

use super::Endpoint;
use super::compose::body_of;
use super::transactions::Owner;
use super::usage::Stage;
use crate::authentication::Attempts;
use crate::dialog::Dialog;
use crate::invite::{Action, Answer, IncomingEvent};
use crate::{Flow, InviteId};
use sip_message::{FieldName, Header, Method, Request, Response, StatusCode};
use std::time::Instant;

/// The option tag (RFC 3262 §8.1).
pub(super) const RELIABLE: &str = "100rel";

/// The first RSeq is at least 1 and leaves room for as many again (RFC 3262 §3).
const FIRST_RSEQ_MAX: u32 = 0x3fff_ffff;

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
        let flow = usage.flow;
        let dialog = usage.early.entry(tag).or_insert_with(|| Dialog::from_response(response, flow));
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
        let acknowledged = rack_of(&prack.header);
        let awaited = usage.unacknowledged.map(|rseq| (rseq, usage.invite_cseq));
        if awaited.is_none() || acknowledged != awaited {
            return self.refuse(&prack, StatusCode::CALL_TRANSACTION_DOES_NOT_EXIST, flow);
        }
        usage.unacknowledged = None;
        // Only the answer to an offer of ours is taken; another offer before the 2xx is too early.
        let status = match body_of(std::mem::take(&mut prack.body)) {
            Some(answer) if usage.late_offer && usage.session_in_progress && usage.early_answer.is_none() => {
                usage.early_answer = Some(answer);
                StatusCode::OK
            }
            Some(_) => StatusCode::NOT_ACCEPTABLE_HERE,
            None => StatusCode::OK,
        };
        let is_incoming = matches!(usage.stage, Stage::Incoming(_));
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
