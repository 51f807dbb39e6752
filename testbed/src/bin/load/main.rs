//! Measures click-to-call at the real binary: calls a second, the way from the HTTP request to the first INVITE, and
//! memory of a running call.
//!
//! `cargo run --release -p testbed --bin load -- [--seconds 10] [--workers 8] [--calls 500]`
//!
//! Both phones are sockets of this program that answer at once and send no sound. It runs at most a minute longer than
//! it is asked to.

mod phone;

use phone::{Board, Phone, Step};
use serde_json::json;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use testbed::{Api, Loopback, Registration, Server, ServerOptions, Transport};

const STEP: Duration = Duration::from_secs(5);

struct Options {
    seconds: u64,
    workers: u64,
    calls: u64,
}

fn main() {
    let options = options();
    let limits = format!(
        "[limits]\ncalls = {calls}\ncalls_per_second = 100000\ncalls_per_key = {calls}\n",
        calls = 2 * options.calls + 100
    );
    let server = Server::start_with(&ServerOptions { tables: limits, ..ServerOptions::default() });
    let board = Arc::new(Board::default());
    let ips = [Loopback::claim(), Loopback::claim()];
    let _phones: Vec<Phone> = server
        .extensions
        .iter()
        .zip(&ips)
        .map(|(extension, ip)| {
            let at = ip.free_port();
            let answer =
                Registration::new(Transport::Udp, at, server.sip, extension.credentials()).register(3600);
            assert_eq!(answer.status(), Some(200), "{}", answer.as_str());
            Phone::start(at, &extension.number, &board)
        })
        .collect();

    let speed = run_calls(&server, &board, &options);
    let memory = hold_calls(&server, &board, options.calls);
    let mut out = std::io::stdout().lock();
    let printed = writeln!(out, "{}", table(&speed, &memory, &options));
    printed.expect("the table is printed");
}

struct Speed {
    calls_a_second: f64,
    /// From the HTTP request to the INVITE at `from`, sorted.
    to_invite: Vec<Duration>,
}

/// Each worker places, answers and ends one call after the other.
fn run_calls(server: &Server, board: &Arc<Board>, options: &Options) -> Speed {
    let next = Arc::new(AtomicU64::new(0));
    let start = Instant::now();
    let end = start + Duration::from_secs(options.seconds);
    let workers: Vec<_> = (0..options.workers)
        .map(|_| {
            let (api, board, next) = (server.api(), board.clone(), next.clone());
            std::thread::spawn(move || {
                let mut to_invite = Vec::new();
                while Instant::now() < end {
                    let mark = next.fetch_add(1, Ordering::Relaxed);
                    let asked = Instant::now();
                    let call = place(&api, mark);
                    to_invite.push(board.wait(mark, Step::FromInvited, STEP).duration_since(asked));
                    board.wait(mark, Step::ToConnected, STEP);
                    board.wait(mark, Step::FromConnected, STEP);
                    end_call(&api, &board, &call, mark);
                }
                to_invite
            })
        })
        .collect();
    let mut to_invite: Vec<Duration> =
        workers.into_iter().flat_map(|worker| worker.join().expect("a worker ends")).collect();
    to_invite.sort();
    #[expect(clippy::cast_precision_loss, reason = "a count of calls")]
    let calls_a_second = to_invite.len() as f64 / start.elapsed().as_secs_f64();
    Speed { calls_a_second, to_invite }
}

struct Memory {
    before_kib: u64,
    with_calls_kib: u64,
}

/// All at once, then none.
fn hold_calls(server: &Server, board: &Board, count: u64) -> Memory {
    /// Apart from the marks of the calls before.
    const FIRST: u64 = 1 << 40;
    let api = server.api();
    let before_kib = server.resident_kib();
    let calls: Vec<(u64, String)> = (FIRST..FIRST + count)
        .map(|mark| {
            let call = place(&api, mark);
            board.wait(mark, Step::ToConnected, STEP);
            (mark, call)
        })
        .collect();
    let with_calls_kib = server.resident_kib();
    for (mark, call) in calls {
        end_call(&api, board, &call, mark);
    }
    Memory { before_kib, with_calls_kib }
}

fn place(api: &Api, mark: u64) -> String {
    api.place(&json!({"from": "1001", "to": "1002", "variables": {"mark": mark}}))
}

fn end_call(api: &Api, board: &Board, call: &str, mark: u64) {
    let answer = api.hang_up(call);
    assert_eq!(answer.status, 200, "{answer:?}");
    board.wait(mark, Step::FromHungUp, STEP);
    board.wait(mark, Step::ToHungUp, STEP);
}

fn table(speed: &Speed, memory: &Memory, options: &Options) -> String {
    let at = |share: usize| {
        speed.to_invite.get((speed.to_invite.len() * share / 100).min(speed.to_invite.len().max(1) - 1))
    };
    let shown =
        |share: usize| at(share).map_or("-".into(), |it| format!("{:.2} ms", it.as_secs_f64() * 1000.0));
    #[expect(clippy::cast_precision_loss, reason = "kibibytes")]
    let each = memory.with_calls_kib.saturating_sub(memory.before_kib) as f64 / options.calls.max(1) as f64;
    format!(
        "calls placed, answered by both and hung up ({} workers, {} calls)  {:.0} a second\n\
         HTTP request to first INVITE, median                             {}\n\
         HTTP request to first INVITE, 99 %                               {}\n\
         memory without calls                                             {} KiB\n\
         memory of a running call ({} calls)                              {each:.1} KiB",
        options.workers,
        speed.to_invite.len(),
        speed.calls_a_second,
        shown(50),
        shown(99),
        memory.before_kib,
        options.calls,
    )
}

fn options() -> Options {
    let mut options = Options { seconds: 10, workers: 8, calls: 500 };
    let mut words = std::env::args().skip(1);
    while let Some(name) = words.next() {
        let value = words.next().and_then(|word| word.parse().ok());
        let value = value.unwrap_or_else(|| panic!("{name} needs a whole number"));
        match name.as_str() {
            "--seconds" => options.seconds = value,
            "--workers" => options.workers = value,
            "--calls" => options.calls = value,
            _ => panic!("{name} is not known: --seconds, --workers and --calls are"),
        }
    }
    options
}
