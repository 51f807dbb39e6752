//! What the program's end says to whoever started it.

use std::process::ExitCode;

/// How the program ended. Nothing else is ever reported: no panic reaches the operating system as 101.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// It did what it was asked.
    Asked,
    /// The configuration or the command line is wrong.
    Wrong,
    /// An address could not be bound, a file not opened, or a part of the server failed.
    Unable,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Asked => Self::SUCCESS,
            Exit::Wrong => Self::from(1),
            Exit::Unable => Self::from(2),
        }
    }
}
