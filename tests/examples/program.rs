//! Examples as programs.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::{Child, Command};
use tokio::time::timeout;

/// None takes longer, even on a busy machine.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

pub(crate) struct Output {
    /// The exit code; none after a signal.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs an example to its end.
pub(crate) fn run(name: &str, args: &[&str]) -> Output {
    block_on(async { end_of(start(name, args)).await })
}

/// Starts an example, which is killed when it is dropped.
pub(crate) fn start(name: &str, args: &[&str]) -> Child {
    let path = path(name);
    Command::new(&path)
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap_or_else(|error| panic!("{}: {error}; `cargo build --examples` builds it", path.display()))
}

pub(crate) async fn end_of(child: Child) -> Output {
    let output = timeout(LIMIT, child.wait_with_output()).await.expect("an example hangs").unwrap();
    let text = |bytes| String::from_utf8(bytes).expect("examples print UTF-8");
    Output { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

pub(crate) fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

/// Examples stand in a folder beside that of the tests: `target/debug/examples` and `target/debug/deps`.
fn path(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let profile = test.parent().and_then(|deps| deps.parent()).expect("tests stand two folders deep");
    profile.join("examples").join(format!("{name}{}", std::env::consts::EXE_SUFFIX))
}
