//! Phones that others have written, without a sound card: each plays a tone and records what it hears.

mod baresip;
mod linphone;

pub use baresip::Baresip;
pub use linphone::Linphone;

use crate::{Elsewhere, Extension, Server};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// What carries SIP between phone and server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wire {
    /// Datagrams.
    Udp,
    /// A connection.
    Tcp,
    /// A connection over which the server proves who it is.
    Tls,
}

impl Wire {
    const fn token(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
        }
    }
}

/// Whose phone it is, and what it plays.
#[derive(Debug, Clone)]
pub struct PhoneAccount {
    /// The extension.
    pub extension: Extension,
    /// Where it registers, unless it does so over TLS.
    pub server: SocketAddr,
    /// Where it registers over TLS, and the file of whom it believes then.
    pub tls: Option<(SocketAddr, PathBuf)>,
    /// How.
    pub wire: Wire,
    /// The only codec it has, by its name in SDP.
    pub codec: &'static str,
    /// The tone it plays into its calls, in hertz.
    pub hertz: f64,
    /// It answers every call at once; else only those that ask for it, if it knows how they do.
    pub answers: bool,
    /// In another network than the test.
    pub elsewhere: Option<Elsewhere>,
}

impl PhoneAccount {
    /// A phone of the server's extension of this position, over UDP with PCMU.
    pub fn of(server: &Server, position: usize, hertz: f64) -> Self {
        let extension = server.extensions[position].clone();
        let (server, tls) = (server.sip, server.tls.clone());
        Self { extension, server, tls, wire: Wire::Udp, codec: "PCMU", hertz, answers: true, elsewhere: None }
    }

    /// Over this.
    pub fn over(mut self, wire: Wire) -> Self {
        self.wire = wire;
        self
    }

    /// Where it registers.
    fn registrar(&self) -> SocketAddr {
        match (self.wire, &self.tls) {
            (Wire::Tls, Some((address, _))) => *address,
            (Wire::Udp | Wire::Tcp | Wire::Tls, _) => self.server,
        }
    }

    /// Whose certificates it believes.
    fn roots(&self) -> Option<String> {
        self.tls.as_ref().map(|(_, file)| file.display().to_string())
    }

    /// In that network.
    pub fn at(mut self, elsewhere: Elsewhere) -> Self {
        self.elsewhere = Some(elsewhere);
        self
    }

    /// It rings.
    pub fn that_rings(mut self) -> Self {
        self.answers = false;
        self
    }

    /// With this codec only.
    pub fn with_codec(mut self, codec: &'static str) -> Self {
        self.codec = codec;
        self
    }
}

/// What a phone has recorded of what it heard.
#[derive(Debug)]
pub struct Recording {
    samples: Vec<i16>,
    sample_rate: u32,
}

impl Recording {
    /// Reads a WAV file. Linphone counts the 44 octets of the header among its samples, and neither phone writes the
    /// length before the end: the length is taken from the file.
    fn read(path: &Path) -> Self {
        let mut octets = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        if let Some(at) = octets.windows(4).position(|word| word == b"data").map(|at| at + 4)
            && octets.len() >= at + 4
        {
            let length = (octets.len() - at - 4) & !1;
            octets.truncate(at + 4 + length);
            octets[at..at + 4].copy_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
        }
        let wav = audio::wav::read(&octets).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self { samples: wav.samples, sample_rate: wav.sample_rate }
    }

    /// The longest time, in milliseconds, in which this tone dominated.
    pub fn tone_milliseconds(&self, hertz: f64) -> u64 {
        audio::tone_milliseconds(&self.samples, self.sample_rate, hertz)
    }

    /// Which of these tones was heard after which, and for how many milliseconds each: one that returns after a
    /// silence goes on, and less than 60 ms at a time is none.
    pub fn course(&self, tones: &[f64]) -> Vec<(f64, u64)> {
        let window = (self.sample_rate / 50) as usize;
        let heard = self.samples.chunks_exact(window).map(|samples| {
            let dominates = |hertz: &f64| audio::tone_milliseconds(samples, self.sample_rate, *hertz) > 0;
            tones.iter().position(dominates)
        });
        let mut runs: Vec<(Option<usize>, u64)> = Vec::new();
        for tone in heard {
            match runs.last_mut() {
                Some((last, milliseconds)) if *last == tone => *milliseconds += 20,
                Some(_) | None => runs.push((tone, 20)),
            }
        }
        let mut course: Vec<(f64, u64)> = Vec::new();
        for (tone, milliseconds) in runs.into_iter().filter(|(_, milliseconds)| *milliseconds >= 60) {
            let Some(hertz) = tone.map(|position| tones[position]) else { continue };
            match course.last_mut() {
                Some((last, whole)) if last.total_cmp(&hertz).is_eq() => *whole += milliseconds,
                Some(_) | None => course.push((hertz, milliseconds)),
            }
        }
        course
    }
}

/// Half a minute of a sine as a WAV file, the same on every channel.
fn write_tone(path: &Path, hertz: f64, rate: u32, channels: u16) {
    let mut samples = vec![0; 30 * rate as usize];
    audio::Sine::new(hertz, 0.3, rate).fill(&mut samples);
    let repeated: Vec<i16> =
        samples.iter().flat_map(|sample| std::iter::repeat_n(*sample, channels.into())).collect();
    let mut octets = audio::wav::write(rate, &repeated);
    // The header says mono: channels, octets a second and octets a frame follow `fmt `, its length and the format.
    let frame = 2 * channels;
    octets[22..24].copy_from_slice(&channels.to_le_bytes());
    octets[28..32].copy_from_slice(&(rate * u32::from(frame)).to_le_bytes());
    octets[32..34].copy_from_slice(&frame.to_le_bytes());
    std::fs::write(path, octets).expect("the tone is written");
}
