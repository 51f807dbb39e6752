//! From a request of the API to phones that ring.

use super::*;
use crate::leg::Device;
use crate::media::Announced;
use audio::Codec;
use sip_core::NewInvite;
use sip_message::{FieldName, NameAddr, SipUri};

/// A phone that no CANCEL reaches stops ringing by itself (RFC 3261 §13.3.1) so long after we have given it up.
const CANCEL_FIRST: Duration = Duration::from_secs(2);
/// When a client that met a limit may try again.
const RETRY_AFTER: Duration = Duration::from_secs(2);

impl Switchboard {
    pub(super) fn click_to_call(&mut self, ticket: Ticket, request: Box<ClickToCall>, moment: Moment) {
        if let Err(refusal) = self.admit(&request, moment.now) {
            self.outputs.push_back(Output::CallAnswer { ticket, answer: Err(refusal) });
            return;
        }
        let Some(created_at) = moment.timestamp() else { return };
        let view = Call {
            call_id: self.new_call_id(moment),
            state: CallState::CallingFrom,
            from: PartyView::waiting(request.from.clone(), PartyType::Extension),
            to: PartyView::waiting(request.to.clone(), PartyType::Extension),
            caller_id: request.caller_id.clone(),
            variables: request.variables.clone(),
            created_at,
            connected_at: None,
            ended_at: None,
            end: None,
        };
        let session = SessionId(self.next_session);
        self.next_session += 1;
        let local = [&request.from, &request.to].map(|number| self.facing(number, moment.now));
        let id = view.call_id;
        let key_name = request.key_name.clone();
        let stage = Stage::Opening { ticket, request, view: Box::new(view) };
        self.calls.insert(id, Entry { session, key_name, due: None, stage });
        self.sessions.insert(session, id);
        self.outputs.push_back(Output::OpenMedia { session, local });
    }

    /// The relay session is open: the call begins.
    pub(super) fn opened(&mut self, session: SessionId, bound: [SocketAddr; 2], moment: Moment) {
        let Some(id) = self.sessions.get(&session).copied() else { return };
        let Some(entry) = self.calls.get_mut(&id) else { return };
        let Stage::Opening { ticket, request, view } = &entry.stage else { return };
        let (ticket, request, view) = (*ticket, request.clone(), view.clone());
        if self.ending {
            self.calls.remove(&id);
            self.sessions.remove(&session);
            self.outputs.push_back(Output::Relay { session, action: RelayAction::Close });
            return self.outputs.push_back(Output::CallAnswer { ticket, answer: Err(Refusal::Draining) });
        }
        let codecs = offered(&self.settings, &self.extensions, &request);
        let no_answer = [request.timeout, request.to_timeout];
        let limits = CallLimits { no_answer, max_duration: request.max_duration };
        let call = Box::new(RunningCall::start(*view, codecs, limits));
        self.outputs.push_back(Output::KeepCall(Arc::new(call.view().clone())));
        entry.stage = Stage::Running { call, request, bound };
        self.show(id);
        self.outputs.push_back(Output::CallAnswer { ticket, answer: Ok(id) });
        self.with_call(id, moment, |call| call.begin(moment));
    }

    pub(super) fn open_failed(&mut self, session: SessionId, reason: media_relay::OpenError) {
        let Some(id) = self.sessions.remove(&session) else { return };
        let Some(Entry { stage: Stage::Opening { ticket, .. }, .. }) = self.calls.remove(&id) else { return };
        tracing::warn!(%reason, "a call was refused");
        let answer = Err(Refusal::NoMediaPort { retry_after: RETRY_AFTER });
        self.outputs.push_back(Output::CallAnswer { ticket, answer });
    }

    /// The registered phones of a party, each with the INVITE that it is to get.
    pub(super) fn devices(&self, id: CallId, party: Party, now: Instant) -> Vec<Device> {
        let Some(Entry { stage: Stage::Running { request, bound, .. }, .. }) = self.calls.get(&id) else {
            return Vec::new();
        };
        let (callee, caller) = match party {
            Party::From => (&request.from, self.shown_number(&request.to)),
            Party::To => (&request.to, self.shown_to_the_other(request)),
        };
        let bound = bound[side(party) as usize];
        let bindings = self.registrar.bindings_of(callee.as_str(), now);
        let devices = bindings.into_iter().map(|binding| {
            let invite = NewInvite {
                flow: binding.flow,
                uri: binding.contact.uri,
                from: caller.clone(),
                to: self.address(callee),
                contact_user: caller.uri.as_sip().and_then(|uri| uri.user.clone()),
                route: binding.path,
                fields: fields(request, party, &self.settings.domain),
                offer: None,
                credentials: None,
            };
            Device { announced: self.announced(bound, binding.flow), invite }
        });
        devices.collect()
    }

    /// Every reason for which nobody is rung.
    fn admit(&self, request: &ClickToCall, now: Instant) -> Result<(), Refusal> {
        if self.draining {
            return Err(Refusal::Draining);
        }
        if request.from == request.to {
            return Err(Refusal::SameParty);
        }
        self.find(&request.from, None, "from")?;
        self.find(&request.to, request.to_type, "to")?;
        for number in [&request.from, &request.to] {
            if self.registrar.bindings_of(number.as_str(), now).is_empty() {
                return Err(Refusal::NotRegistered);
            }
        }
        let of_key = self.calls.values().filter(|entry| entry.key_name == request.key_name);
        let limits = &self.settings.limits;
        if self.calls.len() >= limits.calls
            || of_key.take(limits.calls_per_key).count() >= limits.calls_per_key
        {
            return Err(Refusal::TooManyCalls { retry_after: RETRY_AFTER });
        }
        Ok(())
    }

    /// What a number stands for. Extensions are all there is to reach.
    fn find(&self, number: &Number, asked: Option<PartyType>, field: &'static str) -> Result<(), Refusal> {
        let is_extension = self.extensions.contains_key(number);
        match asked {
            Some(PartyType::Extension) | None if is_extension => Ok(()),
            None if number.looks_external() => Err(Refusal::NoTrunk(number.clone())),
            Some(PartyType::External) => Err(Refusal::NoTrunk(number.clone())),
            asked @ (None
            | Some(PartyType::Extension | PartyType::Queue | PartyType::Ivr | PartyType::AiAgent)) => {
                let party_type = asked.unwrap_or(PartyType::Extension);
                Err(Refusal::NotFound { party_type, number: number.clone(), field })
            }
        }
    }

    /// The address to bind the relay to for a party: the one that all of its phones see, if there is one.
    fn facing(&self, number: &Number, now: Instant) -> IpAddr {
        let mut seen =
            self.registrar.bindings_of(number.as_str(), now).into_iter().map(|b| b.flow.local.ip());
        let any = |ip: IpAddr| match ip {
            IpAddr::V4(_) => IpAddr::from([0, 0, 0, 0]),
            IpAddr::V6(_) => IpAddr::from([0_u16; 8]),
        };
        match seen.next() {
            Some(first) if self.settings.external_address == Some(first) => any(first),
            Some(first) if seen.all(|ip| ip == first) => first,
            Some(first) => any(first),
            None => IpAddr::from([0, 0, 0, 0]),
        }
    }

    /// The relay's address as the phone behind `flow` is told it.
    fn announced(&self, bound: SocketAddr, flow: Flow) -> Announced {
        let ip = match self.settings.media.address {
            Some(address) => address,
            None if bound.ip().is_unspecified() => flow.local.ip(),
            None => bound.ip(),
        };
        Announced { rtp: SocketAddr::new(ip, bound.port()) }
    }

    /// `sip:number@domain`.
    fn address(&self, number: &Number) -> NameAddr {
        NameAddr::new(SipUri::new(Some(number.as_str()), self.domain.clone(), None))
    }

    /// What a party sees of the other one: its number and name.
    fn shown_number(&self, number: &Number) -> NameAddr {
        let name = self.extensions.get(number).and_then(|extension| extension.name.as_deref());
        match name {
            Some(name) => self.address(number).with_display_name(name),
            None => self.address(number),
        }
    }

    /// What `to` sees: the caller id that was asked for, else the number of `from`.
    fn shown_to_the_other(&self, request: &ClickToCall) -> NameAddr {
        let Some(caller_id) = &request.caller_id else { return self.shown_number(&request.from) };
        match &caller_id.name {
            Some(name) => self.address(&caller_id.number).with_display_name(name),
            None => self.address(&caller_id.number),
        }
    }

    fn new_call_id(&mut self, moment: Moment) -> CallId {
        let mut random = [0; 10];
        self.random.fill_bytes(&mut random);
        CallId::new(u64::try_from(moment.unix_milliseconds).unwrap_or_default(), &random)
    }
}

/// The codecs to offer to either party. `from` is offered first what `to` knows too.
fn offered(
    settings: &Settings,
    extensions: &BTreeMap<Number, Extension>,
    request: &ClickToCall,
) -> [Vec<Codec>; 2] {
    let own = |number: &Number| {
        let codecs = extensions.get(number).and_then(|extension| extension.codecs.clone());
        codecs.unwrap_or_else(|| settings.media.codecs.clone())
    };
    let (from, to) = (own(&request.from), own(&request.to));
    let common: Vec<Codec> = from.iter().copied().filter(|codec| to.contains(codec)).collect();
    [if common.is_empty() { from } else { common }, to]
}

/// The variables of the call, how long the INVITE is meant, and what makes a phone answer by itself.
fn fields(request: &ClickToCall, party: Party, domain: &str) -> Vec<(FieldName, Box<str>)> {
    let variables = request.variables.iter().filter_map(|(name, value)| {
        let name = FieldName::new(&format!("X-Variable-{}", name.as_str()))?;
        Some((name, percent_encoded(&value.to_text()).into()))
    });
    let mut fields: Vec<(FieldName, Box<str>)> = variables.collect();
    let no_answer = match party {
        Party::From => request.timeout,
        Party::To => request.to_timeout,
    };
    fields.push((FieldName::EXPIRES, (no_answer + CANCEL_FIRST).as_secs().to_string().into()));
    if request.auto_answer && party == Party::From {
        fields.push((FieldName::CALL_INFO, format!("<sip:{domain}>;answer-after=0").into()));
        fields
            .push((FieldName::ALERT_INFO, format!("<http://{domain}>;info=alert-autoanswer;delay=0").into()));
    }
    fields
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
