//! Runs of queues come into the hands of a lease.

use std::collections::BTreeMap;
use std::time::Duration;

use deadpool_postgres::{Client, Transaction};
use fastn_core::{Error, ErrorKind, QueueKey, Result, Timestamp};
use tokio_postgres::IsolationLevel;
use tokio_postgres::error::SqlState;

use super::claim::deaths_of;
use super::fault::{corrupt, fault};
use super::fold::fold;
use super::numbers::{run_no, stored, unsigned};
use super::options::LeaseClock;
use super::read::read_all;
use super::row::get;
use super::served::Served;
use crate::queue::{Admission, Head, KeyBooks, QueueBooks, QueueRules, Room, Step};
use crate::{AdmitAsk, Admitted, Claimed, RunNo};

pub(super) const OP: &str = "admit runs";

/// So many of a key's runs are looked at at first, and then at a time: mostly few are needed of each of many keys.
const HEADS: (i64, i64) = (2, 64);

/// After which span it is looked again for runs whose executor's journal somebody else is moving just now, and whether a queue
/// is free that a host's transaction has.
const SOON: Duration = Duration::from_millis(100);

/// Puts runs of a queue into the hands of a lease, as its rules allow.
///
/// # Errors
/// As [`Queues::admit`](crate::Queues::admit).
pub(super) async fn admit(client: &mut Client, clock: LeaseClock, ask: &AdmitAsk) -> Result<Admitted> {
    // Each statement sees what was committed before it: what is read under the queue's lock is how things stand.
    let transaction =
        client.build_transaction().isolation_level(IsolationLevel::ReadCommitted).start().await.map_err(fault(OP))?;
    let given = match clock {
        LeaseClock::Server => None,
        LeaseClock::Caller => Some(ask.now.as_micros()),
    };
    let open = transaction.prepare_cached("SELECT * FROM open_queue_1($1, $2, $3)").await.map_err(fault(OP))?;
    let row = match transaction.query_opt(&open, &[&stored(ask.lease), &ask.queue.as_str(), &given]).await {
        // A host's transaction has put an item into the queue, or pushed a run back, and has not ended.
        Err(error) if error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) => {
            return Ok(Admitted { runs: Vec::new(), again_in: Some(SOON) });
        }
        row => row.map_err(fault(OP))?,
    };
    let Some(row) = row else {
        // What was ended is to stay ended.
        transaction.commit().await.map_err(fault(OP))?;
        return Ok(Admitted::default());
    };
    let rules = QueueRules::decode(&get::<Vec<u8>>(&row, 1)?)?;
    let books: Option<String> = get(&row, 2)?;
    let desk = Desk {
        transaction: &transaction,
        ask,
        rules: &rules,
        now: Timestamp::from_micros(get(&row, 0)?),
        served: Served::of(&ask.serves),
    };
    let admitted = desk.admit(books.as_deref()).await?;
    transaction.commit().await.map_err(fault(OP))?;
    Ok(admitted)
}

/// The definitions that are served, as a part of statements whose last three values are their columns.
macro_rules! served {
    ($first:literal, $second:literal, $third:literal) => {
        concat!(
            "served AS MATERIALIZED (SELECT d.def_no FROM flow_definitions d JOIN unnest($",
            $first,
            "::text[], $",
            $second,
            "::bigint[], $",
            $third,
            "::bytea[]) AS s (workflow, version, shape) USING (workflow, version, shape))"
        )
    };
}

/// Where runs of one queue are admitted.
struct Desk<'a> {
    transaction: &'a Transaction<'a>,
    ask: &'a AdmitAsk,
    rules: &'a QueueRules,
    now: Timestamp,
    served: Served,
}

impl Desk<'_> {
    async fn admit(&self, books: Option<&str>) -> Result<Admitted> {
        let mut room = Room { limit: u64::from(self.ask.limit), ..Room::default() };
        if self.rules.concurrency.is_some() {
            let sql = "SELECT count(*) FROM flow_queued WHERE state = 2 AND queue = $1";
            room.running = self.count(sql, &[&self.queue()]).await?;
        }
        if self.rules.per_executor.is_some() {
            room.own = self
                .count(
                    "SELECT count(*) FROM flow_open o JOIN flow_queued q ON q.run_no = o.run_no
                     WHERE o.holder = $2 AND q.state = 2 AND q.queue = $1",
                    &[&self.queue(), &stored(self.ask.lease)],
                )
                .await?;
        }
        let (mut admitted, unsettled) = self.readmit(&mut room).await?;

        let books: QueueBooks = books.map_or_else(|| Ok(QueueBooks::default()), read)?;
        let mut admission = Admission::new(self.rules, self.now, room, books.clone());
        let (mut delayed, mut new) = (None, Vec::new());
        if admission.has_room() {
            delayed = self.ripen().await?;
            self.tell(&mut admission).await?;
        }
        loop {
            match admission.next() {
                Step::Done => break,
                Step::More(key, after) => {
                    let (heads, more) = self.heads(&key, after).await?;
                    admission.add(&key, heads, more);
                }
                Step::Admit(no) => new.push(no),
            }
        }
        self.seat(&new).await?;
        self.remember(&books, &admission).await?;
        admitted.extend(new);
        let runs = self.take(&admitted).await?;
        let again_in = admission.again_in(delayed).into_iter().chain(unsettled.then_some(SOON)).min();
        Ok(Admitted { runs, again_in })
    }

    fn queue(&self) -> &str {
        self.ask.queue.as_str()
    }

    async fn count(&self, sql: &str, values: &[&(dyn tokio_postgres::types::ToSql + Sync)]) -> Result<u64> {
        let select = self.transaction.prepare_cached(sql).await.map_err(fault(OP))?;
        let row = self.transaction.query_one(&select, values).await.map_err(fault(OP))?;
        unsigned(get(&row, 0)?)
    }

    /// Finds the runs that have their place and whose executors' leases have ended. Whether there may be more in a moment.
    async fn readmit(&self, room: &mut Room) -> Result<(Vec<RunNo>, bool)> {
        let select = self
            .transaction
            .prepare_cached(
                "SELECT token, folded FROM flow_leases l WHERE ended AND EXISTS (
                     SELECT 1 FROM flow_open o JOIN flow_queued q ON q.run_no = o.run_no
                     WHERE o.holder = l.token AND q.state = 2 AND q.queue = $1)
                 ORDER BY token",
            )
            .await
            .map_err(fault(OP))?;
        let rows = self.transaction.query(&select, &[&self.queue()]).await.map_err(fault(OP))?;
        if rows.is_empty() {
            return Ok((Vec::new(), false));
        }
        for row in &rows {
            if !get::<bool>(row, 1)? {
                fold(self.transaction, unsigned(get(row, 0)?)?).await?;
            }
        }
        let most = self.rules.per_executor.map_or(u64::MAX, |most| u64::from(most).saturating_sub(room.own));
        let find = self
            .transaction
            .prepare_cached(concat!(
                "WITH ",
                served!(3, 4, 5),
                " SELECT o.run_no, l.folded, $6::bigint > 0 AND o.status <> 2 AND NOT l.released AND $6::bigint = CASE
                      WHEN o.deaths > 0 AND o.records = coalesce(
                          (SELECT h.first_seq + h.count FROM flow_history h
                           WHERE h.run_no = o.run_no ORDER BY h.first_seq DESC LIMIT 1), 0)
                      THEN o.deaths + 1 ELSE 1 END AS suspect
                  FROM flow_leases l JOIN flow_open o ON o.holder = l.token JOIN flow_queued q ON q.run_no = o.run_no
                  WHERE l.ended AND q.state = 2 AND q.queue = $1 AND q.def_no IN (SELECT def_no FROM served)
                  ORDER BY NOT l.folded, suspect, o.run_no LIMIT $2"
            ))
            .await
            .map_err(fault(OP))?;
        let Served { workflow, version, shape } = &self.served;
        let mut suspects = self.ask.suspects;
        let rows = self
            .transaction
            .query(
                &find,
                &[&self.queue(), &stored(most.min(room.limit)), workflow, version, shape, &i64::from(suspects.deaths)],
            )
            .await
            .map_err(fault(OP))?;
        let (mut found, mut unsettled) = (Vec::new(), false);
        for row in &rows {
            match (get(row, 1)?, get(row, 2)?) {
                (false, _) => unsettled = true,
                (true, true) if !suspects.let_pass(suspects.deaths) => {}
                (true, _) => found.push(run_no(get(row, 0)?)?),
            }
        }
        room.own += found.len() as u64;
        room.limit -= found.len() as u64;
        Ok((found, unsettled))
    }

    /// Lets those wait whose delay is over. Gives when that of the next one is.
    async fn ripen(&self) -> Result<Option<Timestamp>> {
        let sql = "UPDATE flow_queued SET state = 1 WHERE state = 0 AND queue = $1 AND ready_at <= $2";
        let update = self.transaction.prepare_cached(sql).await.map_err(fault(OP))?;
        self.transaction.execute(&update, &[&self.queue(), &self.now.as_micros()]).await.map_err(fault(OP))?;
        let sql = "SELECT min(ready_at) FROM flow_queued WHERE state = 0 AND queue = $1";
        let select = self.transaction.prepare_cached(sql).await.map_err(fault(OP))?;
        let row = self.transaction.query_one(&select, &[&self.queue()]).await.map_err(fault(OP))?;
        Ok(get::<Option<i64>>(&row, 0)?.map(Timestamp::from_micros))
    }

    /// Tells an admission what waits: of each key the first few. Where keys do not matter there may be very many of them, and
    /// all are told as one.
    async fn tell(&self, admission: &mut Admission<'_, RunNo>) -> Result<()> {
        if !self.rules.minds_keys() {
            let all = QueueKey::default();
            let (heads, more) = self.heads(&all, None).await?;
            admission.tell(all, heads, more, 0, KeyBooks::default());
            return Ok(());
        }
        let select = self
            .transaction
            .prepare_cached(concat!(
                "WITH RECURSIVE ",
                served!(4, 5, 6),
                ", keys AS (
                     (SELECT key FROM flow_queued WHERE state = 1 AND queue = $1 ORDER BY key LIMIT 1)
                     UNION ALL
                     SELECT (SELECT q.key FROM flow_queued q WHERE q.state = 1 AND q.queue = $1 AND q.key > k.key
                             ORDER BY q.key LIMIT 1)
                     FROM keys k WHERE k.key IS NOT NULL
                 )
                 SELECT k.key, h.run_no, h.rank, h.cost, b.books, busy.running
                 FROM keys k
                 CROSS JOIN LATERAL (
                     SELECT CASE WHEN $3 THEN (
                         SELECT count(*) FROM flow_queued r WHERE r.state = 2 AND r.queue = $1 AND r.key = k.key
                     ) ELSE 0 END AS running
                 ) busy
                 CROSS JOIN LATERAL (
                     SELECT q.run_no, q.rank, q.cost FROM flow_queued q
                     WHERE q.state = 1 AND q.queue = $1 AND q.key = k.key AND q.def_no IN (SELECT def_no FROM served)
                     ORDER BY q.rank, q.run_no LIMIT $2
                 ) h
                 LEFT JOIN flow_queue_keys b ON b.queue = $1 AND b.key = k.key
                 WHERE k.key IS NOT NULL"
            ))
            .await
            .map_err(fault(OP))?;
        let Served { workflow, version, shape } = &self.served;
        let counts = self.rules.per_key.is_some();
        let rows = self
            .transaction
            .query(&select, &[&self.queue(), &HEADS.0, &counts, workflow, version, shape])
            .await
            .map_err(fault(OP))?;
        let mut keys: BTreeMap<String, (Vec<Head<RunNo>>, u64, KeyBooks)> = BTreeMap::new();
        for row in &rows {
            let key: String = get(row, 0)?;
            if !keys.contains_key(&key) {
                let books =
                    get::<Option<String>>(row, 4)?.map_or_else(|| Ok(KeyBooks::default()), |books| read(&books))?;
                keys.insert(key.clone(), (Vec::new(), unsigned(get(row, 5)?)?, books));
            }
            if let Some((heads, ..)) = keys.get_mut(&key) {
                heads.push(head(row, 1)?);
            }
        }
        for (key, (mut heads, running, books)) in keys {
            heads.sort_unstable_by_key(|head| (head.rank, head.no));
            let more = i64::try_from(heads.len()) == Ok(HEADS.0);
            admission.tell(QueueKey::of(&key), heads, more, running, books);
        }
        Ok(())
    }

    /// The runs of a key behind this one, of all where keys do not matter; and whether there may be more.
    async fn heads(&self, key: &QueueKey, after: Option<Head<RunNo>>) -> Result<(Vec<Head<RunNo>>, bool)> {
        macro_rules! heads {
            ($of_key:literal) => {
                concat!(
                    "WITH ",
                    served!(6, 7, 8),
                    " SELECT run_no, rank, cost FROM flow_queued
                      WHERE state = 1 AND queue = $1 AND ",
                    $of_key,
                    " AND (rank, run_no) > ($3, $4) AND def_no IN (SELECT def_no FROM served)
                      ORDER BY rank, run_no LIMIT $5"
                )
            };
        }
        let sql = if self.rules.minds_keys() { heads!("key = $2") } else { heads!("$2::text IS NOT NULL") };
        let select = self.transaction.prepare_cached(sql).await.map_err(fault(OP))?;
        let (rank, no) = after.map_or((i64::MIN, -1), |head| (head.rank, stored(head.no.0)));
        let Served { workflow, version, shape } = &self.served;
        let rows = self
            .transaction
            .query(&select, &[&self.queue(), &key.as_str(), &rank, &no, &HEADS.1, workflow, version, shape])
            .await
            .map_err(fault(OP))?;
        let heads: Vec<_> = rows.iter().map(|row| head(row, 0)).collect::<Result<_>>()?;
        let more = i64::try_from(heads.len()) == Ok(HEADS.1);
        Ok((heads, more))
    }

    /// Gives runs their places.
    async fn seat(&self, runs: &[RunNo]) -> Result<()> {
        if runs.is_empty() {
            return Ok(());
        }
        let runs: Vec<i64> = runs.iter().map(|no| stored(no.0)).collect();
        let sql = "UPDATE flow_queued SET state = 2 WHERE run_no = ANY ($1) AND state = 1";
        let update = self.transaction.prepare_cached(sql).await.map_err(fault(OP))?;
        let seated = self.transaction.execute(&update, &[&runs]).await.map_err(fault(OP))?;
        // Whoever takes a run out of the queue, or pushes it back, holds its lock.
        if usize::try_from(seated) == Ok(runs.len()) {
            Ok(())
        } else {
            Err(Error::new(ErrorKind::Internal, OP).with("admitted", runs.len()).with("seated", seated))
        }
    }

    /// Writes down what is to be remembered, and forgets what says nothing any more.
    async fn remember(&self, before: &QueueBooks, admission: &Admission<'_, RunNo>) -> Result<()> {
        if admission.books() != before {
            let sql = "UPDATE flow_queues SET books = $2 WHERE queue = $1";
            let update = self.transaction.prepare_cached(sql).await.map_err(fault(OP))?;
            let books = written(admission.books())?;
            self.transaction.execute(&update, &[&self.queue(), &books]).await.map_err(fault(OP))?;
        }
        let (mut keys, mut turns, mut over_at, mut books) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (key, of_key) in admission.changed() {
            keys.push(key.as_str());
            turns.push(stored(of_key.turn()));
            over_at.push(of_key.over_at(self.rules).map_or(i64::MIN, Timestamp::as_micros));
            books.push(written(of_key)?);
        }
        if keys.is_empty() {
            return Ok(());
        }
        let put = self
            .transaction
            .prepare_cached(
                "INSERT INTO flow_queue_keys (queue, key, turn, over_at, books)
                 SELECT $1, * FROM unnest($2::text[], $3::bigint[], $4::bigint[], $5::text[])
                 ON CONFLICT (queue, key) DO UPDATE
                 SET turn = excluded.turn, over_at = excluded.over_at, books = excluded.books",
            )
            .await
            .map_err(fault(OP))?;
        self.transaction.execute(&put, &[&self.queue(), &keys, &turns, &over_at, &books]).await.map_err(fault(OP))?;
        let sql = "DELETE FROM flow_queue_keys WHERE queue = $1 AND over_at <= $2 AND turn <= $3";
        let delete = self.transaction.prepare_cached(sql).await.map_err(fault(OP))?;
        let turn = stored(admission.books().turn());
        self.transaction
            .execute(&delete, &[&self.queue(), &self.now.as_micros(), &turn])
            .await
            .map_err(fault(OP))
            .map(drop)
    }

    /// Puts runs into the hands of the lease.
    async fn take(&self, runs: &[RunNo]) -> Result<Vec<Claimed>> {
        take(self.transaction, self.ask.lease, runs).await
    }
}

/// Puts runs into the hands of a lease, and reads them, in this order. One that cannot be read stays where it is: it must not
/// keep an executor from all others.
pub(super) async fn take(transaction: &Transaction<'_>, lease: u64, runs: &[RunNo]) -> Result<Vec<Claimed>> {
    if runs.is_empty() {
        return Ok(Vec::new());
    }
    let numbers: Vec<i64> = runs.iter().map(|no| stored(no.0)).collect();
    let take = transaction.prepare_cached("SELECT * FROM take_runs_1($1, $2)").await.map_err(fault(OP))?;
    let taken = transaction.query(&take, &[&stored(lease), &numbers]).await.map_err(fault(OP))?;
    let deaths: BTreeMap<RunNo, u32> = taken.iter().map(deaths_of).collect::<Result<_>>()?;
    let mut read: BTreeMap<RunNo, Claimed> = BTreeMap::new();
    for (no, history) in read_all(transaction, &numbers).await? {
        match history {
            Ok(history) => {
                let deaths = deaths.get(&no).copied().unwrap_or_default();
                read.insert(no, Claimed { no, history, deaths });
            }
            Err(error) => {
                tracing::error!(
                    run = no.0,
                    error = error.chain().join(": "),
                    "a run cannot be read and is not admitted"
                );
            }
        }
    }
    Ok(runs.iter().filter_map(|no| read.remove(no)).collect())
}

fn head(row: &tokio_postgres::Row, first: usize) -> Result<Head<RunNo>> {
    let cost = u32::try_from(get::<i64>(row, first + 2)?).map_err(|e| corrupt(OP, e.to_string()))?;
    Ok(Head { no: run_no(get(row, first)?)?, rank: get(row, first + 1)?, cost })
}

fn read<T: serde::de::DeserializeOwned>(books: &str) -> Result<T> {
    serde_json::from_str(books).map_err(|e| corrupt(OP, e.to_string()))
}

fn written(books: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string(books).map_err(|e| Error::new(ErrorKind::Internal, OP).caused_by(e))
}
