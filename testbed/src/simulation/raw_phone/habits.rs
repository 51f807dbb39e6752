//! What real phones get wrong, and are understood all the same.

use sip_message::StatusCode;

/// How the answers of a raw phone are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Habits {
    /// No Contact in a 2xx, which has to have one (RFC 3261 §13.3.1.4).
    pub without_contact: bool,
    /// A semicolon too many behind Via and To.
    pub semicolons: bool,
    /// How its session description is written.
    pub description: DescriptionHabit,
    /// How it registers.
    pub registration: RegistrationHabit,
}

/// How a phone registers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum RegistrationHabit {
    /// As it should.
    #[default]
    Usual,
    /// Without `rport` (RFC 3581), at the address that it sends from.
    WithoutRport,
    /// The same behind a NAT, with the address that it has there.
    BehindNat,
    /// With credentials that are not filled in, as IMS has it (3GPP TS 24.229 §5.1.1.2.2).
    EmptyCredentials,
}

/// How a session description is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum DescriptionHabit {
    /// As it should be.
    #[default]
    Usual,
    /// As one part of several (RFC 5621).
    Multipart,
    /// With 500 attributes that mean nothing here.
    ManyAttributes,
    /// With names that say less, or more, than they should.
    OddNames,
}

impl Habits {
    /// A REGISTER as it is sent.
    pub(super) fn registers(&self, octets: &[u8]) -> Vec<u8> {
        let text = String::from_utf8_lossy(octets).into_owned();
        let is_first = !text.contains("\r\nAuthorization:");
        let text = match self.registration {
            RegistrationHabit::Usual => text,
            RegistrationHabit::WithoutRport => text.replace(";rport", ""),
            RegistrationHabit::BehindNat => {
                let inside = |line: &str| {
                    let (before, after) = line.split_once("SIP/2.0/UDP ").unwrap_or((line, ""));
                    let after = after.split_once(';').map_or("", |(_, parameters)| parameters);
                    format!("{before}SIP/2.0/UDP {INSIDE};{after}")
                };
                let lines = text.split("\r\n").map(|line| if line.starts_with("Via:") { inside(line) } else { line.into() });
                lines.collect::<Vec<String>>().join("\r\n").replace(";rport", "")
            }
            RegistrationHabit::EmptyCredentials if is_first => text.replace(
                "\r\nCSeq:",
                "\r\nAuthorization: Digest username=\"a\", realm=\"\", nonce=\"\", uri=\"sip:a\", response=\"\"\r\nCSeq:",
            ),
            RegistrationHabit::EmptyCredentials => text,
        };
        text.into_bytes()
    }

    /// The fields of an answer, with or without its Contact.
    pub(super) fn contact<'a>(&self, status: StatusCode, contact: &'a str) -> &'a str {
        if self.without_contact && status.is_success() { "" } else { contact }
    }

    /// The type and the octets of the body that says `description`.
    pub(super) fn body(&self, description: &[u8]) -> (&'static str, Vec<u8>) {
        let text = String::from_utf8_lossy(description);
        match self.description {
            DescriptionHabit::Usual => (SDP, description.to_vec()),
            DescriptionHabit::Multipart => {
                let location = "Content-Type: application/pidf+xml\r\n\r\n<presence/>";
                let body = format!(
                    "--part\r\n{location}\r\n--part\r\nContent-Type: {SDP}\r\n\r\n{text}\r\n--part--\r\n"
                );
                ("multipart/mixed;boundary=part", body.into_bytes())
            }
            DescriptionHabit::ManyAttributes => {
                let more: String = (0..500).map(|number| format!("a=x-{number}\r\n")).collect();
                (SDP, format!("{text}{more}").into_bytes())
            }
            DescriptionHabit::OddNames => {
                let text = text.replace("8 PCMA/8000", "8 pcma/8000/1").replace("0 PCMU/8000", "0 PCMU");
                (SDP, text.into_bytes())
            }
        }
    }

    /// The message as it is sent.
    pub(super) fn written(&self, octets: Vec<u8>) -> Vec<u8> {
        if !self.semicolons {
            return octets;
        }
        let text = String::from_utf8_lossy(&octets);
        let (header, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let lines = header.split("\r\n").map(|line| {
            let has_one = line.starts_with("Via:") || (line.starts_with("To:") && line.contains(";tag="));
            format!("{line}{}\r\n", if has_one { ";" } else { "" })
        });
        let header: String = lines.collect();
        format!("{header}\r\n{body}").into_bytes()
    }
}

const SDP: &str = "application/sdp";
/// Where a phone is behind its NAT.
const INSIDE: &str = "10.9.8.7:5999";
