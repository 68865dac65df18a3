//! From a command to a process.

use std::io::{Error, ErrorKind};
use std::process::Stdio;

use fastn_core::{Failure, FailureKind, StepError};
use tokio::process::{Child, Command as Program};

use crate::connector::permanent;
use crate::process::Command;
use crate::process::outcome::{FORBIDDEN_PROGRAM, NOT_FOUND, NOT_STARTED};
use crate::process::settings::Settings;

/// What programs need to find their tools, their files and their language; nothing that is secret by habit.
const INHERITED: [&str; 6] = ["PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR"];

/// Starts the command as the leader of a process group of its own.
pub(super) fn spawn(settings: &Settings, command: &Command) -> Result<Child, StepError> {
    check(settings, command)?;
    let mut program = if command.shell {
        let mut shell = Program::new("sh");
        // What follows the script is `$0` and then its arguments.
        shell.arg("-c").arg(&command.program).arg("sh");
        shell
    } else {
        Program::new(&command.program)
    };
    program.args(&command.args).env_clear();
    if !command.clear_env {
        program.envs(INHERITED.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
    }
    program.envs(&command.env);
    if let Some(dir) = &command.dir {
        program.current_dir(dir);
    }
    let stdin = if command.stdin.is_some() { Stdio::piped() } else { Stdio::null() };
    program.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    program.spawn().map_err(|error| not_started(command, error))
}

fn check(settings: &Settings, command: &Command) -> Result<(), StepError> {
    if settings.programs.is_empty() {
        return Ok(());
    }
    let program = if command.shell { "sh" } else { &command.program };
    if !settings.programs.iter().any(|allowed| allowed == program) {
        return Err(permanent(FORBIDDEN_PROGRAM, format!("{program} is not among the programs that are allowed")));
    }
    match command.env.keys().find(|name| *name == "PATH" || name.starts_with("LD_") || name.starts_with("DYLD_")) {
        Some(name) => Err(permanent(FORBIDDEN_PROGRAM, format!("{name} would change what {program} is"))),
        None => Ok(()),
    }
}

fn not_started(command: &Command, error: Error) -> StepError {
    let (kind, permanent) = match error.kind() {
        ErrorKind::NotFound | ErrorKind::PermissionDenied | ErrorKind::NotADirectory | ErrorKind::IsADirectory => {
            (NOT_FOUND.into(), true)
        }
        ErrorKind::InvalidInput | ErrorKind::InvalidFilename | ErrorKind::ArgumentListTooLong => {
            (FailureKind::INVALID, true)
        }
        // Neither a program nor a script with an interpreter; the standard library has no kind for it.
        _ if error.raw_os_error() == Some(rustix::io::Errno::NOEXEC.raw_os_error()) => (NOT_FOUND.into(), true),
        _ => (NOT_STARTED.into(), false),
    };
    // The system says "not found" of both alike.
    let message = match &command.dir {
        Some(dir) if !dir.is_dir() => format!("{}: {} is no directory", command.shown(), dir.display()),
        _ => format!("{} could not be started", command.shown()),
    };
    let mut failure = Failure::new(kind, message);
    failure.chain = vec![error.to_string()];
    failure.permanent = permanent;
    StepError::from_failure(failure)
}
