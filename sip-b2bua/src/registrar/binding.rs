//! One contact of an address-of-record.

use crate::stored_flow;
use call_store::StoredBinding;
use sip_core::Flow;
use sip_message::{FieldName, Fields, Host, NameAddr, SipUri, Uri};
use std::time::{Duration, Instant};

/// A phone that registered, and how it is reached.
#[derive(Debug, Clone)]
pub struct Binding {
    /// As it was registered; its URI is the Request-URI of a call to this phone.
    pub contact: NameAddr,
    /// From where it registered: a phone behind NAT is reached along it and not at its Contact.
    pub flow: Flow,
    /// What becomes the Route of a call (RFC 3327 §5.3).
    pub path: Vec<NameAddr>,
    /// `+sip.instance` of the Contact (RFC 5626 §4.1).
    pub instance: Option<Box<str>>,
    /// User-Agent of the REGISTER, cut to 128 characters.
    pub user_agent: Option<Box<str>>,
    /// When it ends.
    pub expires: Instant,
    /// The same, in milliseconds since 1970.
    pub expires_at: i64,
    /// When it was last refreshed.
    pub registered: Instant,
    /// The connection along which it registered is open (TCP).
    pub(super) has_connection: bool,
    /// Call-ID of the last REGISTER.
    pub(super) call_id: Box<str>,
    /// CSeq number of the last REGISTER.
    pub(super) cseq: u32,
}

/// Characters of a User-Agent that are kept.
const USER_AGENT_MAX: usize = 128;

impl Binding {
    pub(super) fn is_live(&self, now: Instant) -> bool {
        self.expires > now
    }

    /// Whether a Contact means this binding: an equivalent URI (RFC 3261 §10.3 step 7), or the same instance and the
    /// same flow of it (RFC 5626 §6).
    pub(super) fn is_of(&self, contact: &NameAddr) -> bool {
        let flow = self.flow_number();
        self.contact.uri.is_equivalent(&contact.uri)
            || (flow.is_some() && flow == flow_number(contact) && self.is_same_instance(contact))
    }

    /// Whether it was left behind by the phone that now comes with another Contact: the same instance, or the same
    /// Call-ID, of which a phone has one (RFC 3261 §10.2.4). A connection that is open is not. Over UDP, where nothing
    /// closes, a phone that says which instance it is has moved; of any other the port alone may be another one, as
    /// after a restart or behind a NAT that forgot it.
    pub(super) fn was_left_by(&self, contact: &NameAddr, call_id: &str) -> bool {
        if self.flow_number() != flow_number(contact) || self.has_connection {
            return false;
        }
        self.is_same_instance(contact)
            || (*self.call_id == *call_id
                && (self.flow.transport.is_reliable() || self.differs_in_port_only(contact)))
    }

    /// Whether it is of the phone that sends this: the same instance, or the same Call-ID.
    pub(super) fn is_of_phone(&self, contact: &NameAddr, call_id: &str) -> bool {
        self.is_same_instance(contact) || *self.call_id == *call_id
    }

    fn is_same_instance(&self, contact: &NameAddr) -> bool {
        self.instance.is_some() && self.instance.as_deref() == instance_of(contact)
    }

    fn flow_number(&self) -> Option<&str> {
        flow_number(&self.contact)
    }

    fn differs_in_port_only(&self, contact: &NameAddr) -> bool {
        match (self.contact.uri.as_sip(), contact.uri.as_sip()) {
            (Some(one), Some(other)) => {
                let same_port = SipUri { port: one.port, ..other.clone() };
                self.contact.uri.is_equivalent(&Uri::Sip(same_port))
            }
            (None, _) | (_, None) => false,
        }
    }

    /// `q` in thousandths; 1 when absent or unreadable.
    pub(super) fn preference(&self) -> u16 {
        self.contact.parameters.value("q").and_then(thousandths).unwrap_or(1000)
    }

    /// As it stands in a 200: with the whole seconds that are left.
    pub(super) fn listed(&self, now: Instant) -> NameAddr {
        let mut contact = self.contact.clone();
        let left = self.expires.saturating_duration_since(now).as_secs();
        contact.parameters.set("expires", Some(&left.to_string()));
        contact
    }

    /// What is left when its connection is closed: a phone that listens where it connected from.
    pub(super) fn without_connection(mut self) -> Option<Self> {
        let uri = self.contact.uri.as_sip()?;
        let is_at_source = uri.host == Host::Address(self.flow.remote.ip());
        self.flow.remote.set_port(uri.port.unwrap_or(5060));
        self.has_connection = false;
        is_at_source.then_some(self)
    }

    pub(super) fn to_stored(&self, user: &str) -> StoredBinding {
        let path: Vec<_> = self.path.iter().map(ToString::to_string).collect();
        let [transport, local, remote] = stored_flow::words(self.flow);
        StoredBinding {
            user: user.into(),
            contact: self.contact.to_string().into(),
            call_id: self.call_id.clone(),
            cseq: self.cseq,
            expires_at: self.expires_at,
            transport,
            local,
            remote,
            path: (!path.is_empty()).then(|| path.join(", ").into()),
            user_agent: self.user_agent.clone(),
        }
    }

    /// `None` when it has expired or cannot be read. What ends later than `longest` from now was written under
    /// another clock and is cut.
    pub(super) fn from_stored(
        row: &StoredBinding,
        now: Instant,
        wall_ms: i64,
        longest: Duration,
    ) -> Option<Self> {
        let left = u64::try_from(row.expires_at.checked_sub(wall_ms)?).ok().filter(|left| *left > 0)?;
        let left = Duration::from_millis(left).min(longest);
        let contact: NameAddr = row.contact.parse().ok()?;
        let flow = stored_flow::read(&row.transport, &row.local, &row.remote)?;
        let mut fields = Fields::default();
        row.path.iter().for_each(|path| fields.push(FieldName::PATH, path));
        Some(Self {
            instance: instance_of(&contact).map(Into::into),
            contact,
            flow,
            path: fields.addresses(&FieldName::PATH).ok()?,
            user_agent: row.user_agent.clone(),
            expires: now + left,
            expires_at: row.expires_at,
            registered: now,
            has_connection: false,
            call_id: row.call_id.clone(),
            cseq: row.cseq,
        })
    }
}

/// `reg-id` (RFC 5626 §4.2).
fn flow_number(contact: &NameAddr) -> Option<&str> {
    contact.parameters.value("reg-id")
}

pub(super) fn instance_of(contact: &NameAddr) -> Option<&str> {
    contact.parameters.value("+sip.instance")
}

pub(super) fn user_agent(fields: &Fields) -> Option<Box<str>> {
    let agent = fields.get(&FieldName::USER_AGENT)?;
    Some(agent.chars().take(USER_AGENT_MAX).collect::<String>().into())
}

/// `qvalue` (RFC 3261 §25.1).
fn thousandths(text: &str) -> Option<u16> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if fraction.len() > 3 || !fraction.bytes().all(|octet| octet.is_ascii_digit()) {
        return None;
    }
    let fraction: u16 = format!("{fraction:0<3}").parse().ok()?;
    match whole {
        "0" | "" => Some(fraction),
        "1" => (fraction == 0).then_some(1000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::thousandths;

    #[test]
    fn preferences_are_read_as_thousandths() {
        for (text, value) in
            [("1", 1000), ("1.000", 1000), ("0", 0), ("0.7", 700), ("0.25", 250), (".5", 500)]
        {
            assert_eq!(thousandths(text), Some(value), "{text}");
        }
        for text in ["2", "1.1", "-1", "0.0001", "a", "0.x", "0.5é"] {
            assert_eq!(thousandths(text), None, "{text}");
        }
    }
}
