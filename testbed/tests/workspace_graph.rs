//! The packages of the workspace use each other as the design says, and the pure ones stay pure.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Who may use whom; `testbed` may use everything and is used by nothing.
const USES: [(&str, &[&str]); 16] = [
    ("audio", &[]),
    ("call-control", &[]),
    ("call-store", &["call-control"]),
    ("call-trace", &["call-control", "sdp", "sip-message"]),
    ("control-api", &["call-control", "call-store", "places"]),
    ("deadlines", &[]),
    (
        "dialbridge",
        &[
            "audio",
            "call-control",
            "call-store",
            "call-trace",
            "control-api",
            "numbering",
            "sip-b2bua",
            "sip-core",
            "sip-message",
            "test-phone",
        ],
    ),
    ("locating", &["sip-message"]),
    ("media-relay", &["audio"]),
    ("numbering", &["call-control"]),
    ("places", &[]),
    ("sdp", &[]),
    (
        "sip-b2bua",
        &[
            "audio",
            "call-control",
            "call-store",
            "call-trace",
            "deadlines",
            "locating",
            "media-relay",
            "numbering",
            "places",
            "sdp",
            "sip-core",
            "sip-message",
        ],
    ),
    ("sip-core", &["deadlines", "sip-message"]),
    ("sip-message", &[]),
    ("test-phone", &["audio", "deadlines", "sdp", "sip-core", "sip-message"]),
];

const PURE: [&str; 10] = [
    "audio",
    "call-control",
    "call-trace",
    "deadlines",
    "locating",
    "numbering",
    "places",
    "sdp",
    "sip-core",
    "sip-message",
];

/// Packages with which a crate would reach sockets, threads or clocks.
const IMPURE_PACKAGES: [&str; 7] = ["tokio", "mio", "socket2", "async-io", "hyper", "reqwest", "rusqlite"];

/// The same in the standard library, and randomness that is not an argument.
const IMPURE_WORDS: [&str; 9] = [
    "Instant::now(",
    "SystemTime::now(",
    "thread::",
    "UdpSocket",
    "TcpStream",
    "TcpListener",
    "Mutex",
    "rand::rng(",
    "rand::random",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn manifest(folder: &Path) -> toml::Table {
    let path = folder.join("Cargo.toml");
    read(&path).parse().unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Folder and manifest of each member, by its name.
fn members() -> BTreeMap<String, (PathBuf, toml::Table)> {
    let workspace = manifest(&root());
    let folders = workspace["workspace"]["members"].as_array().expect("members");
    let member = |folder: &toml::Value| {
        let folder = root().join(folder.as_str().expect("a path"));
        let manifest = manifest(&folder);
        (manifest["package"]["name"].as_str().expect("a name").to_owned(), (folder, manifest))
    };
    folders.iter().map(member).collect()
}

#[test]
fn packages_use_each_other_as_the_design_says() {
    let members = members();
    let used: BTreeSet<(&str, &str)> = members
        .iter()
        .filter(|(name, _)| *name != "testbed")
        .flat_map(|(name, (_, manifest))| {
            let table = |key: &str| manifest.get(key).and_then(toml::Value::as_table);
            let keys = [table("dependencies"), table("build-dependencies")]
                .into_iter()
                .flatten()
                .flat_map(toml::Table::keys);
            keys.filter(|key| members.contains_key(*key)).map(|key| (name.as_str(), key.as_str()))
        })
        .collect();
    let allowed: BTreeSet<(&str, &str)> =
        USES.iter().flat_map(|(name, uses)| uses.iter().map(move |other| (*name, *other))).collect();
    let surplus: Vec<_> = used.difference(&allowed).collect();
    assert!(surplus.is_empty(), "not in the design: {surplus:?}");
    let unused: Vec<_> = allowed.difference(&used).collect();
    assert!(unused.is_empty(), "in the design, and not so: {unused:?}");
    let known: BTreeSet<&str> = USES.iter().map(|(name, _)| *name).chain(["testbed"]).collect();
    assert_eq!(members.keys().map(String::as_str).collect::<BTreeSet<_>>(), known);
}

#[test]
fn no_pure_package_reaches_sockets_or_threads_through_its_dependencies() {
    for name in PURE {
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo
            .args(["tree", "--locked", "--edges", "normal", "--prefix", "none", "--package", name])
            .current_dir(root());
        let output = cargo.output().expect("cargo runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let tree = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(tree.starts_with(name), "{tree}");
        let impure =
            tree.lines().filter_map(|line| line.split(' ').next()).find(|it| IMPURE_PACKAGES.contains(it));
        assert_eq!(impure, None, "{name} depends on it");
    }
}

#[test]
fn no_pure_package_reads_a_clock_opens_a_socket_or_holds_a_lock() {
    let members = members();
    let found: Vec<_> =
        PURE.iter().flat_map(|name| impure_lines(&members[*name].0.join("src"), None)).collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// In a package with I/O only one folder has it.
#[test]
fn no_folder_but_the_server_of_the_b2bua_touches_sockets_and_clocks() {
    let source = root().join("sip-b2bua/src");
    let found = impure_lines(&source, Some(&source.join("server")));
    assert!(found.is_empty(), "{}", found.join("\n"));
    // What is looked for is found where it may be.
    assert!(impure_lines(&source, None).len() > 10);
}

#[test]
fn no_folder_but_the_threads_of_the_relay_touches_sockets_and_clocks() {
    let source = root().join("media-relay/src");
    let found = impure_lines(&source, Some(&source.join("thread")));
    assert!(found.is_empty(), "{}", found.join("\n"));
    assert!(impure_lines(&source, None).len() > 5);
}

/// The lines of product code in `folder`, but for `except`, in which something impure stands.
fn impure_lines(folder: &Path, except: Option<&Path>) -> Vec<String> {
    let files = sources(folder);
    let texts: Vec<(PathBuf, String)> = files.into_iter().map(|file| (file.clone(), read(&file))).collect();
    let is_test = |file: &Path| {
        let stem = file.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        texts.iter().any(|(_, text)| {
            let declared = text.split("#[cfg(test)]\n").skip(1).filter_map(|rest| rest.lines().next());
            let mut names = declared.map(|line| line.trim_start_matches("pub(crate) ").trim_end_matches(';'));
            names.any(|name| name == format!("mod {stem}"))
        })
    };
    let mut found = Vec::new();
    for (file, text) in &texts {
        if is_test(file) || except.is_some_and(|except| file.starts_with(except)) {
            continue;
        }
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        let lines = code.lines().filter(|line| {
            let line = line.trim_start();
            !line.starts_with("//") && !line.starts_with("pub use ")
        });
        let impure = lines.filter(|line| IMPURE_WORDS.iter().any(|word| line.contains(word)));
        found.extend(impure.map(|line| format!("{}: {}", file.display(), line.trim())));
    }
    found
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let paths = entries.filter_map(Result::ok).map(|entry| entry.path());
    paths.flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] }).collect()
}
