//! Whatever test the documentation of the INVITE usage names exists, and each flow of RFC 5407 has its tests. The tables in
//! that documentation are played by `crossings.rs`.
#![expect(clippy::unwrap_used, reason = "a table that cannot be read fails its test")]

use std::collections::{BTreeMap, BTreeSet};

const SOURCES: [(&str, &str); 3] = [
    ("outgoing", include_str!("../src/invite/outgoing.rs")),
    ("incoming", include_str!("../src/invite/incoming.rs")),
    ("established", include_str!("../src/invite/established.rs")),
];

const TESTS: [(&str, &str); 7] = [
    ("calls", include_str!("calls.rs")),
    ("crossings", include_str!("crossings.rs")),
    ("expiry", include_str!("expiry.rs")),
    ("late_success", include_str!("late_success.rs")),
    ("race_conditions", include_str!("race_conditions.rs")),
    ("reliable_provisionals", include_str!("reliable_provisionals.rs")),
    ("session_timers", include_str!("session_timers.rs")),
];

fn source_of(file: &str) -> &'static str {
    TESTS.iter().find(|(name, _)| *name == file).unwrap_or_else(|| panic!("no tests/{file}.rs")).1
}

/// Name and body of each test of a file.
fn tests_of(file: &str) -> BTreeMap<&'static str, &'static str> {
    let parts = source_of(file).split("#[test]\nfn ").skip(1);
    parts.map(|part| part.split_once("()").unwrap()).collect()
}

fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

fn documentation(source: &str) -> impl Iterator<Item = &str> {
    source.lines().filter_map(|line| line.strip_prefix("///").map(str::trim))
}

#[test]
fn the_tests_that_a_table_names_exist() {
    for (file, source) in SOURCES {
        for line in documentation(source) {
            for (in_file, test) in quoted(line).filter_map(|name| name.split_once("::")) {
                assert!(tests_of(in_file).contains_key(test), "{file} names {in_file}::{test}");
            }
            for section in line.split('§').skip(1).filter(|_| line.contains("R §")) {
                let number: String =
                    section.chars().take_while(|it| it.is_ascii_digit() || *it == '.').collect();
                let prefix = format!("s{}_", number.trim_end_matches('.').replace('.', "_"));
                let is_there = tests_of("race_conditions").keys().any(|name| name.starts_with(&prefix));
                assert!(is_there || number.is_empty() || line.contains("3.x"), "{file} names §{number}");
            }
        }
    }
}

/// RFC 5407 §3: the number of its flows, and what happens in each.
const FLOWS: [(&str, &str); 13] = [
    (
        "3.1.1",
        "Callee Receives Initial INVITE Retransmission (Preparative State) While in the Moratorium State",
    ),
    ("3.1.2", "Callee Receives CANCEL (Early State) While in the Moratorium State"),
    ("3.1.3", "Callee Receives BYE (Early State) While in the Moratorium State"),
    ("3.1.4", "Callee Receives re-INVITE (Established State) While in the Moratorium State (Case 1)"),
    ("3.1.5", "Callee Receives re-INVITE (Established State) While in the Moratorium State (Case 2)"),
    ("3.1.6", "Callee Receives BYE (Established State) While in the Moratorium State"),
    ("3.2.1", "UA Receives BYE (Established State) While in the Mortal State"),
    ("3.2.2", "UA Receives re-INVITE (Established State) While in the Mortal State"),
    ("3.2.3", "UA Receives 200 OK for re-INVITE (Established State) While in the Mortal State"),
    ("3.2.4", "Callee Receives ACK (Moratorium State) While in the Mortal State"),
    ("3.3.1", "re-INVITE Crossover"),
    ("3.3.2", "UPDATE and re-INVITE Crossover"),
    ("3.3.3", "Receiving REFER (Established State) While in the Mortal State"),
];

#[test]
fn each_flow_of_rfc_5407_has_its_tests_and_its_line_in_the_documentation() {
    let documented = include_str!("../src/invite.rs");
    for (number, title) in FLOWS {
        let prefix = format!("s{}_", number.replace('.', "_"));
        let row = documented.lines().find(|line| line.contains(&format!("| §{number} ")));
        let row = row.unwrap_or_else(|| panic!("§{number} has no line in invite.rs"));
        assert!(row.contains(title), "{row}");
        let named: BTreeSet<_> = quoted(row).collect();
        let tests =
            tests_of("race_conditions").into_keys().filter(|name| name.starts_with(&prefix)).collect();
        assert_eq!(named, tests, "§{number}");
        assert!(!named.is_empty());
    }
}
