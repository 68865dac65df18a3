//! The `fastn` command: looks at the runs of a store.

mod args;
mod record;
mod runs;

use std::process::ExitCode;

use clap::Parser;

use crate::args::{Args, Command};

/// Exit codes: 0 well, 1 something went wrong, 2 wrong use (clap's own).
fn main() -> ExitCode {
    let args = Args::parse();
    let done = match args.command {
        Command::Version => say(&format!("fastn {}", env!("CARGO_PKG_VERSION"))),
        Command::Runs(command) => runs::run(command).and_then(|text| say(&text)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error);
            ExitCode::FAILURE
        }
    }
}

/// Writes to standard output, if there is anything to say. That nobody reads any more is no error.
fn say(text: &str) -> fastn::core::Result<()> {
    use std::io::{ErrorKind, Write};
    if text.is_empty() {
        return Ok(());
    }
    match writeln!(std::io::stdout().lock(), "{text}") {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(fastn::core::Error::new(fastn::core::ErrorKind::Unavailable, "write output").caused_by(error))
        }
        _ => Ok(()),
    }
}

#[expect(clippy::print_stderr, reason = "a command speaks to people here")]
fn complain(error: &fastn::core::Error) {
    eprintln!("fastn: {error:?}");
}
