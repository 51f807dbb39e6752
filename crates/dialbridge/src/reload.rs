//! SIGHUP: the configuration is read again.

use crate::Server;
use crate::config::{self, Configuration};
use std::path::Path;

/// What the file is compared with when it is read again.
pub(crate) struct Reload {
    /// What is fixed while the server runs.
    started: Configuration,
    domain: Box<str>,
    /// There are extensions or keys in force.
    holds_any: bool,
}

impl Reload {
    pub(crate) fn new(started: Configuration, domain: Box<str>) -> Self {
        let holds_any = holds_any(&started);
        Self { started, domain, holds_any }
    }

    /// Reads the file and puts its extensions, keys and certificate in force, in the realm that the server was started
    /// with; connections that are open stay as they are. A wrong
    /// file changes nothing, nor does one that has lost all of them; what is fixed while the server runs is named.
    pub(crate) async fn read_again(&mut self, file: &Path, server: &Server) {
        let configuration = match config::read(file) {
            Ok(configuration) => configuration,
            Err(mistakes) => {
                for mistake in mistakes.lines() {
                    tracing::error!("{mistake}");
                }
                tracing::error!("the configuration is wrong; nothing is changed");
                return;
            }
        };
        // An editor may have emptied the file and not have filled it yet.
        if self.holds_any && !holds_any(&configuration) {
            tracing::error!(
                "the file has no extensions and no API keys; nothing is changed: is it being written?"
            );
            return;
        }
        for key in fixed_changes(&self.started, &configuration) {
            tracing::warn!("{key} has changed: it takes effect at the next start");
        }
        if let (Some(started), Some(read)) = (&self.started.sip.tls, &configuration.sip.tls) {
            started.shown.replace(read.identity.clone());
        }
        let (extensions, keys) = (configuration.extensions_in(&self.domain), configuration.keys());
        let (extension_count, key_count) = (extensions.len(), keys.len());
        server.replace(keys, extensions).await;
        self.holds_any = holds_any(&configuration);
        tracing::info!(
            extensions = extension_count,
            api_keys = key_count,
            "the configuration was read again"
        );
    }
}

fn holds_any(configuration: &Configuration) -> bool {
    !configuration.extensions.is_empty() || !configuration.api_keys.is_empty()
}

/// The keys that differ and that a running server does not change.
fn fixed_changes(old: &Configuration, new: &Configuration) -> Vec<&'static str> {
    let (sip, new_sip) = (&old.sip, &new.sip);
    let (times, new_times) = (&sip.registration, &new_sip.registration);
    let (media, new_media) = (&old.media, &new.media);
    let (limits, new_limits) = (&old.limits, &new.limits);
    [
        ("http.listen", old.http.listen != new.http.listen),
        ("http.health_listen", old.http.health_listen != new.http.health_listen),
        ("http.proxies", old.http.proxies != new.http.proxies),
        ("sip.domain", sip.domain != new_sip.domain),
        ("sip.listen", sip.listen != new_sip.listen),
        ("sip.tls", sip.tls.is_some() != new_sip.tls.is_some()),
        ("sip.external_address", sip.external_address != new_sip.external_address),
        ("sip.user_agent", sip.user_agent != new_sip.user_agent),
        ("sip.session_expires_seconds", sip.session_expires != new_sip.session_expires),
        (
            "sip.registration_seconds",
            (times.min, times.default, times.max) != (new_times.min, new_times.default, new_times.max),
        ),
        ("media.address", media.address != new_media.address),
        ("media.ports", media.ports != new_media.ports),
        ("media.codecs", media.codecs != new_media.codecs),
        ("media.silence_timeout_seconds", media.silence_timeout != new_media.silence_timeout),
        ("media.ringback", media.ringback != new_media.ringback),
        ("dial_policy", old.dial_policy != new.dial_policy),
        ("data.folder", old.data_folder != new.data_folder),
        ("limits.calls", limits.calls != new_limits.calls),
        ("limits.calls_per_second", limits.calls_per_second != new_limits.calls_per_second),
        ("limits.calls_per_key", limits.calls_per_key != new_limits.calls_per_key),
    ]
    .into_iter()
    .filter_map(|(key, changed)| changed.then_some(key))
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_effect_only_at_the_next_start_is_named() {
        let old = Configuration::default();
        assert_eq!(fixed_changes(&old, &old.clone()), Vec::<&str>::new());
        let text = "[http]\nlisten = '127.0.0.1:1'\n[sip]\nregistration_seconds = { max = 4000 }\n[limits]\ncalls = 3";
        let new = config::parse(text).unwrap();
        assert_eq!(fixed_changes(&old, &new), ["http.listen", "sip.registration_seconds", "limits.calls"]);
    }
}
