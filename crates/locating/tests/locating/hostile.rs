//! Whatever is answered, the search ends within its bounds.

use crate::zone::{search, uri};
use locating::{
    AFTER_FAILURE, Answer, Families, Locating, QUESTIONS_MAX, Question, Record, TARGETS_MAX, Unlocated,
    VALID_MAX, VALID_MIN,
};
use proptest::prelude::*;
use sip_message::Transport;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Few names, so that records point to each other and to themselves.
fn a_name() -> impl Strategy<Value = Box<str>> {
    let odd =
        ["", ".", "..", "a..b", "192.0.2.1", "a b", "é", "x\r\ny", "\0", "_sip._udp.", "-", "A.EXAMPLE."];
    prop_oneof![
        6 => "(_sips?\\._(udp|tcp|tls)\\.)?[abc]\\.example\\.?",
        2 => prop::sample::select(odd.map(String::from).to_vec()),
        1 => "[a-z]{60,70}\\.example",
        1 => "\\PC{0,300}",
    ]
    .prop_map(Box::from)
}

fn a_record() -> impl Strategy<Value = Record> {
    let service =
        prop::sample::select(vec!["SIP+D2U", "sip+d2t", "SIPS+D2T", "SIPS+D2U", "SIP+D2S", "E2U+sip", ""]);
    let flags = prop::sample::select(vec!["s", "S", "a", "u", "", "é"]);
    let naptr = (0u16..4, 0u16..4, flags, service, a_name());
    let srv = (
        0u16..3,
        prop_oneof![Just(0), any::<u16>()],
        prop_oneof![Just(0), Just(5060), any::<u16>()],
        a_name(),
    );
    prop_oneof![
        naptr.prop_map(|(order, preference, flags, service, replacement)| Record::Naptr {
            order,
            preference,
            flags: flags.into(),
            service: service.into(),
            replacement,
        }),
        srv.prop_map(|(priority, weight, port, target)| Record::Srv { priority, weight, port, target }),
        any::<[u8; 4]>().prop_map(|octets| Record::Address(octets.into())),
        any::<[u8; 16]>().prop_map(|octets| Record::Address(octets.into())),
    ]
}

fn an_answer() -> impl Strategy<Value = Answer> {
    let valid = || (0u64..10_000).prop_map(Duration::from_secs);
    prop_oneof![
        6 => (prop::collection::vec(a_record(), 0..60), valid())
            .prop_map(|(records, valid)| Answer::Records { records, valid }),
        2 => valid().prop_map(|valid| Answer::Nothing { valid }),
        1 => "\\PC{0,20}".prop_map(|why| Answer::Failed(why.into())),
    ]
}

fn a_uri() -> impl Strategy<Value = String> {
    let parameter =
        prop::sample::select(vec!["", ";transport=tls", ";transport=tcp", ";transport=udp", ";transport"]);
    let host = prop::sample::select(vec!["a.example", "B.Example.", "a.example:5070", "192.0.2.1", "[::1]"]);
    ("sips?", host, parameter).prop_map(|(scheme, host, parameter)| format!("{scheme}:{host}{parameter}"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn a_search_ends_within_its_bounds(
        text in a_uri(),
        answers in prop::collection::vec(an_answer(), 1..12),
        speaks in prop::sample::subsequence(Transport::ALL.to_vec(), 0..=3),
        (ipv4, ipv6, random) in any::<(bool, bool, u64)>(),
        picks in prop::collection::vec(0usize..100, 20),
    ) {
        let (uri, families) = (uri(&text), Families { ipv4, ipv6 });
        let mut zone: BTreeMap<Question, Answer> = BTreeMap::new();
        let mut answer = |question: &Question| {
            let next = answers[zone.len() % answers.len()].clone();
            zone.entry(question.clone()).or_insert(next).clone()
        };
        let mut turn = picks.iter().cycle();
        let in_any_order = search(
            Locating::new(&uri, &speaks, families, random), &mut answer, |_| *turn.next().unwrap());
        let in_order = search(Locating::new(&uri, &speaks, families, random), &mut answer, |_| 0);

        let asked: BTreeSet<_> = in_any_order.asked.iter().collect();
        prop_assert_eq!(asked.len(), in_any_order.asked.len(), "each question is asked once");
        prop_assert!(asked.len() <= QUESTIONS_MAX);
        for question in asked {
            let name = question.name();
            prop_assert!(!name.is_empty() && name.len() <= 253 && name.is_ascii() && !name.ends_with('.'));
            prop_assert_eq!(name, name.to_ascii_lowercase());
            prop_assert!(ipv4 || !matches!(question, Question::A(_)));
            prop_assert!(ipv6 || !matches!(question, Question::Aaaa(_)));
        }
        prop_assert!(in_any_order.steps.chars().all(|c| c == '\n' || c == '…' || (' '..='~').contains(&c)));
        prop_assert!((VALID_MIN..=VALID_MAX).contains(&in_any_order.valid()));
        let failed = in_any_order.steps.contains(": no answer: ");
        prop_assert!(!failed || in_any_order.valid() <= AFTER_FAILURE);

        match &in_any_order.outcome {
            Ok(located) => {
                prop_assert!((1..=TARGETS_MAX).contains(&located.targets.len()));
                for (index, target) in located.targets.iter().enumerate() {
                    prop_assert!(speaks.contains(&target.transport));
                    prop_assert!(!uri.secure || target.transport == Transport::Tls);
                    let has_socket = if target.address.is_ipv4() { ipv4 } else { ipv6 };
                    prop_assert!(has_socket);
                    prop_assert!(target.address.port() != 0 && !target.address.ip().is_unspecified());
                    prop_assert!(!located.targets[..index].contains(target));
                }
            }
            Err(Unlocated::Failed { .. }) => prop_assert!(failed),
            Err(other) => prop_assert!(!other.to_string().contains('\n')),
        }

        // Neither does the order of the answers matter, as far as the same was answered, nor what was known before.
        match (&in_any_order.outcome, &in_order.outcome) {
            (Ok(a), Ok(b)) => prop_assert_eq!((&a.targets, a.valid), (&b.targets, b.valid)),
            (Err(Unlocated::Failed { .. }), Err(Unlocated::Failed { .. })) => {}
            (a, b) => prop_assert_eq!(a, b),
        }
    }
}
