//! `dialbridge key`: a new API key.

use crate::exit::Exit;
use crate::{config, output};

#[derive(clap::Args)]
pub(crate) struct KeyArgs {
    /// Whose key it is; it stands in logs and with the calls.
    #[arg(long)]
    name: String,
    /// What it may do, such as calls.click_to_call, or a family such as calls.*; may be given again.
    #[arg(long = "permission", value_name = "PERMISSION", required = true, num_args = 1..)]
    permissions: Vec<String>,
}

pub(crate) fn run(args: &KeyArgs) -> Exit {
    let mut mistakes = Vec::new();
    if let Err(fault) = config::key_name(&args.name) {
        mistakes.push(format!("--name: {fault}"));
    }
    for permission in &args.permissions {
        if let Err(fault) = config::permission(permission) {
            mistakes.push(format!("--permission: {fault}"));
        }
    }
    if !mistakes.is_empty() {
        output::complain(&mistakes.join("\n"));
        return Exit::Wrong;
    }
    output::say(&made(args));
    Exit::Asked
}

fn made(args: &KeyArgs) -> String {
    let (key, sha256) = control_api::key_from_random(&rand::random());
    let mut permissions: Vec<String> = Vec::new();
    for permission in args.permissions.iter().map(|word| format!("\"{word}\"")) {
        if !permissions.contains(&permission) {
            permissions.push(permission);
        }
    }
    let (name, sha256, permissions) = (&args.name, hex::encode(sha256), permissions.join(", "));
    format!(
        "The key, shown only now:\n\n{key}\n\nThe entry for the configuration:\n\n[[api_keys]]\n\
         name = \"{name}\"\nkey_sha256 = \"{sha256}\"\npermissions = [{permissions}]"
    )
}
