//! What a carrier is asked outside of calls.

use crate::settings::TrunkSettings;
use sip_core::{Flow, NewRequest};
use sip_message::{CallId, Contacts, FieldName, Method, NameAddr, SipUri};
use std::time::Duration;

/// Our binding at the carrier: nothing but where we are, as registrars refuse what they do not know.
pub(super) fn contact(trunk: &TrunkSettings, flow: Flow) -> SipUri {
    let mut contact = SipUri::at(trunk.username.as_deref(), flow.local);
    if flow.transport.is_reliable() {
        contact.parameters.set("transport", Some(flow.transport.word()));
    }
    contact
}

/// A REGISTER that asks for `wanted`; for no time, it takes our binding back.
pub(super) fn register(
    trunk: &TrunkSettings,
    flow: Flow,
    call_id: Option<CallId>,
    cseq: u32,
    wanted: Duration,
) -> NewRequest {
    let ours = NewAddress::of(trunk, trunk.username.as_deref());
    let mut request = outside_of_calls(trunk, flow, Method::REGISTER, ours);
    request.call_id = call_id;
    request.cseq = Some(cseq);
    request.contact = Some(Contacts::List(vec![NameAddr::new(contact(trunk, flow))]));
    request.fields.push((FieldName::EXPIRES, wanted.as_secs().to_string().into()));
    request
}

/// An OPTIONS that asks whether somebody is there.
pub(super) fn options(trunk: &TrunkSettings, flow: Flow) -> NewRequest {
    let number = trunk.first_number().map(|number| trunk.writing.shown(&number));
    let user = trunk.from_user.as_deref().or(trunk.username.as_deref()).or(number.as_deref());
    let mut ours = NewAddress::of(trunk, user);
    ours.to = NameAddr::new(domain(trunk));
    let mut request = outside_of_calls(trunk, flow, Method::OPTIONS, ours);
    request.contact = Some(Contacts::List(vec![NameAddr::new(contact(trunk, flow))]));
    request
}

struct NewAddress {
    from: NameAddr,
    to: NameAddr,
}

impl NewAddress {
    fn of(trunk: &TrunkSettings, user: Option<&str>) -> Self {
        let host = trunk.from_domain.clone().unwrap_or_else(|| trunk.address.host.clone());
        let ours = NameAddr::new(SipUri::new(user, host, None));
        Self { from: ours.clone(), to: ours }
    }
}

fn domain(trunk: &TrunkSettings) -> SipUri {
    let mut uri = SipUri::new(None, trunk.address.host.clone(), trunk.address.port);
    uri.secure = trunk.address.secure;
    uri
}

fn outside_of_calls(trunk: &TrunkSettings, flow: Flow, method: Method, ours: NewAddress) -> NewRequest {
    let route = trunk.proxy_route().map(|route| (FieldName::ROUTE, route.to_string().into()));
    NewRequest {
        flow,
        method,
        uri: domain(trunk).into(),
        from: ours.from,
        to: ours.to,
        call_id: None,
        cseq: None,
        contact: None,
        fields: route.into_iter().collect(),
        credentials: trunk.credentials.clone(),
    }
}
