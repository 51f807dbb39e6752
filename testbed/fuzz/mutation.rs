//! Inputs out of a seed: examples with parts of them changed, doubled, taken out, or put in from others.

use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

pub(crate) struct Mutator<'a> {
    random: ChaCha12Rng,
    corpus: &'a [Vec<u8>],
    input: Vec<u8>,
}

/// What parsers stumble over.
const PIECES: [&[u8]; 28] = [
    b"\r\n",
    b"\n",
    b"\r",
    b"\0",
    b";",
    b";;",
    b",",
    b"<",
    b">",
    b"\"",
    b"\\",
    b"%",
    b"%00",
    b"%zz",
    b":",
    b"@",
    b"=",
    b" ",
    b"\t",
    b"4294967296",
    b"-1",
    b"18446744073709551616",
    b"[::1]",
    b"\xc3\x28",
    b"\xff\xff\xff\xff",
    b"tag=",
    b"branch=z9hG4bK",
    b"sip:",
];
const OCTETS_MAX: usize = 70_000;

impl<'a> Mutator<'a> {
    pub(crate) fn new(seed: u64, corpus: &'a [Vec<u8>]) -> Self {
        Self { random: ChaCha12Rng::seed_from_u64(seed), corpus, input: Vec::new() }
    }

    pub(crate) fn next_input(&mut self) -> &[u8] {
        let example = self.below(self.corpus.len());
        self.input.clear();
        self.input.extend_from_slice(&self.corpus[example]);
        for _ in 0..=self.below(6) {
            self.mutate();
        }
        self.input.truncate(OCTETS_MAX);
        &self.input
    }

    fn mutate(&mut self) {
        let (at, length) = self.part();
        match self.below(9) {
            0 => {
                if let Some(octet) = self.input.get_mut(at) {
                    *octet ^= 1 << (self.random.next_u32() % 8);
                }
            }
            1 => {
                let other = self.random.next_u32() as u8;
                if let Some(octet) = self.input.get_mut(at) {
                    *octet = other;
                }
            }
            2 => {
                self.input.drain(at..at + length);
            }
            3 => {
                let part = self.input[at..at + length].to_vec();
                let times = 1 + self.below(if length < 40 { 200 } else { 4 });
                self.put(at, &part.repeat(times));
            }
            4 | 5 => {
                let piece = PIECES[self.below(PIECES.len())];
                self.put(at, piece);
            }
            6 => {
                let other = self.below(self.corpus.len());
                let donor = &self.corpus[other];
                if !donor.is_empty() {
                    let (from, to) = (self.random.next_u32() as usize % donor.len(), donor.len());
                    let piece =
                        donor[from..to.min(from + 1 + self.random.next_u32() as usize % 200)].to_vec();
                    self.put(at, &piece);
                }
            }
            7 => self.input.truncate(at),
            _ => {
                // Two lines, or two parts, change places.
                let (to, _) = self.part();
                let part: Vec<u8> = self.input.drain(at..at + length).collect();
                let to = to.min(self.input.len());
                self.put(to, &part);
            }
        }
    }

    /// A part of the input: some octets, or a line.
    fn part(&mut self) -> (usize, usize) {
        if self.input.is_empty() {
            return (0, 0);
        }
        let at = self.below(self.input.len());
        if self.random.next_u32().is_multiple_of(3) {
            let start = self.input[..at].iter().rposition(|octet| *octet == b'\n').map_or(0, |end| end + 1);
            let length =
                self.input[start..].iter().position(|octet| *octet == b'\n').map_or(0, |end| end + 1);
            return (start, length.min(self.input.len() - start));
        }
        let length = 1 + self.below(12);
        (at, length.min(self.input.len() - at))
    }

    fn put(&mut self, at: usize, piece: &[u8]) {
        if self.input.len() + piece.len() <= OCTETS_MAX {
            self.input.splice(at..at, piece.iter().copied());
        }
    }

    fn below(&mut self, end: usize) -> usize {
        self.random.next_u32() as usize % end.max(1)
    }
}
