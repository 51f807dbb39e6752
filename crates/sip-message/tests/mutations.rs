//! Tens of thousands of damaged messages: none makes the parser panic or slow, and what is printed is always clean.
use sip_message::{Message, StreamFramer};
use std::path::Path;
use std::time::{Duration, Instant};

const MUTATIONS: usize = 30_000;

/// xorshift64*: the same mutations in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }
}

fn corpus() -> Vec<Vec<u8>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/torture");
    let mut files = Vec::new();
    for folder in ["rfc4475", "rfc5118", "rfc5118-archive", "generated"] {
        let entries = std::fs::read_dir(root.join(folder)).expect(folder);
        files.extend(entries.map(|entry| entry.expect(folder).path()));
    }
    files.sort();
    files.iter().map(|file| std::fs::read(file).expect("a file of the corpus")).collect()
}

const PIECES: [&[u8]; 24] = [
    b"\r\n",
    b"\n",
    b"\r",
    b"\0",
    b"\"",
    b"\\",
    b"<",
    b">",
    b";",
    b",",
    b"%",
    b"%00",
    b"%0d%0a",
    b"[",
    b"]",
    b"@",
    b"?",
    b"=",
    b":",
    b" ",
    b"\r\n ",
    b"\xff",
    b"\xe5\xa4",
    b"99999999999999999999",
];

fn mutate(octets: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    for _ in 0..1 + random.below(3) {
        let at = random.below(octets.len() + 1);
        match random.below(7) {
            0 => octets.insert(at, random.next() as u8),
            1 if at < octets.len() => octets[at] = random.next() as u8,
            2 if at < octets.len() => octets[at] ^= 1 << random.below(8),
            3 => drop(octets.splice(at..at, PIECES[random.below(PIECES.len())].iter().copied())),
            4 => drop(octets.drain(at..(at + random.below(20)).min(octets.len()))),
            5 => {
                let from = random.below(other.len());
                let to = (from + random.below(200)).min(other.len());
                drop(octets.splice(at..at, other[from..to].iter().copied()));
            }
            _ => {
                let to = (at + random.below(100)).min(octets.len());
                let again = octets[at..to].to_vec();
                drop(octets.splice(at..at, again));
            }
        }
    }
}

/// UTF-8; lines end in CRLF and nowhere else; other control characters stand in quoted-pairs.
fn assert_clean(printed: &[u8], body: usize) {
    let head = std::str::from_utf8(&printed[..printed.len() - body]).expect("UTF-8");
    let head = head.strip_suffix("\r\n\r\n").expect("an empty line");
    for line in head.split("\r\n") {
        assert!(!line.is_empty() && !line.starts_with([' ', '\t']), "{line:?}");
        let mut previous = ' ';
        for character in line.chars() {
            assert!(!matches!(character, '\r' | '\n'), "{line:?}");
            let control = character.is_ascii_control() && character != '\t';
            assert!(!control || previous == '\\', "{line:?}");
            previous = character;
        }
    }
}

fn print(message: &Message) -> (Vec<u8>, usize) {
    match message {
        Message::Request(request) => (request.print(), request.body.len()),
        Message::Response(response) => (response.print(), response.body.len()),
    }
}

/// Whether it was accepted.
fn check(octets: &[u8]) -> bool {
    let timed = || {
        let started = Instant::now();
        (Message::parse(octets), started.elapsed() < Duration::from_millis(200))
    };
    let (result, fast) = timed();
    // More than once where it is slow, because the machine may be busy.
    assert!(fast || (0..4).any(|_| timed().1), "{}", String::from_utf8_lossy(octets));
    match result {
        Ok(message) => {
            let (printed, body) = print(&message);
            assert_clean(&printed, body);
            if octets.len() < 8000 {
                let again = Message::parse(&printed);
                let again =
                    again.unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&printed)));
                assert_eq!(print(&again).0, printed);
            }
            true
        }
        Err(error) => {
            assert!(error.to_string().len() < 100);
            if let Some(salvage) = error.salvage {
                let answer = salvage.response().print();
                assert_clean(&answer, 0);
                assert!(answer.len() < octets.len() * 3 + 3000);
            }
            false
        }
    }
}

#[test]
fn damaged_messages_are_read_or_refused() {
    let corpus = corpus();
    let (short, long): (Vec<_>, Vec<_>) = corpus.into_iter().partition(|octets| octets.len() < 8000);
    let good: Vec<_> = short.iter().filter(|octets| Message::parse(octets).is_ok()).cloned().collect();
    let mut random = Random(20_261_122);
    let mut accepted = 0;
    for round in 0..MUTATIONS {
        let bases = match round % 100 {
            0 => &long,
            1..40 => &short,
            _ => &good,
        };
        let mut octets = bases[random.below(bases.len())].clone();
        mutate(&mut octets, &short[random.below(short.len())], &mut random);
        accepted += usize::from(check(&octets));
    }
    // Both ways are gone often.
    assert!((MUTATIONS / 10..MUTATIONS * 9 / 10).contains(&accepted), "{accepted}");
}

#[test]
fn messages_cut_anywhere_are_read_or_refused() {
    for octets in corpus().iter().filter(|octets| octets.len() < 1000) {
        for end in 0..octets.len() {
            check(&octets[..end]);
        }
    }
}

#[test]
fn every_octet_may_be_replaced_by_each_that_has_a_meaning() {
    let corpus = corpus();
    for octets in corpus.iter().filter(|octets| octets.len() < 290) {
        for at in 0..octets.len() {
            for octet in b"\0\r\n \"\\<>;,\xff" {
                let mut octets = octets.clone();
                octets[at] = *octet;
                check(&octets);
            }
        }
    }
}

/// What comes out of a framer, and whether it ended in an error.
fn frames(stream: &[u8], mut piece: impl FnMut() -> usize) -> (Vec<Vec<u8>>, usize, bool) {
    let (mut framer, mut messages, mut rest) = (StreamFramer::default(), Vec::new(), stream);
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(piece().clamp(1, rest.len()));
        rest = after;
        framer.push(piece);
        loop {
            match framer.poll() {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => break,
                Err(error) => {
                    if let Some(salvage) = error.salvage() {
                        assert_clean(&salvage.response().print(), 0);
                    }
                    return (messages, framer.take_pings(), true);
                }
            }
        }
        assert!(framer.buffered() <= 97 * 1024);
    }
    (messages, framer.take_pings(), false)
}

#[test]
fn a_stream_is_cut_the_same_whatever_its_pieces_are() {
    let corpus: Vec<_> = corpus().into_iter().filter(|octets| octets.len() < 4000).collect();
    let mut random = Random(4_475);
    let mut whole = 0;
    for _ in 0..3000 {
        let mut stream = Vec::new();
        for _ in 0..1 + random.below(4) {
            stream.extend_from_slice(&corpus[random.below(corpus.len())]);
        }
        if random.below(2) == 0 {
            mutate(&mut stream, &corpus[random.below(corpus.len())], &mut random);
        }
        let at_once = frames(&stream, || 4096);
        let in_pieces = frames(&stream, || random.below(50));
        assert_eq!(at_once, in_pieces);
        for message in &at_once.0 {
            check(message);
        }
        whole += at_once.0.len();
    }
    assert!(whole > 1000, "{whole}");
}

/// Whatever stands in a message as often as the limits allow, reading it stays linear: far under the time that
/// `check` grants.
#[test]
fn repetition_costs_no_more_than_its_length() {
    let base = "INVITE sip:a@h SIP/2.0\r\nVia: SIP/2.0/UDP h\r\nFrom: <sip:a@h>;tag=1\r\nTo: <sip:b@h>\r\nCall-ID: x\r\n\
        CSeq: 1 INVITE\r\n";
    let pieces = [
        ";",
        ";a",
        ",",
        "<",
        ">",
        "\"",
        "\\",
        "\"\\\"",
        "<>",
        "\"\",",
        "<sip:a>,",
        "%41",
        "a=",
        " ",
        "\t",
        "[",
        "(",
        "é",
        "\r\n ",
        "\r\n\t;a=b",
    ];
    for name in ["Via", "Contact", "Route", "Subject", "From", "Accept", "Authorization"] {
        for piece in pieces {
            for prefix in ["", "<sip:a@h>", "SIP/2.0/UDP h", "\"", "sip:", "<sip:a@h?"] {
                check(
                    format!("{base}{name}: {prefix}{}\r\n\r\n", piece.repeat(8000 / piece.len())).as_bytes(),
                );
            }
        }
    }
    for line in [
        "A: 1\r\n",
        "Via: SIP/2.0/UDP h\r\n",
        "Contact: <sip:a>\r\n",
        ":\r\n",
        "x\r\n",
        " \r\n",
        "\r\n",
        "\n",
        "\r",
    ] {
        check(format!("{base}{}\r\n", line.repeat(90_000 / line.len())).as_bytes());
        check(line.repeat(90_000 / line.len()).as_bytes());
    }
}
