//! Messages out of a stream (RFC 3261 §18.3, RFC 5626 §3.5.1).
use crate::section::Section;
use crate::{FieldName, ParseErrorKind, Salvage, limits, parse};

/// Cuts a TCP stream into messages; bounded by the limits of this crate.
///
/// Push what was read, then poll until there is no message left, and only then push again.
#[derive(Debug, Default)]
pub struct StreamFramer {
    /// Begins with the message that is read now, or with the line ends before it.
    buffer: Vec<u8>,
    state: State,
    pings: usize,
    awaits_pong: bool,
    pongs: usize,
}

/// Where in the stream the end of the buffer is.
#[derive(Debug, Default)]
enum State {
    /// Between messages, after an odd or even count of line ends.
    #[default]
    Idle,
    HalfPing,
    /// Lines up to `scanned` are known; the last of them ended at `line`.
    Header {
        scanned: usize,
        line: usize,
    },
    Body {
        total: usize,
    },
    /// After an error nothing is read any more.
    Broken,
}

/// Why the stream cannot be read on: the connection has to be closed.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{kind}")]
pub struct FramingError {
    /// `Missing`, `Repeated` or `Malformed` Content-Length, `HeaderTooLarge` or `MessageTooLarge`.
    pub kind: ParseErrorKind,
    /// Start line and header as far as they were read.
    pub header: Vec<u8>,
}

impl FramingError {
    /// What can be answered before the connection is closed.
    pub fn salvage(&self) -> Option<Box<Salvage>> {
        crate::salvage::read(&Section::read(&self.header), self.kind)
    }
}

impl StreamFramer {
    /// Octets of the stream, in order. After an error they are dropped.
    pub fn push(&mut self, octets: &[u8]) {
        match self.state {
            State::Broken => {}
            State::Idle | State::HalfPing | State::Header { .. } | State::Body { .. } => {
                self.buffer.extend_from_slice(octets);
            }
        }
    }

    /// The next whole message, start line to body; [`Message::parse`](crate::Message::parse) reads it.
    ///
    /// # Errors
    /// Once, when the end of a message cannot be known or is too far; then `None` for ever.
    pub fn poll(&mut self) -> Result<Option<Vec<u8>>, FramingError> {
        loop {
            match self.state {
                State::Idle | State::HalfPing => {
                    self.skip_line_ends();
                    if self.buffer.is_empty() || self.buffer == b"\r" {
                        return Ok(None);
                    }
                    self.state = State::Header { scanned: 0, line: 0 };
                }
                State::Header { scanned, line } => match self.header_end(scanned, line) {
                    Some(end) => {
                        let length = body_length(&self.buffer, end).map_err(|kind| self.fail(kind, end))?;
                        self.state = State::Body { total: end + length };
                    }
                    None if self.buffer.len() > limits::HEADER_OCTETS => {
                        return Err(self.fail(ParseErrorKind::HeaderTooLarge, limits::HEADER_OCTETS));
                    }
                    None => return Ok(None),
                },
                State::Body { total } if self.buffer.len() < total => return Ok(None),
                State::Body { total } => {
                    let rest = self.buffer.split_off(total);
                    self.state = State::Idle;
                    return Ok(Some(std::mem::replace(&mut self.buffer, rest)));
                }
                State::Broken => return Ok(None),
            }
        }
    }

    /// CRLFCRLF pings seen since last asked (RFC 5626 §3.5.1), each to be answered with a CRLF.
    pub fn take_pings(&mut self) -> usize {
        std::mem::take(&mut self.pings)
    }

    /// A ping was sent: the next line end between messages that comes alone is the answer to it (RFC 5626 §4.4.1).
    pub const fn expect_pong(&mut self) {
        self.awaits_pong = true;
    }

    /// Answers to pings seen since last asked.
    pub fn take_pongs(&mut self) -> usize {
        std::mem::take(&mut self.pongs)
    }

    /// Octets that are held.
    pub const fn buffered(&self) -> usize {
        self.buffer.len()
    }

    /// Whether a start line or header has begun and not ended, as of the last poll.
    pub const fn is_mid_header(&self) -> bool {
        matches!(self.state, State::Header { .. })
    }

    /// Whether a body has begun and not ended, as of the last poll.
    pub const fn is_mid_body(&self) -> bool {
        matches!(self.state, State::Body { .. })
    }

    /// Two line ends are a ping; one is the answer to ours. A CR alone waits for its LF.
    fn skip_line_ends(&mut self) {
        let mut skipped = 0;
        while let Some(length) = line_end(self.buffer.get(skipped..).unwrap_or_default()) {
            skipped += length;
            let is_alone = line_end(self.buffer.get(skipped..).unwrap_or_default()).is_none();
            if matches!(self.state, State::HalfPing) {
                self.pings += 1;
                self.state = State::Idle;
            } else if self.awaits_pong && is_alone {
                self.pongs += 1;
                self.awaits_pong = false;
            } else {
                self.state = State::HalfPing;
            }
        }
        self.buffer.drain(..skipped);
    }

    /// Where the empty line ends. Each octet is looked at once, however small the pieces are that come.
    fn header_end(&mut self, scanned: usize, mut line: usize) -> Option<usize> {
        let limit = self.buffer.len().min(limits::HEADER_OCTETS);
        let new = self.buffer.get(scanned..limit).unwrap_or_default();
        for (at, _) in new.iter().enumerate().filter(|(_, octet)| **octet == b'\n') {
            let end = scanned + at + 1;
            if matches!(self.buffer.get(line..end), Some(b"\n" | b"\r\n")) {
                return Some(end);
            }
            line = end;
        }
        self.state = State::Header { scanned: limit, line };
        None
    }

    fn fail(&mut self, kind: ParseErrorKind, header: usize) -> FramingError {
        self.state = State::Broken;
        let mut header_octets = std::mem::take(&mut self.buffer);
        header_octets.truncate(header);
        FramingError { kind, header: header_octets }
    }
}

fn line_end(octets: &[u8]) -> Option<usize> {
    match octets {
        [b'\r', b'\n', ..] => Some(2),
        [b'\n', ..] => Some(1),
        _ => None,
    }
}

/// Content-Length is mandatory on a stream (RFC 3261 §20.14), and nothing may be doubtful about it.
fn body_length(buffer: &[u8], end: usize) -> Result<usize, ParseErrorKind> {
    let section = Section::read(buffer.get(..end).unwrap_or_default());
    let mut lengths = section.fields.iter().filter(|field| field.name == FieldName::CONTENT_LENGTH);
    let length = match (lengths.next(), lengths.next()) {
        (Some(length), None) => &length.value,
        (Some(_), Some(_)) => return Err(ParseErrorKind::Repeated("Content-Length")),
        (None, _) => return Err(section.problem.unwrap_or(ParseErrorKind::Missing("Content-Length"))),
    };
    let length = parse::content_length(length).ok_or(ParseErrorKind::Malformed("Content-Length"))?;
    if length > limits::BODY_OCTETS { Err(ParseErrorKind::MessageTooLarge) } else { Ok(length) }
}

#[cfg(test)]
mod tests {
    use super::StreamFramer;
    use crate::{Message, ParseErrorKind, limits};

    const HEADER: &str = "INVITE sip:a@h SIP/2.0\r\nVia: SIP/2.0/TCP h;branch=z9hG4bK1\r\nFrom: <sip:a@h>;tag=1\r\n\
        To: <sip:b@h>\r\nCall-ID: x\r\nCSeq: 1 INVITE\r\n";

    fn message(length: &str, body: &str) -> String {
        format!("{HEADER}{length}\r\n{body}")
    }

    fn framer(octets: &str) -> StreamFramer {
        let mut framer = StreamFramer::default();
        framer.push(octets.as_bytes());
        framer
    }

    #[test]
    fn messages_are_cut_wherever_the_stream_is() {
        let one = message("Content-Length: 4\r\n", "\r\n\r\n");
        let two = message("l : 0\r\n", "");
        let stream = format!("{one}{two}\r\n{one}");
        for size in [1, 2, 3, 7, 64, 1000] {
            let mut framer = StreamFramer::default();
            let mut messages = Vec::new();
            for piece in stream.as_bytes().chunks(size) {
                framer.push(piece);
                while let Some(message) = framer.poll().unwrap() {
                    assert!(matches!(Message::parse(&message), Ok(Message::Request(_))));
                    messages.push(String::from_utf8(message).unwrap());
                }
            }
            assert_eq!(messages, [one.as_str(), &two, &one], "{size}");
            assert_eq!((framer.buffered(), framer.take_pings()), (0, 0));
        }
    }

    #[test]
    fn two_line_ends_between_messages_are_a_ping() {
        let mut framer = framer("\r\n\r\n\r");
        assert_eq!(framer.poll().unwrap(), None);
        assert_eq!(framer.take_pings(), 1);
        framer.push(b"\n\r\n");
        assert_eq!(framer.poll().unwrap(), None);
        assert_eq!((framer.take_pings(), framer.take_pings()), (1, 0));
        assert!(!framer.is_mid_header() && !framer.is_mid_body());
    }

    #[test]
    fn one_line_end_after_a_ping_of_ours_is_its_answer_and_two_are_a_ping() {
        let mut framer = framer("");
        for round in 0..3 {
            framer.expect_pong();
            framer.push(if round == 2 { b"\r\nSIP/2.0 " } else { b"\r\n" });
            assert_eq!(framer.poll().unwrap(), None);
            assert_eq!((framer.take_pongs(), framer.take_pings()), (1, 0), "{round}");
        }
        let mut both = StreamFramer::default();
        both.expect_pong();
        both.push(b"\r\n\r\n");
        assert_eq!(both.poll().unwrap(), None);
        both.push(b"\r\n");
        assert_eq!(both.poll().unwrap(), None);
        assert_eq!((both.take_pongs(), both.take_pings()), (1, 1));
        both.push(b"\r\n");
        assert_eq!(both.poll().unwrap(), None);
        assert_eq!((both.take_pongs(), both.take_pings()), (0, 0), "nobody asked");
    }

    #[test]
    fn a_message_after_one_line_end_begins_a_new_count() {
        let text = format!("\r\n{}\r\n", message("l: 0\r\n", ""));
        let mut framer = framer(&text);
        assert!(framer.poll().unwrap().is_some());
        assert_eq!(framer.poll().unwrap(), None);
        assert_eq!(framer.take_pings(), 0);
    }

    #[test]
    fn it_is_known_what_is_waited_for() {
        let mut framer = framer("INV");
        assert_eq!(framer.poll().unwrap(), None);
        assert!(framer.is_mid_header() && framer.buffered() == 3);
        framer.push(&message("Content-Length: 2\r\n", "x").as_bytes()[3..]);
        assert_eq!(framer.poll().unwrap(), None);
        assert!(framer.is_mid_body() && !framer.is_mid_header());
        framer.push(b"x");
        assert!(framer.poll().unwrap().is_some());
        assert!(!framer.is_mid_body());
    }

    #[test]
    fn a_doubtful_length_ends_the_stream_with_an_answer() {
        for (length, kind, status) in [
            ("", ParseErrorKind::Missing("Content-Length"), 400),
            ("Content-Length: -999\r\n", ParseErrorKind::Malformed("Content-Length"), 400),
            ("Content-Length: 5\r\nl: 5\r\n", ParseErrorKind::Repeated("Content-Length"), 400),
            ("Content-Length: 18446744073709551621\r\n", ParseErrorKind::MessageTooLarge, 513),
            ("Content-Length: 65537\r\n", ParseErrorKind::MessageTooLarge, 513),
        ] {
            let mut framer = framer(&message(length, "hello"));
            let error = framer.poll().unwrap_err();
            assert_eq!(error.kind, kind, "{length}");
            assert_eq!(error.salvage().unwrap().status.code(), status);
            assert!(error.header.ends_with(b"\r\n\r\n"));
            framer.push(b"more");
            assert_eq!((framer.poll().unwrap(), framer.buffered()), (None, 0));
        }
    }

    #[test]
    fn a_header_without_end_is_cut_off() {
        let mut framer = framer(HEADER);
        let line = format!("X: {}\r\n", "x".repeat(1000));
        let error = loop {
            framer.push(line.as_bytes());
            match framer.poll() {
                Ok(message) => assert_eq!(message, None),
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind, ParseErrorKind::HeaderTooLarge);
        assert_eq!(error.header.len(), limits::HEADER_OCTETS);
        assert_eq!(error.salvage().unwrap().status.code(), 513);
    }

    #[test]
    fn single_octets_cost_no_more_than_long_pieces() {
        let time = |_| {
            let mut framer = framer(HEADER);
            let started = std::time::Instant::now();
            for _ in 0..limits::HEADER_OCTETS / 2 {
                framer.push(b"x");
                assert_eq!(framer.poll().unwrap(), None);
            }
            started.elapsed().as_millis()
        };
        // More than once, because the machine may be busy.
        assert!((0..5).map(time).any(|milliseconds| milliseconds < 500));
    }
}
