//! Session timers: what is agreed on in requests and responses, and the refresh (RFC 4028).

use super::provisional::has_option;
use super::transactions::Owner;
use super::usage::{ConnectedIdentity, Stage, Usage};
use super::{Endpoint, TransactionId};
use crate::authentication::{Attempts, Retry};
use crate::invite::{Agreement, EstablishedEvent, Refresher};
use crate::{Flow, InviteId};
use sip_message::{FieldName, Header, Method, Request, Response, StatusCode};
use std::time::{Duration, Instant};

/// The option tag (RFC 4028 §3).
pub(super) const TIMER: &str = "timer";

/// Methods of an Allow that are looked at.
const METHODS_MAX: usize = 32;

/// Intervals of ours that one peer may refuse.
const REFUSALS_MAX: u8 = 4;

impl Endpoint {
    /// What our INVITE asks for (RFC 4028 §7.1). Who refreshes is left to the peer.
    pub(super) fn ask_for_session_timer(&self, invite: &mut Request) {
        let fields = &mut invite.header.fields;
        fields.set(FieldName::SESSION_EXPIRES, self.config.session_expires.as_secs().to_string());
        fields.set(FieldName::MIN_SE, self.config.min_se.as_secs().to_string());
    }

    /// RFC 4028 §9: the 422 to a peer that knows session timers and asks for too short a one.
    pub(super) fn interval_too_small(&self, request: &Request) -> Option<Response> {
        let negotiates = request.method == Method::INVITE || request.method == Method::UPDATE;
        let interval = interval_of(&request.header, &FieldName::SESSION_EXPIRES)?;
        if !negotiates || !knows_timers(&request.header) || interval >= self.config.min_se {
            return None;
        }
        let mut response = request.response(StatusCode::SESSION_INTERVAL_TOO_SMALL);
        response.header.fields.push(FieldName::MIN_SE, self.config.min_se.as_secs().to_string());
        Some(response)
    }

    /// Our INVITE or refresh once more, with the interval that the 422 asks for (RFC 4028 §7.4).
    pub(super) fn request_with_larger_interval(
        &mut self,
        id: TransactionId,
        invite: InviteId,
        response: &Response,
    ) -> Option<Retry> {
        let least = interval_of(&response.header, &FieldName::MIN_SE)?;
        let usage = self.usages.get_mut(&invite)?;
        let (request, attempts) = self.transactions.get_mut(&id)?.machine.take_attempts()?;
        let asked = interval_of(&request.header, &FieldName::SESSION_EXPIRES)?;
        if least <= asked || usage.terms.refused >= REFUSALS_MAX {
            return None;
        }
        usage.terms.refused += 1;
        usage.terms.min_se = Some(least);
        let mut request = request.clone();
        let refresher = refresher_of(&request.header);
        let fields = &mut request.header.fields;
        fields.set(FieldName::SESSION_EXPIRES, session_expires(least, refresher));
        fields.set(FieldName::MIN_SE, least.as_secs().to_string());
        Some(Retry { request, attempts })
    }

    /// The 2xx to a request of ours sets the session timer (RFC 4028 §7.2).
    pub(super) fn agree_by_response(&mut self, invite: InviteId, response: &Response, now: Instant) {
        let least = self.config.min_se;
        let Some(usage) = self.usages.get_mut(&invite) else { return };
        usage.note_allow(&response.header);
        let interval = interval_of(&response.header, &FieldName::SESSION_EXPIRES);
        usage.terms.agreement = interval.map(|interval| Agreement {
            // A shorter one than we asked for would have us send without end.
            interval: interval.max(least),
            refresher: match refresher_of(&response.header) {
                Some(Side::Server) => Refresher::Peer,
                Some(Side::Client) | None => Refresher::Us,
            },
            by_update: usage.takes_update(),
        });
        let agreement = usage.terms.agreement;
        self.established(invite, EstablishedEvent::SessionTimer(agreement), now);
    }

    /// Writes into our 2xx to a request of the peer what is agreed on by it (RFC 4028 §9).
    pub(super) fn agree_by_request(&mut self, invite: InviteId, request: &Request, response: &mut Response) {
        let (ours, least) = (self.config.session_expires, self.config.min_se);
        let Some(usage) = self.usages.get_mut(&invite) else { return };
        usage.note_allow(&request.header);
        let knows_timers = knows_timers(&request.header);
        let asked = interval_of(&request.header, &FieldName::SESSION_EXPIRES);
        let is_agreed = match asked {
            // A proxy asked, for a peer that does not refresh.
            Some(interval) => knows_timers || interval >= least,
            None => knows_timers,
        };
        if !is_agreed {
            usage.terms.agreement = None;
            return;
        }
        let least =
            interval_of(&request.header, &FieldName::MIN_SE).map_or(least, |theirs| theirs.max(least));
        let interval = asked.map_or(ours, |asked| asked.min(ours)).max(least);
        let refresher = match (knows_timers, refresher_of(&request.header), usage.terms.agreement) {
            (true, Some(Side::Client), _) | (true, None, None) => Refresher::Peer,
            (true, None, Some(agreement)) => agreement.refresher,
            (true, Some(Side::Server), _) | (false, _, _) => Refresher::Us,
        };
        usage.terms.agreement = Some(Agreement { interval, refresher, by_update: usage.takes_update() });
        let side = match refresher {
            Refresher::Us => Side::Server,
            Refresher::Peer => Side::Client,
        };
        let fields = &mut response.header.fields;
        fields.set(FieldName::SESSION_EXPIRES, session_expires(interval, Some(side)));
        if refresher == Refresher::Peer {
            fields.push(FieldName::REQUIRE, TIMER);
        }
    }

    pub(super) fn identify(&mut self, invite: InviteId, fields: Vec<(FieldName, Box<str>)>) {
        if let Some(usage) = self.usages.get_mut(&invite) {
            usage.identity = ConnectedIdentity::new(fields);
        }
    }

    pub(super) fn tell_identity(&mut self, invite: InviteId, now: Instant) {
        let Some(usage) = self.usages.get(&invite) else { return };
        if usage.identity.is_new() && usage.takes_update() {
            self.established(invite, EstablishedEvent::Update, now);
        }
    }

    /// The refresh without an offer (RFC 4028 §7.4, RFC 3311 §5.1).
    pub(super) fn refresh_by_update(&mut self, invite: InviteId, now: Instant) {
        let Some((update, flow)) = self.update_of(invite) else { return };
        self.start_client(update, flow, Owner::Refresh(invite), Attempts::default(), now);
    }

    pub(super) fn deliver_to_refresh(&mut self, invite: InviteId, response: &Response, now: Instant) {
        if response.status.is_success() {
            if let Some(dialog) = self.stage_mut(invite).and_then(Stage::dialog_mut) {
                dialog.refresh_target(&response.header);
            }
            return self.agree_by_response(invite, response, now);
        }
        let not_taken =
            matches!(response.status, StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED);
        if let Some(usage) = self.usages.get_mut(&invite)
            && not_taken
        {
            usage.never_takes_update();
        }
        self.established(invite, EstablishedEvent::RefreshRefused { by_update: !not_taken }, now);
    }

    fn update_of(&mut self, invite: InviteId) -> Option<(Request, Flow)> {
        let usage = self.usages.get_mut(&invite)?;
        let dialog = usage.stage.dialog_mut()?;
        let mut update = dialog.request(Method::UPDATE);
        let flow = dialog.flow();
        update.header.contact = Some(usage.contact.clone());
        usage.terms.keep_in(&mut update);
        usage.identity.tell_in(&mut update);
        self.dress_request(&mut update);
        Some((update, flow))
    }
}

/// What one session says of its timer.
#[derive(Debug, Default)]
pub(super) struct SessionTerms {
    pub(super) agreement: Option<Agreement>,
    /// The shortest session interval that the peer takes, as it told us.
    min_se: Option<Duration>,
    /// Intervals of ours that the peer refused.
    refused: u8,
}

impl SessionTerms {
    /// A request in the dialog that refreshes the session says what was agreed on (RFC 4028 §7.4).
    pub(super) fn keep_in(&self, request: &mut Request) {
        let Some(agreement) = self.agreement else { return };
        let side = match agreement.refresher {
            Refresher::Us => Side::Client,
            Refresher::Peer => Side::Server,
        };
        let fields = &mut request.header.fields;
        fields.set(FieldName::SESSION_EXPIRES, session_expires(agreement.interval, Some(side)));
        if let Some(least) = self.min_se {
            fields.set(FieldName::MIN_SE, least.as_secs().to_string());
        }
    }
}

impl Usage {
    fn note_allow(&mut self, header: &Header) {
        if header.fields.get(&FieldName::ALLOW).is_some() {
            let tokens = header.fields.tokens(&FieldName::ALLOW);
            let methods = tokens.into_iter().take(METHODS_MAX).filter_map(Method::new);
            self.peer_allows = Some(methods.collect());
        }
    }

    /// Not without an Allow that says so.
    fn takes_update(&self) -> bool {
        self.peer_allows.as_ref().is_some_and(|methods| methods.contains(&Method::UPDATE))
    }

    /// Whatever its Allow says.
    fn never_takes_update(&mut self) {
        if let Some(methods) = &mut self.peer_allows {
            methods.retain(|method| *method != Method::UPDATE);
        }
    }
}

/// Who refreshes, in terms of one transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Client,
    Server,
}

fn knows_timers(header: &Header) -> bool {
    [FieldName::SUPPORTED, FieldName::REQUIRE].iter().any(|field| has_option(header, field, TIMER))
}

fn interval_of(header: &Header, field: &FieldName) -> Option<Duration> {
    let seconds = header.fields.delta_seconds(field)?.ok()?;
    Some(Duration::from_secs(seconds.into()))
}

fn refresher_of(header: &Header) -> Option<Side> {
    let value = header.fields.get(&FieldName::SESSION_EXPIRES)?;
    let mut parameters = value.split(';').skip(1).filter_map(|parameter| parameter.split_once('='));
    let (_, side) = parameters.find(|(name, _)| name.trim().eq_ignore_ascii_case("refresher"))?;
    match side.trim().to_ascii_lowercase().as_str() {
        "uac" => Some(Side::Client),
        "uas" => Some(Side::Server),
        _ => None,
    }
}

fn session_expires(interval: Duration, refresher: Option<Side>) -> String {
    let seconds = interval.as_secs();
    match refresher {
        Some(Side::Client) => format!("{seconds};refresher=uac"),
        Some(Side::Server) => format!("{seconds};refresher=uas"),
        None => seconds.to_string(),
    }
}
