//! What hosts are told of a dead letter.

use fastn_core::{Error, Event, Failure, Outcome, Part, Payload, RunId};
use fastn_store::{History, RunKey, RunNo, RunSummary};

use super::fate::{Dismissal, Retrial};
use super::mark::Mark;

/// A run that failed for good.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DeadLetter {
    /// The run. Its status is `Failed` or `Stuck`.
    pub run: RunSummary,
    /// What it was given.
    pub input: Payload,
    /// Why it failed.
    pub failure: Failure,
    /// The step at which it failed, as a path through its scopes; `None` if it was none, or one of several.
    pub step: Option<String>,
    /// How many attempts that step made that are on record; 0 if no step failed.
    pub attempts: u32,
    /// How often it was retried.
    pub retries: u32,
    /// The last of these.
    pub retried: Option<Retrial>,
    /// That it needs nothing more, if somebody said so.
    pub dismissed: Option<Dismissal>,
}

/// A page of dead letters.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct LetterPage {
    /// The letters, those of the newest runs first.
    pub letters: Vec<DeadLetter>,
    /// Where the next page begins, which may be empty; `None` if this is the last.
    pub next: Option<RunNo>,
}

/// What came of retrying many.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct RetriedAll {
    /// The letters that were retried, and their new runs.
    pub started: Vec<(RunKey, RunId)>,
    /// Those that could not be, and why.
    pub refused: Vec<(RunKey, Error)>,
    /// Where to go on; `None` if there are no more.
    pub next: Option<RunNo>,
}

/// What came of dismissing many.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DismissedAll {
    /// The letters that were dismissed.
    pub dismissed: Vec<RunKey>,
    /// Where to go on; `None` if there are no more.
    pub next: Option<RunNo>,
}

impl DeadLetter {
    /// A run as a letter, if it is one.
    pub(super) fn of(history: History, mark: Option<Mark>) -> Option<Self> {
        let failure = failure(&history)?.clone();
        let last = history.records.iter().rev().find_map(|record| match &record.event {
            Event::Failed {
                attempt,
                failure,
                part: Part::Work | Part::OnError | Part::Finally,
                retry_at: None,
                ..
            } => Some((attempt.0, failure)),
            _ => None,
        });
        // What made the run fail, and not what could not be undone after it.
        let named = |(_, found): &(u32, &Failure)| failure.node.is_none() || found.node == failure.node;
        let last = last.filter(named);
        let step = failure.node.clone().or_else(|| last.and_then(|(_, found)| found.node.clone()));
        let attempts = last.map_or(0, |(attempts, _)| attempts);
        let (retries, retried, dismissed) = mark.map_or((0, None, None), Mark::said);
        let History { run, input, .. } = history;
        Some(Self { run, input, failure, step, attempts, retries, retried, dismissed })
    }
}

/// Why a run failed for good, if it did.
pub(super) fn failure(history: &History) -> Option<&Failure> {
    match history.outcome()? {
        Outcome::Failed(failure) | Outcome::Stuck(failure) => Some(failure),
        _ => None,
    }
}
