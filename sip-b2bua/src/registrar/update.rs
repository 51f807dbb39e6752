//! What a REGISTER asks for, and the bindings that come of it (RFC 3261 §10.3 steps 6 and 7).

use super::binding::{Binding, instance_of, user_agent};
use super::{Refusal, RegistrarConfig};
use sip_core::{Flow, Incoming};
use sip_message::{Contacts, FieldName, Host, NameAddr, Request, SipUri};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// A REGISTER that was read; its contacts are good.
pub(super) struct Update<'a> {
    request: &'a Request,
    flow: Flow,
    path: Vec<NameAddr>,
    wish: Wish,
}

enum Wish {
    /// No Contact: only to be told (RFC 3261 §10.2.3).
    Query,
    RemoveAll,
    /// Contacts, and for how long; zero removes.
    Set(Vec<(NameAddr, Duration)>),
}

/// Octets of one Contact: a list of all bindings has to fit into a datagram.
const CONTACT_MAX: usize = 2048;

impl<'a> Update<'a> {
    pub(super) fn read(incoming: &'a Incoming, config: &RegistrarConfig) -> Result<Self, Refusal> {
        let request = &incoming.request;
        let path = request.header.fields.addresses(&FieldName::PATH).map_err(|_| Refusal::Path)?;
        let wish = match &request.header.contact {
            None => Wish::Query,
            Some(Contacts::Star) => match request.header.fields.delta_seconds(&FieldName::EXPIRES) {
                Some(Ok(0)) => Wish::RemoveAll,
                Some(_) | None => return Err(Refusal::StarWithoutExpires),
            },
            Some(Contacts::List(contacts)) => {
                let read = |contact| read_contact(contact, incoming, config);
                Wish::Set(contacts.iter().map(read).collect::<Result<_, _>>()?)
            }
        };
        Ok(Self { request, flow: incoming.flow, path, wish })
    }

    /// The bindings afterwards; `None` when nothing changes. All or nothing: one contact that is out of order fails
    /// the whole request.
    pub(super) fn apply(
        &self,
        before: &[Binding],
        now: Instant,
        wall_ms: i64,
    ) -> Result<Option<Vec<Binding>>, Refusal> {
        let contacts = match &self.wish {
            Wish::Query => return Ok(None),
            Wish::RemoveAll => {
                before.iter().try_for_each(|binding| self.check_order(binding))?;
                return Ok((!before.is_empty()).then(Vec::new));
            }
            Wish::Set(contacts) => contacts,
        };
        let call_id = &*self.request.header.call_id.0;
        let (mut kept, mut set) = (before.to_vec(), Vec::<Binding>::new());
        for (contact, lifetime) in contacts {
            // What another Contact of this request means was not left behind.
            let is_named = |binding: &Binding| contacts.iter().any(|(contact, _)| binding.is_of(contact));
            let goes = |binding: &Binding| {
                binding.is_of(contact)
                    || (!lifetime.is_zero() && binding.was_left_by(contact, call_id) && !is_named(binding))
            };
            before
                .iter()
                .filter(|binding| goes(binding))
                .try_for_each(|binding| self.check_order(binding))?;
            kept.retain(|binding| !goes(binding));
            // Nor is it taken back what this request sets, unless it names the very address.
            set.retain(|binding| match lifetime.is_zero() {
                true => !binding.contact.uri.is_equivalent(&contact.uri),
                false => !binding.is_of(contact),
            });
            if !lifetime.is_zero() {
                set.push(self.binding(contact, *lifetime, now, wall_ms));
            }
        }
        let is_change = !set.is_empty() || kept.len() != before.len();
        kept.append(&mut set);
        Ok(is_change.then_some(kept))
    }

    /// As many of them as there may be: whoever proves its password wins over the phone that came longest ago, unless
    /// the connection of that one is open. `None`: none can go.
    pub(super) fn within(&self, mut bindings: Vec<Binding>, most: usize) -> Option<Vec<Binding>> {
        while bindings.len() > most {
            let may_go =
                bindings.iter().enumerate().filter(|(_, it)| !it.has_connection && !self.has_set(it));
            let (oldest, _) = may_go.min_by_key(|(_, binding)| binding.registered)?;
            bindings.remove(oldest);
        }
        Some(bindings)
    }

    /// Which of the phones that were reached elsewhere `before` this request has brought: each with its way then, and now.
    pub(super) fn moved<'b>(
        &self,
        before: impl Iterator<Item = &'b Binding>,
        after: &[Binding],
    ) -> Vec<(Flow, Flow)> {
        let call_id = &*self.request.header.call_id.0;
        // The same URI alone may be that of a phone in another home.
        let now_at = |old: &Binding| {
            let mut new =
                after.iter().filter(|new| self.has_set(new) && old.is_of_phone(&new.contact, call_id));
            let named = new.clone().find(|new| old.is_of(&new.contact));
            named.or_else(|| new.find(|new| old.was_left_by(&new.contact, call_id))).map(|new| new.flow)
        };
        let moved = before.filter_map(|old| Some((old.flow, now_at(old)?)));
        moved.filter(|(before, after)| before != after).collect()
    }

    fn has_set(&self, binding: &Binding) -> bool {
        let header = &self.request.header;
        (&binding.call_id, binding.cseq) == (&header.call_id.0, header.cseq.number)
    }

    /// A request that was overtaken by a later one of the same Call-ID must not undo it.
    fn check_order(&self, binding: &Binding) -> Result<(), Refusal> {
        let header = &self.request.header;
        match binding.call_id == header.call_id.0 && header.cseq.number <= binding.cseq {
            true => Err(Refusal::OutOfOrder),
            false => Ok(()),
        }
    }

    /// Along which flow it is rung: that of its proxy, if it has one.
    fn way_to(&self, contact: &NameAddr) -> Flow {
        let top = self.request.header.via.first();
        match contact.uri.as_sip().filter(|_| self.path.is_empty()) {
            Some(uri) => sip_core::listening_flow(top, uri, self.flow),
            None => self.flow,
        }
    }

    fn binding(&self, contact: &NameAddr, lifetime: Duration, now: Instant, wall_ms: i64) -> Binding {
        let header = &self.request.header;
        let lifetime_ms = i64::try_from(lifetime.as_millis()).unwrap_or(i64::MAX);
        Binding {
            contact: contact.clone(),
            flow: self.way_to(contact),
            path: self.path.clone(),
            instance: instance_of(contact).map(Into::into),
            user_agent: user_agent(&header.fields),
            expires: now + lifetime,
            expires_at: wall_ms.saturating_add(lifetime_ms),
            registered: now,
            has_connection: self.flow.transport.is_reliable(),
            call_id: header.call_id.0.clone(),
            cseq: header.cseq.number,
        }
    }
}

fn read_contact(
    contact: &NameAddr,
    incoming: &Incoming,
    config: &RegistrarConfig,
) -> Result<(NameAddr, Duration), Refusal> {
    let uri = contact.uri.as_sip().ok_or(Refusal::ContactIsNoSipUri)?;
    if is_at(uri, incoming.flow.local) || incoming.flow.remote == incoming.flow.local {
        return Err(Refusal::ContactIsThisServer);
    }
    if contact.to_string().len() > CONTACT_MAX {
        return Err(Refusal::ContactTooLong);
    }
    let wanted =
        wanted_seconds(contact, &incoming.request).map(|seconds| Duration::from_secs(seconds.into()));
    match wanted {
        None => Ok((contact.clone(), config.default)),
        Some(wanted) if wanted.is_zero() => Ok((contact.clone(), wanted)),
        Some(wanted) if wanted < config.min => Err(Refusal::TooBrief),
        Some(wanted) => Ok((contact.clone(), wanted.min(config.max))),
    }
}

/// The `expires` parameter, else the Expires field. One that cannot be read is none (RFC 3261 §10.2.1.1); one that is
/// too large for 32 bits is the largest.
fn wanted_seconds(contact: &NameAddr, request: &Request) -> Option<u32> {
    match contact.parameters.value("expires") {
        Some(text) if !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_digit()) => {
            Some(text.parse().unwrap_or(u32::MAX))
        }
        Some(_) => None,
        None => request.header.fields.delta_seconds(&FieldName::EXPIRES)?.ok(),
    }
}

/// A call to such a phone would come back to us.
fn is_at(uri: &SipUri, address: SocketAddr) -> bool {
    uri.host == Host::Address(address.ip()) && uri.port.unwrap_or(5060) == address.port()
}
