//! Logs, to standard error.

mod lines;

use crate::output;
use lines::Lines;
use std::backtrace::{Backtrace, BacktraceStatus};
use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::panic::PanicHookInfo;
use std::time::Duration;
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

/// How long the end of the program waits for its last lines.
const LAST_LINES: Duration = Duration::from_millis(200);

/// The log; dropped, it waits for its last lines.
#[must_use = "the last lines are lost without it"]
pub(crate) struct Log(Lines);

impl Drop for Log {
    fn drop(&mut self) {
        self.0.flush(LAST_LINES);
    }
}

/// Starts logging at `level`, or at what `RUST_LOG` says. What cannot be understood in it is left out and complained
/// about. A panic is logged, too.
pub(crate) fn start(format: LogFormat, level: LevelFilter) -> Log {
    let lines = Lines::default();
    if let Err(why) = lines.write_to(standard_error(), format) {
        output::complain(&format!("There is no log: the operating system gives no thread: {why}"));
    }
    let (filter, complaints) = filter(level, &std::env::var("RUST_LOG").unwrap_or_default());
    let writer = lines.clone();
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(move || writer.clone());
    // An error means that logging was started before, by a test or by another command: then it stays as it is.
    let started = match format {
        LogFormat::Text => builder.with_ansi(io::stderr().is_terminal()).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    if started.is_ok() {
        std::panic::set_hook(Box::new(log_panic));
    }
    for complaint in complaints {
        tracing::warn!(target: STATE, "{complaint}");
    }
    Log(lines)
}

/// What is logged, and the parts of `wish` that cannot be understood.
fn filter(level: LevelFilter, wish: &str) -> (EnvFilter, Vec<String>) {
    let mut filter = EnvFilter::new(level.to_string());
    let mut complaints = Vec::new();
    for part in wish.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        match part.parse::<Directive>() {
            Ok(directive) => filter = filter.add_directive(directive),
            Err(why) => complaints.push(format!("RUST_LOG: {part:?} is left out: {why}")),
        }
    }
    let state = format!("{STATE}=info").parse().expect("a target and a level are a directive");
    (filter.add_directive(state), complaints)
}

/// Standard error without the lock of the standard library, which a thread that hangs in a write would hold.
fn standard_error() -> Box<dyn Write + Send> {
    match io::stderr().as_fd().try_clone_to_owned() {
        Ok(descriptor) => Box::new(File::from(descriptor)),
        Err(_) => Box::new(io::stderr()),
    }
}

/// The hook of the standard library waits for a reader of standard error; the log does not.
fn log_panic(panic: &PanicHookInfo<'_>) {
    let message = panic.payload_as_str().unwrap_or("it has no message");
    let at = panic.location().map(ToString::to_string);
    let thread = std::thread::current();
    let backtrace = Backtrace::capture();
    let backtrace = (backtrace.status() == BacktraceStatus::Captured).then(|| backtrace.to_string());
    tracing::error!(target: STATE, at, thread = thread.name(), backtrace, "a panic: {message}");
}
