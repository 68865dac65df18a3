//! How a run ended, as a result or as the failure the engine decides by.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

use fastn_core::{FailureKind, StepError};

use crate::connector::transient;
use crate::process::{Command, Exit};

/// The kind of a failure because there is no such program, or none that can be run.
pub const NOT_FOUND: &str = "program_not_found";
/// The kind of a failure because the system could not start or follow a process just now.
pub const NOT_STARTED: &str = "process_not_started";
/// The kind of a failure because of a program that is not allowed.
pub const FORBIDDEN_PROGRAM: &str = "forbidden_program";

/// The exit, if its code is a success.
pub(super) fn judge(command: &Command, status: ExitStatus, exit: Exit) -> Result<Exit, StepError> {
    let success = match command.ok_exit_codes.as_slice() {
        [] => exit.code == 0,
        codes => codes.contains(&exit.code),
    };
    let what = command.shown();
    let (kind, how) = match (status.signal(), status.code()) {
        (Some(signal), _) => (format!("signal_{signal}"), format!("{what} was ended by signal {signal}")),
        (None, Some(_)) if success => return Ok(exit),
        (None, _) => (format!("exit_{}", exit.code), format!("{what} exited with code {}", exit.code)),
    };
    Err(transient(kind, with_last_lines(how, &exit.stderr)))
}

/// A run that was stopped at its deadline.
pub(super) fn too_slow(command: &Command, limit: Duration, stderr: &str) -> StepError {
    let how = format!("{} was stopped after {limit:?}", command.shown());
    transient(FailureKind::TIMEOUT.as_str().to_owned(), with_last_lines(how, stderr))
}

/// A run that was stopped with its step.
pub(super) fn cancelled(command: &Command) -> StepError {
    transient(FailureKind::CANCELLED.as_str().to_owned(), format!("{} was stopped with its step", command.shown()))
}

/// A system that cannot follow a process it has started.
pub(super) fn lost(command: &Command, error: &std::io::Error) -> StepError {
    transient(NOT_STARTED, format!("{} could not be followed: {error}", command.shown()))
}

/// The message and the last lines of the standard error, on one line.
fn with_last_lines(mut message: String, stderr: &str) -> String {
    const LINES: usize = 5;
    const CHARS: usize = 200;
    let mut last: Vec<&str> = stderr.lines().rev().map(str::trim).filter(|l| !l.is_empty()).take(LINES).collect();
    last.reverse();
    for (i, line) in last.into_iter().enumerate() {
        message.push_str(if i == 0 { ": " } else { " | " });
        message.extend(line.chars().filter(|c| !c.is_control()).take(CHARS));
    }
    message
}
