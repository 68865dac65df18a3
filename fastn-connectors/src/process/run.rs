//! A process from its start to its end.

use std::io;
use std::time::Duration;

use fastn_core::{StepCx, StepError};
use tokio::io::AsyncWriteExt;
use tokio::process::{ChildStderr, ChildStdin, ChildStdout};
use tokio::time::{sleep, timeout};

use crate::process::collect::{Output, Tail};
use crate::process::group::Group;
use crate::process::outcome::{cancelled, judge, lost, too_slow};
use crate::process::settings::Settings;
use crate::process::spawn::spawn;
use crate::process::{Command, Exit};

/// Why waiting for a process came to an end.
enum Stop {
    Ended(io::Result<()>),
    Deadline(Duration),
    Cancelled,
}

pub(super) async fn run(settings: &Settings, cx: &StepCx, command: &Command) -> Result<Exit, StepError> {
    if cx.is_cancelled() {
        return Err(cancelled(command));
    }
    let limit = limit(cx, command);
    if let Some(Duration::ZERO) = limit {
        return Err(too_slow(command, Duration::ZERO, ""));
    }
    let mut group = Group::new(spawn(settings, command)?).map_err(|error| lost(command, &error))?;
    let child = group.child();
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());

    let (mut output, mut errors) = (Output::new(settings, cx), Tail::new(settings.max_output_bytes));
    let stop = {
        let talk = talk(command, stdin, stdout, stderr, &mut output, &mut errors);
        let mut talk = std::pin::pin!(talk);
        let mut talking = true;
        let mut end = std::pin::pin!(stopped(&group, cx, limit));
        let stop = loop {
            tokio::select! {
                stop = &mut end => break stop,
                () = &mut talk, if talking => talking = false,
            }
        };
        if !matches!(stop, Stop::Ended(_)) {
            group.terminate();
        }
        // Output that is still open has a reader to wait for, but not for ever: whoever holds it may be a process that
        // outlives the leader, or one that ignores being asked to end.
        let rest = async {
            if talking {
                talk.await;
            }
            if matches!(stop, Stop::Ended(_)) { Ok(()) } else { group.ended().await }
        };
        // Whoever is still there after the grace is killed below.
        let _ = timeout(settings.grace, rest).await;
        stop
    };
    let status = group.finish().await.map_err(|error| lost(command, &error))?;

    let (stderr, stderr_truncated) = errors.finish();
    match stop {
        Stop::Ended(Ok(())) => {
            let (stdout, lines, truncated) = output.finish();
            let code = status.code().unwrap_or(-1);
            judge(command, status, Exit { code, stdout, stderr, lines, truncated: truncated || stderr_truncated })
        }
        Stop::Ended(Err(error)) => Err(lost(command, &error)),
        Stop::Deadline(limit) => Err(too_slow(command, limit, &stderr)),
        Stop::Cancelled => Err(cancelled(command)),
    }
}

/// The shorter of what the command and the step allow.
fn limit(cx: &StepCx, command: &Command) -> Option<Duration> {
    let of_step = cx.time_left();
    let of_command = command.timeout_ms.map(Duration::from_millis);
    of_step.into_iter().chain(of_command).min()
}

async fn stopped(group: &Group, cx: &StepCx, limit: Option<Duration>) -> Stop {
    let deadline = async {
        match limit {
            Some(limit) => {
                sleep(limit).await;
                limit
            }
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        ended = group.ended() => Stop::Ended(ended),
        limit = deadline => Stop::Deadline(limit),
        () = cx.cancelled() => Stop::Cancelled,
    }
}

/// Feeds the process and reads what it says, until nobody holds the other ends.
async fn talk(
    command: &Command,
    stdin: Option<ChildStdin>,
    stdout: Option<ChildStdout>,
    stderr: Option<ChildStderr>,
    output: &mut Output,
    errors: &mut Tail,
) {
    let write = async {
        if let (Some(mut stdin), Some(text)) = (stdin, &command.stdin) {
            // A program need not read its input: that it did not is no failure.
            let _ = stdin.write_all(text.as_bytes()).await;
        }
    };
    let read = async {
        if let Some(stdout) = stdout {
            output.read(stdout).await;
        }
    };
    let read_errors = async {
        if let Some(stderr) = stderr {
            errors.read(stderr).await;
        }
    };
    tokio::join!(write, read, read_errors);
}
