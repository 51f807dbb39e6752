//! `dialbridge check`: everything that is wrong with a configuration.

use crate::descriptors::Descriptors;
use crate::exit::Exit;
use crate::{config, output};
use std::path::PathBuf;

#[derive(clap::Args)]
pub(crate) struct CheckArgs {
    /// The configuration to read.
    #[arg(long, short, value_name = "FILE")]
    config: PathBuf,
}

pub(crate) fn run(args: &CheckArgs) -> Exit {
    match config::read(&args.config) {
        Ok(configuration) => {
            let (extensions, keys) = (configuration.extensions.len(), configuration.api_keys.len());
            let file = args.config.display();
            output::say(&format!("{file}: ok (extensions: {extensions}, API keys: {keys})"));
            for doubt in configuration.doubts() {
                output::say(&format!("{file}: {doubt}"));
            }
            if let Some(shortage) =
                Descriptors::raised().ok().and_then(|it| it.shortage(configuration.limits.calls))
            {
                output::say(&format!("on this machine, started as this command was: {shortage}"));
            }
            Exit::Asked
        }
        Err(mistakes) => {
            output::say(&mistakes.to_string());
            Exit::Wrong
        }
    }
}
