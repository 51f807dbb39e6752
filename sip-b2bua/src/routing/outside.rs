//! Numbers outside, and what a trunk is told.

use super::extension::{expires, variables};
use super::{Diversion, Reaching};
use crate::leg::{Route, Routes};
use crate::scenario::{Order, Shows};
use crate::settings::{IdentityField, TrunkSettings};
use call_control::{Call, CallerId, Number};
use sip_core::{Flow, NewInvite, Reach};
use sip_message::{FieldName, Host, NameAddr, SipUri};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Left for the datagram when nothing comes back along the stream.
const FOR_DATAGRAM: Duration = Duration::from_secs(2);

/// A trunk that is to be rung along one of its ways.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Through<'a> {
    pub(crate) trunk: &'a TrunkSettings,
    pub(crate) flow: Flow,
    /// Along which an INVITE goes first that is too large for that.
    pub(crate) stream: Option<Flow>,
    /// Where the carrier wants its requests to go, behind the proxy.
    pub(crate) route: &'a [NameAddr],
    pub(crate) gives_up_at: Instant,
    /// The caller cannot be anonymous.
    pub(crate) is_emergency: bool,
}

impl Reaching<'_> {
    /// The number that `order` names, for a leg of `call` whose media is `bound` there.
    pub(crate) fn through(
        &self,
        through: Through<'_>,
        order: &Order,
        call: &Call,
        bound: SocketAddr,
    ) -> Routes {
        let Through { trunk, flow, stream, gives_up_at, .. } = through;
        let shown = trunk.shows(&order.shows, through.is_emergency);
        let uri = trunk.callee(&order.whom.number);
        let mut fields = if trunk.pass_variables { variables(call) } else { Vec::new() };
        fields.push(expires(order));
        fields.extend(trunk.identifies(&shown));
        if !shown.is_anonymous && !through.is_emergency {
            fields.extend(trunk.tells_of(&order.shows.diverted));
        }
        let invite = NewInvite {
            flow,
            to: NameAddr::new(uri.clone()),
            uri: uri.into(),
            contact_user: Some(trunk.contact_user(&shown)),
            from: trunk.from(&shown),
            route: trunk.proxy_route().into_iter().chain(through.route.iter().cloned()).collect(),
            fields,
            offer: None,
            credentials: trunk.credentials.clone(),
            reach: Reach::ByRoute(flow.peer),
            // What it is taken back with after a crash is on disk first.
            waits: true,
            max_forwards: None,
        };
        let stream = stream.zip(gives_up_at.checked_sub(FOR_DATAGRAM));
        let announced = self.announced(bound, flow);
        let route = Route { announced, invite, gives_up_at: Some(gives_up_at), stream };
        let codecs = self.codecs(&order.whom, order.will_be_joined_by.as_ref());
        let trunk = Some(trunk.name.clone());
        Routes { groups: [vec![route]].into(), codecs, are_there_more: true, trunk, give_way_after: None }
    }
}

/// What the far end is shown of the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Shown {
    /// One of ours, or one that may be shown; absent when the trunk has none.
    number: Option<Number>,
    name: Option<Box<str>>,
    /// Only a trunk that is trusted learns the number, and it shows it to nobody.
    is_anonymous: bool,
}

/// Whoever wants to show nothing (RFC 3323 §4.1.1.3).
pub(super) fn anonymous() -> NameAddr {
    let host = Host::Name("anonymous.invalid".into());
    NameAddr::new(SipUri::new(Some("anonymous"), host, None)).with_display_name("Anonymous")
}

impl TrunkSettings {
    /// Whether a number is one of ours at this trunk.
    pub(crate) fn owns(&self, number: &Number) -> bool {
        self.numbers.iter().any(|ours| ours.fits(number))
    }

    /// Whether the far end sees the number that is wanted.
    pub(crate) fn shows_wanted(&self, shows: &Shows) -> bool {
        let wanted = shows.caller_id.as_ref().and_then(|caller_id| caller_id.number.as_ref());
        wanted.is_some_and(|number| self.owns(number) || shows.caller_ids.contains(number))
    }

    fn shows(&self, shows: &Shows, is_emergency: bool) -> Shown {
        let may_show = |number: &Number| self.owns(number) || shows.caller_ids.contains(number);
        let preferred = || shows.prefers.iter().find(|number| self.owns(number)).cloned();
        let of_key = || shows.caller_ids.iter().find(|number| self.owns(number)).cloned();
        // Whoever is led on by one of ours is shown that one.
        let led_on = || shows.diverted.iter().find(|step| step.is_ours && self.owns(&step.number));
        let ours = || {
            preferred()
                .or_else(of_key)
                .or_else(|| led_on().map(|step| step.number.clone()))
                .or_else(|| self.first_number())
        };
        let shown = |number, name, is_anonymous| Shown { number, name, is_anonymous };
        match &shows.caller_id {
            // Whoever comes to help has to know whom to call back.
            _ if is_emergency => shown(self.first_number(), None, false),
            Some(CallerId { number: None, .. }) => shown(ours(), None, true),
            Some(CallerId { number: Some(number), name }) if may_show(number) => {
                shown(Some(number.clone()), name.clone(), false)
            }
            Some(_) | None => shown(ours(), None, false),
        }
    }

    /// Request-URI and To. Its domain is that of the trunk, wherever its name leads to (RFC 3263 §4).
    fn callee(&self, number: &Number) -> SipUri {
        let mut uri =
            SipUri::new(Some(&self.writing.dialled(number)), self.address.host.clone(), self.address.port);
        uri.secure = self.address.secure;
        self.marked(uri)
    }

    fn from(&self, shown: &Shown) -> NameAddr {
        if shown.is_anonymous {
            return anonymous();
        }
        let number = shown.number.as_ref().map(|number| self.writing.shown(number));
        let user = self.from_user.as_deref().or(number.as_deref());
        NameAddr::new(self.here(user)).with_display_name(shown.name.as_deref().unwrap_or_default())
    }

    /// The fields that tell the carrier who calls, and whom it may show that.
    fn identifies(&self, shown: &Shown) -> Vec<(FieldName, Box<str>)> {
        let mut fields = Vec::new();
        if shown.is_anonymous {
            fields.push((FieldName::PRIVACY, "id".into())); // RFC 3325 §9.3
        }
        let Some(number) = shown.number.as_ref().filter(|_| self.trusted || !shown.is_anonymous) else {
            return fields;
        };
        let name = shown.name.as_deref().unwrap_or_default();
        let address = NameAddr::new(self.here(Some(&self.writing.shown(number)))).with_display_name(name);
        match self.identity {
            IdentityField::PAssertedIdentity => {
                fields.push((FieldName::P_ASSERTED_IDENTITY, address.to_string().into()));
            }
            IdentityField::RemotePartyId => {
                let privacy = if shown.is_anonymous { "full" } else { "off" };
                let value = format!("{address};party=calling;privacy={privacy};screen=yes");
                fields.push((FieldName::REMOTE_PARTY_ID, value.into()));
            }
            IdentityField::From => {}
        }
        fields
    }

    /// By whom the call was led on, as this carrier knows them: of ours those that are its own, its first number for any
    /// other.
    fn tells_of(&self, diverted: &[Diversion]) -> Vec<(FieldName, Box<str>)> {
        let steps = diverted.iter().filter_map(|step| {
            let is_known = !step.is_ours || self.owns(&step.number);
            let number = if is_known { step.number.clone() } else { self.first_number()? };
            let address = NameAddr::new(self.here(Some(&self.writing.shown(&number))));
            Some((FieldName::DIVERSION, format!("{address};reason={}", step.reason.word()).into()))
        });
        steps.collect()
    }

    fn contact_user(&self, shown: &Shown) -> Box<str> {
        match (&self.username, &shown.number) {
            (Some(username), _) => username.clone(),
            (None, Some(number)) if !shown.is_anonymous => self.writing.shown(number).into(),
            (None, _) => self.name.clone(),
        }
    }

    /// A URI of somebody of ours in the domain of the trunk.
    fn here(&self, user: Option<&str>) -> SipUri {
        let host = self.from_domain.clone().unwrap_or_else(|| self.address.host.clone());
        self.marked(SipUri::new(user, host, None))
    }

    fn marked(&self, mut uri: SipUri) -> SipUri {
        if self.user_phone {
            uri.parameters.set("user", Some("phone"));
        }
        uri
    }
}
