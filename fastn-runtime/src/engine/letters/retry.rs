//! Starting a letter once more.

use std::sync::Arc;

use fastn_core::{Definition, Error, ErrorKind, Result, RunId, Seed, Version};
use fastn_store::{DefinitionKey, RunKey, RunNo};

use super::find::read;
use super::mark::{Mark, change};
use crate::engine::core::Core;
use crate::engine::start::{Start, key_of};

const OP: &str = "retry dead letter";

/// How a dead letter is retried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LetterRetry {
    /// Which retry of the letter it is; 1, the first, by default. Each number has one run, however often and by whomever it
    /// is asked for, and the number after the last one that was made is the next.
    pub number: u32,
    /// The version of the workflow. By default that of the run that failed if the engine serves it, otherwise the newest
    /// that it serves.
    pub version: Option<Version>,
}

impl Default for LetterRetry {
    fn default() -> Self {
        Self { number: 1, version: None }
    }
}

/// The run that the retry of this number has. The lengths keep one name from looking like part of another, and by its number a
/// run is told from one that had its id before.
fn run_of(letter: &RunKey, no: RunNo, number: u32) -> RunId {
    let tenant = letter.tenant.as_str();
    RunId::named(&format!("fastn dead letter/{}:{tenant}/{}/{}/{number}", tenant.len(), letter.run, no.0))
}

/// Starts a letter once more, and comes back when that is durable and noted.
pub(super) async fn retry(core: &Arc<Core>, letter: &RunKey, how: LetterRetry) -> Result<RunId> {
    core.check_open(OP)?;
    let store = core.services.store()?;
    let (history, mark) = read(store, letter, OP).await?;
    let made = mark.as_ref().map_or(0, |mark| mark.retries);
    let run = run_of(letter, history.run.no, how.number);
    if how.number == 0 || how.number > made.saturating_add(1) {
        return Err(Error::new(ErrorKind::Invalid, OP)
            .with("run", letter.run)
            .with("number", how.number)
            .with("made", made)
            .caused_by("it is not the next retry"));
    }
    // It may have been deleted since, and is not made again for that.
    if how.number <= made {
        return Ok(run);
    }
    let definition = served(core, &history.run.definition, how.version)?;
    let summary = history.run;
    // What another run had done counts for the same plan only.
    let input = match Seed::read(&history.input)? {
        Some(seed) if key_of(&definition) != summary.definition => seed.input,
        _ => history.input,
    };
    let start = Start::<()>::given(core.clone(), &definition, Ok(input)).seeded();
    start.id(run).tenant(letter.tenant.clone()).await?;
    // After the run is durable: whoever dies in between finds it when asked again.
    let now = core.services.clock.now();
    change(store, &summary, |mark: &mut Mark| mark.retry(how.number, run, now)).await?;
    Ok(run)
}

/// What a letter is retried with.
fn served(core: &Core, old: &DefinitionKey, version: Option<Version>) -> Result<Definition> {
    let of_workflow = || core.definitions.iter().filter(|(key, _)| key.workflow == old.workflow);
    let exact = version.unwrap_or(old.version);
    let found = of_workflow().find(|(key, _)| key.version == exact);
    let found = found.or_else(|| of_workflow().filter(|_| version.is_none()).max_by_key(|(key, _)| key.version));
    found.map(|(_, served)| served.definition.clone()).ok_or_else(|| {
        Error::new(ErrorKind::NotFound, OP)
            .with("workflow", &old.workflow)
            .with("version", exact)
            .caused_by("this engine does not serve it")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use fastn_core::TenantId;

    /// Were it another, letters that were retried would be retried once more.
    #[test]
    fn the_run_of_a_retry_has_the_same_id_in_every_build() {
        let letter = RunKey { tenant: TenantId::default(), run: RunId::named("order 7") };
        let no = RunNo(9);
        assert_eq!(run_of(&letter, no, 1).to_string(), "faf106de-ae03-89b8-aa1c-cde18e58ab0c");
        let other = RunKey { run: RunId::named("order 8"), ..letter.clone() };
        let others = [run_of(&letter, no, 2), run_of(&other, no, 1), run_of(&letter, RunNo(10), 1)];
        assert!(others.iter().all(|other| *other != run_of(&letter, no, 1)));
    }
}
