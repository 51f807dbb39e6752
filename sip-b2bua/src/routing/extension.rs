//! The phones of an extension, and what they are told.

use super::Directory;
use super::auto_answer::AutoAnswer;
use super::outside::anonymous;
use crate::leg::{Route, Routes};
use crate::media::Announced;
use crate::registrar::Registrar;
use crate::scenario::{LegEnd, Order, Shows, Whom};
use crate::settings::Settings;
use audio::Codec;
use call_control::{Call, CallerId, Number, PartyType};
use sip_core::{Flow, NewInvite, Reach};
use sip_message::{FieldName, Host, NameAddr, SipUri};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

/// A phone that no CANCEL reaches stops ringing by itself (RFC 3261 §13.3.1) so long after we have given it up.
const CANCEL_FIRST: Duration = Duration::from_secs(2);

/// What the way to a phone is found with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reaching<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) directory: &'a Directory,
    pub(crate) registrar: &'a Registrar,
}

impl Reaching<'_> {
    /// The registered phones of whom `order` names, for a leg of `call` whose media is `bound` there.
    pub(crate) fn routes(
        &self,
        order: &Order,
        call: &Call,
        bound: SocketAddr,
        now: Instant,
    ) -> Result<Routes, LegEnd> {
        match order.whom.party_type {
            PartyType::Extension => {}
            PartyType::Queue | PartyType::Ivr | PartyType::AiAgent | PartyType::External => {
                return Err(LegEnd::Unreachable);
            }
        }
        let callee = &order.whom.number;
        let shown = self.shown(&order.shows);
        let bindings = self.registrar.bindings_of(callee.as_str(), now);
        let forward = self.directory.forward_of(callee);
        if bindings.is_empty() && forward.is_none() {
            return Err(LegEnd::Unreachable);
        }
        let phones = bindings.into_iter().map(|binding| {
            let invite = NewInvite {
                flow: binding.flow,
                uri: binding.contact.uri,
                from: shown.clone(),
                to: self.address(callee),
                contact_user: shown.uri.as_sip().and_then(|uri| uri.user.clone()),
                route: binding.path,
                fields: self.fields(order, call, binding.user_agent.as_deref()),
                offer: None,
                credentials: None,
                reach: Reach::AlongFlow,
                waits: false,
                max_forwards: None,
            };
            Route { announced: self.announced(bound, binding.flow), invite, gives_up_at: None, stream: None }
        });
        let codecs = self.codecs(&order.whom, order.will_be_joined_by.as_ref());
        Ok(Routes {
            groups: [phones.collect()].into(),
            codecs,
            are_there_more: forward.is_some(),
            give_way_after: forward.map(|forward| forward.after),
            trunk: None,
        })
    }

    /// The variables of the call, how long the INVITE is meant, by whom the call was led on, and what makes this phone
    /// answer by itself.
    fn fields(&self, order: &Order, call: &Call, user_agent: Option<&str>) -> Vec<(FieldName, Box<str>)> {
        let mut fields = variables(call);
        fields.push(expires(order));
        let is_anonymous = order.shows.caller_id.as_ref().is_some_and(|shown| shown.number.is_none());
        for step in order.shows.diverted.iter().filter(|_| !is_anonymous) {
            let value = format!("{};reason={}", self.address(&step.number), step.reason.word());
            fields.push((FieldName::DIVERSION, value.into()));
        }
        if order.answers_by_itself {
            let set = self.directory.auto_answer_of(&order.whom.number);
            let obeys = set.unwrap_or_else(|| AutoAnswer::of_user_agent(user_agent));
            fields.extend(obeys.fields(&self.settings.domain));
        }
        fields
    }

    /// What to offer: first what those who come later know too.
    pub(crate) fn codecs(&self, whom: &Whom, will_be_joined_by: Option<&Whom>) -> Vec<Codec> {
        let own = |whom: &Whom| {
            let codecs = self.directory.codecs_of(&whom.number);
            codecs.unwrap_or(&self.settings.media.codecs).to_vec()
        };
        let codecs = own(whom);
        let Some(later) = will_be_joined_by.map(own) else { return codecs };
        let common: Vec<Codec> = codecs.iter().copied().filter(|codec| later.contains(codec)).collect();
        if common.is_empty() { codecs } else { common }
    }

    /// The relay's address as the phone behind `flow` is told it. Whoever sees a local address although there is an external
    /// one is on our side of the NAT, where an address that is meant for the others may lead nowhere.
    pub(crate) fn announced(&self, bound: SocketAddr, flow: Flow) -> Announced {
        let seen = flow.local.ip();
        let of_family = |ip: &IpAddr| ip.is_ipv4() == seen.is_ipv4();
        let is_on_our_side = self.settings.external_address.filter(of_family).is_some_and(|ip| ip != seen);
        let ip = match self.settings.media.address.filter(of_family) {
            Some(address) if !is_on_our_side => address,
            Some(_) | None if bound.ip().is_unspecified() => seen,
            Some(_) | None => bound.ip(),
        };
        Announced { rtp: SocketAddr::new(ip, bound.port()) }
    }

    /// `sip:number@domain`.
    fn address(&self, number: &Number) -> NameAddr {
        let domain = &self.settings.domain;
        let domain = Host::new(domain).unwrap_or_else(|| Host::Name(domain.clone()));
        NameAddr::new(SipUri::new(Some(number.as_str()), domain, None))
    }

    /// What a phone is told of the one that it talks to from now on (RFC 3325 §9.1).
    pub(crate) fn identity(&self, shows: &Shows) -> Vec<(FieldName, Box<str>)> {
        vec![(FieldName::P_ASSERTED_IDENTITY, self.shown(shows).to_string().into())]
    }

    /// What a phone sees of the other party.
    fn shown(&self, shows: &Shows) -> NameAddr {
        let (number, name) = match &shows.caller_id {
            Some(CallerId { number: None, .. }) => return anonymous(),
            Some(CallerId { number: Some(number), name }) => (number, name.as_deref()),
            None => (&shows.number, self.directory.name_of(&shows.number)),
        };
        match name {
            Some(name) => self.address(number).with_display_name(name),
            None => self.address(number),
        }
    }
}

/// The address to bind the relay to for phones behind these flows: the one that all of them see, if there is one.
pub(crate) fn facing(settings: &Settings, flows: impl IntoIterator<Item = Flow>) -> IpAddr {
    let mut seen = flows.into_iter().map(|flow| flow.local.ip());
    let any = |ip: IpAddr| match ip {
        IpAddr::V4(_) => IpAddr::from([0, 0, 0, 0]),
        IpAddr::V6(_) => IpAddr::from([0_u16; 8]),
    };
    match seen.next() {
        Some(first) if settings.external_address == Some(first) => any(first),
        Some(first) if seen.all(|ip| ip == first) => first,
        Some(first) => any(first),
        None => IpAddr::from([0, 0, 0, 0]),
    }
}

/// The variables of the call.
pub(super) fn variables(call: &Call) -> Vec<(FieldName, Box<str>)> {
    let variables = call.variables.iter().filter_map(|(name, value)| {
        let name = FieldName::new(&format!("X-Variable-{}", name.as_str()))?;
        Some((name, percent_encoded(&value.to_text()).into()))
    });
    variables.collect()
}

/// How long the INVITE is meant.
pub(super) fn expires(order: &Order) -> (FieldName, Box<str>) {
    (FieldName::EXPIRES, (order.rings_for + CANCEL_FIRST).as_secs().to_string().into())
}

/// RFC 3986 §2.1: everything but unreserved characters is escaped, so that a value is one word of a header field.
fn percent_encoded(text: &str) -> String {
    use std::fmt::Write as _;
    let mut encoded = String::with_capacity(text.len());
    for octet in text.bytes() {
        if octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'.' | b'_' | b'~') {
            encoded.push(char::from(octet));
        } else {
            let _ = write!(encoded, "%{octet:02X}");
        }
    }
    encoded
}
