//! What is kept of a demo, and where.

use super::findings::Findings;
use super::report::{self, Story};
use super::stage;
use std::io;
use std::path::{Path, PathBuf};

/// The folder that was asked for, made if it is not there, or the usual one.
///
/// # Errors
/// What the system says; for the usual one also that it is not a folder of this user.
pub(super) fn make(asked: Option<&Path>) -> io::Result<PathBuf> {
    match asked {
        Some(folder) => std::fs::create_dir_all(folder).map(|()| folder.to_owned()),
        None => usual(),
    }
}

/// Writes everything, each file over what the last demo left there.
pub(super) fn fill(folder: &Path, story: &Story<'_>, findings: &Findings) -> io::Result<()> {
    let write = |name: &str, content: &[u8]| std::fs::write(folder.join(name), content);
    write("report.txt", (report::print(story, findings, false) + "\n").as_bytes())?;
    write("messages.sip", &report::messages(story))?;
    let recorded = story.recorded;
    if let Some(picture) = &recorded.picture {
        write(PICTURE, picture.as_bytes())?;
    }
    write_json(&folder.join("call.json"), recorded.call.as_ref())?;
    write_json(&folder.join("ladder.json"), recorded.ladder.as_ref())?;
    write_json(&folder.join("explanation.json"), recorded.explanation.as_ref())?;
    for (party, role) in findings.parties.iter().zip(&stage::ROLES) {
        if let Some(party) = party {
            let heard = &party.media.heard;
            let wav = audio::wav::write(heard.sample_rate, &heard.samples);
            write(&format!("heard-by-{}.wav", role.number), &wav)?;
        }
    }
    Ok(())
}

fn write_json(file: &Path, value: Option<&impl serde::Serialize>) -> io::Result<()> {
    let Some(value) = value else { return Ok(()) };
    let json = serde_json::to_string_pretty(value).map_err(io::Error::other)?;
    std::fs::write(file, json + "\n")
}

/// One folder for all demos of a user, among what the system throws away by itself.
fn usual() -> io::Result<PathBuf> {
    let folder = std::env::temp_dir().join("dialbridge-demo");
    match private().create(&folder) {
        Ok(()) => Ok(folder),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => is_ours(&folder).and_then(|is_ours| {
            let not_ours = || io::Error::new(io::ErrorKind::PermissionDenied, "it belongs to somebody else");
            is_ours.then_some(folder).ok_or_else(not_ours)
        }),
        Err(error) => Err(error),
    }
}

fn private() -> std::fs::DirBuilder {
    #[cfg_attr(not(unix), expect(unused_mut, reason = "only on Unix it has a mode"))]
    let mut builder = std::fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
}

/// Where everybody may write, somebody else may have put a link, or a folder of his own, in our place.
#[cfg(unix)]
fn is_ours(folder: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    let made_now = stage::Folder::make()?;
    let (there, ours) = (std::fs::symlink_metadata(folder)?, std::fs::symlink_metadata(made_now.path())?);
    Ok(there.is_dir() && there.uid() == ours.uid())
}

#[cfg(not(unix))]
fn is_ours(folder: &Path) -> io::Result<bool> {
    Ok(std::fs::symlink_metadata(folder)?.is_dir())
}

/// The ladder of the call.
pub(super) const PICTURE: &str = "ladder.svg";
