//! A zone as a text, and a search in it.

use locating::{Answer, Families, Located, Locating, Question, Record, Unlocated};
use sip_message::{SipUri, Transport, Uri};
use std::collections::BTreeMap;
use std::time::Duration;

pub(crate) const BOTH: Families = Families { ipv4: true, ipv6: true };
pub(crate) const IPV4: Families = Families { ipv4: true, ipv6: false };
pub(crate) const IPV6: Families = Families { ipv4: false, ipv6: true };

/// Of records that say nothing else.
pub(crate) const TTL: Duration = Duration::from_secs(600);
/// Of what is absent.
pub(crate) const NEGATIVE: Duration = Duration::from_secs(900);

/// What a name server knows.
#[derive(Debug, Default, Clone)]
pub(crate) struct Zone(BTreeMap<Question, Answer>);

impl Zone {
    /// One record a line, as in `SRV _sip._udp.carrier.example 10 60 5060 sip1.carrier.example`; `fails` instead of data
    /// is a question without an answer, and `ttl=60` at the end is its time to live.
    pub(crate) fn new(text: &str) -> Self {
        let mut zone = Self::default();
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            zone.add(line);
        }
        zone
    }

    fn add(&mut self, line: &str) {
        let mut words: Vec<&str> = line.split_whitespace().collect();
        let ttl = words.last().and_then(|word| word.strip_prefix("ttl="));
        let ttl = ttl.map(|seconds| Duration::from_secs(seconds.parse().expect("seconds")));
        if ttl.is_some() {
            words.pop();
        }
        let (question, data) = (question(words[0], words[1]), &words[2..]);
        let nothing_yet = Answer::Records { records: vec![], valid: ttl.unwrap_or(TTL) };
        let answer = self.0.entry(question).or_insert(nothing_yet);
        match (data, answer) {
            (["fails"], answer) => *answer = Answer::Failed("timed out".into()),
            (["nothing"], answer) => *answer = Answer::Nothing { valid: ttl.unwrap_or(NEGATIVE) },
            (data, Answer::Records { records, valid }) => {
                records.push(record(words[0], data));
                *valid = ttl.unwrap_or(*valid).min(*valid);
            }
            (_, other) => panic!("{line}: {other:?}"),
        }
    }

    pub(crate) fn answer(&self, question: &Question) -> Answer {
        self.0.get(question).cloned().unwrap_or(Answer::Nothing { valid: NEGATIVE })
    }
}

fn question(kind: &str, name: &str) -> Question {
    let name = name.into();
    match kind {
        "NAPTR" => Question::Naptr(name),
        "SRV" => Question::Srv(name),
        "A" => Question::A(name),
        "AAAA" => Question::Aaaa(name),
        other => panic!("{other}"),
    }
}

fn record(kind: &str, data: &[&str]) -> Record {
    let number = |index: usize| data[index].parse().expect("a number");
    match kind {
        "NAPTR" => Record::Naptr {
            order: number(0),
            preference: number(1),
            flags: data[2].trim_matches('"').into(),
            service: data[3].into(),
            replacement: data[4].into(),
        },
        "SRV" => {
            Record::Srv { priority: number(0), weight: number(1), port: number(2), target: data[3].into() }
        }
        _ => Record::Address(data[0].parse().expect("an address")),
    }
}

pub(crate) fn uri(text: &str) -> SipUri {
    match Uri::parse(text.as_bytes()) {
        Ok(Uri::Sip(uri)) => uri,
        other => panic!("{text}: {other:?}"),
    }
}

/// What came of a search, and what was asked for it.
pub(crate) struct Search {
    pub(crate) outcome: Result<Located, Unlocated>,
    pub(crate) asked: Vec<Question>,
    pub(crate) steps: String,
}

/// Answers each question; `pick` chooses which of those that are outstanding is answered next.
pub(crate) fn search(
    mut locating: Locating,
    mut answer: impl FnMut(&Question) -> Answer,
    mut pick: impl FnMut(usize) -> usize,
) -> Search {
    let (mut outstanding, mut asked) = (Vec::new(), Vec::new());
    loop {
        while let Some(question) = locating.poll_question() {
            asked.push(question.clone());
            outstanding.push(question);
        }
        if outstanding.is_empty() {
            break;
        }
        assert_eq!(locating.outcome(), None, "{outstanding:?} may change it");
        let question = outstanding.remove(pick(outstanding.len()) % outstanding.len());
        locating.handle_answer(&question, &answer(&question));
    }
    let outcome = locating.outcome().expect("nothing is outstanding any more");
    let steps = locating.steps().iter().map(|step| format!("{step}\n")).collect();
    Search { outcome, asked, steps }
}

/// A search that speaks everything.
pub(crate) fn locate(text: &str, zone: &Zone) -> Search {
    locate_with(text, zone, &Transport::ALL, BOTH)
}

pub(crate) fn locate_with(text: &str, zone: &Zone, speaks: &[Transport], families: Families) -> Search {
    let locating = Locating::new(&uri(text), speaks, families, 7);
    search(locating, |question| zone.answer(question), |_| 0)
}

impl Search {
    /// The targets, or the error, in words.
    pub(crate) fn words(&self) -> String {
        match &self.outcome {
            Ok(located) => located.targets.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
            Err(why) => format!("! {why}"),
        }
    }

    pub(crate) fn valid(&self) -> Duration {
        match &self.outcome {
            Ok(located) => located.valid,
            Err(why) => why.valid(),
        }
    }

    pub(crate) fn asked(&self) -> String {
        self.asked.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    }
}
