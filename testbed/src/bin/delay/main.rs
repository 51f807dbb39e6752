//! How long the relay keeps packets of calls of one codec while others beside them are transcoded.
//!
//! `cargo run --release -p testbed --bin delay -- [--plain 100] [--transcoded 80] [--seconds 20]`
//!
//! Two sockets are the phones of all plain calls, two others those of all transcoded ones (opus and PCMU); each phone sends
//! a packet every 20 ms, evenly spread. The time from sending to receiving is read from the packets themselves.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for people who look at it")]

use audio::{Codec, Encoder, Sine, TonePlan};
use media_relay::{
    Command, Config, Description, Event, Payload, RelayHandle, SessionId, TerminationId, Topology,
};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

struct Options {
    plain: u64,
    transcoded: u64,
    seconds: u64,
}

fn main() -> ExitCode {
    match options().and_then(|options| measure(&options).map_err(|error| error.to_string())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

fn options() -> Result<Options, String> {
    let mut options = Options { plain: 100, transcoded: 80, seconds: 20 };
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let value = arguments.next().and_then(|text| text.parse().ok());
        let value = value.ok_or(format!("{name} needs a whole number"))?;
        match name.as_str() {
            "--plain" => options.plain = value,
            "--transcoded" => options.transcoded = value,
            "--seconds" => options.seconds = value,
            _ => return Err(format!("{name} is none of --plain, --transcoded and --seconds")),
        }
    }
    Ok(options)
}

/// One direction of one call.
struct Stream {
    to: SocketAddr,
    from: Arc<UdpSocket>,
    payload_type: u8,
    payload: Vec<u8>,
    step: u32,
    has_clock: bool,
}

fn measure(options: &Options) -> std::io::Result<()> {
    let (sender, events) = channel();
    let config = Config {
        ports: 30_000..=39_999,
        ringback: TonePlan::ringback("us").expect("a plan that is there"),
        silence_timeout: Duration::from_secs(3_600),
        port_rest: Duration::from_secs(5),
        sockets_max: usize::MAX,
        seed: [1; 32],
    };
    let relay = media_relay::start(config, move |event| drop(sender.send(event)))?;
    let socket = || UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).map(Arc::new);
    let (plain, transcoded) = ([socket()?, socket()?], [socket()?, socket()?]);
    let mut streams = Vec::new();
    for number in 0..options.plain + options.transcoded {
        let is_plain = number < options.plain;
        let (phones, codecs) = match is_plain {
            true => (&plain, [Codec::Pcmu, Codec::Pcmu]),
            false => (&transcoded, [Codec::Opus, Codec::Pcmu]),
        };
        let ports = call(&relay, &events, SessionId(number + 1), phones, codecs)?;
        for side in 0..2 {
            streams.push(Stream {
                to: ports[side],
                from: Arc::clone(&phones[side]),
                payload_type: payload_type(codecs[side]),
                payload: frame(codecs[side]),
                step: codecs[side].clock_rate() / 50,
                has_clock: is_plain,
            });
        }
    }
    let begun = Instant::now();
    let (is_over, delays) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
    let listeners: Vec<_> = plain
        .iter()
        .map(|phone| listen(Arc::clone(phone), begun, Arc::clone(&is_over), Arc::clone(&delays)))
        .collect();
    let sent = talk(&streams, begun, Duration::from_secs(options.seconds));
    is_over.store(true, Ordering::Relaxed);
    listeners.into_iter().for_each(|listener| drop(listener.join()));
    let mut delays = std::mem::take(&mut *delays.lock().unwrap_or_else(|poisoned| poisoned.into_inner()));
    delays.sort_unstable();
    let at = |share: f64| Duration::from_nanos(delays[((delays.len() - 1) as f64 * share) as usize]);
    println!(
        "{} plain calls beside {} transcoded ones: {} packets sent, {} received; delay 50 % {:?}, 99 % {:?}, 99.9 % {:?}, \
         longest {:?}",
        options.plain,
        options.transcoded,
        sent,
        delays.len(),
        at(0.5),
        at(0.99),
        at(0.999),
        at(1.0)
    );
    Ok(())
}

/// Opens a call, and says where its two sides are to be sent to.
fn call(
    relay: &RelayHandle,
    events: &Receiver<Event>,
    session: SessionId,
    phones: &[Arc<UdpSocket>; 2],
    codecs: [Codec; 2],
) -> std::io::Result<[SocketAddr; 2]> {
    let sides = [TerminationId(1), TerminationId(2)];
    let local = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let mut ports = Vec::new();
    for (side, termination) in sides.into_iter().enumerate() {
        relay.send(Command::Add { session, termination, local });
        match events.recv() {
            Ok(Event::Added { rtp, .. }) => ports.push(rtp),
            other => return Err(std::io::Error::other(format!("{other:?}"))),
        }
        let rtp = phones[side].local_addr()?;
        let number = payload_type(codecs[side]);
        let payloads = || [(number, Payload::Audio(codecs[side]))].into_iter().collect();
        let description = Description {
            rtp,
            rtcp: SocketAddr::new(rtp.ip(), rtp.port().saturating_add(1)),
            signalling: rtp.ip(),
            comes: payloads(),
            goes: payloads(),
            receives: true,
            sends: true,
            suppresses_silence: false,
        };
        relay.send(Command::Describe { session, termination, description });
    }
    let [one, other] = sides;
    relay.send(Command::Link { session, one, other, topology: Topology::BothWay });
    ports.try_into().map_err(|_| std::io::Error::other("a side is missing"))
}

/// A packet of each stream every 20 ms, one after the other at even distances. Tells how many had a clock in them.
fn talk(streams: &[Stream], begun: Instant, time: Duration) -> usize {
    let distance = Duration::from_millis(20) / streams.len() as u32;
    let (mut sent, mut round) = (0, 0_u32);
    while begun.elapsed() < time {
        for (index, stream) in streams.iter().enumerate() {
            let due = Duration::from_millis(20) * round + distance * index as u32;
            std::thread::sleep(due.saturating_sub(begun.elapsed()));
            let mut packet = vec![0x80, stream.payload_type];
            packet.extend((round as u16).to_be_bytes());
            packet.extend(round.wrapping_mul(stream.step).to_be_bytes());
            packet.extend((index as u32).to_be_bytes());
            packet.extend(&stream.payload);
            if stream.has_clock {
                let now = begun.elapsed().as_nanos() as u64;
                packet[12..20].copy_from_slice(&now.to_be_bytes());
                sent += 1;
            }
            // What is lost is seen by what comes.
            let _ = stream.from.send_to(&packet, stream.to);
        }
        round += 1;
    }
    sent
}

fn listen(
    phone: Arc<UdpSocket>,
    begun: Instant,
    is_over: Arc<AtomicBool>,
    delays: Arc<Mutex<Vec<u64>>>,
) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        let mut mine = Vec::new();
        let mut packet = [0; 2_048];
        let _ = phone.set_read_timeout(Some(Duration::from_millis(200)));
        loop {
            match phone.recv(&mut packet) {
                Ok(20..) => {
                    let now = begun.elapsed().as_nanos() as u64;
                    let sent = packet[12..20].first_chunk().map_or(now, |octets| u64::from_be_bytes(*octets));
                    mine.push(now.saturating_sub(sent));
                }
                Ok(_) => {}
                Err(_) if is_over.load(Ordering::Relaxed) => break,
                Err(_) => {}
            }
        }
        delays.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).append(&mut mine);
    })
}

fn payload_type(codec: Codec) -> u8 {
    codec.static_payload_type().unwrap_or(107)
}

/// 20 ms of a tone.
fn frame(codec: Codec) -> Vec<u8> {
    let mut samples = vec![0; codec.sample_rate() as usize / 50];
    Sine::new(440.0, 0.3, codec.sample_rate()).fill(&mut samples);
    let mut payload = Vec::new();
    Encoder::new(codec).encode(&samples, &mut payload);
    payload
}
