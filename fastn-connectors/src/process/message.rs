//! Commands and their ends as flows see them.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use fastn_core::Op;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Runs a program to its end, as [`Process`](crate::process::Process) does.
pub const RUN: Op<Command, Exit> = Op::new("process", "run");

/// What to run. In JSON: `{"program": "git", "args": ["fetch"], "dir": "/srv/repo"}`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Command {
    /// The program: a path, or a name to be found on the `PATH`. With [`Command::shell`], the text of a script.
    pub program: String,
    /// Its arguments, each passed as it is. With [`Command::shell`], the script's `$1` and so on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
    /// Environment variables, in addition to those inherited.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// Whether to inherit no environment variable at all. Otherwise `PATH`, `HOME`, `LANG`, `LC_ALL`, `TZ` and `TMPDIR`
    /// are inherited, and no other: an engine's environment is full of secrets.
    #[serde(default)]
    pub clear_env: bool,
    /// The text of its standard input, which is empty if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdin: Option<String>,
    /// The directory to run in; the engine's if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dir: Option<PathBuf>,
    /// Whether `program` is a script for `sh -c`. What comes from outside belongs into `args` then, never into the text.
    #[serde(default)]
    pub shell: bool,
    /// The exit codes that are a success; only 0 if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ok_exit_codes: Vec<i32>,
    /// The longest it may run, in milliseconds. The step's deadline holds as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
}

impl Command {
    /// A program without arguments.
    pub fn new(program: impl Into<String>) -> Self {
        Self {
            program: program.into(),
            args: Vec::new(),
            env: BTreeMap::new(),
            clear_env: false,
            stdin: None,
            dir: None,
            shell: false,
            ok_exit_codes: Vec::new(),
            timeout_ms: None,
        }
    }

    /// A script for `sh -c`.
    pub fn script(text: impl Into<String>) -> Self {
        Self { shell: true, ..Self::new(text) }
    }

    /// The same with one more argument.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<String>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// The same with this environment variable.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.insert(name.into(), value.into());
        self
    }

    /// The same, inheriting no environment variable at all.
    #[must_use]
    pub fn clear_env(mut self) -> Self {
        self.clear_env = true;
        self
    }

    /// The same with this text as standard input.
    #[must_use]
    pub fn stdin(mut self, text: impl Into<String>) -> Self {
        self.stdin = Some(text.into());
        self
    }

    /// The same, run in this directory.
    #[must_use]
    pub fn dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.dir = Some(dir.into());
        self
    }

    /// The same with this exit code as a success; may be called for several, of which 0 is then only one if named.
    #[must_use]
    pub fn ok_exit_code(mut self, code: i32) -> Self {
        self.ok_exit_codes.push(code);
        self
    }

    /// The same, to be killed after this time.
    #[must_use]
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout_ms = Some(u64::try_from(limit.as_millis()).unwrap_or(u64::MAX));
        self
    }

    /// What it is called in messages: a script by its shell, since its text may be long.
    pub(super) fn shown(&self) -> &str {
        if self.shell { "the script" } else { &self.program }
    }
}

impl fmt::Debug for Command {
    /// Without values: arguments, environment and input hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} with {} arguments, environment {:?}", self.shown(), self.args.len(), self.env.keys())
    }
}

/// How it ended.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Exit {
    /// The exit code.
    pub code: i32,
    /// The beginning of what it printed. What is not UTF-8 is replaced by U+FFFD.
    pub stdout: String,
    /// The end of what it printed on standard error.
    pub stderr: String,
    /// The lines of its output that are JSON objects, from the first on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lines: Vec<Map<String, Value>>,
    /// Whether anything it printed was left out of `stdout`, `stderr` or `lines`.
    #[serde(default)]
    pub truncated: bool,
}

impl fmt::Debug for Exit {
    /// Without the output, which may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "exit {}, {} bytes, {} bytes of errors", self.code, self.stdout.len(), self.stderr.len())
    }
}
