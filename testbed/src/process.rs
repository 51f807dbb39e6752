//! A program that was started here, and that ends with the test at the latest.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

/// A running program; killed when it is dropped.
#[derive(Debug)]
pub struct Running {
    name: String,
    child: Child,
    output: PathBuf,
}

impl Running {
    /// Starts `command`; what it prints goes to the file `output`.
    pub fn start(name: &str, command: &mut Command, output: &Path) -> Self {
        let file = File::create(output).expect("the output file");
        let errors = file.try_clone().expect("a second handle of the output file");
        let child = command.stdin(Stdio::piped()).stdout(file).stderr(errors).spawn();
        let child = child.unwrap_or_else(|error| panic!("{name} does not start: {error}"));
        Self { name: name.to_owned(), child, output: output.to_owned() }
    }

    /// Process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has printed so far.
    pub fn output(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.output).unwrap_or_default()).into_owned()
    }

    /// The end of what it has printed.
    pub fn output_tail(&self, lines: usize) -> String {
        tail(&self.output(), lines)
    }

    /// Writes a line to its standard input.
    pub fn type_line(&mut self, line: &str) {
        let input = self.child.stdin.as_mut().expect("the input is open");
        // A program that has ended cannot be told anything more; whoever waits for it will see that.
        let _ended = writeln!(input, "{line}").and_then(|()| input.flush());
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap_or_else(|error| panic!("{} cannot be waited for: {error}", self.name))
    }

    /// Waits for its end.
    pub fn wait(&mut self, limit: Duration) -> Option<ExitStatus> {
        crate::wait_for(limit, || self.ended())
    }

    /// Sends a signal, such as `TERM`.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").args(["-s", name, &self.id().to_string()]).status();
        assert!(status.is_ok_and(|status| status.success()), "{} cannot be sent {name}", self.name);
    }

    /// Waits until it has printed `text`.
    pub fn wait_for_output(&mut self, text: &str, limit: Duration) {
        let seen = crate::wait_for(limit, || {
            (self.output().contains(text) || self.ended().is_some()).then(|| self.output().contains(text))
        });
        let tail = self.output_tail(60);
        assert!(seen == Some(true), "{} has not printed {text:?} within {limit:?}:\n{tail}", self.name);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _already_over = self.child.kill();
        }
        let _status = self.child.wait();
    }
}

/// The last `lines` lines of `text`.
pub(crate) fn tail(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}
