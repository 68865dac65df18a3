//! Commits: one statement, there and back; several at once, if they are about different runs.

use std::collections::BTreeMap;

use deadpool_postgres::Client;
use fastn_core::{Error, ErrorKind, Result, RunId, Timestamp};
use tokio::sync::{Mutex, MutexGuard};
use tokio_postgres::Statement;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::create::NewRows;
use super::database::for_now;
use super::enqueue::{EnqueueRows, Queued};
use super::fault::{fault, is_refusal, is_stale_plan};
use super::flight::Flight;
use super::lane::{Held, Lane, check_lease, standings};
use super::numbers::stored;
use super::planned::Planned;
use crate::journal::{Change, Draft, RunState, encode};
use crate::standing::{no_such_run, status_after};
use crate::{Batch, NewRun, RunNo, RunStatus, Then, Write};

const OP: &str = "commit";

/// What becomes of turns, a column each.
#[derive(Debug, Default)]
struct Rows {
    journal_runs: Vec<i64>,
    entries: Vec<u8>,
    piece_no: Vec<i64>,
    piece_first: Vec<i64>,
    piece_count: Vec<i64>,
    piece_status: Vec<Option<i16>>,
    piece_at: Vec<Option<i64>>,
    piece_records: Vec<Vec<u8>>,
    open_no: Vec<i64>,
    open_status: Vec<i16>,
    open_wake: Vec<Option<i64>>,
    closed: Vec<i64>,
    /// Whether one has ended.
    ended: bool,
}

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
    let made = make_true(client, &statement, 0, (0, 0, -1), (new, queued), &Rows::default()).await;
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
    let span = (planned.seq, held.oldest, if folded { planned.seq - 1 } else { -1 });
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
                held.remember(planned, &done.there);
            }
            Ok(done)
        }
        Err(error) => {
            if is_refusal(&error) {
                held.flights.land(&flight);
                held.journal_bytes -= appended;
            }
            Err(told(client, new, error))
        }
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

impl Rows {
    /// Writes a change: to the journal, or if the run ends or waits, or the journal is cleared, to where it stays.
    fn add(&mut self, no: RunNo, held: &Held, change: &Change, folded: bool) -> Result<()> {
        if !folded && !held.state.is_settled(change) {
            if change.count > 0 {
                self.journal_runs.push(stored(no.0));
                encode(&mut self.entries, no, (change.first, change.count), change.records())?;
            }
            return Ok(());
        }
        let mut whole = Vec::new();
        held.state.settle(change, &mut whole, |first, count, records| {
            self.piece(no, first, count, records);
            Ok::<_, Error>(())
        })?;
        // A run ends with a record, so that this piece is of its end.
        if let (Then::End(status), Some(code), Some(at)) =
            (change.then, self.piece_status.last_mut(), self.piece_at.last_mut())
        {
            (*code, *at) = (Some(i16::from(status.code())), Some(change.at.as_micros()));
        }
        Ok(())
    }

    /// Changes the row that others find a run by. Whether it gets one.
    fn row(&mut self, no: RunNo, held: &Held, change: &Change, folded: bool) -> bool {
        if matches!(change.then, Then::End(_)) {
            self.ended = true;
            if held.open {
                self.closed.push(stored(no.0));
            }
            return false;
        }
        let (status, wake_at) = (status_after(change.then), change.then.wakes_at());
        let differs = (status, wake_at) != (held.state.status, held.state.wake_at);
        let wanted = if held.open { differs } else { folded || status == RunStatus::Waiting };
        if wanted {
            self.open(no, status, wake_at);
        }
        wanted
    }

    fn piece(&mut self, no: RunNo, first: u64, count: u64, records: &[u8]) {
        self.piece_no.push(stored(no.0));
        self.piece_first.push(stored(first));
        self.piece_count.push(stored(count));
        self.piece_status.push(None);
        self.piece_at.push(None);
        self.piece_records.push(records.to_vec());
    }

    fn open(&mut self, no: RunNo, status: RunStatus, wake_at: Option<Timestamp>) {
        self.open_no.push(stored(no.0));
        self.open_status.push(i16::from(status.code()));
        self.open_wake.push(wake_at.map(Timestamp::as_micros));
    }
}

/// What became of a batch.
#[derive(Debug, Default)]
pub(super) struct Done {
    /// The numbers of new runs that were not created since there are runs of their ids.
    pub(super) there: Vec<RunNo>,
    /// What became of runs that were to wait, by their places among these.
    pub(super) queued: BTreeMap<usize, Queued>,
}

const COMMIT: &str = "SELECT no, NULL::integer, NULL::smallint, NULL::uuid FROM commit_1(
        $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25,
        $26, $27, $28, $29, $30) AS c (no)";

/// One part after the other, in one transaction: what ends makes room before what comes looks for it.
const ENQUEUE: &str = " UNION ALL SELECT run_no, place, outcome, joined FROM enqueue_2(
        $31, $32, $33, $34, $35, $36, $37, $38, $39, $40, $41, $42, $43, $44, $45, $46, $47, $48, $49, $50, $51, $52)";

async fn statement(client: &Client, queued: &EnqueueRows<'_>) -> Result<Statement> {
    let both;
    let sql = if queued.is_empty() {
        COMMIT
    } else {
        both = [COMMIT, ENQUEUE].concat();
        &both
    };
    client.prepare_cached(sql).await.map_err(fault(OP))
}

async fn make_true(
    client: &Client,
    statement: &Statement,
    token: u64,
    (seq, clear_from, clear_to): (i64, i64, i64),
    (new, queued): (&NewRows<'_>, &EnqueueRows<'_>),
    rows: &Rows,
) -> Result<Done, tokio_postgres::Error> {
    let token = stored(token);
    let mut values: Vec<&(dyn ToSql + Sync)> = vec![
        &token,
        &seq,
        &clear_from,
        &clear_to,
        &rows.ended,
        &new.no,
        &new.tenant,
        &new.run,
        &new.definition,
        &new.at,
        &new.content,
        &new.input,
        &new.named,
        &new.from,
        &new.to,
        &new.plan_no,
        &new.plan_definition,
        &new.plan,
        &rows.journal_runs,
        &rows.entries,
        &rows.piece_no,
        &rows.piece_first,
        &rows.piece_count,
        &rows.piece_status,
        &rows.piece_at,
        &rows.piece_records,
        &rows.open_no,
        &rows.open_status,
        &rows.open_wake,
        &rows.closed,
    ];
    if !queued.is_empty() {
        values.extend(queued.values());
    }
    let mut done = Done::default();
    for row in client.query(statement, &values).await? {
        let no = RunNo(row.try_get::<_, i64>(0)?.cast_unsigned());
        match (row.try_get::<_, Option<i32>>(1)?, row.try_get::<_, Option<i16>>(2)?) {
            (Some(place), outcome) => {
                let queued = match (outcome, row.try_get::<_, Option<Uuid>>(3)?) {
                    (Some(0), _) => Queued::Created(no),
                    (Some(2), _) => Queued::Taken(no),
                    (Some(joined), Some(run)) => {
                        Queued::Joined { run: RunId::from_bytes(run.into_bytes()), ready: joined == 4 }
                    }
                    _ => Queued::Exists,
                };
                done.queued.insert(usize::try_from(place - 1).unwrap_or(usize::MAX), queued);
            }
            (None, _) => done.there.push(no),
        }
    }
    Ok(done)
}

/// Makes an error ours, and sees to it that trying again is not trying the same.
fn told(client: &Client, new: &NewRows<'_>, error: tokio_postgres::Error) -> Error {
    if is_stale_plan(&error) {
        client.statement_cache.clear();
    }
    match error.code() {
        // Somebody's transaction that has not ended is about to create a run of the same id.
        Some(&SqlState::LOCK_NOT_AVAILABLE) if new.named.contains(&true) => {
            Error::new(ErrorKind::Locked, OP).caused_by(fault(OP)(error))
        }
        // Rights are changed while programs run. No write is to blame.
        Some(&SqlState::INSUFFICIENT_PRIVILEGE) => for_now(fault(OP)(error)),
        _ => fault(OP)(error),
    }
}
