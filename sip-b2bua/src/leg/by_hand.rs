//! Phones that are played by hand: what their INVITE usages report.

use super::Route;
use crate::media::Announced;
use crate::place::CallNumber;
use sip_core::{Flow, Gone, GoneCause, InviteEvent, NewInvite, Reach, Transport};
use sip_message::{CallId, Method, NameAddr, Request, SipUri, StatusCode};

/// The call that they belong to.
pub(crate) const fn call() -> CallNumber {
    CallNumber(1)
}

/// A phone at that port.
pub(crate) fn route(port: u16) -> Route {
    let remote = ([127, 0, 0, 1], port).into();
    let flow = Flow { transport: Transport::Udp, local: ([127, 0, 0, 1], 5060).into(), remote, peer: None };
    let uri = SipUri::at(Some("1001"), remote);
    let invite = NewInvite {
        flow,
        uri: uri.clone().into(),
        from: NameAddr::new(uri.clone()),
        to: NameAddr::new(uri),
        contact_user: None,
        route: Vec::new(),
        fields: Vec::new(),
        offer: None,
        credentials: None,
        reach: Reach::AlongFlow,
        waits: false,
        max_forwards: None,
    };
    Route {
        invite,
        announced: Announced { rtp: ([127, 0, 0, 1], 20_000).into() },
        gives_up_at: None,
        stream: None,
    }
}

/// It answers with that payload type.
pub(crate) fn two_hundred(codec: &str) -> InviteEvent {
    let uri = SipUri::at(Some("1001"), ([127, 0, 0, 1], 5062).into());
    let from = NameAddr::new(uri.clone());
    let request = Request::new(Method::INVITE, uri, from.clone(), from, CallId("c".into()), 1);
    let mut response = request.response(StatusCode::OK);
    let body = format!(
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP {codec}\r\n"
    );
    response.set_body("application/sdp", body.into_bytes());
    InviteEvent::Answered { response: Box::new(response) }
}

pub(crate) fn ringing() -> InviteEvent {
    InviteEvent::Progress { status: StatusCode::RINGING, body: None, branch: None }
}

pub(crate) fn gone(cause: GoneCause) -> InviteEvent {
    InviteEvent::Gone(Gone { cause, reason: None, response: None })
}

pub(crate) fn refused(status: u16) -> InviteEvent {
    gone(GoneCause::Refused { status: StatusCode::new(status).unwrap() })
}
