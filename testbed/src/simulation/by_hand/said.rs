//! What a phone played by hand says of its audio, and what it reads of the other side's: SDP as text.

use audio::Codec;
use std::net::{IpAddr, SocketAddr};

/// What the phone says of its audio.
#[derive(Debug, Clone)]
pub struct Said {
    /// In the order of its `m=` line; the first is what it sends.
    pub codecs: Vec<Codec>,
    /// `sendrecv` and the like; nothing is said when empty.
    pub direction: &'static str,
    /// In `c=` instead of its own address: `0.0.0.0` is hold as RFC 2543 has it.
    pub connection: Option<IpAddr>,
    /// Milliseconds of audio in each packet that it sends: 20 for opus, else whatever.
    pub packet_time: u16,
    /// Names comfort noise (RFC 3389) among its formats.
    pub comfort_noise: bool,
    /// Further lines of its `m=` section, each with its line end.
    pub lines: &'static str,
    /// Payload type of opus.
    pub opus: u8,
}

/// What the other side says of its audio.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Read {
    /// Where it wants to hear.
    pub rtp: SocketAddr,
    /// Encoding names in their order, with their payload types.
    pub formats: Vec<(String, u8)>,
    /// `sendrecv` when it says nothing.
    pub direction: String,
    /// The version of `o=`.
    pub version: u64,
}

impl Default for Said {
    fn default() -> Self {
        Self {
            codecs: vec![Codec::Pcmu],
            direction: "",
            connection: None,
            packet_time: 20,
            comfort_noise: false,
            lines: "",
            opus: 107,
        }
    }
}

impl Said {
    /// `hold("sendonly")`.
    pub fn hold(direction: &'static str) -> Self {
        Self { direction, ..Self::default() }
    }

    /// Only this codec.
    pub fn only(codec: Codec) -> Self {
        Self { codecs: vec![codec], ..Self::default() }
    }

    pub(super) fn sends(&self) -> bool {
        matches!(self.direction, "" | "sendrecv" | "sendonly")
    }

    pub(super) fn receives(&self) -> bool {
        let has_address = self.connection.is_none_or(|address| !address.is_unspecified());
        has_address && matches!(self.direction, "" | "sendrecv" | "recvonly")
    }

    pub(super) fn payload_type(&self, codec: Codec) -> u8 {
        codec.static_payload_type().unwrap_or(self.opus)
    }

    pub(super) fn print(&self, rtp: SocketAddr, version: u64) -> String {
        let mut types: Vec<String> =
            self.codecs.iter().map(|codec| self.payload_type(*codec).to_string()).collect();
        types.extend(self.comfort_noise.then(|| "13".to_owned()));
        let maps: String = self.codecs.iter().map(|codec| self.map(*codec)).collect();
        let (ip, port, types) = (rtp.ip(), rtp.port(), types.join(" "));
        let connection = self.connection.unwrap_or(ip);
        let direction =
            if self.direction.is_empty() { String::new() } else { format!("a={}\r\n", self.direction) };
        format!(
            "v=0\r\no=hand 1 {version} IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {connection}\r\nt=0 0\r\n\
             m=audio {port} RTP/AVP {types}\r\n{maps}{direction}{}",
            self.lines
        )
    }

    fn map(&self, codec: Codec) -> String {
        let channels = if codec.channels() == 2 { "/2" } else { "" };
        let payload_type = self.payload_type(codec);
        format!("a=rtpmap:{payload_type} {}/{}{channels}\r\n", codec.name(), codec.clock_rate())
    }
}

impl Read {
    /// Reads a description as the server prints them.
    pub fn new(body: &str) -> Option<Self> {
        let line = |start: &str| body.lines().find_map(|line| line.strip_prefix(start)).map(str::trim);
        let ip: IpAddr = line("c=IN IP4 ")?.parse().ok()?;
        let mut media = line("m=audio ")?.split(' ');
        let port = media.next()?.parse().ok()?;
        let formats = media.skip(1).filter_map(|number| {
            let map = line(&format!("a=rtpmap:{number} "))?;
            Some((map.split('/').next()?.to_owned(), number.parse().ok()?))
        });
        let direction = ["sendrecv", "sendonly", "recvonly", "inactive"]
            .into_iter()
            .find(|direction| body.lines().any(|line| line.trim() == format!("a={direction}")));
        Some(Self {
            rtp: SocketAddr::new(ip, port),
            formats: formats.collect(),
            direction: direction.unwrap_or("sendrecv").to_owned(),
            version: line("o=")?.split(' ').nth(2)?.parse().ok()?,
        })
    }

    pub(super) fn sends(&self) -> bool {
        matches!(self.direction.as_str(), "sendrecv" | "sendonly")
    }

    pub(super) fn receives(&self) -> bool {
        matches!(self.direction.as_str(), "sendrecv" | "recvonly")
    }

    /// The answer to it by one who would say `wish`.
    pub(super) fn answered_by(&self, wish: &Said) -> Said {
        let direction = match (self.receives() && wish.sends(), self.sends() && wish.receives()) {
            (true, true) => "sendrecv",
            (true, false) => "sendonly",
            (false, true) => "recvonly",
            (false, false) => "inactive",
        };
        let offered =
            |codec: &Codec| self.formats.iter().any(|(name, _)| name.eq_ignore_ascii_case(codec.name()));
        let codecs = wish.codecs.iter().copied().filter(offered).collect();
        let opus =
            self.formats.iter().find(|(name, _)| name == "opus").map_or(wish.opus, |(_, number)| *number);
        Said { direction, codecs, opus, ..wish.clone() }
    }
}
