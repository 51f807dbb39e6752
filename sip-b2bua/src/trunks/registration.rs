//! The registration that a trunk keeps at its carrier (RFC 3261 §10.2).
//!
//! | | due | accepted | refused, or no answer | the way is lost |
//! |---|---|---|---|---|
//! | `Waiting` | REGISTER along the next way → `Asking` | of the last REGISTER: → `Standing` | — | — |
//! | `Asking` | no answer in time: the next way | → `Standing` | 423: once more; 401, 403 and such: slowly → `Waiting`; else the next way, then → `Waiting` | the next way |
//! | `Standing` | refreshed → `Asking` | — | — | asked anew → `Asking` |
//! | `Over` | — | — | — | — |
//!
//! Calls leave along the way that the carrier was registered along, as long as it stands: carriers refuse what comes from
//! elsewhere. It never gives up; what it waits between two rounds grows, and has some chance in it.

use call_control::RegistrationState;
use rand::Rng;
use rand_chacha::ChaCha12Rng;
use sip_core::{Flow, Outcome};
use sip_message::{CallId, Contacts, FieldName, NameAddr, Response, SipUri, StatusCode, Uri};
use std::time::{Duration, Instant};

/// The registration of one trunk.
#[derive(Debug)]
pub(super) struct Registration {
    state: State,
    /// What is asked for.
    wanted: Duration,
    /// The same for all REGISTERs (RFC 3261 §10.2).
    call_id: Option<CallId>,
    cseq: u32,
    /// REGISTERs that were asked for.
    attempts: u32,
    /// It is not known what came of the last one.
    is_open: bool,
    /// It was told that it stands.
    is_up: bool,
    /// Along which it stands; kept while it is refreshed.
    standing: Option<Standing>,
    /// Rounds without success.
    failures: u32,
    last_failure: Option<Box<str>>,
    /// The carrier has once asked for a longer time.
    has_grown: bool,
}

#[derive(Debug)]
enum State {
    Waiting {
        until: Instant,
    },
    Asking {
        tried: Vec<Flow>,
        flow: Flow,
        attempt: u32,
        gives_up_at: Instant,
        /// It is known what came of it: the next way is to be asked.
        is_over: bool,
    },
    Standing {
        refresh_at: Instant,
    },
    /// The server stops.
    Over,
}

/// What the carrier has granted.
#[derive(Debug, Clone)]
struct Standing {
    flow: Flow,
    expires_at: Instant,
    /// Where requests go that the carrier is to pass on (RFC 3608 §5).
    route: Vec<NameAddr>,
}

/// What is to be done about a registration now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    /// Ask along a way that is none of those that were tried: [`Registration::ask`] or [`Registration::no_way`].
    Ask,
    Nothing,
}

/// News that somebody wants to hear.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum News {
    Up,
    Down,
}

/// A REGISTER may be without an answer for so long before the next way is asked, as an INVITE may.
const PATIENCE: Duration = super::PATIENCE;
/// Between two rounds: from the first to the last.
const PAUSE: std::ops::RangeInclusive<Duration> = Duration::from_secs(2)..=Duration::from_secs(300);
/// The same where the carrier says that it does not know us: those who try often are banned.
const SLOW_PAUSE: std::ops::RangeInclusive<Duration> = Duration::from_secs(60)..=Duration::from_secs(1800);
/// The longest that a carrier may wish to be left alone.
const WISHED_MAX: Duration = Duration::from_secs(1800);
/// As many numbers as one REGISTER takes at most, with those of its answers to challenges.
const NUMBERS_MAX: u32 = 5;
/// The longest time that is asked for, whatever the carrier wants.
const WANTED_MAX: Duration = Duration::from_secs(86_400);

impl Registration {
    pub(super) const fn new(wanted: Duration, now: Instant) -> Self {
        Self {
            state: State::Waiting { until: now },
            wanted,
            call_id: None,
            cseq: 0,
            attempts: 0,
            is_open: false,
            is_up: false,
            standing: None,
            failures: 0,
            last_failure: None,
            has_grown: false,
        }
    }

    /// Along which calls leave.
    pub(super) fn flow(&self, now: Instant) -> Option<Flow> {
        self.standing.as_ref().filter(|standing| standing.expires_at > now).map(|standing| standing.flow)
    }

    pub(super) fn route(&self) -> &[NameAddr] {
        self.standing.as_ref().map(|standing| &*standing.route).unwrap_or_default()
    }

    /// It may stand soon.
    pub(super) const fn is_awaited(&self) -> bool {
        matches!(self.state, State::Asking { .. })
    }

    /// As the API shows it.
    pub(super) fn view(&self, now: Instant) -> RegistrationState {
        match (self.flow(now), &self.last_failure) {
            (Some(_), _) => RegistrationState::Registered,
            (None, None) => RegistrationState::Registering,
            (None, Some(_)) => RegistrationState::Failed,
        }
    }

    /// Why it failed last, for people.
    pub(super) fn last_failure(&self) -> Option<&str> {
        self.last_failure.as_deref()
    }

    /// A refusal or silence sends it along the next way now.
    pub(super) fn ask_at_once(&mut self, now: Instant) {
        if let State::Asking { gives_up_at, is_over, .. } = &mut self.state {
            (*gives_up_at, *is_over) = (now, true);
        }
    }

    /// The name of the carrier is known at last.
    pub(super) fn located(&mut self, now: Instant) {
        if let State::Waiting { until } = &mut self.state
            && self.standing.is_none()
        {
            *until = now;
        }
    }

    pub(super) const fn has_way(&self) -> bool {
        self.standing.is_some()
    }

    pub(super) const fn poll_timeout(&self) -> Option<Instant> {
        match self.state {
            State::Waiting { until } => Some(until),
            State::Asking { gives_up_at, .. } => Some(gives_up_at),
            State::Standing { refresh_at } => Some(refresh_at),
            State::Over => None,
        }
    }

    /// It is given up for good. Where the carrier may know us it is to be told: along which way, and under which Call-ID
    /// and number.
    pub(super) fn end(&mut self) -> Option<(Flow, Option<CallId>, u32)> {
        let standing = self.standing.take().map(|standing| standing.flow);
        let state = std::mem::replace(&mut self.state, State::Over);
        let flow = match (state, standing) {
            (State::Asking { flow, .. }, _)
            | (State::Standing { .. } | State::Waiting { .. }, Some(flow)) => flow,
            (State::Standing { .. } | State::Waiting { .. } | State::Over, _) => return None,
        };
        self.take_number();
        Some((flow, self.call_id.clone(), self.cseq))
    }

    pub(super) fn due(&mut self, now: Instant) -> Due {
        if self.poll_timeout().is_none_or(|due| due > now) {
            return Due::Nothing;
        }
        if let State::Asking { is_over: false, .. } = self.state {
            self.last_failure = Some("no answer".into());
        }
        Due::Ask
    }

    /// The ways that the present round has tried. A refresh goes along the way that stands, which is none of them.
    pub(super) fn tried(&self) -> &[Flow] {
        match &self.state {
            State::Asking { tried, .. } => tried,
            State::Waiting { .. } | State::Standing { .. } | State::Over => &[],
        }
    }

    /// The way along which no answer has come in time.
    pub(super) fn unanswered(&self, now: Instant) -> Option<Flow> {
        match self.state {
            State::Asking { flow, gives_up_at, is_over: false, .. } if gives_up_at <= now => Some(flow),
            State::Asking { .. } | State::Waiting { .. } | State::Standing { .. } | State::Over => None,
        }
    }

    /// A connection that stood, along which the refresh gets no answer: a NAT may have forgotten it without a word.
    pub(super) fn silent(&self, now: Instant) -> Option<Flow> {
        let stood = |flow: &Flow| self.standing.as_ref().is_some_and(|standing| standing.flow == *flow);
        self.unanswered(now).filter(|flow| flow.transport.is_reliable() && stood(flow))
    }

    /// A REGISTER goes along `flow`: its Call-ID and number, for how long it asks, and which attempt it is.
    pub(super) fn ask(&mut self, flow: Flow, now: Instant) -> (Option<CallId>, u32, Duration, u32) {
        let mut tried = match std::mem::replace(&mut self.state, State::Waiting { until: now }) {
            State::Asking { tried, .. } => tried,
            State::Waiting { .. } | State::Standing { .. } | State::Over => Vec::new(),
        };
        tried.push(flow);
        self.attempts += 1;
        let attempt = self.attempts;
        self.state = State::Asking { tried, flow, attempt, gives_up_at: now + PATIENCE, is_over: false };
        self.take_number();
        (self.call_id.clone(), self.cseq, self.wanted, attempt)
    }

    /// No number is used twice, those included that the last REGISTER has perhaps taken.
    const fn take_number(&mut self) {
        self.cseq += if self.is_open { NUMBERS_MAX } else { 1 };
        self.is_open = true;
    }

    /// No way is left that was not tried; or none is known, because of `why`.
    pub(super) fn no_way(
        &mut self,
        why: Option<&str>,
        random: &mut ChaCha12Rng,
        now: Instant,
    ) -> Option<News> {
        if let Some(why) = why {
            self.last_failure = Some(why.into());
        }
        self.wait(paused(self.failures, &PAUSE, random), now)
    }

    /// A later attempt than this one goes along the same way.
    pub(super) fn asks_again_along(&self, flow: Flow, attempt: u32) -> bool {
        matches!(&self.state, State::Asking { flow: asked, attempt: last, .. } if *asked == flow && *last != attempt)
    }

    /// It waits for what comes of this attempt.
    fn awaits(&self, attempt: u32) -> bool {
        matches!(&self.state, State::Asking { attempt: asked, .. } if *asked == attempt)
    }

    /// What came of a REGISTER along `flow`. `Err`: it has to be asked again at once, along another way or the same.
    pub(super) fn handle_outcome(
        &mut self,
        outcome: &Outcome,
        (flow, attempt): (Flow, u32),
        ours: &SipUri,
        random: &mut ChaCha12Rng,
        now: Instant,
    ) -> Result<Option<News>, Due> {
        let is_present = self.awaits(attempt);
        let response = match outcome {
            Outcome::Final(response) => response,
            Outcome::TimedOut | Outcome::Unreachable if is_present => {
                self.last_failure = Some("no answer".into());
                return Err(Due::Ask);
            }
            Outcome::TimedOut | Outcome::Unreachable => return Ok(None),
        };
        self.call_id = Some(response.header.call_id.clone());
        self.cseq = self.cseq.max(response.header.cseq.number);
        self.is_open = false;
        // A slow carrier's answer counts until the next REGISTER; nobody waits for its refusal.
        let is_late = matches!(self.state, State::Waiting { .. }) && response.status.is_success();
        if !is_present && !is_late {
            return Ok(None);
        }
        if response.status.is_success() {
            return match granted(response, ours, self.wanted) {
                Some(time) if !time.is_zero() => Ok(self.accepted(response, flow, time, now)),
                Some(_) | None => {
                    self.last_failure = Some("the carrier answered 200 without our binding".into());
                    Ok(self.wait(paused(self.failures, &PAUSE, random), now))
                }
            };
        }
        self.refused(response, random, now)
    }

    /// Nothing goes along this way any more.
    pub(super) fn lost(&mut self, flow: Flow, now: Instant) {
        if self.standing.as_ref().is_some_and(|standing| standing.flow == flow) {
            self.standing = None;
            match &self.state {
                State::Standing { .. } => self.state = State::Waiting { until: now },
                // The refresh has shown it: it is asked for along a new connection.
                State::Asking { flow: asked, .. } if *asked == flow => {
                    self.state = State::Waiting { until: now };
                }
                State::Asking { .. } | State::Waiting { .. } | State::Over => {}
            }
        }
    }

    /// Our addresses have become others: a carrier that knows us at one of before is told at once. One with a connection is
    /// when that is lost.
    pub(super) fn renew_flows(&mut self, renews: &impl Fn(Flow) -> Flow, now: Instant) {
        let changes = |flow: Flow| !flow.transport.is_reliable() && renews(flow) != flow;
        let standing = self.standing.as_mut().filter(|standing| changes(standing.flow));
        let has_moved = standing.is_some();
        if let Some(standing) = standing {
            standing.flow = renews(standing.flow);
        }
        match &self.state {
            State::Standing { .. } if has_moved => self.state = State::Standing { refresh_at: now },
            State::Asking { flow, .. } if changes(*flow) => self.state = State::Waiting { until: now },
            State::Standing { .. } | State::Asking { .. } | State::Waiting { .. } | State::Over => {}
        }
    }

    /// The carrier takes no call along this way: it is registered along the next one, if there is another.
    pub(super) fn leave(&mut self, flow: Flow, now: Instant) {
        if self.standing.as_ref().is_some_and(|standing| standing.flow == flow)
            && let State::Standing { .. } = self.state
        {
            self.standing = None;
            // `ask` adds the next way to those that were tried.
            let attempt = self.attempts;
            self.state = State::Asking { tried: vec![flow], flow, attempt, gives_up_at: now, is_over: true };
        }
    }

    fn accepted(&mut self, response: &Response, flow: Flow, time: Duration, now: Instant) -> Option<News> {
        let was_up = std::mem::replace(&mut self.is_up, true);
        let route = response.header.fields.addresses(&FieldName::SERVICE_ROUTE).unwrap_or_default();
        self.standing = Some(Standing { flow, expires_at: now + time, route });
        self.state = State::Standing { refresh_at: now + refresh_after(time) };
        (self.failures, self.last_failure) = (0, None);
        (!was_up).then_some(News::Up)
    }

    fn refused(
        &mut self,
        response: &Response,
        random: &mut ChaCha12Rng,
        now: Instant,
    ) -> Result<Option<News>, Due> {
        let fields = &response.header.fields;
        if response.status == StatusCode::INTERVAL_TOO_BRIEF
            && !self.has_grown
            && let Some(Ok(least)) = fields.delta_seconds(&FieldName::MIN_EXPIRES)
            && Duration::from_secs(least.into()) > self.wanted
        {
            self.has_grown = true;
            self.wanted = Duration::from_secs(least.into()).min(WANTED_MAX);
            if let State::Asking { tried, .. } = &mut self.state {
                tried.pop();
            }
            return Err(Due::Ask);
        }
        let code = response.status.code();
        self.last_failure = Some(
            match code {
                401 | 403 | 407 => {
                    format!("the carrier refuses the credentials: {code} {}", shown(&response.reason))
                }
                _ => format!("{code} {}", shown(&response.reason)),
            }
            .into(),
        );
        let wished = fields.delta_seconds(&FieldName::RETRY_AFTER).and_then(Result::ok);
        let wished = wished.map(|seconds| Duration::from_secs(seconds.into()).min(WISHED_MAX));
        match code {
            // The next address may do better.
            500..=599 | 408 => Err(Due::Ask),
            401 | 403 | 404 | 407 => Ok(self.wait(paused(self.failures, &SLOW_PAUSE, random), now)),
            _ => {
                let pause = paused(self.failures, &PAUSE, random);
                Ok(self.wait(wished.map_or(pause, |wished| wished.max(pause)), now))
            }
        }
    }

    fn wait(&mut self, pause: Duration, now: Instant) -> Option<News> {
        self.failures = self.failures.saturating_add(1);
        self.state = State::Waiting { until: now + pause };
        let still_stands = self.flow(now).is_some();
        if still_stands {
            return None;
        }
        self.standing = None;
        // Told once: when it stood until now, and when the first round of all has failed.
        let was_up = std::mem::take(&mut self.is_up);
        (was_up || self.failures == 1).then_some(News::Down)
    }
}

/// Twice as long for each failure, and up to a fifth more or less.
fn paused(failures: u32, pause: &std::ops::RangeInclusive<Duration>, random: &mut ChaCha12Rng) -> Duration {
    let grown = pause.start().saturating_mul(1_u32.checked_shl(failures).unwrap_or(u32::MAX));
    grown.min(*pause.end()).mul_f64(random.random_range(0.8..1.2))
}

/// Well before the end, so that a lost REGISTER can be repeated.
fn refresh_after(time: Duration) -> Duration {
    time.mul_f64(0.8).max(Duration::from_secs(1))
}

/// For how long our own binding stands, among those of others (RFC 3261 §10.2.4). A registrar that names none has taken
/// what was asked for.
fn granted(response: &Response, ours: &SipUri, wanted: Duration) -> Option<Duration> {
    let in_field = response.header.fields.delta_seconds(&FieldName::EXPIRES).and_then(Result::ok);
    let seconds = |count: u32| Duration::from_secs(count.into());
    let usual = in_field.map_or(wanted, seconds);
    let contacts = match &response.header.contact {
        Some(Contacts::List(contacts)) => contacts,
        Some(Contacts::Star) => return None,
        None => return Some(usual),
    };
    let own = Uri::Sip(ours.clone());
    let same = contacts.iter().find(|contact| contact.uri.is_equivalent(&own));
    // Carriers rewrite ports and leave parameters out.
    let same_user =
        || contacts.iter().find(|contact| has_user(&contact.uri, ours) && has_host(&contact.uri, ours));
    let any_of_user = || contacts.iter().find(|contact| has_user(&contact.uri, ours));
    let own = same.or_else(same_user).or_else(any_of_user)?;
    let expires = own.parameters.value("expires").and_then(|value| value.trim().parse().ok());
    Some(expires.map_or(usual, seconds))
}

fn has_user(uri: &Uri, ours: &SipUri) -> bool {
    uri.as_sip().is_some_and(|uri| uri.decoded_user() == ours.decoded_user())
}

fn has_host(uri: &Uri, ours: &SipUri) -> bool {
    uri.as_sip().is_some_and(|uri| uri.host == ours.host)
}

/// A reason phrase as people are shown it.
fn shown(reason: &str) -> String {
    reason.chars().filter(|c| !c.is_control()).take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use sip_core::Transport;
    use sip_message::Message;

    const HOUR: Duration = Duration::from_secs(3600);

    fn flow(transport: Transport, ours: u8) -> Flow {
        let address = |last| std::net::SocketAddr::from(([192, 0, 2, last], 5060));
        Flow { transport, local: address(ours), remote: address(1), peer: None }
    }

    fn accepted(along: Flow, now: Instant) -> Registration {
        let text = "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:a@b>;tag=2\r\n\
                    Call-ID: c\r\nCSeq: 1 REGISTER\r\nContent-Length: 0\r\n\r\n";
        let Ok(Message::Response(response)) = Message::parse(text.as_bytes()) else { panic!("no response") };
        let mut registration = Registration::new(HOUR, now);
        registration.ask(along, now);
        assert_eq!(registration.accepted(&response, along, HOUR, now), Some(News::Up));
        registration
    }

    #[test]
    fn a_carrier_that_knows_us_at_an_address_of_before_is_told_the_one_of_now_at_once() {
        let now = Instant::now();
        for (transport, is_renewed) in [(Transport::Udp, true), (Transport::Tcp, false)] {
            let mut registration = accepted(flow(transport, 8), now);
            let refresh_at = registration.poll_timeout();
            registration.renew_flows(&|same| same, now);
            assert_eq!(registration.poll_timeout(), refresh_at, "nothing has changed");
            registration.renew_flows(&|old| flow(old.transport, 9), now);
            let along = flow(transport, if is_renewed { 9 } else { 8 });
            assert_eq!(registration.flow(now), Some(along));
            assert_eq!(registration.due(now), if is_renewed { Due::Ask } else { Due::Nothing });
        }
    }

    #[test]
    fn a_carrier_that_is_being_asked_from_an_address_of_before_is_asked_again() {
        let now = Instant::now();
        let mut registration = Registration::new(HOUR, now);
        registration.ask(flow(Transport::Udp, 8), now);
        assert_eq!(registration.due(now), Due::Nothing);
        registration.renew_flows(&|old| flow(old.transport, 9), now);
        assert_eq!((registration.due(now), registration.tried()), (Due::Ask, &[][..]));
    }
}
