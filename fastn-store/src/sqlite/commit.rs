//! Commits: the batches that wait, in one transaction.

use fastn_core::{Error, ErrorKind, Result, Timestamp};
use foldhash::HashMap;
use rusqlite::{Connection, OptionalExtension};

use super::connection::transact;
use super::create::{Creation, Numbers, create};
use super::enqueue::enqueue;
use super::fault::{again, fault};
use super::hand::Hand;
use super::history::{next_in_history, write_history};
use super::row::{status, stored};
use super::state::State;
use super::{journal, lease};
use crate::journal::{Change, Draft, RunState, encode};
use crate::standing::{Standing, Verdict, no_such_run, status_after};
use crate::{Batch, RunNo, RunStatus, Then, Turn, Write, Written};

const OP: &str = "commit";

/// About what it costs to change a row and its indexes, in bytes.
const ROW: usize = 256;

/// What became of a batch.
pub(super) type Answer = Result<Vec<Written>>;

/// What a transaction did beside its answers.
#[derive(Default)]
struct Done {
    /// New runs that the lease holds.
    created: Vec<RunNo>,
    /// The size of what was appended to the journal.
    appended: usize,
    /// About how many bytes were written.
    bytes: usize,
    /// Whether all tails were moved to `flow_history` and the journal cleared.
    folded: bool,
    /// Whether a run came to a queue, or a place became free.
    queues: bool,
}

/// What became of batches.
pub(super) struct Committed {
    pub(super) answers: Vec<Answer>,
    /// About how many bytes were written.
    pub(super) bytes: usize,
    /// Whether a run came to a queue, or a place became free.
    pub(super) queues: bool,
}

/// Makes each batch true, all good ones in one transaction. A bad batch writes nothing and does not harm the others; if
/// the transaction fails, none of them is true.
pub(super) fn commit(conn: &Connection, state: &mut State, batches: &[Batch], budget: usize) -> Committed {
    let mut draft = Draft::default();
    let result = transact(conn, OP, |conn| {
        let token = lease::token_in_force(conn, state)?;
        // All are judged before any row is written, so what is read here is what was committed.
        let judged: Vec<Result<Vec<Verdict>>> = batches
            .iter()
            .map(|batch| draft.gather(batch, token, |turn| standing(conn, &mut state.runs, turn, token)))
            .collect();
        let mut done = Done::default();
        let mut hand = Hand::of(conn);
        write(conn, &mut hand, state, &draft, budget, &mut done)?;
        // After the turns, so that a run that exists is shown as they leave it.
        let mut numbers = Numbers::default();
        let mut answers = Vec::with_capacity(batches.len());
        for (batch, judged) in batches.iter().zip(judged) {
            answers.push(match judged {
                Ok(_) => Ok(answer(conn, &mut hand, state, batch, &mut numbers, &mut done)?),
                Err(error) => Err(error),
            });
        }
        Ok((answers, done, token))
    });
    let outcome = result.as_ref().map_or_else(|error| error.kind().as_str(), |_| "succeeded");
    tracing::debug!(
        name: "store.commit",
        batches = batches.len(),
        turns = draft.turns,
        records = draft.records,
        bytes = draft.bytes,
        outcome,
    );
    match result {
        Ok((answers, done, token)) => {
            remember(state, draft, &done);
            if token.is_none() && state.held.is_some() {
                state.forget_lease();
            }
            Committed { answers, bytes: done.bytes, queues: done.queues }
        }
        Err(error) => {
            state.definitions.forget();
            Committed { answers: batches.iter().map(|_| Err(again(&error))).collect(), bytes: 0, queues: false }
        }
    }
}

/// Where a run stands in the database. A run that the lease holds is remembered: its turns come often.
fn standing(
    conn: &Connection,
    runs: &mut HashMap<RunNo, RunState>,
    turn: &Turn,
    token: Option<u64>,
) -> Result<Standing> {
    if let Some(run) = runs.get(&turn.run) {
        return Ok(Standing { next: run.next, held: true });
    }
    let row: Option<(u8, Option<i64>, i64, bool)> = conn
        .prepare_cached("SELECT status, wake_at, holder, queued FROM flow_executions WHERE run_no = ?1")
        .and_then(|mut select| select.query_row([stored(turn.run.0)], |row| row.try_into()).optional())
        .map_err(fault(OP))?;
    let (code, wake_at, holder, queued) = row.ok_or_else(|| no_such_run(turn))?;
    let status = status(code)?;
    let next = next_in_history(conn, turn.run)?;
    let held = !status.is_final() && token.is_some_and(|token| stored(token) == holder);
    if held {
        let run = RunState::folded(next, status, wake_at.map(Timestamp::from_micros));
        runs.insert(turn.run, RunState { queued, ..run });
    }
    Ok(Standing { next, held })
}

/// Creates the new runs of a batch and answers for each of its writes.
fn answer(
    conn: &Connection,
    hand: &mut Hand<'_>,
    state: &mut State,
    batch: &Batch,
    numbers: &mut Numbers,
    done: &mut Done,
) -> Answer {
    let mut written = Vec::with_capacity(batch.writes.len());
    for write in &batch.writes {
        written.push(match write {
            Write::Turn(_) => Written::Turned,
            Write::Create(new) => {
                let mut creation = Creation { hand: &mut *hand, state: &mut *state, numbers: &mut *numbers };
                let created = create(conn, &mut creation, new, batch.lease, false)?;
                if let (Written::Created(no), Some(_)) = (&created, batch.lease) {
                    done.created.push(*no);
                }
                done.bytes += new.input.len() + ROW;
                created
            }
            Write::Enqueue(new) => {
                done.bytes += new.new.input.len() + 3 * ROW;
                let mut creation = Creation { hand: &mut *hand, state: &mut *state, numbers: &mut *numbers };
                let (enqueued, news) = enqueue(conn, &mut creation, new, batch.now)?;
                done.queues |= news;
                enqueued
            }
        });
    }
    Ok(written)
}

/// Writes the turns of a draft: to the journal, or for runs that end or wait, and for all if the journal would be too
/// large, to where they stay.
fn write(
    conn: &Connection,
    hand: &mut Hand<'_>,
    state: &State,
    draft: &Draft,
    budget: usize,
    done: &mut Done,
) -> Result<()> {
    done.folded = draft.turns > 0 && state.journal_bytes.saturating_add(draft.bytes) > budget;
    let mut entries = Vec::with_capacity(if done.folded { 0 } else { draft.bytes });
    let mut settled = Vec::new();
    for (no, change) in &draft.changes {
        // Judging a turn has brought its run here; a turn that would be left out must not be answered for.
        let run = state.runs.get(no).ok_or_else(|| Error::new(ErrorKind::Internal, OP).with("run", no.0))?;
        if done.folded || run.is_settled(change) {
            settled.push((*no, run, change));
        } else {
            if change.count > 0 {
                encode(&mut entries, *no, (change.first, change.count), change.records())?;
            }
            write_row(conn, hand, *no, run, change)?;
        }
    }
    // In the order of the runs, so that neighbours in the file are written together.
    settled.sort_unstable_by_key(|(no, ..)| *no);
    let mut whole = Vec::new();
    for (no, run, change) in settled {
        done.bytes += run.tail.len() + change.size() + ROW;
        run.settle(change, &mut whole, |first, count, records| write_history(hand, no, first, count, records))?;
        done.queues |= write_row(conn, hand, no, run, change)?;
    }
    if done.folded {
        fold_others(conn, hand, state, draft)?;
        done.bytes += state.journal_bytes;
    } else if !entries.is_empty() {
        journal::write(conn, &entries)?;
        done.appended = entries.len();
        done.bytes += entries.len();
    }
    Ok(())
}

/// Moves the tails of the runs that the draft does not touch, and clears the journal.
fn fold_others(conn: &Connection, hand: &mut Hand<'_>, state: &State, draft: &Draft) -> Result<()> {
    let others = state.runs.iter().filter(|(no, run)| run.tail_count > 0 && !draft.changes.contains_key(no));
    let mut others: Vec<(&RunNo, &RunState)> = others.collect();
    others.sort_unstable_by_key(|(no, _)| **no);
    for (no, run) in others {
        write_history(hand, *no, run.tail_first(), run.tail_count, &run.tail)?;
    }
    journal::clear(conn)
}

/// Changes the row of a run, if the turn changes what is in it. Whether that freed a place in a queue.
fn write_row(conn: &Connection, hand: &mut Hand<'_>, no: RunNo, run: &RunState, change: &Change) -> Result<bool> {
    let (status, wake_at) = (status_after(change.then), change.then.wakes_at());
    if (status, wake_at) == (run.status, run.wake_at) {
        return Ok(false);
    }
    let no = stored(no.0);
    let leaves = status.is_final() && run.queued;
    let updated = if status.is_final() {
        hand.finish().and_then(|update| update.execute((no, status.code(), change.at.as_micros())))
    } else {
        let wake_at = wake_at.map(Timestamp::as_micros);
        hand.change().and_then(|update| update.execute((no, status.code(), wake_at)))
    };
    updated.map_err(fault(OP))?;
    if leaves {
        conn.prepare_cached("DELETE FROM flow_queued WHERE run_no = ?1")
            .and_then(|mut delete| delete.execute([no]))
            .map_err(fault(OP))?;
    }
    Ok(leaves)
}

/// Takes over what is true now.
fn remember(state: &mut State, draft: Draft, done: &Done) {
    for no in &done.created {
        state.runs.insert(*no, RunState::folded(0, RunStatus::Running, None));
    }
    for (no, change) in draft.changes {
        // A run that waits takes no memory until something happens in it again.
        if change.then != Then::Run {
            state.runs.remove(&no);
        } else if let Some(run) = state.runs.get_mut(&no) {
            run.add(&change);
        }
    }
    if done.folded {
        state.runs.values_mut().for_each(RunState::settled);
        state.journal_bytes = 0;
    }
    state.journal_bytes += done.appended;
}
