//! What a forwarded packet costs without the kernel.

#[path = "../tests/sides/mod.rs"]
mod sides;

use audio::{Codec, TonePlan};
use divan::Bencher;
use divan::counter::ItemsCount;
use media_relay::{Config, Output, Relay, SessionId};
use sides::Side;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

fn main() {
    divan::main();
}

/// So many connected sessions; the parties of session `n` have the addresses `party(n, side)`.
fn relay(sessions: u64, now: Instant) -> Relay {
    let mut relay = Relay::new(Config {
        ports: 10_000..=65_000,
        ringback: TonePlan::ringback("eu").expect("eu"),
        silence_timeout: Duration::from_secs(60),
        port_rest: Duration::from_secs(5),
        sockets_max: usize::MAX,
        seed: [1; 32],
    });
    let local = [IpAddr::V4(Ipv4Addr::LOCALHOST); 2];
    for number in 0..sessions {
        let session = SessionId(number);
        for command in sides::open(session, local) {
            relay.handle_command(command, now);
        }
        while let Some(output) = relay.poll_output() {
            if let Output::Bind { port, .. } = output {
                relay.handle_bound(port, Ok(()), now);
            }
        }
        for side in Side::BOTH {
            let description = sides::described(party(number, side), Codec::Pcmu, 0, Some(101));
            relay.handle_command(sides::describe(session, side, description), now);
        }
        for command in sides::connect(session) {
            relay.handle_command(command, now);
        }
    }
    relay
}

fn party(session: u64, side: Side) -> SocketAddr {
    let number = session.to_be_bytes();
    SocketAddr::from(([10, side.index() as u8, number[6], number[7]], 4_000))
}

fn packet(sequence: u16) -> [u8; 172] {
    let mut packet = [0x55; 172];
    packet[..2].copy_from_slice(&[0x80, 0]);
    packet[2..4].copy_from_slice(&sequence.to_be_bytes());
    packet[4..8].copy_from_slice(&(u32::from(sequence) * 160).to_be_bytes());
    packet[8..12].copy_from_slice(&[0, 0, 0, 1]);
    packet
}

/// One packet of every side of every session, in turns.
#[divan::bench(args = [1, 100, 1_000, 10_000])]
fn forward(bencher: Bencher<'_, '_>, sessions: u64) {
    let start = Instant::now();
    let mut relay = relay(sessions, start);
    let mut sequence = 0_u16;
    bencher.counter(ItemsCount::new(sessions * 2)).bench_local(|| {
        sequence = sequence.wrapping_add(1);
        let now = start + Duration::from_millis(20) * u32::from(sequence);
        for session in 0..sessions {
            for side in Side::BOTH {
                let port = 10_000 + (session as u16 * 2 + side.index() as u16) * 2;
                let mut packet = packet(sequence);
                let forward = relay.handle_rtp(port, party(session, side), &mut packet, now);
                assert!(divan::black_box(forward).is_some());
            }
        }
        while relay.poll_output().is_some() {}
    });
}

/// A packet of a stranger, which is dropped.
#[divan::bench]
fn refuse(bencher: Bencher<'_, '_>) {
    let now = Instant::now();
    let mut relay = relay(1, now);
    let stranger = SocketAddr::from(([203, 0, 113, 9], 4_000));
    bencher.bench_local(|| {
        let mut packet = packet(7);
        relay.handle_rtp(10_000, stranger, divan::black_box(&mut packet), now)
    });
}
