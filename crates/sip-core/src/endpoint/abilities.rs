//! What we can, said and held to in one place: the methods (RFC 3261 §8.2.1, §20.5) and the extensions (§8.2.2.3, §20.37).

use super::Config;
use super::compose::SDP;
use super::provisional::{RELIABLE, has_option};
use super::session_timer::TIMER;
use sip_message::{FieldName, Header, Method, Request, Response, StatusCode};

/// A method that the user serves outside of dialogs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Served {
    /// Neither ACK, CANCEL, BYE, UPDATE nor PRACK.
    pub method: Method,
    /// Option tags that the user knows in such a request; those of the endpoint are known without.
    pub options: Vec<Box<str>>,
}

/// Without extensions.
impl From<Method> for Served {
    fn from(method: Method) -> Self {
        Self { method, options: Vec::new() }
    }
}

/// Methods served in a dialog, whatever the user adds.
const METHODS: [Method; 7] = [
    Method::INVITE,
    Method::ACK,
    Method::CANCEL,
    Method::BYE,
    Method::OPTIONS,
    Method::UPDATE,
    Method::PRACK,
];

/// Octets of an Unsupported field at most: what strangers ask for is not sent back at any length.
const UNSUPPORTED_MAX: usize = 128;

/// The methods and extensions of an endpoint and of its user.
#[derive(Debug)]
pub(super) struct Abilities {
    methods: Vec<Method>,
    served: Vec<Served>,
    /// The value of Allow.
    allow: Box<str>,
    /// The value of Supported.
    supported: Box<str>,
    /// The same where no reliable provisional response is wanted.
    supported_unreliably: Box<str>,
}

impl Abilities {
    pub(super) fn new(config: &Config) -> Self {
        let mut methods = METHODS.to_vec();
        let served = config.serves.iter().map(|served| &served.method);
        for method in config.passes_to_user.iter().chain(served) {
            if !methods.contains(method) {
                methods.push(method.clone());
            }
        }
        let of_user: Vec<&str> =
            config.serves.iter().flat_map(|served| &served.options).map(AsRef::as_ref).collect();
        Self {
            allow: methods.iter().map(Method::as_str).collect::<Vec<_>>().join(", ").into(),
            supported: [&[TIMER, RELIABLE], &of_user[..]].concat().join(", ").into(),
            supported_unreliably: [&[TIMER], &of_user[..]].concat().join(", ").into(),
            served: config.serves.clone(),
            methods,
        }
    }

    /// The user wants to see such requests outside of dialogs.
    pub(super) fn are_of_user(&self, method: &Method) -> bool {
        self.served.iter().any(|served| served.method == *method)
    }

    /// Such requests are served somewhere.
    pub(super) fn include(&self, method: &Method) -> bool {
        self.methods.contains(method)
    }

    /// Says in a request what the peer may send us.
    pub(super) fn tell_in_request(&self, request: &mut Request) {
        if !matches!(request.method, Method::INVITE | Method::OPTIONS | Method::UPDATE) {
            return;
        }
        // Without an offer of ours a reliable provisional response would bring one (RFC 3262 §5), and in a dialog
        // none is acknowledged: not asked for.
        let is_first = request.header.to.tag().is_none() && !request.body.is_empty();
        let unreliably = request.method == Method::INVITE && !is_first;
        let supported = if unreliably { &self.supported_unreliably } else { &self.supported };
        request.header.fields.set(FieldName::ALLOW, &self.allow);
        request.header.fields.set(FieldName::SUPPORTED, supported);
    }

    /// Says in a response what we take: in 405 and 2xx. A 2xx to CANCEL says nothing (RFC 3261 §20, table 2), and
    /// behind a BYE nobody asks.
    pub(super) fn tell_in_response(&self, response: &mut Response) {
        let Header { cseq, fields, .. } = &mut response.header;
        if response.status == StatusCode::METHOD_NOT_ALLOWED {
            fields.set(FieldName::ALLOW, &self.allow);
        }
        if response.status.is_success() && !matches!(cseq.method, Method::CANCEL | Method::BYE) {
            fields.set(FieldName::ALLOW, &self.allow);
            fields.set(FieldName::SUPPORTED, &self.supported);
            if cseq.method == Method::OPTIONS {
                fields.set(FieldName::ACCEPT, SDP);
            }
        }
    }

    /// RFC 3261 §8.2.2.3: the 420 to a request that requires what is not known. None for a method that is not served:
    /// the method is looked at first (§8.2).
    pub(super) fn bad_extension(&self, request: &Request) -> Option<Response> {
        let required = request.header.fields.tokens(&FieldName::REQUIRE);
        let is_unknown = |option: &&str| !self.know_option(&request.method, option);
        let unknown: Vec<&str> = required.into_iter().filter(is_unknown).collect();
        if unknown.is_empty() || !self.include(&request.method) {
            return None;
        }
        let mut unsupported = String::new();
        for option in unknown {
            if unsupported.len() + option.len() <= UNSUPPORTED_MAX {
                let comma = if unsupported.is_empty() { "" } else { ", " };
                unsupported.push_str(comma);
                unsupported.push_str(option);
            }
        }
        let mut response = request.response(StatusCode::BAD_EXTENSION);
        response.header.fields.push(FieldName::UNSUPPORTED, unsupported);
        Some(response)
    }

    fn know_option(&self, method: &Method, option: &str) -> bool {
        let is = |name: &str| option.eq_ignore_ascii_case(name);
        let (invite, update) = (*method == Method::INVITE, *method == Method::UPDATE);
        let of_user = self.served.iter().filter(|served| served.method == *method);
        (invite && is(RELIABLE))
            || ((invite || update) && is(TIMER))
            || of_user.flat_map(|served| &served.options).any(|name| is(name))
    }
}

/// How a method is refused that nobody serves (RFC 3261 §8.2.1, §21.5.2).
pub(super) const fn refusal_of(method: &Method) -> StatusCode {
    match method {
        Method::Known(_) => StatusCode::METHOD_NOT_ALLOWED,
        Method::Extension(_) => StatusCode::NOT_IMPLEMENTED,
    }
}
/// The request once more, when a response wants other options than it has: what is required and can be, is (421, RFC 3261
/// §21.4.16); what the peer does not know is left out (420, §8.1.3.5). `None`: nothing would be other than before.
pub(super) fn with_other_options(request: &Request, response: &Response) -> Option<Request> {
    let mut mended = request.clone();
    let (ours, theirs) = (&mut mended.header.fields, &response.header.fields);
    let is_among =
        |options: &[&str], option: &str| options.iter().any(|other| other.eq_ignore_ascii_case(option));
    if response.status == StatusCode::EXTENSION_REQUIRED {
        let wanted = theirs.tokens(&FieldName::REQUIRE);
        let can_be = |option: &&str| has_option(&request.header, &FieldName::SUPPORTED, option);
        let is_new = |option: &&str| !has_option(&request.header, &FieldName::REQUIRE, option);
        if wanted.is_empty() || !wanted.iter().all(can_be) || !wanted.iter().any(is_new) {
            return None;
        }
        ours.set(FieldName::REQUIRE, wanted.join(", "));
        return Some(mended);
    }
    let unknown = theirs.tokens(&FieldName::UNSUPPORTED);
    let mut is_other = false;
    for field in [FieldName::SUPPORTED, FieldName::REQUIRE] {
        let before = request.header.fields.tokens(&field);
        let left: Vec<&str> = before.iter().copied().filter(|option| !is_among(&unknown, option)).collect();
        is_other |= left.len() < before.len();
        if left.is_empty() {
            ours.remove(&field);
        } else {
            ours.set(field, left.join(", "));
        }
    }
    if is_among(&unknown, TIMER) {
        ours.remove(&FieldName::SESSION_EXPIRES);
        ours.remove(&FieldName::MIN_SE);
    }
    is_other.then_some(mended)
}
