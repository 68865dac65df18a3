//! Runs of queues come into the hands of the lease.

use std::collections::HashSet;

use fastn_core::{Error, ErrorKind, QueueKey, Result, Timestamp};
use rusqlite::{Connection, OptionalExtension};

use super::claim::{Care, Holder, take};
use super::connection::transact;
use super::definitions::Definitions;
use super::fault::{corrupt, fault};
use super::row::{get, run_no, stored};
use super::state::State;
use super::{deaths, entries, gather, lease, migrate};
use crate::journal::RunState;
use crate::queue::{Admission, Head, KeyBooks, QueueRules, Room, Step, entry_key};
use crate::{AdmitAsk, Admitted, Claimed, DefinitionKey, RunNo, RunStatus};

pub(super) const OP: &str = "admit runs";

/// So many of a key's runs are looked at at first, and then at a time: mostly few are needed of each of many keys.
const HEADS: (usize, usize) = (2, 32);

/// Puts runs of a queue into the hands of the lease, as its rules allow.
///
/// # Errors
/// As [`Queues::admit`](crate::Queues::admit).
pub(super) fn admit(conn: &Connection, state: &mut State, ask: &AdmitAsk) -> Result<Admitted> {
    let serves: HashSet<DefinitionKey> = ask.serves.iter().cloned().collect();
    let (admitted, complete) = transact(conn, OP, |conn| {
        lease::check(conn, state, OP, ask.lease)?;
        migrate::check_no_newer(conn, OP)?;
        let Some(entry) = entries::get(conn, &entry_key(&ask.queue)?)? else {
            return Ok((Admitted::default(), false));
        };
        let rules = QueueRules::decode(&entry.value)?;
        let known = state.readmitted.contains(&ask.queue);
        let mut desk = Desk { conn, ask, serves: &serves, definitions: &mut state.definitions };
        desk.admit(&rules, known)
    })?;
    if complete {
        state.readmitted.insert(ask.queue.clone());
    }
    remember(state, &admitted.runs);
    Ok(admitted)
}

/// Takes over that runs came into the hands of the lease. One that waits takes no memory until something happens in it.
pub(super) fn remember(state: &mut State, runs: &[Claimed]) {
    for Claimed { no, history, .. } in runs.iter().filter(|claimed| claimed.history.run.status != RunStatus::Waiting) {
        let next = u64::try_from(history.records.len()).unwrap_or(u64::MAX);
        let run = RunState::folded(next, history.run.status, history.run.wake_at);
        state.runs.insert(*no, RunState { queued: true, ..run });
    }
}

/// Where runs of one queue are admitted.
struct Desk<'a> {
    conn: &'a Connection,
    ask: &'a AdmitAsk,
    serves: &'a HashSet<DefinitionKey>,
    definitions: &'a mut Definitions,
}

impl Desk<'_> {
    /// Admits runs. `complete` if it is known that this lease has all runs that were admitted before; tells also whether that
    /// is known from now on.
    fn admit(&mut self, rules: &QueueRules, complete: bool) -> Result<(Admitted, bool)> {
        let now = self.ask.now;
        let mut room = Room { limit: u64::from(self.ask.limit), running: self.running()?, own: 0 };
        room.own = if complete { room.running } else { self.own()? };
        let mut runs = Vec::new();
        let known = complete || self.readmit(rules, &mut room, &mut runs)?;

        let mut admission = Admission::new(rules, now, room, self.books()?);
        let mut delayed = None;
        if admission.has_room() {
            delayed = self.ripen()?;
            self.tell(rules, &mut admission)?;
        }
        loop {
            match admission.next() {
                Step::Done => break,
                Step::More(key, after) => {
                    let (heads, more) = self.heads(rules, &key, after, HEADS.1)?;
                    admission.add(&key, heads, more);
                }
                Step::Admit(no) => {
                    self.seat(no)?;
                    runs.extend(take(self.conn, no, self.ask.lease, false)?);
                }
            }
        }
        self.remember(rules, &admission)?;
        Ok((Admitted { runs, again_in: admission.again_in(delayed) }, known))
    }

    /// How many runs have their place.
    fn running(&self) -> Result<u64> {
        self.count("SELECT count(*) FROM flow_queued WHERE queue = ?1 AND state = 2", [self.ask.queue.as_str()])
    }

    /// How many of these the lease has.
    fn own(&self) -> Result<u64> {
        self.count(
            "SELECT count(*) FROM flow_queued q CROSS JOIN flow_executions e ON e.run_no = q.run_no
             WHERE q.queue = ?1 AND q.state = 2 AND e.holder = ?2",
            (self.ask.queue.as_str(), stored(self.ask.lease)),
        )
    }

    fn count(&self, sql: &str, values: impl rusqlite::Params) -> Result<u64> {
        let count = self.conn.prepare_cached(sql).and_then(|mut select| select.query_row(values, |row| row.get(0)));
        count.map(i64::cast_unsigned).map_err(fault(OP))
    }

    /// Gives runs that were admitted under leases before to this one. Whether there are none left.
    fn readmit(&mut self, rules: &QueueRules, room: &mut Room, runs: &mut Vec<Claimed>) -> Result<bool> {
        let left = rules.per_executor.map_or(u64::MAX, |most| u64::from(most).saturating_sub(room.own)).min(room.limit);
        let mut select = self
            .conn
            .prepare_cached(
                "SELECT q.run_no, q.def_no, e.holder, e.status = 2 FROM flow_queued q CROSS JOIN flow_executions e ON e.run_no = q.run_no
                 WHERE q.queue = ?1 AND q.state = 2 AND e.holder <> ?2 ORDER BY q.run_no",
            )
            .map_err(fault(OP))?;
        let found = select
            .query_map((self.ask.queue.as_str(), stored(self.ask.lease)), |row| {
                Ok((row.get(0)?, row.get(1)?, Holder { token: row.get(2)?, waits: row.get(3)? }))
            })
            .and_then(Iterator::collect::<rusqlite::Result<Vec<(i64, i64, Holder)>>>)
            .map_err(fault(OP))?;
        let mut care = Care { dead: deaths::dead_leases(self.conn)?, suspects: self.ask.suspects };
        let mut complete = true;
        for (no, definition, holder) in found {
            let no = run_no(no);
            if (runs.len() as u64) < left
                && self.serves.contains(self.definitions.key(self.conn, definition)?)
                && care.lets_pass(self.conn, no, holder)?
            {
                runs.extend(take(self.conn, no, self.ask.lease, holder.has_died(&care.dead))?);
            } else {
                complete = false;
            }
        }
        room.own += runs.len() as u64;
        room.limit -= runs.len() as u64;
        Ok(complete)
    }

    fn books(&self) -> Result<crate::queue::QueueBooks> {
        let books: Option<String> = self
            .conn
            .prepare_cached("SELECT books FROM flow_queues WHERE queue = ?1")
            .and_then(|mut select| select.query_row([self.ask.queue.as_str()], |row| row.get(0)).optional())
            .map_err(fault(OP))?;
        books.map_or_else(|| Ok(Default::default()), |books| read(&books))
    }

    /// Lets those wait whose delay is over. Gives when that of the next one is.
    fn ripen(&self) -> Result<Option<Timestamp>> {
        let (queue, now) = (self.ask.queue.as_str(), self.ask.now.as_micros());
        self.conn
            .prepare_cached("UPDATE flow_queued SET state = 1 WHERE state = 0 AND queue = ?1 AND ready_at <= ?2")
            .and_then(|mut update| update.execute((queue, now)))
            .map_err(fault(OP))?;
        let next: Option<i64> = self
            .conn
            .prepare_cached("SELECT min(ready_at) FROM flow_queued WHERE state = 0 AND queue = ?1")
            .and_then(|mut select| select.query_row([queue], |row| row.get(0)))
            .map_err(fault(OP))?;
        Ok(next.map(Timestamp::from_micros))
    }

    /// Tells an admission what waits: of each key the first few. Where keys do not matter there may be very many of them, and
    /// all are told as one.
    fn tell(&mut self, rules: &QueueRules, admission: &mut Admission<'_, RunNo>) -> Result<()> {
        if !rules.minds_keys() {
            let all = QueueKey::default();
            let (heads, more) = self.heads(rules, &all, None, HEADS.1)?;
            admission.tell(all, heads, more, 0, KeyBooks::default());
            return Ok(());
        }
        let queue = self.ask.queue.as_str();
        let mut key: Option<String> = self
            .conn
            .prepare_cached("SELECT min(key) FROM flow_queued WHERE state = 1 AND queue = ?1")
            .and_then(|mut select| select.query_row([queue], |row| row.get(0)))
            .map_err(fault(OP))?;
        while let Some(this) = key {
            let of_key = (queue, this.as_str());
            let running = match rules.per_key {
                None => 0,
                Some(_) => {
                    self.count("SELECT count(*) FROM flow_queued WHERE state = 2 AND queue = ?1 AND key = ?2", of_key)?
                }
            };
            let books: Option<String> = self
                .conn
                .prepare_cached("SELECT books FROM flow_queue_keys WHERE queue = ?1 AND key = ?2")
                .and_then(|mut select| select.query_row(of_key, |row| row.get(0)).optional())
                .map_err(fault(OP))?;
            let books = books.map_or_else(|| Ok(Default::default()), |books| read(&books))?;
            let name = QueueKey::of(&this);
            let (heads, more) = self.heads(rules, &name, None, HEADS.0)?;
            admission.tell(name, heads, more, running, books);
            key = self
                .conn
                .prepare_cached("SELECT min(key) FROM flow_queued WHERE state = 1 AND queue = ?1 AND key > ?2")
                .and_then(|mut select| select.query_row(of_key, |row| row.get(0)))
                .map_err(fault(OP))?;
        }
        Ok(())
    }

    /// The first runs of a key behind this place, of all where keys do not matter; and whether there may be more.
    fn heads(
        &mut self,
        rules: &QueueRules,
        key: &QueueKey,
        after: Option<Head<RunNo>>,
        most: usize,
    ) -> Result<(Vec<Head<RunNo>>, bool)> {
        macro_rules! heads {
            ($of_key:literal) => {
                concat!(
                    "SELECT run_no, rank, cost, def_no FROM flow_queued
                     WHERE state = 1 AND queue = ?1 AND ",
                    $of_key,
                    " AND (rank, run_no) > (?3, ?4) ORDER BY rank, run_no"
                )
            };
        }
        let sql = if rules.minds_keys() { heads!("key = ?2") } else { heads!("?2 IS NOT NULL") };
        let mut select = self.conn.prepare_cached(sql).map_err(fault(OP))?;
        let (rank, no) = after.map_or((i64::MIN, -1), |head| (head.rank, stored(head.no.0)));
        let mut rows = select.query((self.ask.queue.as_str(), key.as_str(), rank, no)).map_err(fault(OP))?;
        let mut heads = Vec::new();
        while heads.len() < most {
            let Some(row) = rows.next().map_err(fault(OP))? else { return Ok((heads, false)) };
            if self.serves.contains(self.definitions.key(self.conn, get(row, 3)?)?) {
                heads.push(Head { no: run_no(get(row, 0)?), rank: get(row, 1)?, cost: get(row, 2)? });
            }
        }
        Ok((heads, true))
    }

    /// Gives a run its place.
    fn seat(&self, no: RunNo) -> Result<()> {
        gather::give_list(self.conn, stored(no.0))?;
        self.conn
            .prepare_cached("UPDATE flow_queued SET state = 2 WHERE run_no = ?1")
            .and_then(|mut update| update.execute([stored(no.0)]))
            .map_err(fault(OP))
            .map(drop)
    }

    /// Writes down what is to be remembered, and forgets what says nothing any more.
    fn remember(&self, rules: &QueueRules, admission: &Admission<'_, RunNo>) -> Result<()> {
        let queue = self.ask.queue.as_str();
        if *admission.books() != self.books()? {
            let books = written(admission.books())?;
            self.conn
                .prepare_cached(
                    "INSERT INTO flow_queues (queue, books) VALUES (?1, ?2)
                     ON CONFLICT (queue) DO UPDATE SET books = excluded.books",
                )
                .and_then(|mut put| put.execute((queue, books)))
                .map_err(fault(OP))?;
        }
        let mut changed = false;
        for (key, books) in admission.changed() {
            let written = written(books)?;
            let over_at = books.over_at(rules).map_or(i64::MIN, Timestamp::as_micros);
            self.conn
                .prepare_cached(
                    "INSERT INTO flow_queue_keys (queue, key, turn, over_at, books) VALUES (?1, ?2, ?3, ?4, ?5)
                     ON CONFLICT (queue, key) DO UPDATE
                     SET turn = excluded.turn, over_at = excluded.over_at, books = excluded.books",
                )
                .and_then(|mut put| put.execute((queue, key.as_str(), stored(books.turn()), over_at, written)))
                .map_err(fault(OP))?;
            changed = true;
        }
        if changed {
            self.conn
                .prepare_cached("DELETE FROM flow_queue_keys WHERE queue = ?1 AND over_at <= ?2 AND turn <= ?3")
                .and_then(|mut delete| {
                    delete.execute((queue, self.ask.now.as_micros(), stored(admission.books().turn())))
                })
                .map_err(fault(OP))?;
        }
        Ok(())
    }
}

fn read<T: serde::de::DeserializeOwned>(books: &str) -> Result<T> {
    serde_json::from_str(books).map_err(|e| corrupt(OP, e.to_string()))
}

fn written(books: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string(books).map_err(|e| Error::new(ErrorKind::Internal, OP).caused_by(e))
}
