//! Work that is under way when its process is killed.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Command, Stdio};

use versus_measure::{Ask, Fallible};

/// What a case is called in the process that is to be killed.
const PREPARE: &str = "recover-prepare";

/// Whether this process is the one that is to be killed.
pub fn is_preparing(ask: &Ask) -> bool {
    ask.case == PREPARE
}

/// Lets another process of this program do the first half, and kills it (SIGKILL) as soon as it says that it got there.
pub fn after_preparing(ask: &Ask) -> Fallible<()> {
    let prepare = Ask { case: PREPARE.to_owned(), ..ask.clone() };
    let mut child = Command::new(std::env::current_exe()?)
        .args(prepare.arguments())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut line = String::new();
    if let Some(stdout) = child.stdout.take() {
        BufReader::new(stdout).read_line(&mut line)?;
    }
    child.kill()?;
    child.wait()?;
    if line == "ready\n" { Ok(()) } else { Err("the first half was not done".into()) }
}

/// The first half is done: waits to be killed, or for the other process to be gone.
pub fn wait_for_it<T>() -> Fallible<T> {
    println!("ready");
    std::io::stdout().flush()?;
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Err("nobody killed this process".into())
}
