//! Measures calls at the real binary: click-to-calls a second, the way from the HTTP request to the first INVITE, calls
//! that a phone dials a second, and memory of a running call.
//!
//! `cargo run --release -p testbed --bin load -- [--seconds 4] [--workers 8] [--calls 500] [--rest 0]`
//!
//! With `--rest` it tells as well what memory the server has so many seconds after the last of the short calls. Both
//! phones are sockets of this program that answer at once and send no sound. It runs at most a minute longer than it is
//! asked to.

mod dialler;
mod phone;

use dialler::Dialler;
use phone::{Board, Phone, Step};
use serde_json::json;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use testbed::{Api, Extension, Loopback, Registration, Server, ServerOptions, Transport};

const STEP: Duration = Duration::from_secs(5);

struct Options {
    seconds: u64,
    workers: u64,
    calls: u64,
    rest: u64,
}

fn main() {
    let options = options();
    let bench = Bench::open(options.calls);
    let fresh_kib = bench.server.resident_kib();
    let speed = bench.run_calls(&options);
    let dialled_a_second = bench.run_dialled(&options);
    let rested = (options.rest > 0).then(|| {
        std::thread::sleep(Duration::from_secs(options.rest));
        Rested { fresh_kib, rested_kib: bench.server.resident_kib() }
    });
    drop(bench);
    // Another server, so that what the first one has kept of its calls is not counted.
    let memory = Bench::open(options.calls).hold_calls(options.calls);
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", table((&speed, dialled_a_second), rested.as_ref(), &memory, &options))
        .expect("the table is printed");
}

/// A server with two phones.
struct Bench {
    server: Server,
    board: Arc<Board>,
    _phones: Vec<(Phone, Loopback)>,
}

impl Bench {
    fn open(calls: u64) -> Self {
        let tables = format!(
            "[limits]\ncalls = {most}\ncalls_per_second = 100000\ncalls_per_key = {most}\n",
            most = 2 * calls + 100
        );
        // A port rests for a while before it is given away again: many calls a second need many ports.
        let media_ports = "10000-60999".to_owned();
        let log = "warn".to_owned();
        let server =
            Server::start_with(&ServerOptions { tables, media_ports, log, ..ServerOptions::default() });
        let board = Arc::new(Board::default());
        let phone = |extension: &Extension| {
            let ip = Loopback::claim();
            let at = ip.free_port();
            let answer =
                Registration::new(Transport::Udp, at, server.sip, extension.credentials()).register(3600);
            assert_eq!(answer.status(), Some(200), "{}", answer.as_str());
            (Phone::start(at, &extension.number, &board), ip)
        };
        let phones = server.extensions.iter().map(phone).collect();
        Self { server, board, _phones: phones }
    }

    /// Each worker places, answers and ends one call after the other.
    fn run_calls(&self, options: &Options) -> Speed {
        let next = Arc::new(AtomicU64::new(0));
        let start = Instant::now();
        let end = start + Duration::from_secs(options.seconds);
        let work = |_| {
            let (api, board, next) = (self.server.api(), self.board.clone(), next.clone());
            std::thread::spawn(move || {
                let mut to_invite = Vec::new();
                while Instant::now() < end {
                    to_invite.push(one_call(&api, &board, next.fetch_add(1, Ordering::Relaxed)));
                }
                to_invite
            })
        };
        let workers: Vec<_> = (0..options.workers).map(work).collect();
        let times = workers.into_iter().flat_map(|worker| worker.join().expect("a worker ends"));
        let mut to_invite: Vec<Duration> = times.collect();
        to_invite.sort();
        #[expect(clippy::cast_precision_loss, reason = "a count of calls")]
        let calls_a_second = to_invite.len() as f64 / start.elapsed().as_secs_f64();
        Speed { calls_a_second, to_invite }
    }

    /// Each worker dials, is answered and hangs up, one call after the other: how many there were a second.
    fn run_dialled(&self, options: &Options) -> f64 {
        let start = Instant::now();
        let end = start + Duration::from_secs(options.seconds);
        let caller = &self.server.extensions[0];
        let work = |_| {
            let (here, server, password) = (Loopback::claim(), self.server.sip, caller.password.clone());
            std::thread::spawn(move || {
                let mut dialler = Dialler::new(here.ip(), server, &password);
                let mut calls = 0_u32;
                while Instant::now() < end {
                    dialler.call();
                    calls += 1;
                }
                calls
            })
        };
        let workers: Vec<_> = (0..options.workers).map(work).collect();
        let calls: u32 = workers.into_iter().map(|worker| worker.join().expect("a worker ends")).sum();
        f64::from(calls) / start.elapsed().as_secs_f64()
    }

    /// A few calls to warm up, then all at once, then none.
    fn hold_calls(&self, count: u64) -> Memory {
        const WARM_UP: u64 = 20;
        let api = self.server.api();
        for mark in 0..WARM_UP {
            one_call(&api, &self.board, mark);
        }
        let before_kib = self.server.resident_kib();
        let hold = |mark| {
            let call = place(&api, mark);
            self.board.wait(mark, Step::ToConnected, STEP);
            (mark, call)
        };
        let calls: Vec<(u64, String)> = (WARM_UP..WARM_UP + count).map(hold).collect();
        let with_calls_kib = self.server.resident_kib();
        for (mark, call) in calls {
            end_call(&api, &self.board, &call, mark);
        }
        Memory { before_kib, with_calls_kib }
    }
}

struct Speed {
    calls_a_second: f64,
    /// From the HTTP request to the INVITE at `from`, sorted.
    to_invite: Vec<Duration>,
}

/// Memory before the first short call, and some time after the last.
struct Rested {
    fresh_kib: u64,
    rested_kib: u64,
}

struct Memory {
    before_kib: u64,
    with_calls_kib: u64,
}

/// From the HTTP request to the INVITE at `from`.
fn one_call(api: &Api, board: &Board, mark: u64) -> Duration {
    let asked = Instant::now();
    let call = place(api, mark);
    let to_invite = board.wait(mark, Step::FromInvited, STEP).duration_since(asked);
    board.wait(mark, Step::ToConnected, STEP);
    board.wait(mark, Step::FromConnected, STEP);
    end_call(api, board, &call, mark);
    to_invite
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

fn table(
    (speed, dialled_a_second): (&Speed, f64),
    rested: Option<&Rested>,
    memory: &Memory,
    options: &Options,
) -> String {
    let at = |share: usize| {
        speed.to_invite.get((speed.to_invite.len() * share / 100).min(speed.to_invite.len().max(1) - 1))
    };
    let shown =
        |share: usize| at(share).map_or("-".into(), |it| format!("{:.2} ms", it.as_secs_f64() * 1000.0));
    #[expect(clippy::cast_precision_loss, reason = "kibibytes")]
    let each = memory.with_calls_kib.saturating_sub(memory.before_kib) as f64 / options.calls.max(1) as f64;
    let rested = rested.map_or(String::new(), |Rested { fresh_kib, rested_kib }| {
        format!(
            "memory before these calls, and {} s after them                   {fresh_kib}, {rested_kib} KiB\n",
            options.rest
        )
    });
    format!(
        "calls placed, answered by both and hung up ({} workers, {} calls)  {:.0} a second\n\
         HTTP request to first INVITE, median                             {}\n\
         HTTP request to first INVITE, 99 %                               {}\n\
         calls dialled by a phone, answered and hung up ({} workers)      {dialled_a_second:.0} a second\n\
         {rested}\
         memory without calls                                             {} KiB\n\
         memory of a running call ({} calls)                              {each:.1} KiB",
        options.workers,
        speed.to_invite.len(),
        speed.calls_a_second,
        shown(50),
        shown(99),
        options.workers,
        memory.before_kib,
        options.calls,
    )
}

fn options() -> Options {
    let mut options = Options { seconds: 4, workers: 8, calls: 500, rest: 0 };
    let mut words = std::env::args().skip(1);
    while let Some(name) = words.next() {
        let value = words.next().and_then(|word| word.parse().ok());
        let value = value.unwrap_or_else(|| panic!("{name} needs a whole number"));
        match name.as_str() {
            "--seconds" => options.seconds = value,
            "--workers" => options.workers = value,
            "--calls" => options.calls = value,
            "--rest" => options.rest = value,
            _ => panic!("{name} is not known: --seconds, --workers, --calls and --rest are"),
        }
    }
    options
}
