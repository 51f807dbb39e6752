//! The command line.

use crate::exit::Exit;
use crate::{check, demo, key, output, phone, serve};
use clap::{Parser, Subcommand};
use std::process::ExitCode;

#[derive(Parser)]
#[command(name = "dialbridge", version, about = ABOUT, args_conflicts_with_subcommands = true)]
struct CommandLine {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: serve::ServeArgs,
}

#[derive(Subcommand)]
enum Command {
    Demo(demo::DemoArgs),
    /// Runs the server. This is what happens without a command, too.
    Serve(serve::ServeArgs),
    /// Reads a configuration and prints everything that is wrong with it.
    Check(check::CheckArgs),
    /// Makes an API key and prints it once, with the entry for the configuration that holds only its SHA-256.
    Key(key::KeyArgs),
    Phone(Box<phone::PhoneArgs>),
}

const ABOUT: &str = "One HTTP request makes two phones talk: calls `from`, then `to`, and connects them.";

/// The whole program, from the command line to the exit code.
///
/// 0: it ended as it was asked to. 1: wrong configuration or wrong use. 2: something could not be bound, opened or
/// kept running.
pub fn run() -> ExitCode {
    let command_line = match CommandLine::try_parse() {
        Ok(command_line) => command_line,
        Err(refusal) => {
            // Help and version are refusals, too, to the parser. A closed output is nobody to complain to.
            let _closed = refusal.print();
            return if refusal.use_stderr() { Exit::Wrong } else { Exit::Asked }.into();
        }
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(why) => {
            output::complain(&format!("The operating system gives no threads: {why}"));
            return Exit::Unable.into();
        }
    };
    let command = command_line.command.unwrap_or(Command::Serve(command_line.serve));
    let ended = runtime.block_on(async { tokio::spawn(perform(command)).await });
    // What has not ended by now is not waited for.
    runtime.shutdown_background();
    // The panic has been reported where it happened.
    ended.unwrap_or_else(|_panic| Exit::Unable.into())
}

async fn perform(command: Command) -> ExitCode {
    match command {
        Command::Demo(args) => demo::run(args).await,
        Command::Serve(args) => serve::run(args).await.into(),
        Command::Check(args) => check::run(&args).await.into(),
        Command::Key(args) => key::run(&args).into(),
        Command::Phone(args) => phone::run(*args).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_free_of_contradictions() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn serve_is_the_command_when_none_is_given() {
        let bare = CommandLine::try_parse_from(["dialbridge", "--config", "a.toml"]).unwrap();
        assert!(bare.command.is_none());
        assert_eq!(bare.serve.config.as_deref(), Some(std::path::Path::new("a.toml")));
        let named = CommandLine::try_parse_from(["dialbridge", "serve", "--config", "a.toml"]).unwrap();
        assert!(matches!(named.command, Some(Command::Serve(args)) if args.config.is_some()));
    }
}
