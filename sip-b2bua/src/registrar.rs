//! Where the phones are: the registrar (RFC 3261 §10) and the login of phones (RFC 3261 §22).
//!
//! [`Registrar`] is a plain value: requests, the present time and randomness go in, responses and lists of bindings
//! to be written come out.

mod binding;
mod guesses;
mod phones;
mod refusal;
mod update;
mod user;
mod user_name;

pub use binding::Binding;
pub use user_name::user_name;

use call_store::StoredBinding;
use guesses::Guesses;
use phones::Challenged;
use refusal::Refusal;
use sip_core::digest::{Authenticator, Identity, Secret, Verdict};
use sip_core::{Flow, Incoming, Transport};
use sip_message::{Contacts, FieldName, Host, Method, Request, Response, StatusCode};
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::IpAddr;
use std::time::{Duration, Instant};
use update::Update;
use user::User;

/// What an operator says of registrations.
#[derive(Clone)]
pub struct RegistrarConfig {
    /// Digest realm, and host of the addresses-of-record.
    pub domain: Box<str>,
    /// Shorter wishes are answered with 423.
    pub min: Duration,
    /// For a phone that does not say.
    pub default: Duration,
    /// Longer wishes are cut to it.
    pub max: Duration,
    /// Bindings of one address-of-record.
    pub bindings_max: usize,
    /// Signs the nonces: 32 random octets, drawn at start.
    pub nonce_key: [u8; 32],
}

/// Who asks.
#[derive(Debug)]
pub enum Authenticated {
    /// The phone of this user.
    Extension(Box<str>),
    /// A carrier, by this account.
    Account(Box<str>),
    /// Nobody yet: 401 with a challenge for each algorithm, to be sent statelessly. A wrong password and an unknown
    /// user get the very same.
    Challenge(Response),
    /// The credentials cannot be read: 400, to be sent statelessly.
    Refused(Response),
    /// It guesses passwords: no answer at all.
    Dropped,
}

/// All bindings that a user has after a change; they take the place of those on disk.
pub type Changed = (Box<str>, Vec<StoredBinding>);

/// Where a phone was reached before, and where it is now.
pub type Moved = (Flow, Flow);

/// What becomes of a REGISTER.
#[derive(Debug)]
pub enum Registration {
    /// To a stranger: answer it and keep nothing (`Endpoint::respond_statelessly`).
    Stateless(Response),
    /// To one of our phones (`Endpoint::respond`).
    Answered {
        /// Whose phone it is.
        user: Box<str>,
        /// 200, or why not.
        response: Response,
        /// Present when the bindings are others than before.
        changed: Option<Changed>,
        /// Where its phones were reached before, and where they are now.
        moved: Vec<Moved>,
    },
    /// No answer at all.
    Dropped,
}

/// The phones that may log in, and where they are.
pub struct Registrar {
    config: RegistrarConfig,
    /// Our domain first, then other names and addresses of this server.
    hosts: Vec<Host>,
    authenticator: Authenticator,
    guesses: Guesses,
    challenged: Challenged,
    users: BTreeMap<Box<str>, User>,
    /// Carriers that prove by digest whose calls theirs are.
    accounts: BTreeMap<Box<str>, Secret>,
    /// The time of the digest begins with the first request.
    epoch: Option<Instant>,
    /// No binding ends before it.
    next_expiry: Option<Instant>,
}

/// How long a phone may count up one nonce before it is challenged again.
const NONCE_LIFETIME: Duration = Duration::from_secs(300);

/// Of what a nonce is made with, those that say for whom.
const SOURCE_BITS: u64 = 0xffff << 48;

impl std::fmt::Debug for Registrar {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registrar").field("domain", &self.config.domain).finish_non_exhaustive()
    }
}

impl Registrar {
    /// A registrar for `extensions`, by the user part of their address-of-record; the secrets are those of
    /// `config.domain`.
    ///
    /// A name with a control character or a `%` in it is given as it stands in a URI (`%00`, `%25`).
    pub fn new(config: RegistrarConfig, extensions: impl IntoIterator<Item = (Box<str>, Secret)>) -> Self {
        let domain = Host::new(&config.domain).unwrap_or_else(|| Host::Name(config.domain.clone()));
        let users = extensions.into_iter().map(|(name, secret)| (name, User::new(secret)));
        Self {
            hosts: vec![domain],
            authenticator: Authenticator::new(&config.domain, config.nonce_key, NONCE_LIFETIME),
            guesses: Guesses::default(),
            challenged: Challenged::default(),
            users: users.collect(),
            accounts: BTreeMap::new(),
            epoch: None,
            next_expiry: None,
            config,
        }
    }

    /// Names and addresses of this server that may stand in an address-of-record in place of the domain, besides the
    /// address at which a request came in.
    pub fn set_local_hosts(&mut self, hosts: impl IntoIterator<Item = Host>) {
        self.hosts.truncate(1);
        self.hosts.extend(hosts);
    }

    /// Takes other extensions. The bindings of one that is gone go with it; so do those of one whose secret is
    /// another, since they may be of somebody who should know it no longer. Both are returned.
    pub fn replace_extensions(
        &mut self,
        extensions: impl IntoIterator<Item = (Box<str>, Secret)>,
    ) -> Vec<Changed> {
        let mut before = std::mem::take(&mut self.users);
        for (name, secret) in extensions {
            let known = before.get(&name).is_some_and(|user| user.secret == secret);
            let user = if known { before.remove(&name) } else { None };
            self.users.insert(name, user.unwrap_or(User::new(secret)));
        }
        let has_phones = |user: &User| !(user.bindings().is_empty() && user.latest().is_empty());
        let gone = before.into_iter().filter(|(_, user)| has_phones(user));
        gone.map(|(name, _)| (name, Vec::new())).collect()
    }

    /// Takes the accounts of carriers, which call and do not register. A name that an extension has too is the
    /// extension's.
    pub(crate) fn set_accounts<'a>(&mut self, accounts: impl IntoIterator<Item = &'a Identity>) {
        let realm = &self.config.domain;
        let hashed =
            |own: &Identity| (own.username.clone(), Secret::new(&own.username, realm, &own.password));
        self.accounts = accounts.into_iter().map(hashed).collect();
    }

    /// Whether a request bears credentials for us, right or wrong.
    pub(crate) fn has_credentials(&self, request: &Request) -> bool {
        self.authenticator.has_credentials(request)
    }

    /// Takes back what was on disk: bindings of present users that have not expired at `wall_ms`, milliseconds since
    /// 1970. The connections of before are closed (see [`flow_closed`](Self::flow_closed)).
    pub fn restore(&mut self, stored: Vec<StoredBinding>, now: Instant, wall_ms: i64) {
        for row in stored {
            let Some(user) = self.users.get_mut(&row.user) else { continue };
            let Some(binding) = Binding::from_stored(&row, now, wall_ms, self.config.max) else { continue };
            let binding = match binding.flow.transport {
                Transport::Udp => Some(binding),
                Transport::Tcp | Transport::Tls => binding.without_connection(),
            };
            if let Some(binding) = binding.filter(|_| user.bindings().len() < self.config.bindings_max) {
                self.guesses.note_login(binding.flow.remote.ip(), &row.user);
                self.next_expiry = earlier(self.next_expiry, binding.expires);
                user.restore(binding);
            }
        }
    }

    /// Whether the request comes from one of our extensions, or is a call of a carrier that has an account here. For
    /// requests of any method.
    pub fn authenticate(&mut self, incoming: &Incoming, now: Instant, random: u64) -> Authenticated {
        let Incoming { request, flow } = incoming;
        let source = flow.remote.ip();
        if self.guesses.is_dropped(source, now) && !self.guesses.is_home_of_any(source) {
            return Authenticated::Dropped;
        }
        let time = now.saturating_duration_since(*self.epoch.get_or_insert(now));
        let (users, accounts) = (&self.users, &self.accounts);
        let account_of = |name: &str| accounts.get(name).filter(|_| request.method == Method::INVITE);
        // Wrong credentials count for the one that was challenged, whatever address a datagram names.
        let mark = self.mark_of(source);
        let is_given = |random| random & SOURCE_BITS == mark;
        let secret_of = |name: &str| users.get(name).map(|user| &user.secret).or(account_of(name)).cloned();
        let verdict = self.authenticator.verify(request, time, is_given, secret_of);
        if let Verdict::Accepted { .. } | Verdict::Wrong { .. } = verdict {
            self.challenged.has_answered(request, *flow);
        }
        match verdict {
            Verdict::Accepted { username } if self.guesses.may_log_in(source, &username, now) => {
                self.guesses.note_login(source, &username);
                match self.users.contains_key(&username) {
                    true => Authenticated::Extension(username),
                    false => Authenticated::Account(username),
                }
            }
            Verdict::Accepted { .. } => Authenticated::Dropped,
            Verdict::Wrong { username } => {
                let is_heard = self.guesses.is_answered(source, &username, now);
                if let Some(wrong) = self.guesses.note_wrong(source, &username, now) {
                    tracing::warn!(%source, wrong, "wrong passwords; the next line about this address comes in a minute");
                }
                match is_heard {
                    true => Authenticated::Challenge(self.challenge(incoming, false, time, random)),
                    false => Authenticated::Dropped,
                }
            }
            Verdict::Challenge { stale } => {
                Authenticated::Challenge(self.challenge(incoming, stale, time, random))
            }
            Verdict::Malformed => Authenticated::Refused(request.response(StatusCode::BAD_REQUEST)),
        }
    }

    /// Answers a REGISTER (RFC 3261 §10.3). What it changes takes effect when it is [`written`](Self::written), before
    /// the answer is sent; or it is [`taken back`](Self::take_back). `wall_ms`: milliseconds since 1970.
    pub fn register(&mut self, incoming: &Incoming, now: Instant, wall_ms: i64, random: u64) -> Registration {
        let name = match self.authenticate(incoming, now, random) {
            Authenticated::Extension(name) => name,
            Authenticated::Challenge(response) | Authenticated::Refused(response) => {
                return Registration::Stateless(response);
            }
            // Accounts of carriers are for INVITE alone.
            Authenticated::Dropped | Authenticated::Account(_) => return Registration::Dropped,
        };
        match self.update(&name, incoming, now, wall_ms) {
            Ok((changed, moved)) => {
                let response = self.listing(&name, &incoming.request, now, wall_ms);
                Registration::Answered { user: name, response, changed, moved }
            }
            Err(refusal) => {
                let response = refusal.response(&incoming.request, self.config.min);
                Registration::Answered { user: name, response, changed: None, moved: Vec::new() }
            }
        }
    }

    /// What the oldest REGISTER of this user that waits has changed is on disk: it takes effect.
    pub fn written(&mut self, user: &str) {
        if let Some(user) = self.users.get_mut(user) {
            user.written();
        }
    }

    /// What the REGISTERs of this user that wait have changed cannot be written, and is undone (RFC 3261 §10.3 step 7).
    /// Returns what is to stand on disk instead.
    pub fn take_back(&mut self, name: &str) -> Option<Changed> {
        let user = self.users.get_mut(name)?;
        user.take_back().then(|| (name.into(), stored(name, user.latest())))
    }

    /// The bindings of a user that have not expired: the highest `q` first, of equals the most recent.
    pub fn bindings_of(&self, user: &str, now: Instant) -> Vec<Binding> {
        live(self.users.get(user).map(User::bindings).unwrap_or_default(), now)
    }

    /// Whether this host is us.
    pub(crate) fn is_local_host(&self, host: &Host) -> bool {
        self.hosts.contains(host)
    }

    /// Whether a phone of this user has registered along this very connection: whoever sends along it is that phone.
    pub(crate) fn has_connection(&self, user: &str, flow: Flow, now: Instant) -> bool {
        flow.transport.is_reliable()
            && self
                .binding_along(user, flow)
                .is_some_and(|binding| binding.has_connection && binding.is_live(now))
    }

    /// Whether any phone has registered along this flow.
    pub(crate) fn has_phone_along(&self, flow: Flow, now: Instant) -> bool {
        let is_there = |user: &User| user.bindings().iter().any(|it| it.flow == flow && it.is_live(now));
        self.users.values().any(is_there)
    }

    /// Whether a phone of this user has registered along this flow: a connection, or an address for datagrams.
    pub(crate) fn has_phone_of(&self, user: &str, flow: Flow, now: Instant) -> bool {
        self.binding_along(user, flow).is_some_and(|binding| binding.is_live(now))
    }

    /// The phone of a user that registered along a flow.
    pub(crate) fn binding_along(&self, user: &str, flow: Flow) -> Option<&Binding> {
        self.users.get(user)?.bindings().iter().find(|binding| binding.flow == flow)
    }

    /// A connection is closed. A phone that says in its Contact that it listens at the very address from which it
    /// connected can be called back there (RFC 3261 §18.1.1); any other has to come again by itself (RFC 5626 §4.5),
    /// and its binding goes: a connection to the port that it connected from reaches nobody, and ringing it would
    /// take the place of a quick answer that it is not there. Returns the users that changed.
    pub fn flow_closed(&mut self, flow: Flow, now: Instant) -> Vec<Changed> {
        if flow.transport == Transport::Udp {
            return Vec::new();
        }
        self.users.values_mut().for_each(|user| user.note_closed(flow));
        self.change_each(now, |binding| match binding.flow == flow {
            true => binding.clone().without_connection(),
            false => Some(binding.clone()),
        })
    }

    /// Our addresses have become others. Phones that are reached by datagrams are told those of now; a connection has the
    /// address that it was opened to for as long as it lasts. Returns the users that changed.
    pub(crate) fn renew_flows(&mut self, renews: &impl Fn(Flow) -> Flow, now: Instant) -> Vec<Changed> {
        self.change_each(now, |binding| {
            let is_renewed = !binding.flow.transport.is_reliable();
            let flow = if is_renewed { renews(binding.flow) } else { binding.flow };
            Some(Binding { flow, ..binding.clone() })
        })
    }

    /// Takes out what has expired at `now`. Returns the users that changed.
    pub fn handle_timeout(&mut self, now: Instant) -> Vec<Changed> {
        if self.next_expiry.is_none_or(|next| next > now) {
            return Vec::new();
        }
        let changed = self.change_each(now, |binding| Some(binding.clone()));
        self.next_expiry = self.users.values().filter_map(User::next_expiry).min();
        changed
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called.
    pub const fn poll_timeout(&self) -> Option<Instant> {
        self.next_expiry
    }
}

impl Registrar {
    fn challenge(&mut self, incoming: &Incoming, stale: bool, time: Duration, random: u64) -> Response {
        let Incoming { request, flow } = incoming;
        let mut response = request.response(StatusCode::UNAUTHORIZED);
        let algorithms = self.challenged.algorithms_for(request, *flow);
        let random = (random & !SOURCE_BITS) | self.mark_of(flow.remote.ip());
        for value in self.authenticator.challenges(algorithms, stale, time, random) {
            response.header.fields.push(FieldName::WWW_AUTHENTICATE, value);
        }
        response
    }

    /// What nonces for a source bear.
    fn mark_of(&self, source: IpAddr) -> u64 {
        let mut hasher = DefaultHasher::new();
        (self.config.nonce_key, places::source(source)).hash(&mut hasher);
        hasher.finish() & SOURCE_BITS
    }

    fn update(
        &mut self,
        name: &str,
        incoming: &Incoming,
        now: Instant,
        wall_ms: i64,
    ) -> Result<(Option<Changed>, Vec<Moved>), Refusal> {
        let unchanged = (None, Vec::new());
        self.check_owner(name, incoming)?;
        let update = Update::read(incoming, &self.config)?;
        let Some(user) = self.users.get_mut(name) else { return Ok(unchanged) };
        let before: Vec<_> = user.latest().iter().filter(|binding| binding.is_live(now)).cloned().collect();
        let Some(bindings) = update.apply(&before, now, wall_ms)? else { return Ok(unchanged) };
        let bindings = update.within(bindings, self.config.bindings_max).ok_or(Refusal::TooManyBindings)?;
        self.next_expiry = bindings.iter().map(|binding| binding.expires).fold(self.next_expiry, earlier);
        let changed = (name.into(), stored(name, &bindings));
        let moved = update.moved(user.disconnected(now).chain(&before), &bindings);
        user.have_returned(&moved);
        user.await_write(bindings);
        Ok((Some(changed), moved))
    }

    /// Nobody may touch the bindings of another (RFC 3261 §10.3 steps 4 and 5).
    fn check_owner(&self, name: &str, incoming: &Incoming) -> Result<(), Refusal> {
        let uri = incoming.request.header.to.uri.as_sip().ok_or(Refusal::ToIsNoSipUri)?;
        let here = Host::Address(incoming.flow.local.ip());
        if uri.host != here && !self.hosts.contains(&uri.host) {
            return Err(Refusal::ForeignDomain);
        }
        match user_name(uri) {
            Some(user) if *user == *name => Ok(()),
            Some(_) | None => Err(Refusal::NotTheOwner),
        }
    }

    /// 200 with all bindings of the user (RFC 3261 §10.3 step 8).
    fn listing(&self, name: &str, request: &Request, now: Instant, wall_ms: i64) -> Response {
        let mut response = request.response(StatusCode::OK);
        let bindings = live(self.users.get(name).map(User::latest).unwrap_or_default(), now);
        let contacts: Vec<_> = bindings.iter().map(|binding| binding.listed(now)).collect();
        let header = &mut response.header;
        header.contact = (!contacts.is_empty()).then_some(Contacts::List(contacts));
        // RFC 3327 §5.3
        for path in request.header.fields.get_all(&FieldName::PATH) {
            header.fields.push(FieldName::PATH, path);
        }
        header.fields.push(FieldName::SUPPORTED, "path");
        if let Some(date) = date(wall_ms) {
            header.fields.push(FieldName::DATE, date);
        }
        response
    }

    /// Replaces each binding, and drops those that have expired.
    fn change_each(&mut self, now: Instant, change: impl Fn(&Binding) -> Option<Binding>) -> Vec<Changed> {
        let mut changed = Vec::new();
        for (name, user) in &mut self.users {
            if user.change_each(|binding| if binding.is_live(now) { change(binding) } else { None }) {
                changed.push((name.clone(), stored(name, user.latest())));
            }
        }
        changed
    }
}

/// The highest `q` first, of equals the most recent.
fn live(bindings: &[Binding], now: Instant) -> Vec<Binding> {
    let mut live: Vec<_> = bindings.iter().filter(|binding| binding.is_live(now)).cloned().collect();
    live.sort_by_key(|binding| std::cmp::Reverse((binding.preference(), binding.registered)));
    live
}

fn stored(name: &str, bindings: &[Binding]) -> Vec<StoredBinding> {
    bindings.iter().map(|binding| binding.to_stored(name)).collect()
}

fn earlier(one: Option<Instant>, other: Instant) -> Option<Instant> {
    Some(one.map_or(other, |one| one.min(other)))
}

/// The Date header field (RFC 3261 §20.17), by which phones set their clocks.
fn date(wall_ms: i64) -> Option<String> {
    let format = time::macros::format_description!(
        "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
    );
    time::OffsetDateTime::from_unix_timestamp(wall_ms.div_euclid(1000)).ok()?.format(format).ok()
}

#[cfg(test)]
mod tests;
