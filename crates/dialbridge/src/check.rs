//! `dialbridge check`: everything that is wrong with a configuration.

use crate::config::Configuration;
use crate::descriptors::Descriptors;
use crate::exit::Exit;
use crate::{config, output};
use std::path::PathBuf;

#[derive(clap::Args)]
pub(crate) struct CheckArgs {
    /// The configuration to read.
    #[arg(long, short, value_name = "FILE")]
    config: PathBuf,
    /// Look up the addresses of the trunks as well.
    #[arg(long)]
    online: bool,
}

pub(crate) async fn run(args: &CheckArgs) -> Exit {
    match config::read(&args.config) {
        Ok(configuration) => {
            let (extensions, keys) = (configuration.extensions.len(), configuration.api_keys.len());
            let trunks = configuration.trunks.len();
            let file = args.config.display();
            output::say(&format!(
                "{file}: ok (extensions: {extensions}, API keys: {keys}, trunks: {trunks})"
            ));
            for doubt in configuration.doubts() {
                output::say(&format!("{file}: {doubt}"));
            }
            if let Some(shortage) =
                Descriptors::raised().ok().and_then(|it| it.shortage(configuration.limits.calls))
            {
                output::say(&format!("on this machine, started as this command was: {shortage}"));
            }
            if args.online && !are_all_found(&configuration).await { Exit::Wrong } else { Exit::Asked }
        }
        Err(mistakes) => {
            output::say(&mistakes.to_string());
            Exit::Wrong
        }
    }
}

/// Whether each trunk leads to an address; prints how it was found.
async fn are_all_found(configuration: &Configuration) -> bool {
    let mut are_found = true;
    for trunk in &configuration.trunks {
        let (uri, sip) = (trunk.next_hop(), &configuration.sip);
        let found = sip_b2bua::look_up(uri, &sip.listen, &sip.resolvers).await;
        output::say(&format!("trunk {}: {uri}", trunk.name));
        found.steps.iter().for_each(|step| output::say(&format!("  {step}")));
        match found.targets {
            Ok(targets) => targets.iter().for_each(|target| output::say(&format!("  -> {target}"))),
            Err(why) => {
                are_found = false;
                output::say(&format!("  cannot be resolved: {why}"));
            }
        }
    }
    are_found
}
