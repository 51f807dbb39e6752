//! File systems that a test fills or breaks.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

const OCTETS: &str = "20M";

#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    Tmpfs,
    /// In an image on a loop device. So small a one has blocks of 1024 octets: a page that SQLite maps has several.
    Ext4,
}

/// A mounted file system; unmounted when it is dropped, whoever still has files of it open.
#[derive(Debug)]
pub(crate) struct Disk {
    at: PathBuf,
}

impl Disk {
    /// Mounted over the folder `at`; an image of it is a file beside the folder. An error says why there is none.
    pub(crate) fn mount(kind: Kind, at: &Path) -> Result<Self, String> {
        std::fs::create_dir_all(at).map_err(|error| error.to_string())?;
        match kind {
            Kind::Tmpfs => {
                let size = format!("size={}", OCTETS.to_lowercase());
                run(Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(at))?;
            }
            Kind::Ext4 => {
                let image = at.with_extension("ext4");
                run(Command::new("truncate").args(["-s", OCTETS]).arg(&image))?;
                run(Command::new("mkfs.ext4").args(["-q", "-F", "-b", "1024"]).arg(&image))?;
                // Never what an image may say: to panic the kernel.
                run(Command::new("mount").args(["-o", "loop,errors=remount-ro"]).arg(&image).arg(at))?;
            }
        }
        Ok(Self { at: at.to_owned() })
    }

    /// Not an octet more can be written.
    pub(crate) fn fill(&self) {
        let mut file = File::create(self.filling()).expect("a file on the disk");
        // What the first round reserved too much is given back when it is written.
        for _ in 0..2 {
            for octets in [65_536, 512, 1] {
                while file.write_all(&vec![b'x'; octets]).is_ok() {}
            }
            // May fail as well.
            let _full = file.sync_all();
        }
    }

    pub(crate) fn make_room(&self) {
        std::fs::remove_file(self.filling()).expect("what fills the disk is deleted");
    }

    /// So many octets can be written again.
    pub(crate) fn leave(&self, octets: u64) {
        let file = File::options().write(true).open(self.filling()).expect("the disk is filled");
        let length = file.metadata().expect("its length").len();
        file.set_len(length - octets).and_then(|()| file.sync_all()).expect("what fills the disk is cut");
    }

    /// From now on every write to it fails, for good.
    pub(crate) fn break_down(&self) {
        // The kernel asks the file system about a mapped page only when it is clean.
        run(Command::new("sync").arg("-f").arg(&self.at)).expect("the disk is synced");
        run(Command::new("mount").args(["-o", "remount,abort"]).arg(&self.at)).expect("ext4 can be aborted");
    }

    fn filling(&self) -> PathBuf {
        self.at.join("filling")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if let Err(error) = run(Command::new("umount").arg("--lazy").arg(&self.at)) {
            eprintln!("{} stays mounted: {error}", self.at.display());
        }
    }
}

fn run(command: &mut Command) -> Result<(), String> {
    let program = command.get_program().display().to_string();
    let output = command.output().map_err(|error| format!("{program}: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    if output.status.success() { Ok(()) } else { Err(format!("{program}: {said}")) }
}
