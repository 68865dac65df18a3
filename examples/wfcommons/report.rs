//! What is told of each run.

use std::io::{self, Write as _};

use serde::Serialize;

use crate::args;

/// One line of the output. `args::HELP` says what the fields mean.
#[derive(Serialize)]
pub(crate) struct Report<'a> {
    pub(crate) instance: &'a str,
    pub(crate) tasks: usize,
    pub(crate) edges: usize,
    pub(crate) status: &'a str,
    pub(crate) wall_ms: f64,
    pub(crate) steps_per_s: f64,
    pub(crate) executed: usize,
    pub(crate) resumed: usize,
    pub(crate) critical_path_ms: f64,
}

impl Report<'_> {
    pub(crate) fn print(&self) -> io::Result<()> {
        let mut line = serde_json::to_vec(self)?;
        line.push(b'\n');
        io::stdout().write_all(&line)
    }
}

/// To three digits after the point: more is noise.
pub(crate) fn rounded(number: f64) -> f64 {
    (number * 1e3).round() / 1e3
}

pub(crate) fn help() -> io::Result<()> {
    io::stdout().write_all(args::HELP.as_bytes())
}

/// An error and its causes, a line each.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> Vec<String> {
    let because = |cause: &dyn std::error::Error| format!("  because: {cause}");
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    std::iter::once(error.to_string()).chain(causes.map(because)).collect()
}

/// Faults, for people. If nobody can be told, the exit code still tells.
pub(crate) fn complain(faults: &[String]) {
    for fault in faults {
        let _ = writeln!(io::stderr(), "wfcommons: {}", visible(fault));
    }
}

/// Faults quote files that nobody has checked: what would steer the terminal is shown instead.
fn visible(text: &str) -> String {
    let show = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    text.chars().map(show).collect()
}
