//! The tables in the documentation of the INVITE usage are true of its tests: each cell has its line, each line its cell,
//! and whatever test a table names exists.
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

/// The names of the lines of a test in `crossings.rs`.
fn lines_of(body: &str) -> BTreeSet<&str> {
    let lines = body
        .lines()
        .map(str::trim)
        .filter_map(|line| line.strip_prefix("(\"")?.split_once("\",").map(|it| it.0));
    lines.collect()
}

fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

fn documentation(source: &str) -> impl Iterator<Item = &str> {
    source.lines().filter_map(|line| line.strip_prefix("///").map(str::trim))
}

/// The cells of each row.
fn table(source: &str) -> Vec<Vec<&str>> {
    let rows = documentation(source).filter(|line| line.starts_with('|') && !line.starts_with("|---"));
    rows.map(|row| row.trim_matches('|').split(" | ").map(str::trim).collect()).collect()
}

#[test]
fn each_cell_has_a_line_in_the_test_of_its_column() {
    let tests = tests_of("crossings");
    for (file, source) in SOURCES {
        let table = table(source);
        let (head, rows) = table.split_first().unwrap_or_else(|| panic!("no table in {file}"));
        assert!(rows.len() >= 10, "{file}");
        for row in rows {
            assert_eq!(row.len(), head.len(), "{file}: {row:?}");
            for (column, cell) in head.iter().zip(row).skip(1).filter(|(_, cell)| !cell.starts_with("cannot"))
            {
                let column = quoted(column).next().unwrap();
                let body = tests.get(column).unwrap_or_else(|| panic!("no test {column}"));
                for event in quoted(row[0]) {
                    assert!(
                        lines_of(body).contains(event),
                        "{file}: no line {event:?} in {column}, for {cell:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn each_line_of_a_test_has_its_cell() {
    let beside = ["CANCEL", "copy of the INVITE"]; // Of an INVITE that was answered: named below the table.
    let mut columns = BTreeSet::new();
    for (file, source) in SOURCES {
        let table = table(source);
        let events: BTreeSet<_> = table[1..].iter().flat_map(|row| quoted(row[0])).collect();
        for column in table[0].iter().skip(1).flat_map(|cell| quoted(cell)) {
            columns.insert(column);
            let family = tests_of("crossings").into_iter().filter(|(name, _)| name.starts_with(column));
            for (name, body) in family {
                let unknown: Vec<_> = lines_of(body)
                    .into_iter()
                    .filter(|line| !events.contains(line) && !beside.contains(line))
                    .collect();
                assert!(unknown.is_empty(), "{file}: {name} has lines without a row: {unknown:?}");
            }
        }
    }
    for name in tests_of("crossings").into_keys() {
        assert!(columns.iter().any(|column| name.starts_with(column)), "{name} is no column of a table");
    }
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
