//! The modules use each other only downwards, in the order that `lib.rs` writes down.
#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// What a file says without its unit tests.
fn code(file: &Path) -> String {
    let text = fs::read_to_string(file).unwrap();
    text.split("#[cfg(test)]\nmod tests").next().unwrap().to_owned()
}

/// Each module by its path, such as `request::body`, with its code.
fn modules(folder: &Path, prefix: &str, found: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = format!("{prefix}{}", path.file_stem().unwrap().to_str().unwrap());
        if path.is_dir() {
            modules(&path, &format!("{name}::"), found);
        } else if name != "lib" {
            found.insert(name, code(&path));
        }
    }
}

/// The line of each module in the order, counted from above.
fn lines(documentation: &str) -> BTreeMap<String, usize> {
    let order = documentation.split("```text\n").nth(1).unwrap().split("//! ```").next().unwrap();
    let lines = order.lines().map(|line| line.trim_start_matches("//!").trim());
    let names = |(number, line): (usize, &str)| {
        let names = line.split("  ").next().unwrap().split(' ').map(str::to_owned);
        names.map(|name| (name, number)).collect::<Vec<_>>()
    };
    lines.enumerate().flat_map(names).collect()
}

/// The modules that a text names by `crate::`.
fn used(code: &str, modules: &BTreeMap<String, String>) -> Vec<String> {
    let paths = code.split("crate::").skip(1).map(|rest| {
        rest.split(|letter: char| !letter.is_alphanumeric() && letter != '_' && letter != ':').next().unwrap()
    });
    let whole = |path: &str| {
        let mut path = path.trim_end_matches(':');
        while !modules.contains_key(path) {
            path = path.rsplit_once("::").unwrap_or_else(|| panic!("crate::{path} is no module")).0;
        }
        path.to_owned()
    };
    // `pub(crate)` has no colons behind it.
    paths.map(whole).collect()
}

#[test]
fn modules_use_only_what_is_below_them() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut modules_found = BTreeMap::new();
    modules(&source, "", &mut modules_found);
    let lines = lines(&fs::read_to_string(source.join("lib.rs")).unwrap());
    assert_eq!(lines.keys().collect::<Vec<_>>(), modules_found.keys().collect::<Vec<_>>());
    let mut wrong = Vec::new();
    for (name, code) in &modules_found {
        if code.contains("super::") || code.contains("crate::{") {
            wrong.push(format!("{name} names modules in a way that cannot be followed here"));
        }
        let children = modules_found.keys().filter(|other| other.starts_with(&format!("{name}::")));
        for other in used(code, &modules_found).iter().chain(children) {
            if lines[other] <= lines[name] {
                wrong.push(format!("{name} uses {other}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn an_arrow_is_seen() {
    let modules = ["error", "request", "request::body"].map(|name| (name.to_owned(), String::new())).into();
    let code = "use crate::error::{ApiError, Code};\npub(crate) fn x() { crate::request::body::read() }";
    assert_eq!(used(code, &modules), ["error", "request::body"]);
}
