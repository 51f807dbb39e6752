//! Feeds broken input to everything that reads from outside, and looks whether it breaks.
//!
//! `cargo run --release -p testbed --bin fuzz -- [TARGET]... [--seconds 60] [--seed 1]`
//!
//! Inputs are made of the torture sets and of examples, mutated from a seed: on a stable compiler there is no coverage to
//! be guided by, so that what is found is found by number. An input that breaks something is written into the folder
//! `fuzz-findings`, and the program ends with 1; `fuzz TARGET --input FILE` plays it again.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for people who look at it")]

mod corpus;
mod mutation;
mod targets;

use mutation::Mutator;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use targets::{TARGETS, Target};

struct Options {
    targets: Vec<&'static Target>,
    seconds: u64,
    seed: u64,
    input: Option<PathBuf>,
}

fn main() -> ExitCode {
    let options = match read_options() {
        Ok(options) => options,
        Err(message) => {
            eprintln!("{message}");
            return ExitCode::from(2);
        }
    };
    let mut is_sound = true;
    for target in &options.targets {
        is_sound &= match &options.input {
            Some(file) => is_played(target, file),
            None => is_survived(target, &options),
        };
    }
    ExitCode::from(u8::from(!is_sound))
}

fn read_options() -> Result<Options, String> {
    let mut options = Options { targets: Vec::new(), seconds: 60, seed: 1, input: None };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
        let number = |text: String| text.parse().map_err(|_| format!("{text} is no whole number"));
        match argument.as_str() {
            "--seconds" => options.seconds = number(value()?)?,
            "--seed" => options.seed = number(value()?)?,
            "--input" => options.input = Some(value()?.into()),
            name => {
                let names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
                let target = TARGETS.iter().find(|target| target.name == name);
                options.targets.push(target.ok_or(format!("{name} is none of: {}", names.join(", ")))?);
            }
        }
    }
    if options.targets.is_empty() {
        options.targets = TARGETS.iter().collect();
    }
    Ok(options)
}

fn is_played(target: &Target, file: &PathBuf) -> bool {
    match std::fs::read(file) {
        Ok(input) => is_sound(target, &input),
        Err(error) => {
            eprintln!("{}: {error}", file.display());
            false
        }
    }
}

/// Tries inputs until the time is over or one breaks the target.
fn is_survived(target: &Target, options: &Options) -> bool {
    let corpus = (target.corpus)();
    let mut mutator = Mutator::new(options.seed, &corpus);
    let end = Instant::now() + Duration::from_secs(options.seconds);
    let mut tried = 0_u64;
    for input in &corpus {
        if !is_sound_or_kept(target, input) {
            return false;
        }
    }
    while Instant::now() < end {
        for _ in 0..64 {
            tried += 1;
            if !is_sound_or_kept(target, mutator.next_input()) {
                return false;
            }
        }
    }
    println!("{}: {tried} inputs from {} examples, none broke it", target.name, corpus.len());
    true
}

fn is_sound_or_kept(target: &Target, input: &[u8]) -> bool {
    let is_sound = is_sound(target, input);
    if !is_sound {
        keep(target, input);
    }
    is_sound
}

fn is_sound(target: &Target, input: &[u8]) -> bool {
    catch_unwind(AssertUnwindSafe(|| (target.run)(input))).is_ok()
}

fn keep(target: &Target, input: &[u8]) {
    let folder = PathBuf::from("fuzz-findings");
    let file = folder.join(format!("{}-{}", target.name, input.len()));
    match std::fs::create_dir_all(&folder).and_then(|()| std::fs::write(&file, input)) {
        Ok(()) => eprintln!("{} broke; its input is in {}", target.name, file.display()),
        Err(error) => eprintln!("{} broke on {input:02x?}, which cannot be kept: {error}", target.name),
    }
}
