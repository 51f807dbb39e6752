//! The tables `[[trunks]]`.

use super::entries::{ExtensionEntry, Seen};
use super::mistake::Fault;
use super::reader::{Table, Value};
use super::{tls, values};
use crate::Identity;
use call_control::PartyType;
use numbering::{DialPolicy, Entry, Format, NumberPattern, NumberingPlan, Writing};
use sip_b2bua::{Destination, IdentityField, TrunkSettings, TrunkTls};
use sip_core::digest;
use sip_message::{Host, SipUri, Uri};
use std::time::Duration;

/// Calls at once where the file says nothing.
const CHANNELS: usize = 30;
const PRIORITY: u32 = 10;
const REGISTRATION: Duration = Duration::from_secs(600);
const PROBE: Duration = Duration::from_secs(60);
const SECRET_OCTETS_MAX: usize = 256;
const TRUNKS_MAX: usize = 256;

/// What trunks are judged by that stands elsewhere in the file.
pub(super) struct Surroundings<'a> {
    pub(super) policy: Option<&'a DialPolicy>,
    pub(super) extensions: &'a [ExtensionEntry],
    /// There is a TLS socket.
    pub(super) speaks_tls: bool,
}

/// The trunks, and what those are shown that ask for a certificate.
pub(super) fn trunks(
    tables: Vec<Table<'_>>,
    surroundings: &Surroundings<'_>,
) -> (Vec<TrunkSettings>, Vec<(Box<str>, Identity)>) {
    let mut names: Seen<Box<str>> = Seen::default();
    let mut read: Vec<TrunkSettings> = Vec::new();
    let mut certificates = Vec::new();
    for table in tables {
        if read.len() >= TRUNKS_MAX {
            table.refuse_whole(Fault::TooMany { most: TRUNKS_MAX });
            break;
        }
        let Some((trunk, certificate)) = trunk(table, &mut names, surroundings, &read) else { continue };
        certificates.extend(certificate.map(|certificate| (trunk.name.clone(), certificate)));
        read.push(trunk);
    }
    (read, certificates)
}

fn trunk(
    mut table: Table<'_>,
    names: &mut Seen<Box<str>>,
    surroundings: &Surroundings<'_>,
    others: &[TrunkSettings],
) -> Option<(TrunkSettings, Option<Identity>)> {
    let name = name(&mut table, names);
    let whither = whither(&mut table, surroundings.speaks_tls);
    let account = table.optional("username").map(|value| value.parsed(user));
    let credentials = credentials(&mut table, account.clone().flatten());
    let numbers = table.required("numbers").and_then(numbers);
    let prefixes = match table.optional("prefixes") {
        Some(value) => value.set("a list such as [\"+91\"]", values::dial_entry),
        None => Entry::new("+").ok().map(|all| vec![all]),
    };
    let (priority, channels, calls_per_second) = limits(&mut table);
    let writing = writing(&mut table, surroundings.policy);
    let identity = match table.optional("identity") {
        Some(value) => value.parsed(identity),
        None => Some(IdentityField::PAssertedIdentity),
    };
    let from_user = table.optional("from_user").and_then(|value| value.parsed(user));
    let from_domain = table.optional("from_domain").and_then(|value| value.parsed(host));
    let [user_phone, trusted, pass_variables] =
        ["user_phone", "trusted", "pass_variables"].map(|key| flag(&mut table, key));
    let registration = registration(&mut table, account.is_some());
    let probe = table.optional("probe_seconds").map(|value| value.seconds(0..=86_400));
    let proves = proves(&mut table, credentials.as_ref(), surroundings.extensions, others);
    let from = table
        .optional("from")
        .and_then(|value| value.set("a list such as [\"203.0.113.0/24\"]", values::network));
    let destinations = table
        .optional("destinations")
        .map(|value| destinations(&value, numbers.as_deref().unwrap_or_default(), surroundings.extensions));
    table.later("record", "recordings are");
    let own = Own {
        address: whither.as_ref().map(|whither| &whither.address),
        numbers: numbers.as_deref().unwrap_or_default(),
        account: credentials.as_ref().and_then(Option::as_ref).filter(|_| proves),
    };
    must_be_told_apart(&table, &own, others);
    table.end();
    let Whither { address, proxy, tls, certificate } = whither?;
    let settings = TrunkSettings {
        name: name?,
        address,
        proxy,
        username: match account {
            Some(username) => Some(username?),
            None => None,
        },
        credentials: credentials?,
        numbers: numbers?,
        prefixes: prefixes?,
        priority,
        channels,
        calls_per_second,
        registration: registration?,
        probe: match probe {
            Some(every) => Some(every?).filter(|every| !every.is_zero()),
            None => Some(PROBE),
        },
        writing: writing?,
        from: from.unwrap_or_default(),
        inbound_digest: proves,
        destinations: destinations.unwrap_or_default(),
        identity: identity?,
        from_user,
        from_domain,
        user_phone,
        trusted,
        pass_variables,
        tls,
    };
    Some((settings, certificate))
}

/// Its name, which no other one has.
fn name(table: &mut Table<'_>, names: &mut Seen<Box<str>>) -> Option<Box<str>> {
    let value = table.required("name")?;
    let name = value.parsed(values::key_name)?;
    if let Some(line) = names.before(&name, value.line()) {
        value.refuse(Fault::Repeated { value: name.to_string(), line });
    }
    Some(name)
}

/// Where a trunk is, and who has to be there.
struct Whither {
    address: SipUri,
    proxy: Option<SipUri>,
    tls: Option<TrunkTls>,
    /// What it is shown.
    certificate: Option<Identity>,
}

/// `None`: there is a mistake in it.
fn whither(table: &mut Table<'_>, speaks_tls: bool) -> Option<Whither> {
    let address_value = table.required("address");
    let address = address_value.as_ref().and_then(|value| value.parsed(sip_address));
    let proxy_value = table.optional("proxy");
    let proxy = proxy_value.as_ref().map(|value| value.parsed(sip_address));
    let of_tls = match table.optional("tls") {
        Some(value) => value.table("a table").and_then(tls::of_trunk),
        None => Some(tls::OfTrunk::default()),
    };
    let address = address?;
    let proxy = match proxy {
        Some(proxy) => Some(proxy?),
        None => None,
    };
    let (hop, value) = (proxy.as_ref().unwrap_or(&address), proxy_value.or(address_value)?);
    if address.secure && !needs_tls(hop) {
        value.refuse(Fault::InsecureProxy);
        return None;
    }
    if needs_tls(hop) && !speaks_tls {
        value.refuse(Fault::NoTlsSocket);
        return None;
    }
    let of_tls = of_tls?;
    let certificate = of_tls.identity.clone();
    let tls = of_tls.at(hop);
    if needs_tls(hop) && tls.is_none() {
        let found = hop.to_string();
        value.refuse(Fault::Form { expected: "an address whose host a certificate can be for", found });
        return None;
    }
    let tls = tls.filter(|_| speaks_tls);
    Some(Whither { address, proxy, tls, certificate })
}

fn needs_tls(uri: &SipUri) -> bool {
    uri.secure || uri.transport().as_deref() == Some("tls")
}

/// Its priority, its channels, and its new calls a second.
fn limits(table: &mut Table<'_>) -> (u32, usize, Option<usize>) {
    let priority = table.optional("priority").and_then(|value| value.whole(0..=1_000_000));
    let channels = table.optional("channels").and_then(|value| value.whole(1..=1_000_000));
    let rate = table.optional("calls_per_second").and_then(|value| value.whole(1..=100_000));
    (
        priority.map_or(PRIORITY, |priority| priority as u32),
        channels.map_or(CHANNELS, |channels| channels as usize),
        rate.map(|rate| rate as usize),
    )
}

/// What the calls of a trunk are known by.
struct Own<'a> {
    address: Option<&'a SipUri>,
    numbers: &'a [NumberPattern],
    /// Whose password they know.
    account: Option<&'a digest::Identity>,
}

/// Calls from one address are told apart by the number that they call, or by their accounts.
fn must_be_told_apart(table: &Table<'_>, own: &Own<'_>, others: &[TrunkSettings]) {
    let is_same = |other: &&TrunkSettings| {
        let overlap = |ours: &NumberPattern| other.numbers.iter().any(|theirs| ours.overlaps(theirs));
        let here = own.address.map(|address| (&address.host, address.port));
        let theirs = other.credentials.as_ref().filter(|_| other.inbound_digest);
        let have_accounts = own.account.zip(theirs).is_some_and(|(one, two)| one.username != two.username);
        here == Some((&other.address.host, other.address.port))
            && own.numbers.iter().any(overlap)
            && !have_accounts
    };
    if let Some(other) = others.iter().find(is_same) {
        table.refuse("numbers", Fault::NumberOfAnother(other.name.to_string()));
    }
}

/// Off where the file does not say so.
fn flag(table: &mut Table<'_>, key: &'static str) -> bool {
    table.optional(key).and_then(|value| value.boolean()).unwrap_or(false)
}

/// Whether its calls prove whose they are.
fn proves(
    table: &mut Table<'_>,
    credentials: Option<&Option<digest::Identity>>,
    extensions: &[ExtensionEntry],
    others: &[TrunkSettings],
) -> bool {
    let proves = flag(table, "inbound_digest");
    if proves {
        must_be_an_account(table, credentials, extensions, others);
    }
    proves
}

/// Calls that prove whose they are do so by an account that is nobody else's.
fn must_be_an_account(
    table: &Table<'_>,
    credentials: Option<&Option<digest::Identity>>,
    extensions: &[ExtensionEntry],
    others: &[TrunkSettings],
) {
    let Some(credentials) = credentials else { return };
    let Some(own) = credentials.as_ref().filter(|own| !own.password.is_empty()) else {
        return table.refuse("password", Fault::NoPasswordToProve);
    };
    if extensions.iter().any(|extension| extension.number.as_str() == &*own.username) {
        table.refuse("username", Fault::AccountOfExtension(own.username.to_string()));
    }
    let is_other = |other: &&TrunkSettings| {
        let theirs = other.credentials.as_ref().filter(|_| other.inbound_digest);
        theirs.is_some_and(|theirs| theirs.username == own.username && theirs.password != own.password)
    };
    if let Some(other) = others.iter().find(is_other) {
        table.refuse("password", Fault::PasswordOfAnother(other.name.to_string()));
    }
}

/// `None`: there is a mistake in them.
#[expect(clippy::option_option, reason = "what is read may be absent, and may be wrong")]
fn credentials(table: &mut Table<'_>, username: Option<Box<str>>) -> Option<Option<digest::Identity>> {
    let auth_username = table.optional("auth_username").map(|value| value.parsed(user));
    let password = table.optional("password").map(|value| {
        let password = value.secret_or_empty()?;
        let text = password.expose();
        if text.len() > SECRET_OCTETS_MAX || text.chars().any(char::is_control) {
            value.refuse(Fault::SecretForm {
                expected: "at most 256 octets, none of them a control character",
            });
        }
        Some(password)
    });
    let realm = table.optional("realm").map(|value| value.parsed(realm));
    let name = auth_username.or(username.map(Some));
    match (name, password) {
        (Some(name), Some(password)) => {
            let (name, password) = (name?, password?);
            let identity = digest::Identity::new(&name, password.expose());
            Some(Some(digest::Identity { realm: realm.flatten(), ..identity }))
        }
        (None, Some(_)) => {
            table.refuse("username", Fault::Missing);
            None
        }
        // An account that nobody asks a password for.
        (Some(_) | None, None) => Some(None),
    }
}

/// Where calls to our numbers go.
fn destinations(
    value: &Value<'_>,
    numbers: &[NumberPattern],
    extensions: &[ExtensionEntry],
) -> Vec<(NumberPattern, Destination)> {
    let expected = "a table such as { \"+918065978015\" = { type = \"extension\", to = \"1001\" } }";
    let read = value.entries(expected).unwrap_or_default().into_iter().filter_map(|(key, value)| {
        let pattern = match NumberPattern::new(key) {
            Ok(pattern) if numbers.iter().any(|ours| ours.overlaps(&pattern)) => pattern,
            Ok(_) => {
                value.refuse(Fault::NotOurs);
                return None;
            }
            Err(error) => {
                value.refuse(error);
                return None;
            }
        };
        Some((pattern, destination(&value, extensions)?))
    });
    read.collect()
}

/// `{ type = "extension", to = "1001" }`
fn destination(value: &Value<'_>, extensions: &[ExtensionEntry]) -> Option<Destination> {
    let mut table = value.table("a table such as { type = \"extension\", to = \"1001\" }")?;
    let party_type = table.required("type").and_then(|value| value.parsed(destination_type));
    let number = table.required("to").and_then(|value| {
        let number = value.parsed(call_control::Number::written)?;
        let is_there = extensions.iter().any(|extension| extension.number == number);
        if party_type == Some(PartyType::Extension) && !is_there {
            value.refuse(Fault::NoSuchExtension(number.to_string()));
        }
        Some(number)
    });
    table.end();
    Some(Destination { number: number?, party_type: party_type? })
}

fn destination_type(text: &str) -> Result<PartyType, Fault> {
    match text {
        "extension" => Ok(PartyType::Extension),
        "external" => Ok(PartyType::External),
        "queue" => Err(Fault::Later { feature: "queues are" }),
        "ivr" => Err(Fault::Later { feature: "IVRs are" }),
        "ai_agent" => Err(Fault::Later { feature: "AI agents are" }),
        other => Err(values::not_listed(&["extension", "external"], other)),
    }
}

/// For how long to register; `None`: there is a mistake.
#[expect(clippy::option_option, reason = "what is read may be absent, and may be wrong")]
fn registration(table: &mut Table<'_>, has_account: bool) -> Option<Option<Duration>> {
    let registers = table.optional("register").map(|value| value.boolean());
    let seconds = table.optional("registration_seconds").map(|value| value.seconds(30..=86_400));
    let time = match seconds {
        Some(seconds) => seconds?,
        None => REGISTRATION,
    };
    match registers {
        Some(registers) if registers? => {
            if !has_account {
                table.refuse("username", Fault::Missing);
                return None;
            }
            Some(Some(time))
        }
        Some(_) | None => Some(None),
    }
}

/// The first is shown when nothing else is: it has to be one number.
fn numbers(value: Value<'_>) -> Option<Vec<NumberPattern>> {
    let numbers = value.set("a list such as [\"+918065978015\"]", NumberPattern::new)?;
    if numbers.first().is_some_and(|first| first.number().is_none()) {
        value.refuse(Fault::FirstNumber);
        return None;
    }
    Some(numbers)
}

fn writing(table: &mut Table<'_>, policy: Option<&DialPolicy>) -> Option<Writing> {
    let format = match table.optional("format") {
        Some(value) => value.parsed(format),
        None => Some(Format::E164),
    };
    let dial_prefix = table.optional("dial_prefix").map(|value| value.parsed(user));
    let plan = match table.optional("country") {
        Some(value) => value.parsed(NumberingPlan::of),
        None => Some(policy.map(DialPolicy::plan).cloned().unwrap_or_default()),
    };
    let (format, plan) = (format?, plan?);
    if format == Format::National && !plan.has_country() {
        table.refuse("country", Fault::NationalWithoutCountry);
    }
    let dial_prefix = match dial_prefix {
        Some(prefix) => prefix?,
        None => "".into(),
    };
    Some(Writing { format, dial_prefix, plan })
}

/// A SIP URI of a host: where it is, and over what.
fn sip_address(text: &str) -> Result<SipUri, Fault> {
    let form = || Fault::Form {
        expected: "an address such as sip:sip.carrier.example, sip:192.0.2.10:5080 or sip:carrier.example;transport=tcp",
        found: text.into(),
    };
    let written =
        if text.contains(':') && !text.starts_with('[') { text.into() } else { format!("sip:{text}") };
    let Ok(Uri::Sip(uri)) = Uri::parse(written.as_bytes()) else { return Err(form()) };
    let is_plain = uri.user.is_none() && uri.headers.is_none() && uri.port != Some(0);
    if !is_plain {
        return Err(form());
    }
    if let Host::Name(name) = &uri.host {
        values::domain(name.trim_end_matches('.'))?;
    }
    match (uri.secure, uri.transport().as_deref()) {
        (_, None | Some("tls" | "tcp")) | (false, Some("udp")) => Ok(uri),
        (false, Some(other)) => Err(values::not_listed(&["udp", "tcp", "tls"], other)),
        // The stream under TLS may be named (RFC 3261 §26.2.2).
        (true, Some(other)) => Err(values::not_listed(&["tls", "tcp"], other)),
    }
}

fn format(text: &str) -> Result<Format, Fault> {
    match text {
        "e164" => Ok(Format::E164),
        "national" => Ok(Format::National),
        "plain" => Ok(Format::Plain),
        other => Err(values::not_listed(&["e164", "national", "plain"], other)),
    }
}

fn identity(text: &str) -> Result<IdentityField, Fault> {
    match text {
        "p-asserted-identity" => Ok(IdentityField::PAssertedIdentity),
        "remote-party-id" => Ok(IdentityField::RemotePartyId),
        "from" => Ok(IdentityField::From),
        other => Err(values::not_listed(&["p-asserted-identity", "remote-party-id", "from"], other)),
    }
}

/// The user part of a URI, or of digest credentials.
fn user(text: &str) -> Result<Box<str>, Fault> {
    let legal = text.len() <= 128 && text.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'"' | b'\\'));
    if legal {
        Ok(text.into())
    } else {
        Err(Fault::Form {
            expected: "at most 128 printable ASCII characters without quotes",
            found: text.into(),
        })
    }
}

fn realm(text: &str) -> Result<Box<str>, Fault> {
    if text.len() <= 128 && !text.chars().any(char::is_control) {
        Ok(text.into())
    } else {
        Err(Fault::Form {
            expected: "at most 128 characters, none of them a control character",
            found: text.into(),
        })
    }
}

fn host(text: &str) -> Result<Host, Fault> {
    let text = values::domain(text)?;
    Ok(Host::new(&text).unwrap_or(Host::Name(text)))
}
