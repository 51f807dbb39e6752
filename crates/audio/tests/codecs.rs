//! Codecs compared as audio.

use audio::{
    Codec, Decoder, EncodedLoop, Encoder, Sine, TonePlan, chord_milliseconds, chord_share, tone_milliseconds,
    tone_share,
};
use proptest::prelude::*;

/// A second through encoder and decoder.
fn through(codec: Codec, hertz: f64, level: f64) -> Vec<i16> {
    let (mut encoder, mut decoder) = (Encoder::new(codec), Decoder::new(codec));
    let mut sine = Sine::new(hertz, level, codec.sample_rate());
    let mut heard = Vec::new();
    for _ in 0..50 {
        let mut frame = vec![0; codec.frame_samples()];
        sine.fill(&mut frame);
        let mut payload = Vec::new();
        encoder.encode(&frame, &mut payload);
        decoder.decode(&payload, &mut heard);
    }
    heard
}

fn root_mean_square(samples: &[i16]) -> f64 {
    let sum: f64 = samples.iter().map(|sample| f64::from(*sample).powi(2)).sum();
    (sum / samples.len() as f64).sqrt()
}

fn peak(samples: &[i16]) -> i32 {
    samples.iter().map(|sample| i32::from(*sample).abs()).max().unwrap_or(0)
}

#[test]
fn a_tone_survives_every_codec() {
    for (codec, share_min) in
        [(Codec::Pcmu, 0.99), (Codec::Pcma, 0.99), (Codec::G722, 0.95), (Codec::Opus, 0.95)]
    {
        let rate = codec.sample_rate();
        for hertz in [440.0, 1_000.0, 3_100.0] {
            let heard = through(codec, hertz, 0.3);
            assert_eq!(heard.len(), rate as usize, "{codec:?}");
            // The first frames hold the delay of the codec.
            let steady = &heard[rate as usize / 5..];
            let share = tone_share(steady, rate, hertz);
            assert!(share > share_min, "{codec:?} at {hertz} Hz: {share}");
            assert!(tone_share(steady, rate, hertz + 170.0) < 0.05, "{codec:?} at {hertz} Hz");
            let level = root_mean_square(steady);
            assert!((6_000.0..8_000.0).contains(&level), "{codec:?} at {hertz} Hz: {level}");
            assert!(tone_milliseconds(&heard, rate, hertz) > 900, "{codec:?} at {hertz} Hz");
        }
    }
}

#[test]
fn silence_stays_silence() {
    for codec in Codec::ALL {
        let heard = through(codec, 440.0, 0.0);
        assert!(peak(&heard) < 50, "{codec:?}: {}", peak(&heard));
        assert_eq!(tone_milliseconds(&heard, codec.sample_rate(), 440.0), 0);
    }
}

#[test]
fn payloads_have_the_size_of_twenty_milliseconds() {
    for (codec, octets) in [(Codec::Pcmu, 160), (Codec::Pcma, 160), (Codec::G722, 160)] {
        for samples in [0, codec.frame_samples(), 5_000] {
            let mut payload = vec![7];
            Encoder::new(codec).encode(&vec![0; samples], &mut payload);
            assert_eq!(payload.len(), 1 + octets, "{codec:?}: behind what was there");
        }
    }
}

#[test]
fn opus_of_any_frame_size_and_two_channels_becomes_mono() {
    use opus_pure::{Application, OpusEncoder};
    for (channels, milliseconds) in [(1, 10), (1, 40), (1, 60), (2, 20), (2, 60)] {
        let length = 48 * milliseconds;
        let mut encoder = OpusEncoder::new(48_000, channels, Application::Audio).expect("an encoder");
        let mut decoder = Decoder::new(Codec::Opus);
        let mut sine = Sine::new(1_000.0, 0.3, 48_000);
        let mut heard = Vec::new();
        for _ in 0..600 / milliseconds {
            let mut mono = vec![0; length];
            sine.fill(&mut mono);
            let frame: Vec<i16> =
                mono.iter().flat_map(|sample| std::iter::repeat_n(*sample, channels)).collect();
            let mut payload = vec![0; 1_275];
            let written = encoder.encode_s16(&frame, length, &mut payload).expect("a packet");
            decoder.decode(&payload[..written], &mut heard);
        }
        assert_eq!(
            heard.len(),
            48 * (600 / milliseconds) * milliseconds,
            "{channels} channels, {milliseconds} ms"
        );
        let share = tone_share(&heard[9_600..], 48_000, 1_000.0);
        assert!(share > 0.9, "{channels} channels, {milliseconds} ms: {share}");
    }
}

#[test]
fn what_cannot_be_read_is_one_frame_of_silence() {
    let mut heard = Vec::new();
    Decoder::new(Codec::Opus).decode(&[0xff; 3], &mut heard);
    assert_eq!(heard, vec![0; 960]);
    for codec in Codec::ALL {
        let mut heard = vec![7];
        Decoder::new(codec).decode(&[], &mut heard);
        assert_eq!(heard[0], 7);
        assert_eq!(heard[1..], vec![0; codec.frame_samples()]);
    }
}

#[test]
fn an_encoded_loop_is_the_tone_again_and_again() {
    for codec in Codec::ALL {
        let plan = TonePlan::ringback("uk").expect("uk");
        let encoded = EncodedLoop::new(&plan, codec);
        let mut decoder = Decoder::new(codec);
        let mut heard = Vec::new();
        for index in 0..300 {
            decoder.decode(encoded.packet(index), &mut heard);
        }
        let rate = codec.sample_rate();
        let period = rate as usize * 3;
        assert_eq!(heard.len(), 2 * period);
        for heard in heard.chunks(period) {
            let share = chord_share(heard, rate, &[400.0, 450.0]);
            assert!(share > 0.9, "{codec:?}: {share}");
            let milliseconds = chord_milliseconds(heard, rate, &[400.0, 450.0]);
            assert!((380..=440).contains(&milliseconds), "{codec:?}: {milliseconds} ms");
        }
        assert_eq!(encoded.packet(0), encoded.packet(150));
        assert_eq!(encoded.timestamp_step(), codec.timestamp_step());
        assert!(!encoded.packet(u64::MAX).is_empty());
    }
}

proptest! {
    #[test]
    fn no_payload_makes_a_decoder_panic(
        codec in prop::sample::select(Codec::ALL.to_vec()),
        payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 1..8),
    ) {
        let mut decoder = Decoder::new(codec);
        for payload in payloads {
            let mut heard = Vec::new();
            decoder.decode(&payload, &mut heard);
            prop_assert!(!heard.is_empty() && heard.len() <= 5_760);
        }
    }

    #[test]
    fn no_damage_makes_a_decoder_panic(
        codec in prop::sample::select(vec![Codec::Opus, Codec::G722]),
        damages in prop::collection::vec((0..200_usize, any::<u8>()), 1..20),
        level in 0.0..1.0_f64,
    ) {
        let (mut encoder, mut decoder) = (Encoder::new(codec), Decoder::new(codec));
        let mut sine = Sine::new(440.0, level, codec.sample_rate());
        for (at, octet) in damages {
            let mut frame = vec![0; codec.frame_samples()];
            sine.fill(&mut frame);
            let (mut payload, mut heard) = (Vec::new(), Vec::new());
            encoder.encode(&frame, &mut payload);
            let at = at % payload.len();
            payload[at] = octet;
            decoder.decode(&payload, &mut heard);
        }
    }
}
