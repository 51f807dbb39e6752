//! What `testbed/sipp/README.md` tells users to put into their CI, run as it stands there.

use std::net::UdpSocket;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use testbed::{Running, Tool, wait_for};

/// The lines of the block that begins with `|`, in each example: they start at its first line and end where a line is
/// less deep.
fn blocks(readme: &str) -> Vec<String> {
    let fenced = readme.split("```yaml\n").skip(1).filter_map(|text| text.split("```").next());
    let shell = |yaml: &str| {
        let lines = yaml.lines().skip_while(|line| !line.ends_with('|')).skip(1);
        lines.map(|line| line.trim_start().to_owned() + "\n").collect::<String>()
    };
    fenced.map(shell).collect()
}

#[test]
fn the_shell_of_the_examples_for_ci_runs_and_each_case_goes_well() {
    let _sipp = Tool::Sipp.path();
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = std::fs::read_to_string(here.join("sipp/README.md")).expect("the README");
    let blocks = blocks(&readme);
    let [github, gitlab] = &*blocks else { panic!("there are {} examples", blocks.len()) };
    assert_eq!(github, gitlab, "they differ in more than their YAML");
    assert!(
        github.starts_with("dialbridge serve ") && github.ends_with("testbed/sipp/in_ci.sh\n"),
        "{github}"
    );
    // Its addresses are fixed: one at a time on this machine.
    let claim = wait_for(Duration::from_secs(240), || UdpSocket::bind("127.0.0.3:1999").ok());
    let _claim = claim.expect("nobody else runs the example");

    // The folder of the example has the scenarios and nothing that a run leaves.
    let folder = tempfile::tempdir().expect("a temporary folder");
    let bin = folder.path().join("bin");
    std::fs::create_dir(&bin).expect("a folder");
    std::os::unix::fs::symlink(testbed::binary(), bin.join("dialbridge")).expect("the server is on the path");
    std::fs::create_dir(folder.path().join("testbed")).expect("a folder");
    std::os::unix::fs::symlink(here.join("sipp"), folder.path().join("testbed/sipp")).expect("the scenarios");
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap_or_default());
    // As CI does: whatever the shell has started ends with it.
    let script = format!("trap 'kill $(jobs -p)' EXIT\n{github}");
    let mut command = Command::new("bash");
    command.args(["-e", "-c", &script]).current_dir(folder.path()).env("PATH", path);
    let log = folder.path().join("ci.log");
    let mut run = Running::start("the example", &mut command, &log);
    let status = run.wait(Duration::from_secs(180));
    let output = run.output();
    assert!(status.is_some_and(|status| status.success()), "{status:?}\n{output}");
    for case in ["extension", "answer", "outside", "bad-carrier"] {
        assert!(output.contains(&format!("ok: {case}\n")), "{case}\n{output}");
    }
    assert!(output.contains("4 passed, 0 failed"), "{output}");
}
