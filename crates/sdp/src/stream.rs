//! One audio stream, read from its `m=` section.

use crate::direction::Direction;
use crate::error::SdpError;
use crate::format::{Format, decimal, formats_of, payload_types};
use sdp_types::{AddrType, Attribute, Connection, Media, Session};
use std::net::{IpAddr, SocketAddr};

/// The audio stream of a session description, as offer or answer say it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AudioStream {
    /// Where it wants to receive RTP. An unspecified address (`c=0.0.0.0`) is hold (RFC 3264 §8.4).
    pub rtp: SocketAddr,
    /// `a=rtcp` (RFC 3605), else port + 1; equal to `rtp` with `a=rtcp-mux` (RFC 5761).
    pub rtcp: SocketAddr,
    /// RTP and RTCP share one port. In an offer a wish, in an answer a fact.
    pub rtcp_mux: bool,
    /// In order of preference, telephone-event included.
    pub formats: Vec<Format>,
    /// As the describing side says it. With an unspecified address it does not receive.
    pub direction: Direction,
    /// Packet time in milliseconds, when it is given and sane (10 to 200).
    pub ptime: Option<u16>,
    /// It may send nothing while nobody speaks: it names comfort noise (RFC 3389), `a=silenceSupp:on` (RFC
    /// 3108), or discontinuous transmission of opus (RFC 7587 §6.1). Read only, not printed.
    pub suppresses_silence: bool,
}

impl AudioStream {
    /// A stream that sends and receives at `rtp`, with RTCP on the port above.
    pub fn new(rtp: SocketAddr, formats: Vec<Format>) -> Self {
        Self {
            rtp,
            rtcp: SocketAddr::new(rtp.ip(), rtp.port().saturating_add(1)),
            rtcp_mux: false,
            formats,
            direction: Direction::SendRecv,
            ptime: None,
            suppresses_silence: false,
        }
    }

    /// The first format that carries audio: what is to be sent.
    pub fn codec(&self) -> Option<&Format> {
        self.formats.iter().find(|format| format.is_audio())
    }

    /// The telephone-event format with this clock rate, which is that of the codec beside it (RFC 4733 §2.1), else any.
    pub fn telephone_event(&self, clock_rate: u32) -> Option<&Format> {
        let mut events = self.formats.iter().filter(|format| format.is_telephone_event());
        events.clone().find(|format| format.clock_rate == clock_rate).or_else(|| events.next())
    }

    /// Addresses that only one host or one link knows stand for another one here, unless the phone is there itself.
    ///
    /// # Errors
    /// Its RTP goes to such a one, and `peer`, from where it was sent, is elsewhere.
    pub fn check_reach(&self, peer: IpAddr) -> Result<(), SdpError> {
        if is_elsewhere(self.rtp.ip(), peer) {
            Err(SdpError::ForbiddenAddress(self.rtp.ip()))
        } else {
            Ok(())
        }
    }

    /// Where RTCP goes, from the view of `peer`: above RTP, where the address that is named for it is of no use.
    pub fn rtcp_for(&self, peer: IpAddr) -> SocketAddr {
        if is_elsewhere(self.rtcp.ip(), peer) {
            SocketAddr::new(self.rtp.ip(), self.rtp.port().saturating_add(1))
        } else {
            self.rtcp
        }
    }

    /// Takes out telephone-event formats whose clock rate no audio format has (RFC 4733 §2.1), where there are others: many
    /// phones have one at 8,000 and no other, whatever their codec.
    pub(crate) fn drop_unpaired_telephone_events(&mut self) {
        let rates: Vec<u32> =
            self.formats.iter().filter(|format| format.is_audio()).map(|format| format.clock_rate).collect();
        let is_paired = |format: &Format| rates.contains(&format.clock_rate);
        if self.formats.iter().any(|format| format.is_telephone_event() && is_paired(format)) {
            self.formats.retain(|format| !format.is_telephone_event() || is_paired(format));
        }
    }

    /// Reads a medium for which [`is_audio_over_rtp`] holds. The RTCP address is that of a stream without
    /// multiplexing; the second value says whether multiplexing is asked for.
    pub(crate) fn read(session: &Session, media: &Media) -> Result<Self, SdpError> {
        let payload_types = payload_types(&media.fmt).ok_or(SdpError::NotAPayloadType)?;
        let formats = formats_of(&payload_types, &media.attributes);
        if formats.is_empty() {
            return Err(SdpError::NoUsableFormat);
        }
        let address =
            media.connections.first().or(session.connection.as_ref()).ok_or(SdpError::NoConnection)?;
        let rtp = SocketAddr::new(read_address(address)?, media.port);
        let said = direction_of(&media.attributes)
            .or_else(|| direction_of(&session.attributes))
            .unwrap_or(Direction::SendRecv);
        Ok(Self {
            suppresses_silence: suppresses_silence(&formats, &media.attributes),
            rtp,
            rtcp: read_rtcp(rtp, &media.attributes)?,
            rtcp_mux: has(&media.attributes, "rtcp-mux"),
            formats,
            direction: if rtp.ip().is_unspecified() {
                Direction::from_parts(said.sends(), false)
            } else {
                said
            },
            ptime: value(&media.attributes, "ptime").and_then(read_ptime),
        })
    }
}

/// An audio stream of a kind that is relayed here: RTP/AVP or RTP/AVPF.
pub(crate) fn is_audio_over_rtp(media: &Media) -> bool {
    media.media.eq_ignore_ascii_case("audio")
        && (media.proto.eq_ignore_ascii_case("RTP/AVP") || media.proto.eq_ignore_ascii_case("RTP/AVPF"))
}

fn read_address(connection: &Connection) -> Result<IpAddr, SdpError> {
    parse_address(&connection.addrtype, &connection.connection_address)
}

fn parse_address(family: &AddrType, text: &str) -> Result<IpAddr, SdpError> {
    // A suffix after the slash belongs to multicast (RFC 8866 §5.7), which is refused below.
    let text = text.split_once('/').map_or(text, |(address, _)| address);
    let Ok(address) = text.parse::<IpAddr>() else {
        return Err(if is_host_name(text) {
            SdpError::HostName(text.into())
        } else {
            SdpError::NotAnAddress
        });
    };
    let of_family = match family {
        AddrType::Ip4 => address.is_ipv4(),
        AddrType::Ip6 => address.is_ipv6(),
        AddrType::Other(_) => false,
    };
    if !of_family {
        return Err(SdpError::NotAnAddress);
    }
    if is_forbidden(address.to_canonical()) { Err(SdpError::ForbiddenAddress(address)) } else { Ok(address) }
}

/// Loopback and link-local addresses, unless `peer` has one of that kind too.
fn is_elsewhere(address: IpAddr, peer: IpAddr) -> bool {
    let near = |ip: IpAddr| match ip.to_canonical() {
        IpAddr::V4(ip) => (ip.is_loopback(), ip.is_link_local()),
        IpAddr::V6(ip) => (ip.is_loopback(), ip.is_unicast_link_local()),
    };
    near(address) != (false, false) && near(address) != near(peer)
}

fn is_forbidden(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            // 0/8 is this network, 240/4 is reserved, the broadcast address among it (RFC 6890 §2.2.2).
            v4.is_multicast() || v4.octets()[0] >= 240 || (v4.octets()[0] == 0 && !v4.is_unspecified())
        }
        IpAddr::V6(v6) => v6.is_multicast(),
    }
}

/// Labels of letters, digits and hyphens; the last one is no number, or it would be a broken IPv4 address
/// (RFC 1123 §2.1).
fn is_host_name(text: &str) -> bool {
    let is_label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'-')
    };
    let name = text.strip_suffix('.').unwrap_or(text);
    let last_is_number =
        name.rsplit('.').next().is_some_and(|label| label.bytes().all(|octet| octet.is_ascii_digit()));
    name.len() <= 253 && name.split('.').all(is_label) && !last_is_number
}

/// `a=rtcp:port [nettype addrtype address]` (RFC 3605 §2.1).
fn read_rtcp(rtp: SocketAddr, attributes: &[Attribute]) -> Result<SocketAddr, SdpError> {
    let next = SocketAddr::new(rtp.ip(), rtp.port().saturating_add(1));
    let Some(text) = value(attributes, "rtcp") else { return Ok(next) };
    let mut parts = text.split_ascii_whitespace();
    let port =
        parts.next().and_then(decimal).and_then(|port| u16::try_from(port).ok()).filter(|port| *port > 0);
    let Some(port) = port else { return Ok(next) };
    match (parts.next(), parts.next(), parts.next()) {
        (Some(_), Some(family), Some(address)) => {
            let family = match family.to_ascii_uppercase().as_str() {
                "IP4" => AddrType::Ip4,
                "IP6" => AddrType::Ip6,
                _ => return Err(SdpError::NotAnAddress),
            };
            Ok(SocketAddr::new(parse_address(&family, address)?, port))
        }
        (_, _, _) => Ok(SocketAddr::new(rtp.ip(), port)),
    }
}

fn read_ptime(text: &str) -> Option<u16> {
    decimal(text.trim()).and_then(|ms| u16::try_from(ms).ok()).filter(|ms| (10..=200).contains(ms))
}

fn suppresses_silence(formats: &[Format], attributes: &[Attribute]) -> bool {
    let by_format = formats.iter().any(|format| {
        let parameters = format.fmtp.as_deref().unwrap_or_default();
        format.is_named("CN") || parameters.split(';').any(|one| one.trim().eq_ignore_ascii_case("usedtx=1"))
    });
    let is_on =
        |text: &str| text.split_ascii_whitespace().next().is_some_and(|word| word.eq_ignore_ascii_case("on"));
    by_format || value(attributes, "silenceSupp").is_some_and(is_on)
}

fn direction_of(attributes: &[Attribute]) -> Option<Direction> {
    attributes.iter().find_map(|attribute| Direction::from_attribute(attribute.attribute.trim()))
}

fn has(attributes: &[Attribute], name: &str) -> bool {
    attributes.iter().any(|attribute| attribute.attribute.trim().eq_ignore_ascii_case(name))
}

fn value<'a>(attributes: &'a [Attribute], name: &str) -> Option<&'a str> {
    attributes.iter().find(|attribute| attribute.attribute.eq_ignore_ascii_case(name))?.value.as_deref()
}
