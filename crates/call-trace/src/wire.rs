//! SIP messages as they go over the wire, for people: secrets left out, control characters escaped.

use crate::FarEnd;
use crate::redaction::push_redacted;
use std::time::SystemTime;

/// One SIP message as it went over the wire, secrets included.
#[derive(Debug, Clone)]
pub struct WireMessage {
    /// When it was sent or received.
    pub at: SystemTime,
    /// By us.
    pub sent: bool,
    /// To whom, or from whom.
    pub far_end: FarEnd,
    /// As it was sent or received.
    pub octets: Vec<u8>,
}

/// No more of a message than this is logged, in octets.
const LOGGED: usize = 4096;

impl WireMessage {
    /// As it was sent or received, but for its secrets: credentials, challenges, passwords in URIs, keys of encrypted
    /// audio, typed digits.
    pub fn redacted(&self) -> Vec<u8> {
        redacted(&self.octets)
    }
}

/// A message, good or bad, as one line of a log: secrets left out, control characters escaped, cut after 4,096 octets.
pub fn log_line(octets: &[u8]) -> String {
    // Cut only then: of half a secret nobody can tell that it is one.
    let mut octets = redacted(octets);
    octets.truncate(LOGGED);
    let text = String::from_utf8_lossy(&octets);
    text.split("\r\n").map(|line| line.escape_debug().to_string()).collect::<Vec<_>>().join("\\n")
}

fn redacted(octets: &[u8]) -> Vec<u8> {
    let mut kept = Vec::with_capacity(octets.len());
    push_redacted(&mut kept, octets);
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_and_terminal_escapes_stay_out_of_the_log() {
        let line = log_line(
            b"REGISTER sip:a SIP/2.0\r\nauthorization : Digest\r\n response=\"f00\"\r\nX: \x1b[2J\r\n\r\n",
        );
        assert!(!line.contains("f00") && !line.contains('\u{1b}') && !line.contains('\n'), "{line}");
        assert!(line.contains("REGISTER sip:a"));
    }

    #[test]
    fn a_secret_that_stands_where_a_long_message_is_cut_stays_out_too() {
        let start = "INVITE sip:a SIP/2.0\r\nX: ";
        for cut in 0..40 {
            let field = "\r\nTo: <sip:user:f00f00f00@h>\r\n\r\n";
            let padding = "x".repeat(LOGGED - start.len() - cut);
            let line = log_line(format!("{start}{padding}{field}").as_bytes());
            assert!(!line.contains("f00"), "{cut}");
        }
    }
}
