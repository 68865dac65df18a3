//! Looking through the runs for letters.

use std::collections::VecDeque;
use std::sync::Arc;

use fastn_core::{Error, ErrorKind, Result};
use fastn_store::{History, RunKey, RunNo, RunQuery, RunSummary, Store};

use super::letter::{DeadLetter, failure};
use super::mark::{Mark, find};
use super::query::LetterQuery;

/// A walk over the letters of a query, those of the newest runs first.
pub(super) struct Walk<'a> {
    store: &'a Arc<dyn Store>,
    query: &'a LetterQuery,
    /// Where the next page of runs begins; `None` after the last.
    rest: Option<RunQuery>,
    page: VecDeque<RunSummary>,
    /// The run that was looked at last.
    last: Option<RunNo>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(store: &'a Arc<dyn Store>, query: &'a LetterQuery) -> Self {
        Self { store, query, rest: Some(query.runs()), page: VecDeque::new(), last: None }
    }

    /// The next letter.
    pub(super) async fn next(&mut self) -> Result<Option<DeadLetter>> {
        while let Some(run) = self.next_run().await? {
            let Some(mark) = self.mark(&run).await? else { continue };
            let letter = self.read(&run).await?.and_then(|history| DeadLetter::of(history, mark));
            if letter.is_some() {
                return Ok(letter);
            }
        }
        Ok(None)
    }

    /// Goes to the end, and says how many letters there are.
    pub(super) async fn count(mut self) -> Result<u64> {
        let mut count = 0;
        while let Some(run) = self.next_run().await? {
            let counts = if self.query.open { self.mark(&run).await?.is_some() } else { true };
            // Records are read only for what nothing else tells.
            if counts && (self.query.kind.is_none() || self.read(&run).await?.is_some()) {
                count += 1;
            }
        }
        Ok(count)
    }

    /// Where to go on; `None` if nothing is left.
    pub(super) fn rest(&self) -> Option<RunNo> {
        self.last.filter(|_| !self.page.is_empty() || self.rest.is_some())
    }

    /// The next run that may be one of the letters.
    async fn next_run(&mut self) -> Result<Option<RunSummary>> {
        loop {
            while let Some(run) = self.page.pop_front() {
                self.last = Some(run.no);
                if self.query.may_have(&run) {
                    return Ok(Some(run));
                }
            }
            let Some(mut query) = self.rest.clone() else { return Ok(None) };
            let page = self.store.list(query.clone()).await?;
            query.before = page.next;
            self.rest = page.next.map(|_| query);
            self.page = page.runs.into();
        }
    }

    /// The mark of a run, if it has one; `None` if it has one and should not.
    async fn mark(&self, run: &RunSummary) -> Result<Option<Option<Mark>>> {
        let mark = find(self.store, run).await?;
        let unwanted = self.query.open && mark.as_ref().is_some_and(Mark::is_handled);
        Ok((!unwanted).then_some(mark))
    }

    /// The records of a run, if it is one of the letters by them.
    async fn read(&self, run: &RunSummary) -> Result<Option<History>> {
        let history = match self.store.read(&run.key).await {
            Err(error) if error.kind() == ErrorKind::Corrupt => {
                // It must not keep all others from being seen.
                tracing::error!(run = %run.key.run, error = ?error, "a run that failed cannot be read");
                return Ok(None);
            }
            read => read?,
        };
        let wanted = |history: &History| {
            failure(history).is_some_and(|failure| self.query.kind.as_ref().is_none_or(|kind| failure.kind == *kind))
        };
        Ok(history.filter(wanted))
    }
}

/// The letter that a run is, with its mark.
///
/// # Errors
/// `NotFound` if there is no such run, `Invalid` if it has not failed for good.
pub(super) async fn read(store: &Arc<dyn Store>, run: &RunKey, op: &'static str) -> Result<(History, Option<Mark>)> {
    let history = store.read(run).await?;
    let history = history.ok_or_else(|| Error::new(ErrorKind::NotFound, op).with("run", run.run))?;
    if failure(&history).is_none() {
        return Err(Error::new(ErrorKind::Invalid, op)
            .with("run", run.run)
            .with("status", history.run.status)
            .caused_by("it has not failed for good"));
    }
    let mark = find(store, &history.run).await?;
    Ok((history, mark))
}
