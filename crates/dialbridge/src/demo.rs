//! `dialbridge demo`: the main job in one command, on loopback, with everything real but the people.

mod findings;
mod folder;
mod ladder;
mod play;
mod report;
mod stage;
mod wire;

use crate::exit::Exit;
use crate::logging::{self, LogFormat};
use crate::output;
use crate::signals::{Signals, Wish};
use call_control::CallEventKind;
use play::Recorded;
use stage::Stage;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};
use tracing::level_filters::LevelFilter;

/// Shows in a few seconds that it works: starts the whole server and two SIP phones on loopback, asks by HTTP for one
/// call between them, lets them talk, and prints what happened.
///
/// It ends with 0 only if each phone heard the other.
#[derive(Debug, clap::Args)]
pub(crate) struct DemoArgs {
    /// Where to put the SIP ladder as a picture (SVG), what the phones heard (WAV), the call and what the server says of
    /// it (JSON), the SIP messages and this report. Otherwise they go to `dialbridge-demo` in the system's folder for
    /// temporary files, over those of the last demo.
    #[arg(long, value_name = "FOLDER")]
    output: Option<PathBuf>,
}

pub(crate) async fn run(args: DemoArgs) -> ExitCode {
    let _log = logging::start(LogFormat::Text, LevelFilter::ERROR);
    match demo(&args).await {
        Ok(exit) => exit.into(),
        Err(why) => {
            output::complain(&format!("The demo cannot run: {why}."));
            Exit::Unable.into()
        }
    }
}

/// Why the demo broke off.
#[derive(Debug, thiserror::Error)]
enum Problem {
    #[error("a temporary folder cannot be made: {0}")]
    Folder(std::io::Error),
    #[error("the data folder cannot be opened: {0}")]
    Store(call_store::StoreError),
    #[error("the server does not start: {0}")]
    Server(crate::StartError),
    #[error("the server has no SIP socket")]
    NoSip,
    #[error("a phone does not start: {0}")]
    Phone(test_phone::BindError),
    #[error("signals cannot be listened to: {0}")]
    Signals(std::io::Error),
    #[error("{number} could not register")]
    NotRegistered { number: &'static str },
    #[error("the HTTP request failed: {0}")]
    Http(reqwest::Error),
    #[error("the API did not answer")]
    HttpSilent,
    #[error("the API refused the call with {status}: {text}")]
    NotAccepted { status: u16, text: String },
    #[error("there was no {} in time", findings::word(.awaited))]
    NoEvent { awaited: CallEventKind },
    #[error("the call ended before both had answered")]
    EndedEarly,
    #[error("the server stopped in the middle of the call")]
    ServerGone,
    #[error("the demo took too long")]
    TooLong,
    #[error("the demo was interrupted")]
    Interrupted,
}

async fn demo(args: &DemoArgs) -> Result<Exit, Problem> {
    let began = SystemTime::now();
    let mut signals = Signals::listen().map_err(Problem::Signals)?;
    let passwords = [stage::password(), stage::password()];
    let mut stage = Stage::raise(&passwords).await?;
    let mut recorded = Recorded::default();
    recorded.note("server", report::ready(&stage));
    let mut wire = stage.server.b2bua().wire();
    let played = async {
        stage.add_phones(&passwords).await?;
        play::register(&mut stage).await?;
        play::play(&mut stage, &mut recorded).await
    };
    // Whatever happened, the stage is struck.
    let problem = tokio::select! {
        played = tokio::time::timeout(DURATION_MAX, played) => played.unwrap_or(Err(Problem::TooLong)).err(),
        () = async { while signals.next().await != Wish::Stop {} } => Some(Problem::Interrupted),
    };
    recorded.take_wire(&mut wire);
    let ended = stage.strike().await;
    let addresses = ended.iter().map(|(phone, _)| phone.address).collect::<Vec<_>>();
    let (reports, heard): (Vec<_>, Vec<_>) =
        ended.into_iter().map(|(mut phone, calls)| (std::mem::take(&mut phone.seen), calls)).unzip();
    let mut heard = heard.into_iter().map(|calls| calls.into_iter().next());
    let media = [heard.next().flatten(), heard.next().flatten()];
    let sentence = problem.as_ref().map(|problem| report::sentence(&problem.to_string()));
    let findings = findings::find(sentence, &recorded, media);
    let story = report::Story { began, recorded: &recorded, reports: &reports, addresses: &addresses };
    output::say(&report::print(&story, &findings, std::io::stdout().is_terminal()));
    let kept = folder::make(args.output.as_deref())
        .and_then(|folder| folder::fill(&folder, &story, &findings).map(|()| folder));
    match (kept, &args.output) {
        (Ok(folder), _) => output::say(&report::where_it_is(&folder, &recorded)),
        (Err(why), Some(asked)) => {
            output::complain(&format!("--output: nothing can be kept in {}: {why}.", asked.display()));
            return Ok(Exit::Unable);
        }
        // Nobody has asked for it.
        (Err(why), None) => {
            output::complain(&format!("Nothing is kept: {why}; --output FOLDER names another place."))
        }
    }
    Ok(if findings.missing.is_empty() { Exit::Asked } else { Exit::Wrong })
}

/// With starting and ending it stays under 15 s.
const DURATION_MAX: Duration = Duration::from_secs(10);
