//! Which transaction a message belongs to (RFC 3261 §17.1.3, §17.2.3).

use sip_message::{CallId, Host, Method, Request, Response};

/// What a branch begins with that is unique by itself (RFC 3261 §8.1.1.7).
const MAGIC_COOKIE: &str = "z9hG4bK";

/// A client transaction: the number in the branch that we made, and whether it is a CANCEL, which shares the
/// branch of its INVITE.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct ClientKey {
    pub(crate) branch: u64,
    pub(crate) is_cancel: bool,
}

impl ClientKey {
    /// `None` when the branch cannot be one of ours.
    pub(crate) fn of(response: &Response) -> Option<Self> {
        let branch = branch_number(response.header.via.first()?.branch()?)?;
        Some(Self { branch, is_cancel: response.header.cseq.method == Method::CANCEL })
    }
}

/// The branch that stands for a number.
pub(crate) fn branch(number: u64) -> String {
    format!("{MAGIC_COOKIE}{number:016x}")
}

/// The number of a branch of ours.
pub(crate) fn branch_number(branch: &str) -> Option<u64> {
    number(branch.strip_prefix(MAGIC_COOKIE)?)
}

/// The tag that stands for a number.
pub(crate) fn tag(number: u64) -> String {
    format!("{number:016x}")
}

/// The number of a tag of ours: 16 hexadecimal digits in lower case, nothing else.
pub(crate) fn number(text: &str) -> Option<u64> {
    let is_ours = text.len() == 16 && text.bytes().all(|octet| matches!(octet, b'0'..=b'9' | b'a'..=b'f'));
    is_ours.then(|| u64::from_str_radix(text, 16).ok()).flatten()
}

/// A server transaction.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum ServerKey {
    /// The branch is unique: RFC 3261.
    Branch { branch: Box<str>, host: Host, port: Option<u16>, method: Method },
    /// Without the magic cookie, or with nothing behind it, the rules of RFC 2543 hold.
    Rfc2543 { uri: Box<str>, from_tag: Box<str>, call_id: CallId, cseq: u32, via: Box<str>, method: Method },
}

impl ServerKey {
    /// The transaction that `request` starts or is a copy of; for an ACK the one of its INVITE.
    pub(crate) fn of(request: &Request) -> Option<Self> {
        let method = if request.method == Method::ACK { Method::INVITE } else { request.method.clone() };
        Self::with_method(request, method)
    }

    /// The transaction that a CANCEL would end (RFC 3261 §9.2).
    pub(crate) fn cancelled_by(cancel: &Request) -> Option<Self> {
        Self::with_method(cancel, Method::INVITE)
    }

    fn with_method(request: &Request, method: Method) -> Option<Self> {
        let header = &request.header;
        let via = header.via.first()?;
        let unique = via.branch().filter(|branch| {
            branch.len() > MAGIC_COOKIE.len()
                && branch
                    .get(..MAGIC_COOKIE.len())
                    .is_some_and(|head| head.eq_ignore_ascii_case(MAGIC_COOKIE))
        });
        Some(match unique {
            Some(branch) => {
                Self::Branch { branch: branch.into(), host: via.host.clone(), port: via.port, method }
            }
            None => Self::Rfc2543 {
                uri: request.uri.to_string().into(),
                from_tag: header.from.tag().unwrap_or_default().into(),
                call_id: header.call_id.clone(),
                cseq: header.cseq.number,
                via: via.to_string().into(),
                method,
            },
        })
    }
}

/// What two requests have in common that reached us over two ways (RFC 3261 §8.2.2.2).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct MergeKey {
    from_tag: Box<str>,
    call_id: CallId,
    cseq: u32,
    method: Method,
}

impl MergeKey {
    /// `None` for a request in a dialog.
    pub(crate) fn of(request: &Request) -> Option<Self> {
        let header = &request.header;
        header.to.tag().is_none().then(|| Self {
            from_tag: header.from.tag().unwrap_or_default().into(),
            call_id: header.call_id.clone(),
            cseq: header.cseq.number,
            method: request.method.clone(),
        })
    }
}
