//! A phone that keeps nothing: each answer follows from its request alone, so that it never is what is measured.

use std::collections::HashMap;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use testbed::SipText;

/// What has happened at a phone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Step {
    FromInvited,
    ToInvited,
    FromConnected,
    ToConnected,
    FromHungUp,
    ToHungUp,
}

/// When the calls, known by their mark, took their steps.
#[derive(Debug, Default)]
pub(crate) struct Board {
    steps: Mutex<HashMap<(u64, Step), Instant>>,
    changed: Condvar,
}

impl Board {
    fn note(&self, mark: u64, step: Step, at: Instant) {
        self.steps.lock().unwrap_or_else(PoisonError::into_inner).entry((mark, step)).or_insert(at);
        self.changed.notify_all();
    }

    /// Waits for a step of a call: when it was.
    pub(crate) fn wait(&self, mark: u64, step: Step, limit: Duration) -> Instant {
        let steps = self.steps.lock().unwrap_or_else(PoisonError::into_inner);
        let absent = |steps: &mut HashMap<(u64, Step), Instant>| !steps.contains_key(&(mark, step));
        let (mut steps, _) =
            self.changed.wait_timeout_while(steps, limit, absent).unwrap_or_else(PoisonError::into_inner);
        steps.remove(&(mark, step)).unwrap_or_else(|| panic!("call {mark}: no {step:?} within {limit:?}"))
    }
}

/// A phone on a thread of its own.
#[derive(Debug)]
pub(crate) struct Phone {
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Phone {
    /// 1001 is `from`, every other number `to`.
    pub(crate) fn start(at: SocketAddr, number: &str, board: &Arc<Board>) -> Self {
        let socket = UdpSocket::bind(at).expect("the phone's port");
        socket.set_read_timeout(Some(Duration::from_millis(200))).expect("a limit");
        let over = Arc::new(AtomicBool::new(false));
        let steps = if number == "1001" {
            [Step::FromInvited, Step::FromConnected, Step::FromHungUp]
        } else {
            [Step::ToInvited, Step::ToConnected, Step::ToHungUp]
        };
        let (board, ended) = (board.clone(), over.clone());
        let thread = std::thread::spawn(move || serve(&socket, steps, &board, &ended));
        Self { over, thread: Some(thread) }
    }
}

impl Drop for Phone {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _panicked = thread.join();
        }
    }
}

fn serve(socket: &UdpSocket, [invited, connected, hung_up]: [Step; 3], board: &Board, over: &AtomicBool) {
    let mut marks: HashMap<String, u64> = HashMap::new();
    let mut octets = [0; 65_536];
    while !over.load(Ordering::Relaxed) {
        let Ok((length, from)) = socket.recv_from(&mut octets) else { continue };
        let now = Instant::now();
        let request = SipText::new(&String::from_utf8_lossy(&octets[..length]));
        let call = request.field("Call-ID").unwrap_or_default().to_owned();
        match request.method() {
            Some("INVITE") => {
                if let Some(mark) = request.field("X-Variable-mark").and_then(|text| text.parse().ok()) {
                    marks.insert(call, mark);
                    board.note(mark, invited, now);
                }
                send(socket, from, &request, true);
            }
            Some("ACK") => {
                if let Some(mark) = marks.get(&call) {
                    board.note(*mark, connected, now);
                }
            }
            Some("BYE") => {
                send(socket, from, &request, false);
                if let Some(mark) = marks.remove(&call) {
                    board.note(mark, hung_up, now);
                }
            }
            Some(_) => send(socket, from, &request, false),
            None => {}
        }
    }
}

/// 200, with a session description for an INVITE.
fn send(socket: &UdpSocket, to: SocketAddr, request: &SipText, invite: bool) {
    let local = socket.local_addr().expect("a bound socket has an address");
    let mut text = String::from("SIP/2.0 200 OK\r\n");
    for via in request.fields("Via") {
        text += &format!("Via: {via}\r\n");
    }
    let field = |name| request.field(name).unwrap_or_default();
    let tag = if field("To").contains("tag=") { "" } else { ";tag=load" };
    text += &format!(
        "From: {}\r\nTo: {}{tag}\r\nCall-ID: {}\r\nCSeq: {}\r\nContact: <sip:{local}>\r\n",
        field("From"),
        field("To"),
        field("Call-ID"),
        field("CSeq")
    );
    let body = if invite {
        text += "Content-Type: application/sdp\r\n";
        format!(
            "v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio 40000 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n",
            ip = local.ip()
        )
    } else {
        String::new()
    };
    text += &format!("Content-Length: {}\r\n\r\n{body}", body.len());
    // A datagram that is lost is asked for again.
    let _lost = socket.send_to(text.as_bytes(), to);
}
