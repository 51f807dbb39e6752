//! The tables `tls`.

use super::mistake::Fault;
use super::reader::{Table, Value};
use crate::tls::{self, Identity, Shown, Trust, Validity};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use sip_b2bua::TrunkTls;
use sip_message::{Host, SipUri};
use std::sync::Arc;

/// What whoever connects over TLS is shown.
#[derive(Debug, Clone)]
pub struct ServerTls {
    /// As it was read.
    pub identity: Identity,
    /// Shows `shown`.
    pub config: Arc<ServerConfig>,
    /// Begins with `identity`.
    pub shown: Arc<Shown>,
}

/// What a `[[trunks]]` table says of TLS.
#[derive(Debug)]
pub(super) struct OfTrunk {
    /// What it is shown if it asks.
    pub(super) identity: Option<Identity>,
    verifies: bool,
    roots: Vec<CertificateDer<'static>>,
}

impl Default for OfTrunk {
    fn default() -> Self {
        Self { identity: None, verifies: true, roots: Vec::new() }
    }
}

/// `[sip] tls`.
pub(super) fn server(mut table: Table<'_>) -> Option<ServerTls> {
    let (certificate, key) = (table.required("certificate"), table.required("key"));
    let identity = identity(&certificate?, &key?);
    table.end();
    let identity = identity?;
    let (config, shown) = tls::server(identity.clone());
    Some(ServerTls { identity, config, shown })
}

/// `tls` of a trunk. `None`: there is a mistake in it.
pub(super) fn of_trunk(mut table: Table<'_>) -> Option<OfTrunk> {
    let verifies = table.optional("verify").map(|value| value.boolean());
    let roots = table.optional("roots").map(|value| value.parsed(tls::certificates));
    let identity = match (table.optional("certificate"), table.optional("key")) {
        (None, None) => Some(None),
        (Some(certificate), Some(key)) => identity(&certificate, &key).map(Some),
        (Some(_), None) => refused(&table, "key"),
        (None, Some(_)) => refused(&table, "certificate"),
    };
    table.end();
    Some(OfTrunk {
        identity: identity?,
        verifies: verifies.unwrap_or(Some(true))?,
        roots: roots.unwrap_or(Some(Vec::new()))?,
    })
}

fn refused<T>(table: &Table<'_>, key: &str) -> Option<T> {
    table.refuse(key, Fault::Missing);
    None
}

fn identity(certificate: &Value<'_>, key: &Value<'_>) -> Option<Identity> {
    let (chain, private_key) = (certificate.parsed(tls::certificates), key.parsed(tls::private_key));
    let (chain, private_key) = (chain?, private_key?);
    let file = certificate.text()?;
    key.parsed(|key_file| Identity::new(chain, private_key, (file, key_file)))
}

impl OfTrunk {
    /// What the server at `hop` has to prove: its configured host, whatever name servers say (RFC 5922 §7.3). `None`: there
    /// can be no certificate for that.
    pub(super) fn at(self, hop: &SipUri) -> Option<TrunkTls> {
        let Self { identity, verifies, roots } = self;
        let trust = if verifies { Trust::Roots(roots) } else { Trust::Anybody };
        let name = match &hop.host {
            Host::Address(address) => ServerName::from(*address),
            Host::Name(name) => ServerName::try_from(name.trim_end_matches('.').to_owned()).ok()?,
        };
        Some(TrunkTls { name, config: tls::client(trust, identity), verifies })
    }
}

/// What an operator should know of a certificate that is shown, by the key that names it.
pub(super) fn doubt(key: &str, identity: &Identity, now: UnixTime) -> Option<String> {
    match identity.validity(now) {
        Validity::Good => None,
        Validity::Ending => Some(format!("{key}: the certificate expires within two weeks")),
        Validity::Expired => {
            Some(format!("{key}: the certificate has expired; whoever looks at it refuses it"))
        }
        Validity::NotYet => {
            Some(format!("{key}: the certificate is not valid yet; is the clock of this machine right?"))
        }
    }
}
