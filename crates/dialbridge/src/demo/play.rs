//! What happens in the demo: one HTTP request, and a call that comes of it.

use super::Problem;
use super::stage::{ROLES, Stage};
use call_control::{Call, CallEvent, CallEventKind, Explanation, Ladder};
use call_trace::WireMessage;
use serde::Deserialize;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use test_phone::{Command, PhoneEvent};
use tokio::sync::broadcast;

/// What was seen from outside while the demo ran, as far as it came.
#[derive(Default)]
pub(super) struct Recorded {
    /// What the demo itself did and saw, in order.
    pub(super) moments: Vec<Moment>,
    pub(super) events: Vec<Arc<CallEvent>>,
    pub(super) wire: Vec<Arc<WireMessage>>,
    /// The call as the API shows it at the end.
    pub(super) call: Option<Call>,
    /// What the server says of its signalling: the messages, as JSON and as a picture, and in words.
    pub(super) ladder: Option<Ladder>,
    pub(super) picture: Option<String>,
    pub(super) explanation: Option<Explanation>,
    /// When 1001 was told to hang up.
    pub(super) hung_up_at: Option<Instant>,
}

/// Something that the demo did or saw.
pub(super) struct Moment {
    pub(super) at: SystemTime,
    pub(super) who: &'static str,
    pub(super) what: String,
}

/// The answer to a click-to-call.
#[derive(Deserialize)]
struct Accepted {
    message: String,
    call_id: String,
}

/// Plays; `recorded` is filled whatever happens.
pub(super) async fn play(stage: &mut Stage, recorded: &mut Recorded) -> Result<(), Problem> {
    let mut events = stage.server.b2bua().events();
    let id = match tokio::time::timeout(REQUEST_PATIENCE, click(stage, recorded)).await {
        Ok(id) => id?,
        Err(_) => return Err(Problem::HttpSilent),
    };
    wait(&mut events, recorded, CallEventKind::Connected, CONNECTED_PATIENCE).await?;
    tokio::time::sleep(TALK).await;
    recorded.note(ROLES[0].number, "hangs up".to_owned());
    recorded.hung_up_at = Some(Instant::now());
    stage.phones[0].command(Command::HangUp).await;
    wait(&mut events, recorded, CallEventKind::Ended, ENDED_PATIENCE).await?;
    let place = format!("/api/v1/calls/{id}");
    recorded.call = Some(read(stage, &place, JSON).await?.json().await.map_err(Problem::Http)?);
    recorded.note("HTTP", format!("GET {place} -> 200"));
    let ladder = format!("{place}/ladder");
    recorded.ladder = Some(read(stage, &ladder, JSON).await?.json().await.map_err(Problem::Http)?);
    recorded.picture = Some(read(stage, &ladder, SVG).await?.text().await.map_err(Problem::Http)?);
    recorded.note("HTTP", format!("GET {ladder} -> 200"));
    let explain = format!("{place}/explain");
    recorded.explanation = Some(read(stage, &explain, JSON).await?.json().await.map_err(Problem::Http)?);
    recorded.note("HTTP", format!("GET {explain} -> 200"));
    Ok(())
}

/// Waits until both phones are registered.
pub(super) async fn register(stage: &mut Stage) -> Result<(), Problem> {
    for (phone, role) in stage.phones.iter_mut().zip(&ROLES) {
        let settled = |event: &PhoneEvent| {
            matches!(event, PhoneEvent::Registered { .. } | PhoneEvent::RegisterFailed { .. })
        };
        let number = role.number;
        let reported = tokio::time::timeout(REGISTERED_PATIENCE, phone.reported(settled)).await;
        let registered =
            phone.seen.iter().any(|report| matches!(report.event, PhoneEvent::Registered { .. }));
        if reported.is_err() || !registered {
            return Err(Problem::NotRegistered { number });
        }
    }
    Ok(())
}

/// One POST; the id of the call.
async fn click(stage: &Stage, recorded: &mut Recorded) -> Result<String, Problem> {
    let client = client()?;
    let body = serde_json::json!({"from": ROLES[0].number, "to": ROLES[1].number});
    recorded.note("HTTP", format!("POST /api/v1/calls/click-to-call {body}"));
    let url = format!("http://{}/api/v1/calls/click-to-call", stage.server.http());
    let response = client.post(url).header("X-API-Key", &stage.key).json(&body).send().await;
    let response = response.map_err(Problem::Http)?;
    let status = response.status().as_u16();
    let text = response.text().await.map_err(Problem::Http)?;
    match serde_json::from_str::<Accepted>(&text) {
        Ok(Accepted { message, call_id }) if status == 200 => {
            recorded.note("HTTP", format!("-> 200 {message}: {call_id}"));
            Ok(call_id)
        }
        Ok(_) | Err(_) => Err(Problem::NotAccepted { status, text }),
    }
}

async fn read(stage: &Stage, path: &str, accept: &str) -> Result<reqwest::Response, Problem> {
    let url = format!("http://{}{path}", stage.server.http());
    let request = client()?.get(url).header("X-API-Key", &stage.key).header("Accept", accept);
    let response = request.timeout(REQUEST_PATIENCE).send().await;
    response.and_then(reqwest::Response::error_for_status).map_err(Problem::Http)
}

/// Proxies of the environment are not asked on loopback.
fn client() -> Result<reqwest::Client, Problem> {
    reqwest::Client::builder().no_proxy().build().map_err(Problem::Http)
}

/// Waits for an event of the call, and keeps those before it.
async fn wait(
    events: &mut broadcast::Receiver<Arc<CallEvent>>,
    recorded: &mut Recorded,
    awaited: CallEventKind,
    patience: Duration,
) -> Result<(), Problem> {
    let found = async {
        loop {
            match events.recv().await {
                Ok(event) => {
                    let kind = event.event;
                    recorded.events.push(event);
                    if kind == awaited {
                        return Ok(());
                    }
                    if kind == CallEventKind::Ended {
                        return Err(Problem::EndedEarly);
                    }
                }
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return Err(Problem::ServerGone),
            }
        }
    };
    match tokio::time::timeout(patience, found).await {
        Ok(found) => found,
        Err(_) => Err(Problem::NoEvent { awaited }),
    }
}

impl Recorded {
    pub(super) fn note(&mut self, who: &'static str, what: String) {
        self.moments.push(Moment { at: SystemTime::now(), who, what });
    }

    /// Takes what went over the wire up to this moment.
    pub(super) fn take_wire(&mut self, wire: &mut broadcast::Receiver<Arc<WireMessage>>) {
        loop {
            match wire.try_recv() {
                Ok(message) => self.wire.push(message),
                Err(broadcast::error::TryRecvError::Lagged(_)) => {}
                Err(broadcast::error::TryRecvError::Empty | broadcast::error::TryRecvError::Closed) => return,
            }
        }
    }
}

const JSON: &str = "application/json";
const SVG: &str = "image/svg+xml";
/// How long both talk.
const TALK: Duration = Duration::from_secs(3);
const REGISTERED_PATIENCE: Duration = Duration::from_secs(3);
const REQUEST_PATIENCE: Duration = Duration::from_secs(2);
const CONNECTED_PATIENCE: Duration = Duration::from_secs(5);
const ENDED_PATIENCE: Duration = Duration::from_secs(2);
