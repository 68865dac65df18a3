//! The dead letters of an engine's store.

use std::sync::Arc;

use fastn_core::{Error, ErrorKind, Result, RunId, TenantId};
use fastn_store::{RunKey, RunNo};

use super::find::{Walk, read};
use super::letter::{DeadLetter, DismissedAll, LetterPage, RetriedAll};
use super::mark::{Mark, change};
use super::query::LetterQuery;
use super::retry::{LetterRetry, retry};
use crate::engine::core::Core;

/// How much may be said with a dismissal, in bytes.
const MOST_SAID: usize = 4_096;

/// The dead letters of an engine's store: runs that ended as failed or stuck, of whatever workflow. Cancelled ones are none,
/// since somebody wanted them so.
///
/// They are listed for as long as their runs are kept.
///
/// A run that another one has [started](fastn_core::plan::NodeKind::Run) and that failed is a letter of its own, beside the one
/// that failed for it or went on with another: retry the one that started it, which starts a new one, and dismiss the other.
///
/// # Errors
/// Of every method: [`Unsupported`](ErrorKind::Unsupported) if the engine is ephemeral;
/// [`Closed`](ErrorKind::Closed) after shutdown; if the store fails; and what the method says itself.
///
/// # Cancel safety
/// Of every method: dropping the future does not undo the call; it may still take effect, of many letters for some. Doing it
/// again does no harm.
#[derive(Clone, Debug)]
pub struct DeadLetters {
    core: Arc<Core>,
}

impl DeadLetters {
    pub(in crate::engine) fn new(core: Arc<Core>) -> Self {
        Self { core }
    }

    pub(super) const fn core(&self) -> &Arc<Core> {
        &self.core
    }

    /// Lists letters, those of the newest runs first. Each costs a read of its run.
    pub async fn list(&self, query: LetterQuery) -> Result<LetterPage> {
        let store = self.core.services.store()?;
        let (mut walk, mut letters) = (Walk::new(store, &query), Vec::new());
        while letters.len() < query.most() {
            match walk.next().await? {
                Some(letter) => letters.push(letter),
                None => break,
            }
        }
        Ok(LetterPage { letters, next: walk.rest() })
    }

    /// How many letters there are, whatever the limit says: what listing all pages would give. Asked with
    /// [`LetterQuery::open`], it is how many [`retry_all`](Self::retry_all) and [`dismiss_all`](Self::dismiss_all) are about.
    pub async fn count(&self, query: LetterQuery) -> Result<u64> {
        Walk::new(self.core.services.store()?, &query).count().await
    }

    /// A letter.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) if there is no such run; [`Invalid`](ErrorKind::Invalid) if it has not failed for good.
    pub async fn get(&self, tenant: &TenantId, run: RunId) -> Result<DeadLetter> {
        const OP: &str = "find dead letter";
        let key = RunKey { tenant: tenant.clone(), run };
        let (history, mark) = read(self.core.services.store()?, &key, OP).await?;
        DeadLetter::of(history, mark).ok_or_else(|| Error::new(ErrorKind::Invalid, OP).with("run", run))
    }

    /// Starts a **new run** with the input and for the tenant of the one that failed, and gives its id, which is derived from
    /// the letter and the [number](LetterRetry::number) of the retry: asking twice starts one run. The run that failed stays
    /// as it is. What it did before is done again, unless it was undone or the steps know what they have done by keys of their
    /// host's. A letter that was dismissed can be retried all the same.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) if there is no such run, or this engine does not serve its workflow;
    /// [`Invalid`](ErrorKind::Invalid) if it has not failed for good, or the retries before this one were not made; and those of
    /// [starting](crate::Start) a run.
    pub async fn retry(&self, tenant: &TenantId, run: RunId, how: LetterRetry) -> Result<RunId> {
        retry(&self.core, &RunKey { tenant: tenant.clone(), run }, how).await
    }

    /// Retries letters of the query that were neither retried nor dismissed, at most as many as it says, each for the first
    /// time. One that cannot be started keeps no other from it; but when the store or the engine fails, the rest is left.
    pub async fn retry_all(&self, query: LetterQuery) -> Result<RetriedAll> {
        self.core.check_open("retry dead letters")?;
        let store = self.core.services.store()?;
        let query = LetterQuery { open: true, ..query };
        let (mut walk, mut all) = (Walk::new(store, &query), RetriedAll::default());
        while all.started.len() + all.refused.len() < query.most() {
            let Some(letter) = walk.next().await? else { break };
            let (key, no) = (letter.run.key, letter.run.no);
            match retry(&self.core, &key, LetterRetry::default()).await {
                Ok(run) => all.started.push((key, run)),
                Err(error) => {
                    let fails_for_all = error.is_transient() || error.kind() == ErrorKind::Closed;
                    all.refused.push((key, error));
                    if fails_for_all {
                        all.next = Some(RunNo(no.0.saturating_add(1)));
                        return Ok(all);
                    }
                }
            }
        }
        all.next = walk.rest();
        Ok(all)
    }

    /// Notes that a letter needs nothing more, who says so and why; whether nobody did before. The first reason stands.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) if there is no such run; [`Invalid`](ErrorKind::Invalid) if it has not failed for good;
    /// [`TooLarge`](ErrorKind::TooLarge) if more than 4 KiB are said.
    pub async fn dismiss(&self, tenant: &TenantId, run: RunId, by: &str, why: &str) -> Result<bool> {
        const OP: &str = "dismiss dead letter";
        self.check(OP, by, why)?;
        let (store, key) = (self.core.services.store()?, RunKey { tenant: tenant.clone(), run });
        let (history, _) = read(store, &key, OP).await?;
        let now = self.core.services.clock.now();
        change(store, &history.run, |mark: &mut Mark| mark.dismiss(by, why, now)).await
    }

    /// Dismisses letters of the query that were neither retried nor dismissed, at most as many as it says.
    ///
    /// # Errors
    /// [`TooLarge`](ErrorKind::TooLarge) as [`dismiss`](Self::dismiss).
    pub async fn dismiss_all(&self, query: LetterQuery, by: &str, why: &str) -> Result<DismissedAll> {
        self.check("dismiss dead letters", by, why)?;
        let store = self.core.services.store()?;
        let query = LetterQuery { open: true, ..query };
        let (mut walk, mut all) = (Walk::new(store, &query), DismissedAll::default());
        while all.dismissed.len() < query.most() {
            let Some(letter) = walk.next().await? else { break };
            let (run, now) = (letter.run, self.core.services.clock.now());
            // One that was retried since it was looked at is not meant.
            if change(store, &run, |mark: &mut Mark| !mark.is_handled() && mark.dismiss(by, why, now)).await? {
                all.dismissed.push(run.key);
            }
        }
        all.next = walk.rest();
        Ok(all)
    }

    pub(super) fn check(&self, op: &'static str, by: &str, why: &str) -> Result<()> {
        self.core.check_open(op)?;
        let said = by.len().saturating_add(why.len());
        if said > MOST_SAID {
            return Err(Error::new(ErrorKind::TooLarge, op).with("said", said).with("most", MOST_SAID));
        }
        Ok(())
    }
}
