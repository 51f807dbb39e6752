//! From streams to octets.

use crate::format::Format;
use crate::stream::AudioStream;
use sdp_types::{Attribute, Connection, Media, Session, Time};
use std::net::IpAddr;

/// What we are: goes into `o=`, and stays for the life of a session.
#[derive(Debug, Clone)]
pub struct Origin {
    /// Names the session together with the address; never reused by this host.
    pub session_id: u64,
    /// Rises with each description that differs (RFC 3264 §8).
    pub version: u64,
}

/// A session description of these media, all of them at the address of `stream`.
pub(crate) fn print_session(origin: &Origin, stream: &AudioStream, medias: Vec<Media>) -> Vec<u8> {
    let address = stream.rtp.ip();
    let mut from = sdp_types::Origin::with_ip_addr(origin.session_id, origin.version, address);
    from.set_username("dialbridge");
    let mut session = Session::new(from, "-");
    session.connection = Some(Connection::from_ip_addr(address));
    session.times = vec![Time { start_time: 0, stop_time: 0, repeats: Vec::new() }];
    session.medias = medias;
    let mut octets = Vec::new();
    session.write(&mut octets).expect("writing into memory does not fail");
    octets
}

/// The `m=` section of `stream` over `transport` (RTP/AVP, or what the offer named).
pub(crate) fn audio_media(stream: &AudioStream, transport: &str) -> Media {
    let payload_types: Vec<String> =
        stream.formats.iter().map(|format| format.payload_type.to_string()).collect();
    let mut attributes = Vec::new();
    for format in &stream.formats {
        attributes.push(with_value("rtpmap", rtpmap(format)));
        if let Some(fmtp) = format.fmtp.as_deref().or_else(|| usual_parameters(format)) {
            attributes.push(with_value("fmtp", format!("{} {fmtp}", format.payload_type)));
        }
    }
    attributes.push(with_value("ptime", stream.ptime.unwrap_or(PTIME_MILLISECONDS).to_string()));
    attributes.push(flag(stream.direction.attribute()));
    if stream.rtcp_mux {
        attributes.push(flag("rtcp-mux"));
    } else if let Some(rtcp) = rtcp_attribute(stream) {
        attributes.push(with_value("rtcp", rtcp));
    }
    Media { attributes, ..media("audio", stream.rtp.port(), transport, &payload_types.join(" ")) }
}

/// An `m=` line with port 0 and nothing below it (RFC 3264 §6).
pub(crate) fn refused_media(offered: &Media) -> Media {
    let format = offered.fmt.split_ascii_whitespace().next().unwrap_or("0");
    media(&offered.media, 0, &offered.proto, format)
}

fn media(kind: &str, port: u16, transport: &str, formats: &str) -> Media {
    Media {
        media: kind.into(),
        port,
        num_ports: None,
        proto: transport.into(),
        fmt: formats.into(),
        media_title: None,
        connections: Vec::new(),
        bandwidths: Vec::new(),
        key: None,
        attributes: Vec::new(),
    }
}

fn rtpmap(format: &Format) -> String {
    let Format { payload_type, name, clock_rate, channels, .. } = format;
    if *channels == 1 {
        format!("{payload_type} {name}/{clock_rate}")
    } else {
        format!("{payload_type} {name}/{clock_rate}/{channels}")
    }
}

/// Digits 0 to 16 (RFC 4733 §2.4.1); for opus error correction in the stream (RFC 7587 §6.1).
fn usual_parameters(format: &Format) -> Option<&'static str> {
    if format.is_telephone_event() {
        Some("0-16")
    } else if format.is_named("opus") {
        Some("useinbandfec=1")
    } else {
        None
    }
}

/// Said only where RTCP is not on the port above RTP.
fn rtcp_attribute(stream: &AudioStream) -> Option<String> {
    let AudioStream { rtp, rtcp, .. } = stream;
    if rtcp.ip() != rtp.ip() {
        let family = match rtcp.ip() {
            IpAddr::V4(_) => "IP4",
            IpAddr::V6(_) => "IP6",
        };
        return Some(format!("{} IN {family} {}", rtcp.port(), rtcp.ip()));
    }
    (Some(rtcp.port()) != rtp.port().checked_add(1)).then(|| rtcp.port().to_string())
}

fn with_value(name: &str, value: String) -> Attribute {
    Attribute { attribute: name.into(), value: Some(value) }
}

fn flag(name: &str) -> Attribute {
    Attribute { attribute: name.into(), value: None }
}

const PTIME_MILLISECONDS: u16 = 20;
