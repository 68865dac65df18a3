//! Old days are retired while others work, and whatever happens to whoever does it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use fastn_core::{RunId, TenantId, Timestamp, WorkflowName};
use fastn_store::{
    Batch, Lease, NewRun, PostgresOptions, PostgresStore, Retention, Retired, Rule, RunKey, RunNo, RunStatus, Store,
    Then, Write, Written,
};
use fastn_testkit::sample::at;

use super::rival::Rival;
use crate::support::{acquire, claim, commit, create, key, new_run, turn};

/// Longer than anything may take while a day is retired, on a machine that does other things as well.
const LONG: Duration = Duration::from_secs(3);

/// A schema with an old day in it.
struct World {
    schema: String,
    store: PostgresStore,
    lease: Lease,
}

impl World {
    async fn new(schema: &str) -> Self {
        let dear = Rule { workflow: Some(WorkflowName::new("dear").unwrap()), keep: None, ..Rule::default() };
        let retention = Retention::of(Duration::from_secs(86_400)).rule(dear);
        let store = super::open(&PostgresOptions::default().schema(schema).retention(retention)).await;
        let lease = acquire(&store, "a", 0).await.unwrap();
        // What the rows of the old day are made from.
        for workflow in ["w", "dear"] {
            let no = create(&store, Some(&lease), new_run("t", workflow, workflow)).await;
            commit(&store, &lease, vec![turn(no, 0, 1, Then::End(RunStatus::Succeeded))]).await.unwrap();
        }
        Self { schema: schema.to_owned(), store, lease }
    }

    /// A day some days ago with so many runs: of a hundred one has not ended, and it and ten others are kept by a rule; half
    /// have keys.
    fn has_a_day(&self, days_ago: i64, runs: u64) -> i64 {
        let (schema, day) = (&self.schema, today() - days_ago);
        let (from, to) = ((day * 86_400) << 31, ((day + 1) * 86_400) << 31);
        super::sql(&format!(
            "CREATE TABLE {schema}.flow_executions_{day} PARTITION OF {schema}.flow_executions
                 FOR VALUES FROM ({from}) TO ({to});
             CREATE UNIQUE INDEX ON {schema}.flow_executions_{day} (tenant_no, run_id);
             CREATE TABLE {schema}.flow_history_{day} PARTITION OF {schema}.flow_history FOR VALUES FROM ({from}) TO ({to});
             INSERT INTO {schema}.flow_executions
             SELECT {from} + ((n % 80000) << 31) + n, d.tenant_no,
                 ('00000000-0000-4000-8000-' || lpad(to_hex({day} * 100000 + n), 12, '0'))::uuid, d.def_no, 1, 0, NULL, '1'
             FROM generate_series(1, {runs}::bigint) n
             JOIN {schema}.flow_definitions d ON d.workflow = CASE WHEN n % 10 = 5 OR n % 100 = 0 THEN 'dear' ELSE 'w' END;
             INSERT INTO {schema}.flow_keys SELECT tenant_no, run_id, run_no FROM {schema}.flow_executions_{day}
             WHERE run_no % 2 = 0;
             INSERT INTO {schema}.flow_open (run_no, def_no, holder, status)
             SELECT run_no, def_no, 0, 0 FROM {schema}.flow_executions_{day}
             WHERE (run_no & 2147483647) % 100 = 0;
             INSERT INTO {schema}.flow_history
             SELECT e.run_no, 0, 1, 10, 1, (SELECT records FROM {schema}.flow_history WHERE status = 10 LIMIT 1)
             FROM {schema}.flow_executions_{day} e WHERE (run_no & 2147483647) % 100 <> 0;
             INSERT INTO {schema}.flow_effects (key, tenant, run, output)
             SELECT 'of ' || run_no, 't', run_id, '1' FROM {schema}.flow_executions_{day} WHERE run_no % 4 = 0;
             INSERT INTO {schema}.flow_messages (run_no, id, sent_at, body)
             SELECT run_no, run_id, 1, '1' FROM {schema}.flow_executions_{day} WHERE run_no % 5 = 0;
             INSERT INTO {schema}.flow_batched (run_no, seq, queue, tenant_no, item)
             SELECT run_no, 0, 'q', tenant_no, run_id FROM {schema}.flow_executions_{day} WHERE run_no % 5 = 0"
        ));
        day
    }

    /// What the store has of a day: how many runs, keys that say so, effects, messages and items.
    fn has(&self, day: i64) -> String {
        let schema = &self.schema;
        let of_day =
            format!("run_no >= {}::bigint << 31 AND run_no < {}::bigint << 31", day * 86_400, (day + 1) * 86_400);
        super::sql(&format!(
            "SELECT (SELECT count(*) FROM {schema}.flow_executions WHERE {of_day}),
                 (SELECT count(*) FROM {schema}.flow_keys WHERE {of_day}),
                 (SELECT count(*) FROM {schema}.flow_effects WHERE run IN (
                     SELECT run_id FROM {schema}.flow_executions WHERE {of_day})),
                 (SELECT count(*) FROM {schema}.flow_effects),
                 (SELECT count(*) FROM {schema}.flow_messages WHERE {of_day}),
                 (SELECT count(*) FROM {schema}.flow_batched WHERE {of_day})"
        ))
    }

    /// What is left of a day of so many runs once it was retired.
    fn holds_what_stays(&self, day: i64, runs: u64) {
        let (dear, open) = (runs / 10, runs / 100);
        let effects = runs / 100;
        let messages = dear + open;
        let expected = format!("{}|{open}|{effects}|{effects}|{messages}|{messages}", dear + open);
        assert_eq!(self.has(day), expected);
        let schema = &self.schema;
        let left = super::sql(&format!(
            "SELECT (SELECT count(*) FROM pg_class WHERE relnamespace = '{schema}'::regnamespace AND relname ~ '_new$'),
                 (SELECT count(*) FROM pg_trigger WHERE tgname = 'late' AND tgrelid IN (
                     SELECT oid FROM pg_class WHERE relnamespace = '{schema}'::regnamespace)),
                 (SELECT count(*) FROM {schema}.flow_late),
                 (SELECT count(*) FROM pg_constraint WHERE conname = 'day'
                     AND connamespace = '{schema}'::regnamespace)"
        ));
        assert_eq!(left, "0|0|0|0", "tables, triggers, notes and constraints that are left");
    }

    /// Takes the unfinished runs of the old days.
    async fn claims(&self, runs: u64) -> Vec<RunNo> {
        let mut claimed = Vec::new();
        while claimed.len() < usize::try_from(runs / 100).unwrap() {
            let more = claim(&self.store, &self.lease, 0, &["w", "dear"], 1_000).await.unwrap();
            assert_ne!(more, [], "they are there to be claimed");
            claimed.extend(more);
        }
        claimed
    }

    async fn goes_on(&self, no: RunNo, first: u64, then: Then) {
        commit(&self.store, &self.lease, vec![turn(no, first, 1, then)]).await.unwrap();
    }

    /// Completes when nobody retires any more: a server may not have heard yet that somebody has gone.
    async fn is_left_alone(&self) {
        let lock = format!("SELECT pg_advisory_xact_lock(hashtext('fastn.retire'), hashtext('\"{}\"'))", self.schema);
        Rival::that_does(&lock).await.gives_up().await;
    }

    /// The records of a run by its number.
    async fn records(&self, no: RunNo) -> usize {
        let id = super::sql(&format!("SELECT run_id FROM {}.flow_executions WHERE run_no = {}", self.schema, no.0));
        let run = RunKey { tenant: TenantId::new("t").unwrap(), run: id.parse().unwrap() };
        self.store.read(&run).await.unwrap().unwrap().records.len()
    }
}

fn today() -> i64 {
    let seconds = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    i64::try_from(seconds / 86_400).unwrap()
}

async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(LONG, what).await.expect("nobody waits for a day that is being retired")
}

/// Whoever deletes what old runs have is stopped in the middle, by somebody who holds one of their keys.
#[tokio::test]
async fn all_go_on_while_a_day_is_being_retired() {
    let schema = "retiring_slowly";
    let world = World::new(schema).await;
    let day = world.has_a_day(20, 1_000);
    let open = world.claims(1_000).await;
    let rival = Rival::that_does(&format!(
        "SELECT * FROM {schema}.flow_keys WHERE run_no = (
             SELECT min(run_no) FROM {schema}.flow_executions_{day} WHERE run_no % 2 = 0) FOR UPDATE"
    ))
    .await;
    let others = async {
        rival.is_in_the_way().await;
        for (n, no) in open.iter().enumerate() {
            soon(world.goes_on(*no, 0, Then::Wait(at(100)))).await;
            soon(world.goes_on(*no, 1, Then::Run)).await;
            soon(create(&world.store, None, new_run("t", &format!("unheld {n}"), "w"))).await;
            soon(create(&world.store, Some(&world.lease), new_run("t", &format!("held {n}"), "w"))).await;
            if n % 2 == 0 {
                soon(world.goes_on(*no, 2, Then::End(RunStatus::Failed))).await;
            }
        }
        rival.gives_up().await;
    };
    let (retired, ()) = tokio::join!(world.store.keep_up(), others);
    assert_eq!(retired.unwrap(), Retired { thinned: 1, runs: 890, ..Retired::default() });
    world.holds_what_stays(day, 1_000);
    for (n, no) in open.iter().enumerate() {
        if n % 2 == 1 {
            world.goes_on(*no, 2, Then::End(RunStatus::Failed)).await;
        }
        assert_eq!(world.records(*no).await, 3, "what happened meanwhile is there");
    }
}

/// Tens of thousands of runs, of which hundreds go on, while others are created.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_day_is_retired_under_load() {
    const RUNS: u64 = 30_000;
    let world = World::new("retiring_much").await;
    let day = world.has_a_day(20, RUNS);
    let open = world.claims(RUNS).await;
    let (done, mut turns, mut longest) = (AtomicBool::new(false), vec![0_u64; open.len()], Duration::ZERO);
    let others = async {
        let mut step = 0_usize;
        while !done.load(Ordering::Relaxed) {
            let began = Instant::now();
            let place = step % open.len();
            // Some of them end while it is done; the last turn of a run ends it.
            if turns[place] < 100 {
                let then = match (step / open.len(), place % 3) {
                    (1.., 0) => Then::End(RunStatus::Succeeded),
                    (_, 1) => Then::Wait(at(1_000)),
                    _ => Then::Run,
                };
                world.goes_on(open[place], turns[place], then).await;
                turns[place] += if matches!(then, Then::End(_)) { 100 } else { 1 };
            }
            if step.is_multiple_of(5) {
                create(&world.store, Some(&world.lease), new_run("t", &format!("new {step}"), "w")).await;
            }
            longest = longest.max(began.elapsed());
            step += 1;
        }
        step
    };
    let retire = async {
        let retired = world.store.keep_up().await;
        done.store(true, Ordering::Relaxed);
        retired.unwrap()
    };
    let (retired, steps) = tokio::join!(retire, others);
    assert_eq!(retired, Retired { thinned: 1, runs: RUNS - RUNS / 10 - RUNS / 100, ..Retired::default() });
    assert!(longest < LONG, "something took {longest:?}");
    assert!(steps > open.len(), "too little went on beside: {steps}");
    world.holds_what_stays(day, RUNS);
    for (place, no) in open.iter().enumerate().step_by(7) {
        let told = turns[place];
        let records = if told >= 100 { told - 99 } else { told };
        assert_eq!(world.records(*no).await, usize::try_from(records).unwrap());
        if told < 100 {
            world.goes_on(*no, told, Then::End(RunStatus::Succeeded)).await;
        }
    }
}

/// Whoever retires dies at each thing it waits for: when the day is watched, when pages are written, when tables change
/// places.
#[tokio::test]
async fn whoever_dies_over_a_day_leaves_nothing_that_matters() {
    const RUNS: u64 = 5_000;
    let schema = "retiring_dying";
    let world = World::new(schema).await;
    let day = world.has_a_day(20, RUNS);
    let open = world.claims(RUNS).await;
    let last_page = format!(
        "SELECT * FROM {schema}.flow_keys WHERE run_no = (
             SELECT max(run_no) FROM {schema}.flow_keys k WHERE EXISTS (
                 SELECT 1 FROM {schema}.flow_history h WHERE h.run_no = k.run_no AND h.status = 10
                     AND h.run_no < {}::bigint << 31)) FOR UPDATE",
        (day + 1) * 86_400
    );
    let stages = [
        format!("LOCK TABLE {schema}.flow_history_{day} IN ROW EXCLUSIVE MODE"),
        format!("SELECT pg_advisory_xact_lock(hashtext('fastn.prune'), hashtext('\"{schema}\"'))"),
        last_page,
        format!("LOCK TABLE {schema}.flow_executions_{day} IN ACCESS SHARE MODE"),
        format!("LOCK TABLE {schema}.flow_history_{day} IN ACCESS SHARE MODE"),
    ];
    // Whoever has the lock of those who retire.
    let kill = format!(
        "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'
             AND classid::bigint = hashtext('fastn.retire')::bigint & 4294967295
             AND objid::bigint = hashtext('\"{schema}\"')::bigint & 4294967295"
    );
    let mut turns = 0;
    for stage in &stages {
        for is_killed in [true, false] {
            let rival = Rival::that_does(stage).await;
            let dies = async {
                rival.is_in_the_way().await;
                world.goes_on(open[1], turns, Then::Wait(at(1_000))).await;
                if is_killed {
                    rival.does(&kill).await;
                }
            };
            if is_killed {
                let (retired, ()) = tokio::join!(world.store.keep_up(), dies);
                assert!(retired.is_err(), "{retired:?}");
            } else {
                tokio::select! {
                    retired = world.store.keep_up() => panic!("{retired:?} in spite of {stage}"),
                    () = dies => {}
                }
            }
            turns += 1;
            rival.gives_up().await;
            world.is_left_alone().await;
            assert_eq!(world.records(open[1]).await, usize::try_from(turns).unwrap());
        }
    }
    assert_eq!(super::sql(&format!("SELECT count(*) FROM {schema}.flow_executions_{day}")), RUNS.to_string());
    let retired = world.store.keep_up().await.unwrap();
    assert_eq!(retired, Retired { thinned: 1, runs: RUNS - RUNS / 10 - RUNS / 100, ..Retired::default() });
    world.holds_what_stays(day, RUNS);
    world.goes_on(open[1], turns, Then::End(RunStatus::Succeeded)).await;
    assert_eq!(world.records(open[1]).await, usize::try_from(turns).unwrap() + 1);
}

/// Dropped after ever longer, wherever it is by then.
#[tokio::test]
async fn whoever_is_dropped_anywhere_is_followed_by_one_who_ends_it() {
    const RUNS: u64 = 4_000;
    let world = World::new("retiring_dropped").await;
    let day = world.has_a_day(20, RUNS);
    let mut span = Duration::from_millis(1);
    let retired = loop {
        match tokio::time::timeout(span, world.store.keep_up()).await {
            Err(_) => {}
            Ok(retired) => {
                let retired = retired.unwrap();
                if retired != Retired::default() {
                    break Some(retired);
                }
                // It was done, and the answer was lost.
                if super::sql(&format!("SELECT count(*) FROM retiring_dropped.flow_executions_{day}"))
                    != RUNS.to_string()
                {
                    break None;
                }
            }
        }
        world.is_left_alone().await;
        span = span * 5 / 4;
    };
    assert!(retired.is_none_or(|retired| retired.thinned == 1), "{retired:?}");
    world.holds_what_stays(day, RUNS);
}

/// A day that somebody reads all the time, as a dump does.
#[tokio::test]
async fn a_day_that_cannot_be_locked_is_for_another_time_and_keeps_nobody_from_anything() {
    let schema = "retiring_busy";
    let world = World::new(schema).await;
    let (held, free) = (world.has_a_day(21, 200), world.has_a_day(20, 200));
    super::sql(&format!(
        "INSERT INTO {schema}.flow_messages (run_no, id, sent_at, body)
         SELECT run_no, '00000000-0000-4000-8000-0123456789ab', 1, '1' FROM {schema}.flow_history
         WHERE run_no >= {}::bigint << 31 LIMIT 1",
        (today() - 1) * 86_400
    ));
    let of_day =
        format!("run_no >= {}::bigint << 31 AND run_no < {}::bigint << 31", held * 86_400, (held + 1) * 86_400);
    let items = || super::sql(&format!("SELECT count(*) FROM {schema}.flow_batched WHERE {of_day}"));
    let rival = Rival::that_does(&format!("LOCK TABLE {schema}.flow_executions_{held} IN ACCESS SHARE MODE")).await;
    let done = AtomicBool::new(false);
    let others = async {
        let mut n = 0;
        while !done.load(Ordering::Relaxed) {
            soon(create(&world.store, Some(&world.lease), new_run("t", &format!("new {n}"), "w"))).await;
            n += 1;
        }
    };
    let retire = async {
        let retired = world.store.keep_up().await;
        done.store(true, Ordering::Relaxed);
        retired.unwrap()
    };
    let (retired, ()) = tokio::join!(retire, others);
    assert_eq!(retired, Retired { thinned: 1, busy: 1, runs: 178, dropped: 0 });
    let emptied =
        "SELECT count(*) FROM {}.flow_messages WHERE body IS NULL AND id = '00000000-0000-4000-8000-0123456789ab'";
    assert_eq!(super::sql(&emptied.replace("{}", schema)), "1", "what else is to be done was done");
    assert_eq!(items(), "40", "what a run was made from is known for as long as it is there");
    rival.gives_up().await;
    assert_eq!(world.store.keep_up().await.unwrap(), Retired { thinned: 1, runs: 178, ..Retired::default() });
    for day in [held, free] {
        assert_eq!(super::sql(&format!("SELECT count(*) FROM {schema}.flow_executions_{day}")), "22");
    }
    assert_eq!(items(), "22");
}

/// A clock that is wrong, or runs that are brought along from elsewhere.
#[tokio::test]
async fn a_run_that_is_said_to_be_old_is_created_in_no_old_day_and_once() {
    let schema = "retiring_late";
    let world = World::new(schema).await;
    let old = world.has_a_day(20, 100);
    // It has seen that there is such a day.
    let store = super::open(&PostgresOptions::default().schema(schema)).await;
    let lease = acquire(&store, "b", 0).await.unwrap();
    let noon = Timestamp::from_millis((old * 86_400 + 43_200) * 1_000);
    let named = NewRun { created_at: noon, ..new_run("t", "named", "w") };
    let drawn = RunKey { run: RunId::at(noon, [7; 10]), ..key("t", "drawn") };
    let drawn = NewRun { created_at: noon, key: drawn, ..new_run("t", "drawn", "w") };
    // Between this day and today there is none.
    let between = Timestamp::from_millis(noon.as_millis() + 10 * 86_400_000);
    let between = NewRun { created_at: between, ..new_run("t", "between", "w") };
    for new in [named, drawn, between] {
        let key = new.key.clone();
        let write = || Batch { lease: Some(lease.token), now: noon, writes: vec![Write::Create(new.clone().into())] };
        let made = store.commit(write()).await.unwrap();
        let [Written::Created(no)] = made.as_slice() else { panic!("{made:?}") };
        let again = store.commit(write()).await.unwrap();
        assert!(matches!(again.as_slice(), [Written::Exists(run)] if run.no == *no), "{again:?}");
        assert_eq!(store.read(&key).await.unwrap().unwrap().run.no, *no);
        let second = i64::try_from(no.0 >> 31).unwrap();
        assert!(second >= (today() - 1) * 86_400, "in a day that nobody retires");
    }
    assert_eq!(super::sql(&format!("SELECT count(*) FROM {schema}.flow_executions_{old}")), "100");
}

/// Whoever reads a run sees it as of one moment, and that must not be one in which its day was another table.
#[tokio::test]
async fn whoever_reads_a_run_while_its_day_changes_places_finds_it() {
    let schema = "retiring_read";
    let world = World::new(schema).await;
    let day = world.has_a_day(20, 100);
    let no = world.claims(100).await[0];
    world.goes_on(no, 0, Then::Wait(at(100))).await;
    let swap = |table: &str| {
        let (from, to) = ((day * 86_400) << 31, ((day + 1) * 86_400) << 31);
        format!(
            "CREATE TABLE {schema}.beside (LIKE {schema}.{table} INCLUDING ALL);
             INSERT INTO {schema}.beside SELECT * FROM {schema}.{table}_{day}; DROP TABLE {schema}.{table}_{day};
             ALTER TABLE {schema}.beside RENAME TO {table}_{day};
             ALTER TABLE {schema}.{table} ATTACH PARTITION {schema}.{table}_{day} FOR VALUES FROM ({from}) TO ({to});"
        )
    };
    let rival = Rival::that_does(&[swap("flow_executions"), swap("flow_history")].concat()).await;
    let waits = async {
        rival.is_in_the_way().await;
        rival.commits().await;
    };
    let id = format!("00000000-0000-4000-8000-{:012x}", day * 100_000 + 100);
    let run = RunKey { tenant: TenantId::new("t").unwrap(), run: id.parse().unwrap() };
    let (read, ()) = tokio::join!(world.store.read(&run), waits);
    assert_eq!(read.unwrap().expect("it is there").records.len(), 1);
}

/// Looking through a day takes long, and what is kept of it today is kept tomorrow.
#[tokio::test]
async fn a_day_that_is_not_worth_it_is_looked_through_once_a_day() {
    let schema = "retiring_seldom";
    let world = World::new(schema).await;
    world.has_a_day(20, 100);
    // Not so long ago that they go however many others stay.
    let ended = "(extract(epoch FROM now() - interval '3 days') * 1000000)::bigint";
    super::sql(&format!("UPDATE {schema}.flow_history SET finished_at = {ended} WHERE finished_at IS NOT NULL"));
    super::sql(&format!("DELETE FROM {schema}.flow_history WHERE run_no % 4 <> 0"));
    assert_eq!(world.store.keep_up().await.unwrap(), Retired::default());
    super::sql(&format!(
        "INSERT INTO {schema}.flow_history SELECT run_no, 0, 1, 10, {ended}, '' FROM {schema}.flow_executions ON CONFLICT DO NOTHING"
    ));
    assert_eq!(world.store.keep_up().await.unwrap(), Retired::default());
    let otherwise = PostgresOptions::default().schema(schema).retention(Retention::of(Duration::from_secs(2 * 86_400)));
    let changed = super::open(&otherwise).await;
    super::sql(&format!("UPDATE {schema}.flow_looked SET looked_at = looked_at - interval '23 hours'"));
    assert_eq!(world.store.keep_up().await.unwrap(), Retired::default());
    super::sql(&format!("UPDATE {schema}.flow_looked SET looked_at = looked_at - interval '1 hour'"));
    assert_eq!(world.store.keep_up().await.unwrap(), Retired { thinned: 1, runs: 89, ..Retired::default() });
    assert_eq!(world.store.keep_up().await.unwrap(), Retired::default());
    assert_eq!(changed.keep_up().await.unwrap(), Retired { dropped: 1, runs: 11, ..Retired::default() }, "other rules");
    assert_eq!(changed.keep_up().await.unwrap(), Retired::default());
    assert_eq!(super::sql(&format!("SELECT count(*) FROM {schema}.flow_looked")), "0", "of days that are gone");
}
