//! What is said, and where: results to standard output, everything for people to standard error.

use std::fmt::Display;
use std::io::{IsTerminal, Write, stderr, stdout};
use std::process::ExitCode;

use fastn::core::{Error, ErrorKind, Result};

/// How the command ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    Well = 0,
    Unexpected = 1,
    /// Wrong use, an invalid document or input.
    Usage = 2,
    /// The run failed.
    Failed = 3,
    Cancelled = 4,
    /// The run still waits: it is detached, or there was no more time.
    Waiting = 5,
    /// The run can be gone on with.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Writes to standard output, if there is anything to say. That nobody reads any more is no error.
pub(crate) fn say(text: &str) -> Result<()> {
    if text.is_empty() {
        return Ok(());
    }
    let end = if text.ends_with('\n') { "" } else { "\n" };
    match write!(stdout().lock(), "{text}{end}") {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Error::new(ErrorKind::Unavailable, "write output").caused_by(error))
        }
        _ => Ok(()),
    }
}

/// Writes to standard error. Where nobody listens nothing can be said of it either.
pub(crate) fn tell(text: impl Display) {
    drop(writeln!(stderr().lock(), "{text}"));
}

/// Whether standard error takes colours (no-color.org).
pub(crate) fn colours() -> bool {
    stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
