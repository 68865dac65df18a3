//! Running programs and hearing what they say.

use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

/// A program that does not read what the environment says to PostgreSQL's programs, and speaks English.
pub(super) fn program(path: &Path) -> Command {
    let mut command = Command::new(path);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("PG") {
            command.env_remove(name);
        }
    }
    command.env("LC_ALL", "C").stdin(Stdio::null());
    command
}

/// What it printed.
///
/// # Errors
///
/// It cannot be started, or it did not end well: then what it said on standard error.
pub(super) fn output(command: &mut Command) -> io::Result<String> {
    let output = command.output();
    let name = command.get_program().to_string_lossy();
    let output = output.map_err(|why| match command.get_current_dir() {
        Some(folder) => io::Error::new(why.kind(), format!("start {name} in {}: {why}", folder.display())),
        None => io::Error::new(why.kind(), format!("start {name}: {why}")),
    })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!("{name} ended with {}: {}", output.status, said.trim())))
}
