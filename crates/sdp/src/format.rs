//! Formats of an audio stream: payload types and what they stand for (RFC 3551 §6, RFC 8866 §6.6).

use sdp_types::Attribute;

/// One format of an audio stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Format {
    /// RTP payload type, 0 to 127.
    pub payload_type: u8,
    /// Encoding name as written: `PCMU`, `opus`, `telephone-event`.
    pub name: Box<str>,
    /// RTP clock rate in hertz.
    pub clock_rate: u32,
    /// Number of channels; 2 for opus, whatever is sent (RFC 7587 §7).
    pub channels: u8,
    /// Format parameters, without the payload type.
    pub fmtp: Option<Box<str>>,
}

impl Format {
    /// Is this its encoding name? Compared without case.
    pub fn is_named(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }

    /// Does it carry digits and other events (RFC 4733), not audio?
    pub fn is_telephone_event(&self) -> bool {
        self.is_named("telephone-event")
    }

    /// Does it carry audio? Neither telephone-event nor comfort noise does.
    pub fn is_audio(&self) -> bool {
        !self.is_telephone_event() && !self.is_named("CN")
    }

    /// Do both stand for the same encoding, whatever their payload types?
    pub fn is_same_encoding(&self, other: &Self) -> bool {
        self.is_named(&other.name) && self.clock_rate == other.clock_rate && self.channels == other.channels
    }
}

/// The formats of an RTP medium in the order of its `m=` line. Those without a readable name are left out.
pub(crate) fn formats_of(payload_types: &[u8], attributes: &[Attribute]) -> Vec<Format> {
    payload_types
        .iter()
        .filter_map(|&payload_type| {
            let rtpmap = value_for(attributes, "rtpmap", payload_type).and_then(parse_rtpmap);
            let (name, clock_rate, channels) = rtpmap.or_else(|| static_encoding(payload_type))?;
            let fmtp =
                value_for(attributes, "fmtp", payload_type).filter(|value| !value.is_empty()).map(Into::into);
            Some(Format { payload_type, name: name.into(), clock_rate, channels, fmtp })
        })
        .collect()
}

/// The payload types of an `m=` line, each once; `None` when one is no number from 0 to 127.
pub(crate) fn payload_types(fmt: &str) -> Option<Vec<u8>> {
    let mut seen = Vec::new();
    for token in fmt.split_ascii_whitespace() {
        let payload_type =
            decimal(token).and_then(|number| u8::try_from(number).ok()).filter(|number| *number < 128)?;
        if !seen.contains(&payload_type) {
            seen.push(payload_type);
        }
    }
    Some(seen)
}

/// The value of the first attribute `name` that speaks of `payload_type`, without the payload type.
fn value_for<'a>(attributes: &'a [Attribute], name: &str, payload_type: u8) -> Option<&'a str> {
    attributes.iter().filter(|attribute| attribute.attribute.eq_ignore_ascii_case(name)).find_map(
        |attribute| {
            let (number, rest) = attribute.value.as_deref()?.trim().split_once(' ')?;
            (decimal(number)? == u32::from(payload_type)).then(|| rest.trim())
        },
    )
}

/// `name/clock` or `name/clock/channels`.
fn parse_rtpmap(value: &str) -> Option<(&str, u32, u8)> {
    let mut parts = value.split('/').map(str::trim);
    let name = parts.next().filter(|name| is_token(name))?;
    let clock_rate = decimal(parts.next()?).filter(|rate| CLOCK_RATES.contains(rate))?;
    let channels = match parts.next() {
        Some(count) => {
            decimal(count).and_then(|count| u8::try_from(count).ok()).filter(|count| *count > 0)?
        }
        None => 1,
    };
    Some(as_registered(name, clock_rate, channels))
}

/// Some write what the encoding does instead of what its registration says: G.722 samples at 16 kHz and has a clock of
/// 8,000 (RFC 3551 §4.5.2), opus has two channels however many are sent (RFC 7587 §7).
fn as_registered(name: &str, clock_rate: u32, channels: u8) -> (&str, u32, u8) {
    match clock_rate {
        16_000 if name.eq_ignore_ascii_case("G722") => (name, 8_000, channels),
        48_000 if name.eq_ignore_ascii_case("opus") => (name, clock_rate, 2),
        _ => (name, clock_rate, channels),
    }
}

/// Digits only: no sign, no overflow.
pub(crate) fn decimal(text: &str) -> Option<u32> {
    let is_number = !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten()
}

fn is_token(name: &str) -> bool {
    !name.is_empty() && name.len() <= NAME_OCTETS_MAX && name.bytes().all(|octet| octet.is_ascii_graphic())
}

/// The payload types with a fixed meaning for audio (RFC 3551 §6, table 4).
fn static_encoding(payload_type: u8) -> Option<(&'static str, u32, u8)> {
    Some(match payload_type {
        0 => ("PCMU", 8_000, 1),
        3 => ("GSM", 8_000, 1),
        4 => ("G723", 8_000, 1),
        5 => ("DVI4", 8_000, 1),
        6 => ("DVI4", 16_000, 1),
        7 => ("LPC", 8_000, 1),
        8 => ("PCMA", 8_000, 1),
        9 => ("G722", 8_000, 1),
        10 => ("L16", 44_100, 2),
        11 => ("L16", 44_100, 1),
        12 => ("QCELP", 8_000, 1),
        13 => ("CN", 8_000, 1),
        14 => ("MPA", 90_000, 1),
        15 => ("G728", 8_000, 1),
        16 => ("DVI4", 11_025, 1),
        17 => ("DVI4", 22_050, 1),
        18 => ("G729", 8_000, 1),
        _ => return None,
    })
}

const NAME_OCTETS_MAX: usize = 64;
const CLOCK_RATES: std::ops::RangeInclusive<u32> = 1_000..=384_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn attributes(lines: &[&str]) -> Vec<Attribute> {
        lines
            .iter()
            .map(|line| {
                let (name, value) = line.split_once(':').expect("a value");
                Attribute { attribute: name.into(), value: Some(value.into()) }
            })
            .collect()
    }

    /// RFC 3551 §6, table 4.
    #[test]
    fn static_payload_types_need_no_rtpmap() {
        let types: Vec<u8> = (0..=24).collect();
        let formats = formats_of(&types, &[]);
        let read = |format: &Format| {
            (format.payload_type, format.name.to_string(), format.clock_rate, format.channels)
        };
        let expected = [
            (0, "PCMU", 8_000, 1),
            (3, "GSM", 8_000, 1),
            (4, "G723", 8_000, 1),
            (5, "DVI4", 8_000, 1),
            (6, "DVI4", 16_000, 1),
            (7, "LPC", 8_000, 1),
            (8, "PCMA", 8_000, 1),
            (9, "G722", 8_000, 1),
            (10, "L16", 44_100, 2),
            (11, "L16", 44_100, 1),
            (12, "QCELP", 8_000, 1),
            (13, "CN", 8_000, 1),
            (14, "MPA", 90_000, 1),
            (15, "G728", 8_000, 1),
            (16, "DVI4", 11_025, 1),
            (17, "DVI4", 22_050, 1),
            (18, "G729", 8_000, 1),
        ];
        let expected =
            expected.map(|(number, name, rate, channels)| (number, name.to_owned(), rate, channels));
        assert_eq!(formats.iter().map(read).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn an_rtpmap_wins_over_the_static_meaning() {
        let formats = formats_of(&[8], &attributes(&["rtpmap:8 pcmu/16000"]));
        assert_eq!((&*formats[0].name, formats[0].clock_rate), ("pcmu", 16_000));
    }

    #[test]
    fn a_dynamic_payload_type_has_name_channels_and_parameters() {
        let lines = attributes(&["rtpmap:111 opus/48000/2", "fmtp:111 minptime=10; useinbandfec=1"]);
        let formats = formats_of(&[111, 96], &lines);
        assert_eq!(formats.len(), 1, "96 has no name");
        assert_eq!(formats[0].channels, 2);
        assert_eq!(formats[0].fmtp.as_deref(), Some("minptime=10; useinbandfec=1"));
    }

    #[test]
    fn what_is_unmistakable_is_read_however_it_is_written() {
        let lines = attributes(&[
            "rtpmap:9 G722/16000",
            "rtpmap:96 g722/8000/1",
            "rtpmap:107 opus/48000",
            "rtpmap:108 Opus/48000/1",
            "rtpmap:0 PCMU",
            "rtpmap:8 PCMA/8000/1",
        ]);
        let formats = formats_of(&[9, 96, 107, 108, 0, 8], &lines);
        let read: Vec<_> = formats.iter().map(|it| (it.payload_type, it.clock_rate, it.channels)).collect();
        let g722 = [(9, 8_000, 1), (96, 8_000, 1)];
        assert_eq!(
            read,
            [&g722[..], &[(107, 48_000, 2), (108, 48_000, 2), (0, 8_000, 1), (8, 8_000, 1)]].concat()
        );
    }

    #[test]
    fn unusable_rtpmaps_leave_the_format_out() {
        for rtpmap in [
            "97 PCMU/0",
            "97 PCMU/4294975296",
            "97 PCMU",
            "97 /8000",
            "97 a b/8000",
            "97 PCMU/8000/0",
            "97 PCMU/-1",
        ] {
            let line = format!("rtpmap:{rtpmap}");
            assert_eq!(formats_of(&[97], &attributes(&[&line])), [], "{rtpmap}");
        }
    }

    #[test]
    fn payload_types_are_numbers_below_128_each_once() {
        assert_eq!(payload_types("0 8  101 8\t"), Some(vec![0, 8, 101]));
        for wrong in ["128", "PCMU", "-1", "+1", "99999999999999999999"] {
            assert_eq!(payload_types(wrong), None, "{wrong}");
        }
    }
}
