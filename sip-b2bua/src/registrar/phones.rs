//! Which challenges a phone can be given.
//!
//! RFC 8760 §2.4 wants one challenge for each algorithm, the strongest first, and a phone to take the first one that it
//! knows. Some phones give up instead when they meet one that they do not know. Those that come again, without
//! an answer to any challenge, are given less each time; those that do not are known by name.

use sip_core::Flow;
use sip_core::digest::Algorithm;
use sip_message::{AuthParams, CallId, FieldName, Request};
use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;

const STRONGEST_FIRST: &[Algorithm] = &[Algorithm::Sha256, Algorithm::Md5];
const WEAKEST_FIRST: &[Algorithm] = &[Algorithm::Md5, Algorithm::Sha256];
const MD5_ONLY: &[Algorithm] = &[Algorithm::Md5];

/// How the User-Agent of a phone begins, and what it can be given.
const KNOWN: [(&str, &[Algorithm]); 6] = [
    // Before 3 it gives up at any challenge but MD5, wherever it stands (seen with 1.0).
    ("baresip v0.", MD5_ONLY),
    ("baresip v1.", MD5_ONLY),
    ("baresip v2.", MD5_ONLY),
    // 3.6 looks at the first challenge only, and knows MD5 only (SIPp/sipp#652).
    ("SIPp", WEAKEST_FIRST),
    // What is built on PJSIP before 2.11 does the same (pjsip/pjproject#2712).
    ("MicroSIP/3.1", WEAKEST_FIRST),
    ("CSipSimple", WEAKEST_FIRST),
];

/// Phones that were challenged and have not answered yet.
#[derive(Debug, Default)]
pub(super) struct Challenged {
    phones: HashMap<Phone, Tries>,
    /// The oldest first; those that have answered may still stand here.
    order: VecDeque<Phone>,
}

/// Where a request came from, and whose it says it is.
type Phone = (SocketAddr, Box<str>);

#[derive(Debug)]
struct Tries {
    last: (CallId, u32),
    count: u32,
}

impl Challenged {
    /// The algorithms to challenge this request with, in order.
    pub(super) fn algorithms_for(&mut self, request: &Request, flow: Flow) -> &'static [Algorithm] {
        let of_its_kind = algorithms_of_its_kind(request);
        if let Some(answer) = answer_of(request) {
            // What it has answered with it can answer with again.
            let with_md5 = answer.value("algorithm").unwrap_or("MD5").eq_ignore_ascii_case("MD5");
            return if with_md5 && of_its_kind == STRONGEST_FIRST { WEAKEST_FIRST } else { of_its_kind };
        }
        match self.note(request, flow) {
            1 => of_its_kind,
            2 if of_its_kind == STRONGEST_FIRST => WEAKEST_FIRST,
            tries if tries.is_multiple_of(4) => of_its_kind,
            _ => MD5_ONLY,
        }
    }

    /// It has answered a challenge: it understands what it was given.
    pub(super) fn has_answered(&mut self, request: &Request, flow: Flow) {
        self.phones.remove(&phone(request, flow));
    }

    /// How many times it has come without an answer.
    fn note(&mut self, request: &Request, flow: Flow) -> u32 {
        let this = (request.header.call_id.clone(), request.header.cseq.number);
        let phone = phone(request, flow);
        if let Some(tries) = self.phones.get_mut(&phone) {
            if tries.last != this {
                (tries.last, tries.count) = (this, tries.count.saturating_add(1));
            }
            return tries.count;
        }
        while self.order.len() >= PHONES_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.phones.remove(&oldest);
        }
        self.order.push_back(phone.clone());
        self.phones.insert(phone, Tries { last: this, count: 1 });
        1
    }
}

/// The credentials of a request, unless they answer no challenge: a phone may send some before it is challenged, with an
/// empty response (3GPP TS 24.229 §5.1.1.2).
fn answer_of(request: &Request) -> Option<AuthParams> {
    let params: AuthParams = request.header.fields.get(&FieldName::AUTHORIZATION)?.parse().ok()?;
    params.value("response").is_some_and(|response| !response.is_empty()).then_some(params)
}

fn algorithms_of_its_kind(request: &Request) -> &'static [Algorithm] {
    let Some(agent) = request.header.fields.get(&FieldName::USER_AGENT) else { return WEAKEST_FIRST };
    KNOWN
        .iter()
        .find_map(|(name, algorithms)| agent.starts_with(name).then_some(*algorithms))
        .unwrap_or(STRONGEST_FIRST)
}

fn phone(request: &Request, flow: Flow) -> Phone {
    let user = request.header.from.uri.as_sip().and_then(|uri| uri.user.as_deref()).unwrap_or_default();
    (flow.remote, user.get(..user.floor_char_boundary(NAME_MAX)).unwrap_or_default().into())
}

/// Phones that are remembered.
const PHONES_MAX: usize = 4_096;
/// Octets of a name by which a phone is remembered.
const NAME_MAX: usize = 64;
