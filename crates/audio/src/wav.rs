//! WAV files in memory.

use hound::{SampleFormat, WavReader, WavSpec, WavWriter};
use std::io::Cursor;

/// The sound of a WAV file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wav {
    /// Samples a second.
    pub sample_rate: u32,
    /// Mono: channels are averaged.
    pub samples: Vec<i16>,
}

/// Why a WAV file cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum WavError {
    /// It is no WAV file, it ends too early, or it has an encoding other than linear PCM and float.
    #[error("the WAV file cannot be read")]
    Unreadable(#[source] hound::Error),
    /// It has no channel or no sample rate.
    #[error("the WAV file has {channels} channels at {sample_rate} samples a second")]
    NoSound {
        /// As the header says.
        channels: u16,
        /// As the header says.
        sample_rate: u32,
    },
}

/// Reads a WAV file of integers (8 to 32 bits) or floats, mixed down to mono.
///
/// # Errors
/// See [`WavError`].
pub fn read(octets: &[u8]) -> Result<Wav, WavError> {
    let mut reader = WavReader::new(Cursor::new(octets)).map_err(WavError::Unreadable)?;
    let WavSpec { channels, sample_rate, bits_per_sample, sample_format } = reader.spec();
    if channels == 0 || sample_rate == 0 {
        return Err(WavError::NoSound { channels, sample_rate });
    }
    let mixed: Result<Vec<f64>, hound::Error> = match sample_format {
        SampleFormat::Float => reader.samples::<f32>().map(|sample| sample.map(f64::from)).collect(),
        SampleFormat::Int => {
            let full_scale = 2_f64.powi(i32::from(bits_per_sample).clamp(1, 32) - 1);
            reader.samples::<i32>().map(|sample| sample.map(|value| f64::from(value) / full_scale)).collect()
        }
    };
    let interleaved = mixed.map_err(WavError::Unreadable)?;
    let samples = interleaved.chunks_exact(usize::from(channels)).map(|frame| {
        let mean = frame.iter().sum::<f64>() / f64::from(channels);
        // A float that is no number becomes 0, one beyond the range its end.
        (mean * 32_768.0).round() as i16
    });
    Ok(Wav { sample_rate, samples: samples.collect() })
}

/// A mono WAV file of 16 bits a sample.
pub fn write(sample_rate: u32, samples: &[i16]) -> Vec<u8> {
    let spec = WavSpec { channels: 1, sample_rate, bits_per_sample: 16, sample_format: SampleFormat::Int };
    let mut file = Cursor::new(Vec::new());
    let mut writer = WavWriter::new(&mut file, spec).expect("writing into memory does not fail");
    for sample in &samples[..samples.len().min(SAMPLES_MAX)] {
        writer.write_sample(*sample).expect("writing into memory does not fail");
    }
    writer.finalize().expect("writing into memory does not fail");
    file.into_inner()
}

/// A WAV file counts its octets in 32 bits.
const SAMPLES_MAX: usize = (u32::MAX as usize - 1_024) / 2;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written<S: hound::Sample + Copy>(spec: WavSpec, samples: &[S]) -> Vec<u8> {
        let mut file = Cursor::new(Vec::new());
        let mut writer = WavWriter::new(&mut file, spec).expect("a writer");
        for sample in samples {
            writer.write_sample(*sample).expect("a sample");
        }
        writer.finalize().expect("a file");
        file.into_inner()
    }

    #[test]
    fn what_is_written_is_read() {
        let samples = [0, 1, -1, i16::MAX, i16::MIN, 1_234];
        let wav = read(&write(16_000, &samples)).expect("a file");
        assert_eq!(wav, Wav { sample_rate: 16_000, samples: samples.to_vec() });
        assert_eq!(read(&write(8_000, &[])).expect("a file").samples, []);
    }

    #[test]
    fn channels_are_averaged_and_widths_scaled() {
        let spec = |channels, bits_per_sample, sample_format| WavSpec {
            channels,
            sample_rate: 8_000,
            bits_per_sample,
            sample_format,
        };
        let stereo = written(spec(2, 16, SampleFormat::Int), &[1_000_i16, 3_000, -8, -16]);
        assert_eq!(read(&stereo).expect("a file").samples, [2_000, -12]);
        let wide = written(spec(1, 24, SampleFormat::Int), &[256_000_i32, -256]);
        assert_eq!(read(&wide).expect("a file").samples, [1_000, -1]);
        let narrow = written(spec(1, 8, SampleFormat::Int), &[1_i8, -128]);
        assert_eq!(read(&narrow).expect("a file").samples, [256, i16::MIN]);
        let float = written(spec(1, 32, SampleFormat::Float), &[0.5_f32, -2.0, f32::NAN]);
        assert_eq!(read(&float).expect("a file").samples, [16_384, i16::MIN, 0]);
    }

    #[test]
    fn a_cut_file_is_an_error() {
        let whole = write(8_000, &[5; 100]);
        for length in 0..whole.len() {
            let _ = read(&whole[..length]);
        }
        assert!(read(&whole[..whole.len() - 3]).is_err());
        assert!(read(b"").is_err() && read(b"RIFF....WAVE").is_err());
    }

    proptest! {
        #[test]
        fn no_octets_make_it_panic(at in 0..60_usize, noise in prop::collection::vec(any::<u8>(), 1..12)) {
            let mut file = write(8_000, &[5; 40]);
            for (index, octet) in noise.into_iter().enumerate() {
                file[at + index] = octet;
            }
            let _ = read(&file);
        }
    }
}
