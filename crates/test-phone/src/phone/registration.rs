//! The registration of a phone (RFC 3261 §10.2).

use crate::Account;
use sip_core::{Endpoint, NewRequest, Outcome, RequestId, digest::Identity};
use sip_message::{CallId, Contacts, FieldName, Header, Method, NameAddr, SipUri, StatusCode};
use std::time::{Duration, Instant};

/// The binding of this phone at the registrar.
#[derive(Debug)]
pub(super) struct Registration {
    state: State,
    expires: Duration,
    /// The same for all REGISTERs of this phone (RFC 3261 §10.2).
    call_id: Option<CallId>,
    cseq: u32,
    /// Contacts of connections that are closed, which the registrar may have still.
    left: Vec<SipUri>,
}

#[derive(Debug)]
enum State {
    /// Nothing is registered.
    Absent,
    /// A REGISTER waits for its answer.
    Asking { request: RequestId, purpose: Purpose },
    /// The registrar has the binding.
    Standing,
}

/// What a REGISTER is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    First,
    Refresh,
    Removal,
    RemovalOfAll,
}

impl Purpose {
    pub(super) const fn makes_binding(self) -> bool {
        match self {
            Self::First | Self::Refresh => true,
            Self::Removal | Self::RemovalOfAll => false,
        }
    }
}

/// How a REGISTER ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Settled {
    /// The binding stands for so long.
    Standing { expires: Duration, refreshed: bool },
    /// The registrar wants a longer time: to be asked again (RFC 3261 §10.2.8).
    TooBrief { purpose: Purpose },
    /// There is no binding any more.
    Removed,
    /// No binding was made, prolonged or removed.
    Failed {
        purpose: Purpose,
        status: Option<StatusCode>,
        reason: String,
        /// When the registrar wants to be asked again (Retry-After, RFC 3261 §20.33).
        again_after: Option<Duration>,
    },
}

impl Registration {
    pub(super) fn new(expires: Duration) -> Self {
        Self { state: State::Absent, expires, call_id: None, cseq: 0, left: Vec::new() }
    }

    /// Is there something at the registrar that is to be removed at the end?
    pub(super) fn stands(&self) -> bool {
        match self.state {
            State::Standing | State::Asking { purpose: Purpose::First | Purpose::Refresh, .. } => true,
            State::Absent | State::Asking { purpose: Purpose::Removal | Purpose::RemovalOfAll, .. } => false,
        }
    }

    /// Has the registrar to answer still?
    pub(super) fn is_pending(&self) -> bool {
        match self.state {
            State::Asking { .. } => true,
            State::Absent | State::Standing => false,
        }
    }

    /// From the next REGISTER on the phone has another Contact.
    pub(super) fn leave_contact(&mut self, account: &Account) {
        self.left.truncate(LEFT_MAX - 1);
        self.left.insert(0, own_contact(account));
    }

    /// Our own, and those to be removed (RFC 3261 §10.2.2).
    fn contacts(&self, account: &Account) -> Contacts {
        let removed = self.left.iter().map(|uri| {
            let mut contact = NameAddr::new(uri.clone());
            contact.parameters.set("expires", Some("0"));
            contact
        });
        Contacts::List(std::iter::once(NameAddr::new(own_contact(account))).chain(removed).collect())
    }

    pub(super) fn ask(&mut self, purpose: Purpose, account: &Account, endpoint: &mut Endpoint, now: Instant) {
        let (contact, expires) = match purpose {
            Purpose::First | Purpose::Refresh => (self.contacts(account), self.expires),
            Purpose::Removal => (own_contacts(account), Duration::ZERO),
            Purpose::RemovalOfAll => (Contacts::Star, Duration::ZERO),
        };
        let address_of_record = address_of_record(account);
        self.cseq += 1;
        let request = NewRequest {
            flow: account.flow,
            method: Method::REGISTER,
            uri: SipUri::new(None, account.domain.clone(), None).into(),
            from: address_of_record.clone(),
            to: address_of_record,
            call_id: self.call_id.clone(),
            cseq: Some(self.cseq),
            contact: Some(contact),
            fields: vec![(FieldName::EXPIRES, expires.as_secs().to_string().into())],
            credentials: identity(account),
        };
        self.state = State::Asking { request: endpoint.request(request, now), purpose };
    }

    /// The outcome of a request; `None` when it is not the one that is waited for.
    pub(super) fn handle_outcome(
        &mut self,
        request: RequestId,
        outcome: &Outcome,
        account: &Account,
    ) -> Option<Settled> {
        let purpose = match self.state {
            State::Asking { request: asked, purpose } if asked == request => purpose,
            State::Asking { .. } | State::Absent | State::Standing => return None,
        };
        self.state = State::Absent;
        let response = match outcome {
            Outcome::Final(response) => response,
            Outcome::TimedOut => return Some(failed(purpose, None, "no answer from the registrar")),
            Outcome::Unreachable => return Some(failed(purpose, None, "the registrar cannot be reached")),
        };
        self.call_id = Some(response.header.call_id.clone());
        self.cseq = self.cseq.max(response.header.cseq.number);
        if response.status == StatusCode::INTERVAL_TOO_BRIEF
            && let Some(Ok(least)) = response.header.fields.delta_seconds(&FieldName::MIN_EXPIRES)
            && u64::from(least) > self.expires.as_secs()
        {
            self.expires = Duration::from_secs(least.into());
            return Some(Settled::TooBrief { purpose });
        }
        if !response.status.is_success() {
            let again_after = retry_after(&response.header).filter(|_| purpose.makes_binding());
            let (status, reason) = (Some(response.status), response.reason.to_string());
            return Some(Settled::Failed { purpose, status, reason, again_after });
        }
        Some(match purpose {
            Purpose::First | Purpose::Refresh => {
                self.state = State::Standing;
                self.left.clear();
                let expires = granted(&response.header, account).unwrap_or(self.expires);
                Settled::Standing { expires, refreshed: purpose == Purpose::Refresh }
            }
            Purpose::Removal | Purpose::RemovalOfAll => Settled::Removed,
        })
    }
}

/// Who we are towards a challenge.
pub(super) fn identity(account: &Account) -> Option<Identity> {
    let password = account.password.clone()?;
    Some(Identity { username: account.user.clone(), password, realm: None })
}

/// `"Name" <sip:user@domain>`
pub(super) fn address_of_record(account: &Account) -> NameAddr {
    let address = NameAddr::new(SipUri::new(Some(&account.user), account.domain.clone(), None));
    match &account.display_name {
        Some(name) => address.with_display_name(name),
        None => address,
    }
}

/// When to ask again: well before the end, so that a lost REGISTER can be repeated.
pub(super) fn refresh_after(expires: Duration) -> Duration {
    expires.mul_f64(0.8).max(Duration::from_secs(1))
}

fn failed(purpose: Purpose, status: Option<StatusCode>, reason: &str) -> Settled {
    Settled::Failed { purpose, status, reason: reason.to_owned(), again_after: None }
}

/// Of a time that is short enough to be waited for.
fn retry_after(header: &Header) -> Option<Duration> {
    let value = header.fields.get(&FieldName::RETRY_AFTER)?.trim_start();
    let digits = value.split(|octet: char| !octet.is_ascii_digit()).next()?;
    digits.parse().ok().map(Duration::from_secs).filter(|after| *after <= RETRY_AFTER_MAX)
}

const RETRY_AFTER_MAX: Duration = Duration::from_secs(300);

const LEFT_MAX: usize = 4;

fn own_contact(account: &Account) -> SipUri {
    let mut contact = SipUri::at(Some(&account.user), account.flow.local);
    if account.flow.transport.is_reliable() {
        contact.parameters.set("transport", Some(account.flow.transport.word()));
    }
    contact
}

fn own_contacts(account: &Account) -> Contacts {
    Contacts::List(vec![NameAddr::new(own_contact(account))])
}

/// The time that the registrar gives our contact (RFC 3261 §10.2.4).
fn granted(header: &Header, account: &Account) -> Option<Duration> {
    let own = own_contact(account).into();
    let in_contact = match &header.contact {
        Some(Contacts::List(contacts)) => contacts
            .iter()
            .find(|contact| contact.uri.is_equivalent(&own))
            .and_then(|contact| contact.parameters.value("expires")?.parse().ok()),
        Some(Contacts::Star) | None => None,
    };
    let in_field = || header.fields.delta_seconds(&FieldName::EXPIRES)?.ok().map(u64::from);
    in_contact.or_else(in_field).map(Duration::from_secs)
}
