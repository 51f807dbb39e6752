//! What the program says to people: results to standard output, complaints to standard error.
//!
//! The macros of the standard library panic when nobody reads any more (`dialbridge check … | head -1`); these do not.

use std::io::{self, Write};

/// Prints a result.
pub(crate) fn say(text: &str) {
    // Who closed the output does not want the rest.
    let _closed = try_say(text);
}

/// Prints a result that must not be lost.
///
/// # Errors
/// When it did not get out.
pub(crate) fn try_say(text: &str) -> io::Result<()> {
    let mut output = io::stdout().lock();
    writeln!(output, "{text}")?;
    output.flush()
}

/// Says why the command cannot do what it was asked.
pub(crate) fn complain(sentence: &str) {
    // A closed output is nobody to complain to.
    let _closed = writeln!(io::stderr(), "{sentence}");
}
