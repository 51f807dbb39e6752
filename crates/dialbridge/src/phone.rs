//! `dialbridge phone`: a test phone for people and CI. One JSON line for each event on standard output.

use crate::exit::Exit;
use crate::logging::{self, LogFormat};
use crate::output;
use crate::signals::{Signals, Wish};
use crate::tls::{self, TlsFault, Trust};
use audio::{Codec, wav};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use sip_core::Transport;
use sip_message::{Host, StatusCode};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use test_phone::{
    Answering, BindError, CallMedia, Command, Driver, DriverOptions, Dtmf, Registering, Reply, Report,
    Script, Source,
};
use tokio::sync::mpsc;
use tracing::level_filters::LevelFilter;

/// A SIP phone that does what it is told: registers, answers or places calls, plays, records, sends digits, holds.
///
/// It ends with 0 when everything went as asked, with 1 otherwise. Times are written 2s, 500ms or 1m.
#[derive(Debug, clap::Args)]
pub(crate) struct PhoneArgs {
    /// The SIP server.
    #[arg(long, value_name = "ADDRESS[:PORT]", default_value = "127.0.0.1")]
    server: String,
    /// How the server is spoken to.
    #[arg(long, value_parser = transport, value_name = "udp|tcp|tls", default_value = "udp")]
    transport: Transport,
    /// Certificates of authorities (PEM) that may have signed the server's, beside those that this machine trusts.
    #[arg(long, value_name = "FILE")]
    tls_roots: Option<String>,
    /// Believes whatever certificate the server shows.
    #[arg(long, conflicts_with = "tls_roots")]
    tls_insecure: bool,
    /// The address to send from and to receive at; the one that faces the server when not given.
    #[arg(long, value_name = "ADDRESS")]
    local: Option<IpAddr>,
    /// The extension.
    #[arg(long)]
    user: String,
    /// Its password.
    #[arg(long, env = "DIALBRIDGE_PHONE_PASSWORD", hide_env_values = true)]
    password: Option<String>,
    /// The SIP domain; the server's address when not given.
    #[arg(long, value_parser = host)]
    domain: Option<Host>,
    /// The name to show to those who are called.
    #[arg(long)]
    name: Option<String>,

    /// How long the registration is to last; it is refreshed before, and removed at the end.
    #[arg(long, value_parser = expires, value_name = "TIME", default_value = "600s", help_heading = REGISTRATION)]
    expires: Duration,
    /// Does not register.
    #[arg(long, help_heading = REGISTRATION)]
    no_register: bool,
    /// Removes every registration of this extension and ends.
    #[arg(long, conflicts_with_all = ["no_register", "call"], help_heading = REGISTRATION)]
    unregister: bool,

    /// Answers (or refuses) so long after the call came in.
    #[arg(long, value_parser = duration, value_name = "TIME", default_value = "0s", help_heading = INCOMING)]
    answer_after: Duration,
    /// Never answers.
    #[arg(long, group = "reply", help_heading = INCOMING)]
    ring_for_ever: bool,
    /// Refuses with 486.
    #[arg(long, group = "reply", help_heading = INCOMING)]
    busy: bool,
    /// Refuses with 603.
    #[arg(long, group = "reply", help_heading = INCOMING)]
    decline: bool,
    /// Refuses with this status, 300 to 699.
    #[arg(long, group = "reply", value_parser = refusal, value_name = "STATUS", help_heading = INCOMING)]
    reject: Option<StatusCode>,
    /// Answers without having rung.
    #[arg(long, conflicts_with = "early_media", help_heading = INCOMING)]
    no_ring: bool,
    /// Sends its audio while it rings (183 with a session description).
    #[arg(long, help_heading = INCOMING)]
    early_media: bool,
    /// Answers at once a call that asks for it.
    #[arg(long, help_heading = INCOMING)]
    auto_answer: bool,

    /// Calls this number.
    #[arg(long, value_name = "NUMBER", help_heading = CALL)]
    call: Option<String>,
    /// Hangs up so long after the call was answered.
    #[arg(long, value_parser = duration, value_name = "TIME", help_heading = CALL)]
    hang_up_after: Option<Duration>,
    /// Puts the other side on hold so long after the call was answered.
    #[arg(long, value_parser = duration, value_name = "TIME", help_heading = CALL)]
    hold_after: Option<Duration>,
    /// Takes it back so long after that.
    #[arg(long, value_parser = duration, value_name = "TIME", requires = "hold_after", help_heading = CALL)]
    resume_after: Option<Duration>,
    /// Sends these digits (RFC 4733).
    #[arg(long, value_name = "DIGITS", value_parser = digits, help_heading = CALL)]
    dtmf: Option<String>,
    /// Sends them so long after the call was answered.
    #[arg(long, value_parser = duration, value_name = "TIME", default_value = "1s", help_heading = CALL)]
    dtmf_after: Duration,

    /// Plays this WAV file, round and round.
    #[arg(long, value_name = "FILE", conflicts_with = "tone", help_heading = AUDIO)]
    play: Option<PathBuf>,
    /// Plays a tone.
    #[arg(long, value_parser = hertz, value_name = "HZ", help_heading = AUDIO)]
    tone: Option<f64>,
    /// Writes what it hears into this WAV file; those of further calls get -2, -3 … before their ending.
    #[arg(long, value_name = "FILE", help_heading = AUDIO)]
    record: Option<PathBuf>,
    /// Ends with 1 unless it heard this tone for half a second in each call.
    #[arg(long, value_parser = hertz, value_name = "HZ", help_heading = AUDIO)]
    expect_tone: Option<f64>,
    /// The codecs, the preferred one first.
    #[arg(long, value_parser = codec, value_delimiter = ',', default_value = "opus,G722,PCMA,PCMU", help_heading = AUDIO)]
    codec: Vec<Codec>,

    /// Ends after so many calls. With --call: 1.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), help_heading = END)]
    calls: Option<u32>,
    /// Ends after so long.
    #[arg(long, value_parser = duration, value_name = "TIME", help_heading = END)]
    exit_after: Option<Duration>,
}

const REGISTRATION: &str = "Registration";
const INCOMING: &str = "Calls that come in";
const CALL: &str = "In a call";
const AUDIO: &str = "Audio";
const END: &str = "End";

pub(crate) async fn run(args: PhoneArgs) -> ExitCode {
    let _log = logging::start(LogFormat::Text, LevelFilter::WARN);
    match phone(args).await {
        Ok(exit) => exit.into(),
        Err(failure) => {
            output::complain(&format!("{failure}."));
            failure.exit().into()
        }
    }
}

/// Why the phone does not begin.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("--server: {name:?} is no address that can be found: {source}")]
    Server { name: String, source: io::Error },
    #[error("--tls-roots: {0}")]
    Roots(#[from] TlsFault),
    #[error("--server: no certificate can be for {0:?}")]
    NoCertificateName(String),
    #[error("--play: {} cannot be read: {source}", .file.display())]
    Unreadable { file: PathBuf, source: io::Error },
    #[error("--play: {}: {source}", .file.display())]
    NoWav { file: PathBuf, source: wav::WavError },
    #[error("{0}")]
    Bind(#[from] BindError),
    #[error("signals cannot be listened to: {0}")]
    Signals(io::Error),
}

impl Failure {
    fn exit(&self) -> Exit {
        match self {
            Self::Server { .. }
            | Self::Roots(_)
            | Self::NoCertificateName(_)
            | Self::Unreadable { .. }
            | Self::NoWav { .. } => Exit::Wrong,
            Self::Bind(_) | Self::Signals(_) => Exit::Unable,
        }
    }
}

async fn phone(args: PhoneArgs) -> Result<Exit, Failure> {
    let mut signals = Signals::listen().map_err(Failure::Signals)?;
    let record = args.record.clone();
    let options = options(args).await?;
    let (reports, mut reported) = mpsc::unbounded_channel::<Report>();
    let (commands, commanded) = mpsc::channel(1);
    let driver = Driver::start(options, reports, commanded).await?;
    let mut calls = 0_u32;
    let mut not_written = false;
    let heard = |call: CallMedia| {
        calls += 1;
        if let Some(file) = &record {
            not_written |= !write(&numbered(file, calls), &call);
        }
    };
    let print = async {
        while let Some(report) = reported.recv().await {
            output::say(&report.to_json());
        }
    };
    let interrupted = async {
        while signals.next().await != Wish::Stop {}
        // Gone already when the script has just ended.
        let _ended = commands.send(Command::Leave).await;
        signals.stop_again().await;
    };
    let outcome = tokio::select! {
        (outcome, ()) = async { tokio::join!(driver.run(heard), print) } => Some(outcome),
        () = interrupted => None,
    };
    let succeeded = outcome.is_some_and(|outcome| outcome.is_success()) && !not_written;
    Ok(if succeeded { Exit::Asked } else { Exit::Wrong })
}

async fn options(args: PhoneArgs) -> Result<DriverOptions, Failure> {
    let server = resolve(&args.server, args.transport.default_port()).await?;
    let tls = if args.transport == Transport::Tls { Some(tls(&args)?) } else { None };
    let source = match (&args.play, args.tone) {
        (Some(file), _) => recording(file)?,
        (None, Some(hertz)) => Source::Tone { hertz },
        (None, None) => Source::Silence,
    };
    let script = script(&args);
    Ok(DriverOptions {
        server,
        transport: args.transport,
        tls,
        local: args.local,
        user: args.user.into(),
        password: args.password.map(Into::into),
        display_name: args.name.map(Into::into),
        domain: args.domain,
        script,
        source,
        expected_tone: args.expect_tone,
    })
}

fn script(args: &PhoneArgs) -> Script {
    let after = args.answer_after;
    let refusal = match (args.busy, args.decline) {
        (true, _) => Some(StatusCode::BUSY_HERE),
        (false, true) => Some(StatusCode::DECLINE),
        (false, false) => args.reject,
    };
    let reply = match (args.ring_for_ever, refusal) {
        (true, _) => Reply::Never,
        (false, Some(status)) => Reply::Reject { status, after },
        (false, None) => Reply::Accept { after },
    };
    let registering = match (args.unregister, args.no_register) {
        (true, _) => Registering::RemoveAll,
        (false, true) => Registering::Never,
        (false, false) => Registering::Keep { expires: args.expires },
    };
    Script {
        registering,
        answering: Answering {
            rings: !args.no_ring,
            early_media: args.early_media,
            auto_answer: args.auto_answer,
            reply,
        },
        call: args.call.as_deref().map(Into::into),
        hang_up_after: args.hang_up_after,
        hold_after: args.hold_after,
        resume_after: args.resume_after,
        dtmf: args.dtmf.as_deref().map(|digits| Dtmf { digits: digits.into(), after: args.dtmf_after }),
        calls: args.calls,
        exit_after: args.exit_after,
        codecs: args.codec.clone(),
    }
}

/// The name that the server has to prove is the one that was asked for, not one that it was found by.
fn tls(args: &PhoneArgs) -> Result<(ServerName<'static>, Arc<ClientConfig>), Failure> {
    let trust = match &args.tls_roots {
        _ if args.tls_insecure => Trust::Anybody,
        Some(file) => Trust::Roots(tls::certificates(file)?),
        None => Trust::Roots(Vec::new()),
    };
    let address = args.server.parse::<SocketAddr>().map(|address| address.ip());
    let name = match address.or_else(|_| args.server.parse::<IpAddr>()) {
        Ok(address) => ServerName::from(address),
        Err(_) => {
            let host = args.server.split(':').next().unwrap_or_default().to_owned();
            ServerName::try_from(host).map_err(|_| Failure::NoCertificateName(args.server.clone()))?
        }
    };
    Ok((name, tls::client(trust, None)))
}

async fn resolve(server: &str, default_port: u16) -> Result<SocketAddr, Failure> {
    if let Ok(address) = server.parse::<SocketAddr>() {
        return Ok(address);
    }
    if let Ok(address) = server.parse::<IpAddr>() {
        return Ok(SocketAddr::new(address, default_port));
    }
    let with_port = if server.contains(':') { server.to_owned() } else { format!("{server}:{default_port}") };
    let found = tokio::net::lookup_host(&with_port).await.and_then(|mut addresses| {
        addresses.next().ok_or_else(|| io::Error::other("the name has no address"))
    });
    found.map_err(|source| Failure::Server { name: server.to_owned(), source })
}

fn recording(file: &Path) -> Result<Source, Failure> {
    let octets =
        std::fs::read(file).map_err(|source| Failure::Unreadable { file: file.to_owned(), source })?;
    let wav = wav::read(&octets).map_err(|source| Failure::NoWav { file: file.to_owned(), source })?;
    Ok(Source::Recording { sample_rate: wav.sample_rate, samples: wav.samples.into() })
}

fn write(file: &Path, call: &CallMedia) -> bool {
    let octets = wav::write(call.heard.sample_rate, &call.heard.samples);
    let written = std::fs::write(file, octets);
    if let Err(why) = &written {
        output::complain(&format!("--record: {} cannot be written: {why}.", file.display()));
    }
    written.is_ok()
}

/// `heard.wav`, `heard-2.wav`, `heard-3.wav` …
fn numbered(file: &Path, call: u32) -> PathBuf {
    if call < 2 {
        return file.to_owned();
    }
    let mut name = file.file_stem().unwrap_or_default().to_owned();
    name.push(format!("-{call}"));
    if let Some(ending) = file.extension() {
        name.push(".");
        name.push(ending);
    }
    file.with_file_name(name)
}

fn duration(text: &str) -> Result<Duration, &'static str> {
    let (number, seconds) = match (text.strip_suffix("ms"), text.strip_suffix('s'), text.strip_suffix('m')) {
        (Some(number), _, _) => (number, 0.001),
        (None, Some(number), _) => (number, 1.0),
        (None, None, Some(number)) => (number, 60.0),
        (None, None, None) => return Err("write a time as 2s, 500ms or 1m"),
    };
    let is_plain = !number.is_empty() && number.bytes().all(|octet| octet.is_ascii_digit() || octet == b'.');
    let number: f64 = number.parse().ok().filter(|_| is_plain).ok_or("write a time as 2s, 500ms or 1m")?;
    Duration::try_from_secs_f64(number * seconds)
        .ok()
        .filter(|duration| *duration <= DURATION_MAX)
        .ok_or("a time has at most 30 days")
}

/// Registrars count whole seconds, and none of them removes the registration.
fn expires(text: &str) -> Result<Duration, &'static str> {
    let duration = duration(text)?;
    if duration < Duration::from_secs(1) { Err("a registration lasts at least 1s") } else { Ok(duration) }
}

fn transport(text: &str) -> Result<Transport, &'static str> {
    Transport::from_word(text).ok_or("udp, tcp or tls")
}

fn host(text: &str) -> Result<Host, &'static str> {
    Host::new(text).ok_or("a host name or an address, an IPv6 address in [ ]")
}

fn refusal(text: &str) -> Result<StatusCode, &'static str> {
    let status = text.parse().ok().and_then(StatusCode::new);
    status.filter(|status| status.code() >= 300).ok_or("a status from 300 to 699")
}

fn digits(text: &str) -> Result<String, &'static str> {
    let all_are_keys =
        !text.is_empty() && text.chars().all(|key| audio::TelephoneEvent::from_key(key).is_some());
    if all_are_keys { Ok(text.to_owned()) } else { Err("the keys of a phone: 0-9, *, # and A-D") }
}

fn hertz(text: &str) -> Result<f64, &'static str> {
    let hertz: Option<f64> = text.parse().ok();
    hertz.filter(|hertz| (50.0..=3_400.0).contains(hertz)).ok_or("a frequency from 50 to 3400")
}

fn codec(text: &str) -> Result<Codec, &'static str> {
    Codec::from_name(text).ok_or("opus, G722, PCMA or PCMU")
}

const DURATION_MAX: Duration = Duration::from_secs(30 * 86_400);

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        args: PhoneArgs,
    }

    fn parse(line: &str) -> Result<PhoneArgs, clap::Error> {
        let words = ["phone", "--user", "1001"].into_iter().chain(line.split_whitespace());
        Line::try_parse_from(words).map(|line| line.args)
    }

    #[test]
    fn times_have_a_unit() {
        for (text, milliseconds) in
            [("2s", 2_000), ("500ms", 500), ("1.5s", 1_500), ("1m", 60_000), ("0s", 0)]
        {
            assert_eq!(duration(text).map(|duration| duration.as_millis()), Ok(milliseconds), "{text}");
        }
        for text in ["", "2", "s", "-1s", "1e9s", "infs", "NaNs", "2 s", "99999999999s", "1h", "."] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_line_becomes_a_script() {
        let args =
            parse("--busy --answer-after 2s --codec pcmu,opus --calls 3 --hang-up-after 500ms").unwrap();
        let script = script(&args);
        let expected = Reply::Reject { status: StatusCode::BUSY_HERE, after: Duration::from_secs(2) };
        assert_eq!(script.answering.reply, expected);
        assert_eq!(script.codecs, [Codec::Pcmu, Codec::Opus]);
        assert_eq!((script.calls, script.hang_up_after), (Some(3), Some(Duration::from_millis(500))));
        assert_eq!(script.registering, Registering::Keep { expires: Duration::from_secs(600) });
    }

    #[test]
    fn contradictions_and_nonsense_are_refused() {
        for line in [
            "--busy --decline",
            "--busy --reject 404",
            "--unregister --call 1002",
            "--resume-after 2s",
            "--reject 200",
            "--expires 500ms",
            "--dtmf 12x",
            "--codec speex",
            "--tone 9000",
            "--calls 0",
            "--transport sctp",
            "--tls-insecure --tls-roots ca.pem",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }

    #[test]
    fn recordings_of_further_calls_are_numbered() {
        let file = Path::new("folder/heard.wav");
        assert_eq!(numbered(file, 1), file);
        assert_eq!(numbered(file, 3), Path::new("folder/heard-3.wav"));
    }
}
