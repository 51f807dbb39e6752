//! The stories that the table of crossings names exist.

use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn each_story_that_the_table_of_crossings_names_exists() {
    let table = read(&root().join("sip-b2bua/src/call/crossings.md"));
    let named =
        table.split('`').filter_map(|word| word.split_once("::")).filter(|it| it.0.contains("tests/"));
    let mut count = 0;
    for (file, story) in named {
        let folder = if file.starts_with("crates/") { root() } else { root().join("testbed") };
        let source = read(&folder.join(file));
        assert!(source.contains(&format!("#[test]\nfn {story}()")), "{file} has no {story}");
        count += 1;
    }
    assert!(count >= 20, "only {count} stories are named");
}
