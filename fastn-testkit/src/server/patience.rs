//! Waiting for processes, and words that nobody guesses.

use std::fs::File;
use std::io::Read as _;
use std::process::Child;
use std::time::{Duration, Instant};

use fastn_core::BoxError;

/// How often is looked whether something has come about.
const LOOK: Duration = Duration::from_millis(5);

/// Whether a process ends in this time.
pub(super) fn ends(process: &mut Child, most: Duration) -> bool {
    comes_about(most, || process.try_wait().ok().flatten()).is_some()
}

/// Asks again and again, at least once, until there is an answer or time is up.
pub(super) fn comes_about<T>(most: Duration, mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let began = Instant::now();
    loop {
        let answer = ask();
        if answer.is_some() || began.elapsed() >= most {
            return answer;
        }
        std::thread::sleep(LOOK);
    }
}

/// A word that nobody guesses.
pub(super) fn secret() -> Result<String, BoxError> {
    let mut bytes = [0; 16];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
