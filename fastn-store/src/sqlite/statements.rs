//! How many statements a commit is: figures that a change cannot raise unseen.

use std::cell::Cell;
use std::time::Duration;

use bytes::Bytes;
use fastn_core::plan::PlanHash;
use fastn_core::{
    Event, ExecutorId, Outcome, Payload, Record, Result, RunId, TenantId, Timestamp, Version, WorkflowName,
};
use rusqlite::trace::{TraceEvent, TraceEventCodes};
use rusqlite::{Connection, OptionalExtension, StatementStatus};

use super::commit::commit;
use super::connection::open_writer;
use super::lease;
use super::options::SqliteOptions;
use super::row::select_runs;
use super::state::State;
use crate::{Batch, DefinitionKey, LeaseAsk, NewRun, RunKey, RunNo, RunStatus, Then, Turn, Write, Written};

thread_local! {
    // SQLite calls back on the thread that asks it.
    static STATEMENTS: Cell<usize> = const { Cell::new(0) };
}

struct Store {
    conn: Connection,
    state: State,
    token: u64,
    _folder: tempfile::TempDir,
}

impl Store {
    fn open() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("runs.db");
        let mut conn = open_writer(&path, &SqliteOptions::default()).expect("it opens");
        let mut state = State::default();
        let executor = ExecutorId::new("test").expect("a name");
        let ask = LeaseAsk { executor, now: Timestamp::EPOCH, ttl: Duration::from_secs(60) };
        let lease = lease::acquire(&conn, &mut state, &path, ask).expect("nobody else has it");
        let count = |_: TraceEvent<'_>| STATEMENTS.set(STATEMENTS.get() + 1);
        conn.trace_v2(TraceEventCodes::SQLITE_TRACE_STMT, Some(count)).expect("it tells");
        Self { conn, state, token: lease.token, _folder: folder }
    }

    /// Commits, and tells how many statements that took.
    fn commit(&mut self, writes: Vec<Write>) -> (Vec<Written>, usize) {
        STATEMENTS.set(0);
        let batch = Batch { lease: Some(self.token), now: Timestamp::EPOCH, writes };
        let answers = commit(&self.conn, &mut self.state, &[batch], 16 << 20).answers;
        let written = answers.into_iter().next().expect("an answer").expect("a good batch");
        (written, STATEMENTS.get())
    }

    fn create(&mut self, names: std::ops::Range<u32>) -> (Vec<RunNo>, usize) {
        let (written, statements) = self.commit(names.map(new_run).collect());
        let number = |written| if let Written::Created(no) = written { Some(no) } else { None };
        (written.into_iter().filter_map(number).collect(), statements)
    }

    fn turn(&mut self, runs: &[RunNo], first: u64, then: Then) -> usize {
        let turn = |run: &RunNo| {
            Write::Turn(Turn { run: *run, first, count: 1, records: record(then).expect("it encodes"), then })
        };
        self.commit(runs.iter().map(turn).collect()).1
    }
}

fn new_run(name: u32) -> Write {
    let workflow = WorkflowName::new("test").expect("a name");
    let new = NewRun {
        key: RunKey { tenant: TenantId::default(), run: RunId::named(&name.to_string()) },
        definition: DefinitionKey { workflow, version: Version(1), shape: PlanHash([7; 32]) },
        plan: None,
        input: Payload::null(),
        created_at: Timestamp::EPOCH,
    };
    Write::Create(new.into())
}

fn record(then: Then) -> Result<Bytes> {
    let outcome = Outcome::Succeeded(Payload::null());
    let event = if let Then::End(_) = then { Event::Finished { outcome } } else { Event::Expired };
    let mut bytes = Vec::new();
    Record { time: Timestamp::EPOCH, event }.append_to(&mut bytes)?;
    Ok(bytes.into())
}

#[test]
fn turns_take_the_same_few_statements_however_many_they_are() {
    for runs in [1, 100] {
        let mut store = Store::open();
        let (runs, _) = store.create(0..runs);
        for first in 0..50 {
            let statements = store.turn(&runs, first, Then::Run);
            assert_eq!(statements, FRAME, "turn {first} of {} runs", runs.len());
        }
    }
}

/// The transaction begins, the lease is looked at, the journal gets its row, and the transaction ends.
const FRAME: usize = 4;

#[test]
fn a_run_is_created_waits_and_ends_by_few_statements_each() {
    let mut store = Store::open();
    // Definitions are looked up once.
    store.create(0..1);
    for runs in [1_u32, 100] {
        let many = runs as usize;
        let (runs, created) = store.create(runs * 10..runs * 11);
        assert_eq!(
            created,
            FRAME + many,
            "{many} runs are created, in place of the journal's row their numbers asked for"
        );
        store.turn(&runs, 0, Then::Run);
        let waits = store.turn(&runs, 1, Then::Wait(Timestamp::MAX));
        assert_eq!(waits, FRAME - 1 + 2 * many, "{many} runs wait, and the journal gets nothing");
        let ended = store.turn(&runs, 2, Then::End(RunStatus::Succeeded));
        assert_eq!(ended, FRAME - 1 + 4 * many, "{many} runs that waited are looked up and end");
    }
}

#[test]
fn no_statement_is_prepared_anew_because_other_values_are_bound() {
    let mut store = Store::open();
    store.create(0..20);
    let ways = [
        select_runs!("WHERE e.run_no = ?1"),
        select_runs!("WHERE e.tenant_no = 1 AND e.run_id = ?1"),
        "SELECT status, wake_at, holder, queued FROM flow_executions WHERE run_no = ?1",
        "SELECT run_no FROM flow_executions WHERE finished_at < ?1",
    ];
    for sql in ways {
        let mut select = store.conn.prepare(sql).expect("it is SQL");
        for value in 1..20 {
            select.query_row([value], |_| Ok(())).optional().expect("it can be asked");
        }
        assert_eq!(select.get_status(StatementStatus::RePrepare), 0, "{sql}");
    }
}
