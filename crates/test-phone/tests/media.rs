//! From a sender to a receiver, by hand.

use audio::{Codec, TelephoneEvent};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use test_phone::{Received, RtpReceiver, RtpSender, RtpView, Source, Stream, loud_tones, parse_rtp};

fn stream(codec: Codec) -> Stream {
    Stream {
        local: address(4000),
        remote: address(5000),
        codec,
        payload_type: codec.static_payload_type().unwrap_or(111),
        telephone_event: Some(101),
        sends: true,
        receives: true,
    }
}

fn address(port: u16) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], port))
}

/// Packets of a tone, one each 20 ms, and the moments they belong to.
fn packets(codec: Codec, count: u32) -> (Instant, Vec<(Instant, Vec<u8>)>) {
    let began = Instant::now();
    let mut sender =
        RtpSender::new(stream(codec), Source::Tone { hertz: 700.0 }, 0x0102_0304_ffff_0000, began);
    let packets = (0..count).map(|tick| {
        let now = began + Duration::from_millis(20) * tick;
        assert_eq!(sender.poll_timeout(), now);
        let packet = sender.poll_packet(now).expect("a packet is due");
        assert_eq!(sender.poll_packet(now), None, "one packet a tick");
        (now, packet)
    });
    let packets = packets.collect();
    (began, packets)
}

#[test]
fn a_tone_survives_every_codec() {
    for codec in [Codec::Opus, Codec::G722, Codec::Pcma, Codec::Pcmu] {
        let mut receiver = RtpReceiver::new(stream(codec));
        for (at, packet) in packets(codec, 100).1 {
            receiver.handle_packet(&packet, address(5000), at);
        }
        let heard = receiver.heard();
        assert_eq!(heard.duration(), Duration::from_secs(2), "{codec:?}");
        assert!(audio::tone_milliseconds(&heard.samples, heard.sample_rate, 700.0) > 1_900, "{codec:?}");
        let tones = loud_tones(&heard.samples, heard.sample_rate);
        assert_eq!(tones.first().map(|tone| tone.hertz), Some(700), "{codec:?}");
        assert_eq!((receiver.lost(), receiver.counts().received, receiver.sources()), (0, 100, 1));
    }
}

#[test]
fn numbers_and_timestamps_run_on_and_the_first_packet_is_marked() {
    let (_, packets) = packets(Codec::Pcmu, 50);
    let views: Vec<_> = packets.iter().map(|(_, packet)| parse_rtp(packet).expect("RTP")).collect();
    assert!(views[0].marker && views[1..].iter().all(|view| !view.marker));
    assert_eq!(views[0].ssrc, 0x0102_0304);
    for pair in views.windows(2) {
        assert_eq!(pair[1].sequence, pair[0].sequence.wrapping_add(1));
        assert_eq!(pair[1].timestamp, pair[0].timestamp.wrapping_add(160));
        assert_eq!(pair[1].payload.len(), 160);
    }
}

#[test]
fn lost_doubled_and_overtaking_packets_are_told_apart() {
    let mut receiver = RtpReceiver::new(stream(Codec::Pcmu));
    let (_, mut packets) = packets(Codec::Pcmu, 40);
    packets.remove(30);
    packets.remove(10);
    packets.swap(20, 21);
    let copy = packets[5].clone();
    packets.insert(7, copy);
    packets.swap(0, 1);
    for (at, packet) in &packets {
        receiver.handle_packet(packet, address(5000), *at);
    }
    assert_eq!((receiver.counts().received, receiver.counts().doubled, receiver.lost()), (38, 1, 2));
}

#[test]
fn sequence_numbers_may_wrap() {
    let mut receiver = RtpReceiver::new(stream(Codec::Pcmu));
    let (_, mut packets) = packets(Codec::Pcmu, 20);
    for (index, (at, packet)) in packets.iter_mut().enumerate() {
        let number = 65_530_u16.wrapping_add(index as u16);
        packet[2..4].copy_from_slice(&number.to_be_bytes());
        receiver.handle_packet(packet, address(5000), *at);
    }
    assert_eq!((receiver.counts().received, receiver.lost()), (20, 0));
}

#[test]
fn what_was_lost_is_silence_in_its_place() {
    let mut receiver = RtpReceiver::new(stream(Codec::Pcmu));
    for (index, (at, packet)) in packets(Codec::Pcmu, 100).1.iter().enumerate() {
        if !(40..60).contains(&index) {
            receiver.handle_packet(packet, address(5000), *at);
        }
    }
    let heard = receiver.heard();
    assert_eq!(heard.duration(), Duration::from_secs(2));
    assert!(heard.samples[40 * 160..60 * 160].iter().all(|sample| *sample == 0));
    assert_eq!(audio::tone_milliseconds(&heard.samples, heard.sample_rate, 700.0), 800);
    assert_eq!(receiver.counts().longest_gap, Duration::from_millis(420));
}

#[test]
fn strangers_and_other_payload_types_are_counted_and_not_heard() {
    let mut receiver = RtpReceiver::new(stream(Codec::Pcmu));
    let (now, mut packets) = packets(Codec::Pcmu, 3);
    assert_eq!(receiver.handle_packet(&packets[0].1, address(5001), now), Received::Nothing);
    packets[1].1[1] = 8;
    assert_eq!(receiver.handle_packet(&packets[1].1, address(5000), now), Received::Nothing);
    assert_eq!(receiver.handle_packet(b"GET / HTTP/1.1", address(5000), now), Received::Nothing);
    assert_eq!(receiver.handle_packet(&packets[2].1, address(5000), now), Received::Audio { first: true });
    let counts = receiver.counts();
    assert_eq!((counts.strangers, counts.unusable, counts.received), (1, 2, 1));
}

#[test]
fn jitter_is_that_of_rfc_3550() {
    let jitter_of = |late: fn(u32) -> u64| {
        let mut receiver = RtpReceiver::new(stream(Codec::Pcmu));
        for (index, (at, packet)) in (0..).zip(packets(Codec::Pcmu, 500).1) {
            receiver.handle_packet(&packet, address(5000), at + Duration::from_millis(late(index)));
        }
        receiver.jitter_ms()
    };
    assert!(jitter_of(|_| 30) < 0.1);
    // Every second packet is 8 ms late: the mean difference of transit times is 8 ms.
    let jitter = jitter_of(|index| u64::from(index % 2) * 8);
    assert!((7.5..8.5).contains(&jitter), "{jitter}");
}

#[test]
fn a_time_line_that_jumps_does_not_fill_the_memory() {
    let mut receiver = RtpReceiver::new(stream(Codec::Pcmu));
    for (index, (at, mut packet)) in (0_u32..).zip(packets(Codec::Pcmu, 200).1) {
        packet[4..8].copy_from_slice(&index.wrapping_mul(0x1357_9bdf).to_be_bytes());
        receiver.handle_packet(&packet, address(5000), at);
    }
    assert!(receiver.heard().duration() <= Duration::from_secs(600));
}

#[test]
fn a_sender_that_is_asked_too_late_leaves_out_what_is_missing() {
    let began = Instant::now();
    let mut sender = RtpSender::new(stream(Codec::Pcmu), Source::Silence, 7, began);
    let first = parse_rtp(&sender.poll_packet(began).expect("a packet is due")).expect("RTP").timestamp;
    let later = began + Duration::from_secs(10);
    let sent: Vec<_> = std::iter::from_fn(|| sender.poll_packet(later)).collect();
    assert!((1..=11).contains(&sent.len()), "{}", sent.len());
    let last = parse_rtp(sent.last().expect("there is one")).expect("RTP");
    assert_eq!(last.timestamp.wrapping_sub(first), 80_000);
}

#[test]
fn a_digit_grows_ends_three_times_and_the_audio_goes_on_in_time() {
    let began = Instant::now();
    let mut sender = RtpSender::new(stream(Codec::Pcmu), Source::Silence, 7, began);
    sender.send_digits("5");
    let packets: Vec<Vec<u8>> =
        (0..12_u32).filter_map(|tick| sender.poll_packet(began + Duration::from_millis(20) * tick)).collect();
    let views: Vec<_> = packets.iter().map(|packet| parse_rtp(packet).expect("RTP")).collect();
    let (events, audio): (Vec<RtpView<'_>>, Vec<RtpView<'_>>) =
        views.into_iter().partition(|view| view.payload_type == 101);
    let decoded: Vec<_> = events
        .iter()
        .filter_map(|view| TelephoneEvent::decode(view.payload))
        .map(|event| (event.key(), event.end, event.duration))
        .collect();
    let growing = [160, 320, 480, 640, 800].map(|duration| (Some('5'), false, duration));
    let ends = [(Some('5'), true, 800); 3];
    assert_eq!(decoded, [&growing[..], &ends[..]].concat());
    let start = events[0].timestamp;
    assert!(events.iter().all(|view| view.timestamp == start));
    assert!(events[0].marker && events[1..].iter().all(|view| !view.marker));
    // Eleven ticks of 20 ms: the digit, its ends and the pause.
    assert_eq!(audio.first().map(|view| view.timestamp.wrapping_sub(start)), Some(11 * 160));
}
