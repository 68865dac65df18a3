//! Commits: one statement, there and back; several at once, if they are about different runs.

use deadpool_postgres::Client;
use fastn_core::{Error, ErrorKind, Result};
use tokio::sync::{Mutex, MutexGuard};

use super::create::NewRows;
use super::enqueue::EnqueueRows;
use super::fault::{fault, is_refusal};
use super::flight::Flight;
use super::lane::{Held, Lane, check_lease, standings};
use super::made::{Done, make_true, statement, told};
use super::numbers::stored;
use super::planned::Planned;
use super::rows::Rows;
use crate::journal::{Change, Draft, RunState};
use crate::standing::no_such_run;
use crate::{Batch, NewRun, RunNo, RunStatus, Then, Write};

const OP: &str = "commit";

/// How many commits are on their way at a time.
pub(super) const AT_ONCE: usize = 2;

/// The new runs of a batch.
pub(super) fn creations(batch: &Batch) -> Vec<&NewRun> {
    batch.writes.iter().filter_map(|write| if let Write::Create(new) = write { Some(&**new) } else { None }).collect()
}

/// Makes a batch without a lease true: new runs, held by nobody. Gives the numbers of those that were there already.
pub(super) async fn commit_unheld(
    client: &Client,
    batch: &Batch,
    new: &NewRows<'_>,
    queued: &EnqueueRows<'_>,
) -> Result<Done> {
    // There is no standing to ask for: a turn without a lease is refused before.
    Draft::default().gather(batch, None, |turn| Err(no_such_run(turn)))?;
    let statement = statement(client, queued).await?;
    let made = make_true(client, &statement, 0, (0, 0, -1, &[]), (new, queued), &Rows::default()).await;
    made.map_err(|error| told(client, new, error))
}

/// Makes a batch true under a lease. Gives the numbers of the new runs that were not created since there are runs of their
/// ids.
///
/// Batches about different runs may be on their way at once; those about the same one follow each other.
///
/// # Errors
/// As [`Store::commit`](crate::Store::commit).
///
/// # Cancel safety
/// If the future is dropped, a later call finds out what became of this one.
pub(super) async fn commit(
    lane: &Mutex<Lane>,
    client: &Client,
    batch: &Batch,
    (new, queued): (&NewRows<'_>, &EnqueueRows<'_>),
    budget: usize,
) -> Result<Done> {
    let statement = statement(client, queued).await?;
    let (mut held, folded) = Lane::clear(lane, client, batch, budget).await?;
    let token = held.token;
    let (planned, rows) = match held.plan(client, batch, new, folded).await {
        // What a lease that has ended asks for is of no interest.
        Err(error) if error.kind() == ErrorKind::Invalid => {
            check_lease(client, OP, token).await?;
            return Err(error);
        }
        other => other?,
    };
    let acknowledged = held.acknowledged.clone();
    let span = (planned.seq, held.oldest, if folded { planned.seq - 1 } else { -1 }, &*acknowledged);
    let appended = planned.appended;
    let flight = held.take_off(planned);
    // Nothing else is on its way while the journal is cleared.
    let kept = if folded {
        Some(held)
    } else {
        drop(held);
        None
    };
    let made = make_true(client, &statement, token, span, (new, queued), &rows).await;
    let mut held = match kept {
        Some(held) => held,
        None => lane.lock().await,
    };
    match made {
        Ok(done) => {
            if let Some(planned) = held.flights.land(&flight) {
                held.acknowledge(&planned);
                held.remember(planned, &done.there);
            }
            Ok(done)
        }
        Err(error) => {
            if is_refusal(&error) {
                held.flights.land(&flight);
                held.journal_bytes -= appended;
            }
            if error.code().is_some_and(|code| code.code() == GONE) {
                give_up(client, token).await;
            }
            Err(told(client, new, error))
        }
    }
}

/// What `stands_1` says.
const GONE: &str = "FN005";

/// Ends a lease under which something was acknowledged that is there no more. What its executor has in memory is of a time that
/// never came; it begins anew with what there is.
async fn give_up(client: &Client, token: u64) {
    tracing::error!(token, "the server has lost what it acknowledged: was another promoted?");
    if let Err(error) = client.execute("SELECT give_up_1($1)", &[&stored(token)]).await.map_err(fault(OP)) {
        // Then it ends by itself, since it is not renewed any more.
        tracing::warn!(token, error = error.chain().join(": "), "the lease could not be ended");
    }
}

impl Lane {
    /// The lane once nothing on its way stands in the way of a batch, and whether with this batch the journal is cleared:
    /// then nothing else is on its way.
    async fn clear<'l>(
        lane: &'l Mutex<Self>,
        client: &Client,
        batch: &Batch,
        budget: usize,
    ) -> Result<(MutexGuard<'l, Self>, bool)> {
        let size = Draft::most_bytes(batch);
        loop {
            let mut held = lane.lock().await;
            held.settle_lost(client).await?;
            let news = held.flights.news();
            let news = news.notified();
            tokio::pin!(news);
            // Registered before looking, so that nothing can become of one in between unnoticed.
            news.as_mut().enable();
            if held.flights.lost().is_some() {
                continue;
            }
            let folded = size > 0 && held.journal_bytes.saturating_add(size) > budget;
            let free = if folded { held.flights.is_empty() } else { !held.flights.meets(batch) };
            if free {
                return Ok((held, folded));
            }
            drop(held);
            news.await;
        }
    }

    fn take_off(&mut self, planned: Planned) -> Flight {
        self.next = planned.seq + 1;
        self.journal_bytes += planned.appended;
        self.flights.take_off(planned)
    }

    /// Finds out what became of commits whose answers were lost, and makes sure that it stays so: either its row is in the
    /// journal, or one is put in its place, and it can never take effect.
    async fn settle_lost(&mut self, client: &Client) -> Result<()> {
        while let Some(seq) = self.flights.lost() {
            // Waits for it, should it still be under way.
            let replaced = client
                .execute(
                    "INSERT INTO flow_journal (token, seq, runs, entries) VALUES ($1, $2, '{}', '')
                     ON CONFLICT DO NOTHING",
                    &[&stored(self.token), &seq],
                )
                .await
                .map_err(fault(OP))?;
            tracing::info!(token = self.token, seq, took_effect = replaced == 0, "the answer to a commit was lost");
            if let Some(planned) = self.flights.forget(seq)
                && replaced == 0
            {
                self.acknowledge(&planned);
                self.remember(planned, &[]);
            }
        }
        Ok(())
    }

    async fn plan(
        &mut self,
        client: &Client,
        batch: &Batch,
        new: &NewRows<'_>,
        folded: bool,
    ) -> Result<(Planned, Rows)> {
        let mut unknown: Vec<i64> = batch
            .writes
            .iter()
            .filter_map(|write| if let Write::Turn(turn) = write { Some(turn.run) } else { None })
            .filter(|no| !self.runs.contains_key(no))
            .map(|no| stored(no.0))
            .collect();
        unknown.sort_unstable();
        unknown.dedup();
        let mut looked_up =
            if unknown.is_empty() { Default::default() } else { standings(client, self.token, &unknown).await? };

        let mut draft = Draft::default();
        draft.gather(batch, Some(self.token), |turn| match self.runs.get(&turn.run) {
            Some(held) => Ok(crate::standing::Standing { next: held.state.next, held: true }),
            None => looked_up.get(&turn.run).map(|known| known.standing).ok_or_else(|| no_such_run(turn)),
        })?;
        for no in draft.changes.keys() {
            if let Some(held) = looked_up.remove(no).and_then(super::lane::Known::into_held) {
                self.runs.insert(*no, held);
            }
        }
        let mut rows = Rows::default();
        let mut opened = Vec::new();
        // In the order of the runs, so that neighbours on the disk are written together.
        let mut changes: Vec<(&RunNo, &Change)> = draft.changes.iter().collect();
        changes.sort_unstable_by_key(|(no, _)| **no);
        for (no, change) in changes {
            // Judging a turn has brought its run here; a turn that would be left out must not be answered for.
            let held = self.runs.get(no).ok_or_else(|| Error::new(ErrorKind::Internal, OP).with("run", no.0))?;
            rows.add(*no, held, change, folded)?;
            if rows.row(*no, held, change, folded) {
                opened.push(*no);
            }
        }
        if folded {
            for (no, held) in self.runs.iter().filter(|(no, _)| !draft.changes.contains_key(no)) {
                let state = &held.state;
                if state.tail_count > 0 {
                    rows.piece(*no, state.tail_first(), state.tail_count, &state.tail);
                }
                if !held.open {
                    rows.open(*no, state.status, state.wake_at);
                    opened.push(*no);
                }
            }
        }
        rows.journal_runs.extend(&new.no);
        let created = (0..new.no.len()).filter_map(|place| new.run_no(place)).collect();
        let appended = rows.entries.len();
        Ok((Planned { seq: self.next, draft, created, opened, appended, folded }, rows))
    }

    /// A commit is known to be there. Of those that were on their way together the one that was written last may have been
    /// acknowledged first.
    fn acknowledge(&mut self, planned: &Planned) {
        if planned.folded {
            self.acknowledged.clear();
        }
        self.acknowledged.push(planned.seq);
        if self.acknowledged.len() > AT_ONCE {
            self.acknowledged.remove(0);
        }
    }

    /// Takes over what is true now. `there` are new runs that were not created after all.
    fn remember(&mut self, planned: Planned, there: &[RunNo]) {
        for no in planned.created.into_iter().filter(|no| !there.contains(no)) {
            self.runs.insert(no, Held { state: RunState::folded(0, RunStatus::Running, None), open: false });
        }
        for (no, change) in planned.draft.changes {
            // A run that waits takes no memory until something happens in it again.
            if change.then != Then::Run {
                self.runs.remove(&no);
            } else if let Some(held) = self.runs.get_mut(&no) {
                held.state.add(&change);
            }
        }
        if planned.folded {
            self.runs.values_mut().for_each(|held| held.state.settled());
            self.journal_bytes = planned.appended;
            self.oldest = planned.seq;
        }
        for no in planned.opened {
            if let Some(held) = self.runs.get_mut(&no) {
                held.open = true;
            }
        }
    }
}
