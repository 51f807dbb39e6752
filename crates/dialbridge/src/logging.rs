//! Logs, to standard error.

use crate::output;
use std::io::IsTerminal;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::Directive;

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// The target of what is shown whatever `RUST_LOG` says: that the server is ready, why it does not start, that it stops.
pub(crate) const STATE: &str = "dialbridge::state";

/// Starts logging at `level`, or at what `RUST_LOG` says. What cannot be understood in it is left out and complained
/// about.
pub(crate) fn start(format: LogFormat, level: LevelFilter) {
    let wish = std::env::var("RUST_LOG").unwrap_or_default();
    let mut filter = EnvFilter::new(level.to_string());
    for part in wish.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        match part.parse::<Directive>() {
            Ok(directive) => filter = filter.add_directive(directive),
            Err(why) => output::complain(&format!("RUST_LOG: {part:?} is left out: {why}")),
        }
    }
    let state = format!("{STATE}=info").parse().expect("a target and a level are a directive");
    let filter = filter.add_directive(state);
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // An error means that logging was started before, by a test or by another command: then it stays as it is.
    let _started = match format {
        LogFormat::Text => builder.with_ansi(std::io::stderr().is_terminal()).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
}
