//! Promises on a real PostgreSQL.

use std::future::IntoFuture as _;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use fastn::core::{ExecutorId, Payload};
use fastn::prelude::*;
use fastn::store::{Batch, DefinitionKey, LeaseAsk, NewRun, PostgresOptions, PostgresStore, RunKey, Store, Write};
use fastn_testkit::Effects;
use fastn_testkit::server::PrivatePostgres;
use fastn_testkit::sweep::{CrashSweep, Swept};

use crate::crash_sweep::on_postgres;
use crate::world::{Res, builder};

/// Sweeps over a workflow, each death with tables of its own, in schemas with this name before a number.
fn sweep(
    name: &'static str,
    effects: &Effects,
    flow: &Workflow<u64, u64>,
    opened: impl Fn(&PrivatePostgres, &str, Arc<PostgresStore>) + Send + Sync + Clone + 'static,
) -> Swept {
    let start = |engine: &Engine| engine.start(flow, 7).key("the run");
    let sweep = CrashSweep::new(effects, |_| builder().serve(flow), start).on(on_postgres(name, opened));
    sweep.run().unwrap_or_else(|broken| panic!("{broken}"))
}

#[test]
fn dying_at_every_store_call_keeps_every_promise() {
    let effects = Effects::default();
    let noted = |name: &'static str| {
        let effects = effects.clone();
        move |n: u64| {
            effects.note(name);
            async move { Res::Ok(n + 1) }
        }
    };
    let flow = workflow("order")
        .define(|flow, n| {
            let order = flow.step("order", noted("order"), n);
            let paid = flow.step("pay", noted("pay").durability(Durability::AtMostOnce), order);
            let rested = flow.sleep("rest", hours(5), paid);
            flow.step("ship", noted("ship"), rested)
        })
        .unwrap();
    let swept = sweep("sweep", &effects, &flow, |_, _, _| {});
    assert!(swept.deaths >= 10 && swept.repeated["pay"] == 0, "{swept:?}");
}

/// Its effect and its result are one transaction, so that neither is there without the other, wherever the process dies.
#[test]
fn a_transactional_step_is_done_exactly_once() {
    let (effects, schemas) = (Effects::default(), Arc::new(Mutex::new(Vec::new())));
    let database = Arc::new(Mutex::new(None::<(String, Arc<PostgresStore>)>));
    let charge = |name: &'static str| {
        let (effects, database) = (effects.clone(), database.clone());
        move |cx: StepCx, n: u64| {
            effects.note(name);
            let (schema, database) = database.lock().unwrap().clone().unwrap();
            async move {
                let insert = format!("INSERT INTO {schema}.charges VALUES ($1)");
                database
                    .once(&cx, |transaction| {
                        Box::pin(async move {
                            transaction.execute(&insert, &[&i64::try_from(n)?]).await?;
                            Ok(n + 1)
                        })
                    })
                    .await
            }
        }
    };
    let flow = workflow("charge")
        .define(|flow, n| {
            let first = flow.step("first", charge("first"), n);
            flow.step("second", charge("second"), first)
        })
        .unwrap();
    let (made, current) = (schemas.clone(), database);
    let swept = sweep("charge", &effects, &flow, move |server, schema, store| {
        server.sql("postgres", &format!("CREATE TABLE {schema}.charges (n bigint)")).unwrap();
        made.lock().unwrap().push(schema.to_owned());
        *current.lock().unwrap() = Some((schema.to_owned(), store));
    });
    assert!(swept.deaths >= 10 && swept.repeated["first"] > 0, "steps were tried again: {swept:?}");
    let server = PrivatePostgres::shared().unwrap();
    for schema in schemas.lock().unwrap().iter() {
        let charged =
            server.sql("postgres", &format!("SELECT string_agg(n::text, ' ' ORDER BY n) FROM {schema}.charges"));
        assert_eq!(charged.unwrap(), "7 8", "in {schema}");
    }
}

/// An order and its run are there together or not at all, and whoever waits for the run waits for the commit.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_starts_with_the_hosts_own_transaction() {
    async fn double(n: u64) -> Res<u64> {
        Ok(n * 2)
    }
    let flow = workflow("double").define(|flow, n| flow.step("double", double, n)).unwrap();
    let url = PrivatePostgres::shared().unwrap().database("hosts_transaction").unwrap();
    let engine = builder().store(url.as_str()).serve(&flow).open().await.unwrap();
    let (mut client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    let transaction = client.transaction().await.unwrap();
    let run = engine.start(&flow, 4).key("kept").within(&transaction).await.unwrap();
    let again = engine.start(&flow, 4).key("kept").within(&transaction).await.unwrap();
    let other = engine.start(&flow, 5).key("kept").within(&transaction).await;
    assert_eq!((again.id(), other.unwrap_err().kind()), (run.id(), ErrorKind::Conflict));
    transaction.commit().await.unwrap();
    assert_eq!(run.output().await.unwrap(), 8);

    let transaction = client.transaction().await.unwrap();
    let run = engine.start(&flow, 4).key("dropped").within(&transaction).await.unwrap();
    transaction.rollback().await.unwrap();
    assert_eq!(run.status().await.unwrap_err().kind(), ErrorKind::NotFound);

    // And from any language.
    let row = client.query_one("SELECT fastn.start_run('double', '21')::text", &[]).await.unwrap();
    let run = engine.runs().handle::<u64>(&TenantId::default(), row.get::<_, String>(0).parse().unwrap());
    assert_eq!(run.output().await.unwrap(), 42);
    engine.shutdown().await.unwrap();
}

/// A run that waits its turn is there with the order or not at all, and what cannot be rolled back is refused.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_of_a_queue_starts_with_the_hosts_own_transaction() {
    use fastn::runtime::{Queue, Singleton};
    async fn double(n: u64) -> Res<u64> {
        Ok(n * 2)
    }
    let flow = workflow("double").define(|flow, n| flow.step("double", double, n)).unwrap();
    let url = PrivatePostgres::shared().unwrap().database("hosts_queue").unwrap();
    let builder = builder().store(url.as_str()).queue(Queue::new("jobs").concurrency(1)).serve(&flow);
    let engine = builder.open().await.unwrap();
    let start = |n: u64| engine.start(&flow, n).queue("jobs");
    // The first run of a workflow makes it known to the database, and whoever does so at the same time waits.
    assert_eq!(start(7).await.unwrap().output().await.unwrap(), 14);
    let (mut client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);

    let transaction = client.transaction().await.unwrap();
    let dropped = start(3).deduplicate("order").within(&transaction).await.unwrap();
    let beside = start(1).await.unwrap();
    assert_eq!(beside.output().await.unwrap(), 2, "a queue goes on while a host makes up its mind");
    transaction.rollback().await.unwrap();
    assert_eq!(dropped.status().await.unwrap_err().kind(), ErrorKind::NotFound);

    let transaction = client.transaction().await.unwrap();
    let run = start(4).deduplicate("order").within(&transaction).await.unwrap();
    let same = start(5).deduplicate("order").within(&transaction).await.unwrap();
    assert_eq!(same.id(), run.id(), "it is attached to");
    let only = start(6).singleton(Singleton::CancelNewest).within(&transaction).await.unwrap();
    let newest = start(6).singleton(Singleton::CancelNewest).within(&transaction).await.unwrap_err();
    assert_eq!(newest.kind(), ErrorKind::AlreadyExists);
    let progress = start(6).singleton(Singleton::CancelInProgress).within(&transaction).await.unwrap_err();
    assert_eq!(progress.kind(), ErrorKind::Unsupported);
    let debounced = start(8).debounce("order", secs(1), secs(2)).within(&transaction).await.unwrap();
    let nowhere = engine.start(&flow, 6).queue("nowhere").within(&transaction).await.unwrap_err();
    assert_eq!(nowhere.kind(), ErrorKind::NotFound);
    let row =
        transaction.query_one("SELECT fastn.start_run('double', '21', queue => 'jobs')::text", &[]).await.unwrap();
    let sql = engine.runs().handle::<u64>(&TenantId::default(), row.get::<_, String>(0).parse().unwrap());
    transaction.commit().await.unwrap();
    let began = Instant::now();
    for (run, doubled) in [(&run, 8), (&only, 12), (&sql, 42)] {
        assert_eq!(run.output().await.unwrap(), doubled);
    }
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}: the commit is news", began.elapsed());
    assert_eq!(debounced.output().await.unwrap(), 16);
    engine.shutdown().await.unwrap();
}

/// Their queue waits for the end of the transaction, and other queues do not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn items_come_with_the_hosts_own_transaction() {
    use fastn::runtime::{Batching, Queue};
    async fn sum(items: Vec<u64>) -> Res<u64> {
        Ok(items.into_iter().sum())
    }
    async fn double(n: u64) -> Res<u64> {
        Ok(n * 2)
    }
    let flow = workflow("double").define(|flow, n| flow.step("double", double, n)).unwrap();
    let list = workflow("sum").define(|flow, items| flow.step("sum", sum, items)).unwrap();
    let url = PrivatePostgres::shared().unwrap().database("hosts_items").unwrap();
    let builder = builder().store(url.as_str()).queue(Queue::new("items")).queue(Queue::new("others"));
    let engine = builder.serve(&flow).serve(&list).open().await.unwrap();
    let add = |n: u64| engine.start_batched(&list, n, &Batching::new("items", 3, hours(1)));
    // The first run of a workflow makes it known to the database, and whoever does so at the same time waits.
    let first = add(1).await.unwrap();
    assert_eq!(engine.start(&flow, 1).queue("others").await.unwrap().output().await.unwrap(), 2);
    let (mut client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);

    let transaction = client.transaction().await.unwrap();
    assert_eq!(add(10).within(&transaction).await.unwrap().id(), first.id());
    transaction.rollback().await.unwrap();
    let transaction = client.transaction().await.unwrap();
    for n in [2, 3] {
        assert_eq!(add(n).within(&transaction).await.unwrap().id(), first.id());
    }
    // In the midst of it somebody adds one by himself, and other queues have work.
    let beside = tokio::spawn(add(4).into_future());
    for n in 0..5 {
        let began = Instant::now();
        let run = engine.start(&flow, n).queue("others").await.unwrap();
        assert_eq!(run.output().await.unwrap(), n * 2);
        assert!(began.elapsed() < Duration::from_secs(2), "{:?}: another queue goes on", began.elapsed());
    }
    assert_eq!(first.status().await.unwrap(), RunStatus::Pending);
    transaction.commit().await.unwrap();
    assert_eq!(first.output().await.unwrap(), 6);
    assert_ne!(beside.await.unwrap().unwrap().id(), first.id(), "that one was full");
    engine.shutdown().await.unwrap();
}

/// A host's transaction that has started a run and is left open keeps nobody waiting but who starts the same run.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_that_is_left_open_holds_up_no_other_run() {
    async fn double(n: u64) -> Res<u64> {
        Ok(n * 2)
    }
    let flow = workflow("double").define(|flow, n| flow.step("double", double, n)).unwrap();
    let url = PrivatePostgres::shared().unwrap().database("left_open").unwrap();
    let engine = builder().store(url.as_str()).serve(&flow).open().await.unwrap();
    let (mut client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    let transaction = client.transaction().await.unwrap();
    engine.start(&flow, 4).key("same").within(&transaction).await.unwrap();

    let began = Instant::now();
    let same = tokio::spawn({
        let (engine, flow) = (engine.clone(), flow.clone());
        async move { engine.start(&flow, 4).key("same").await.map(drop) }
    });
    let mut others = 0;
    while !same.is_finished() {
        let run = engine.start(&flow, others).await.unwrap();
        assert_eq!(run.output().await.unwrap(), others * 2);
        others += 1;
    }
    assert_eq!(same.await.unwrap().unwrap_err().kind(), ErrorKind::Unavailable);
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    assert!(others > 3, "{others} others went on meanwhile");

    transaction.commit().await.unwrap();
    assert_eq!(engine.start(&flow, 4).key("same").await.unwrap().output().await.unwrap(), 8);
    engine.shutdown().await.unwrap();
}

/// An executor that dies just after it has renewed its lease, by the settings as they come.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_runs_of_a_dead_executor_go_on_elsewhere_within_five_seconds() {
    async fn double(n: u64) -> Res<u64> {
        Ok(n * 2)
    }
    let flow = workflow("double").define(|flow, n| flow.step("double", double, n)).unwrap();
    let url = PrivatePostgres::shared().unwrap().database("takeover").unwrap();
    let dead = PostgresStore::open(&url, PostgresOptions::default()).await.unwrap();
    let engine = builder().store(url.as_str()).serve(&flow).open().await.unwrap();
    // It has looked around, and knows that there is nothing to do.
    assert_eq!(engine.start(&flow, 1).await.unwrap().output().await.unwrap(), 2);
    let now = Timestamp::from(SystemTime::now());
    let ask = LeaseAsk { executor: ExecutorId::new("dead").unwrap(), now, ttl: Duration::from_millis(3_500) };
    let lease = dead.acquire(ask).await.unwrap();
    let plan = flow.plan();
    let definition = DefinitionKey { workflow: plan.name().clone(), version: plan.version(), shape: plan.shape() };
    let key = RunKey { tenant: TenantId::default(), run: RunId::named("orphan") };
    let input = Payload::json("21");
    let new = NewRun { key: key.clone(), definition, plan: None, input, created_at: now };
    let batch = Batch { lease: Some(lease.token), now, writes: vec![Write::Create(new.into())] };
    dead.commit(batch).await.unwrap();
    let died = Instant::now();
    assert_eq!(engine.runs().handle::<u64>(&key.tenant, key.run).output().await.unwrap(), 42);
    assert!(died.elapsed() < Duration::from_secs(5), "{:?}", died.elapsed());
    engine.shutdown().await.unwrap();
}

/// Hundreds of runs of an executor that dies, by the settings as they come: those who can run them all do their part, and
/// others who are there as well do not slow them down.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hundreds_of_runs_of_a_dead_executor_go_on_with_all_others_within_five_seconds() {
    const RUNS: u64 = 600;
    let done = Effects::default();
    let serving = |name: &'static str, workflow: &str| {
        let done = done.clone();
        let step = move |n: u64| {
            done.note(name);
            async move { Res::Ok(n * 2) }
        };
        fastn::prelude::workflow(workflow).define(move |flow, n| flow.step("double", step, n)).unwrap()
    };
    let url = PrivatePostgres::shared().unwrap().database("hundreds").unwrap();
    let dead = PostgresStore::open(&url, PostgresOptions::default()).await.unwrap();
    let mut engines = Vec::new();
    for name in ["one", "two", "three"] {
        engines.push(builder().store(url.as_str()).serve(&serving(name, "double")).open().await.unwrap());
    }
    for _ in 0..5 {
        engines.push(builder().store(url.as_str()).serve(&serving("other", "something else")).open().await.unwrap());
    }
    let flow = serving("nobody", "double");
    let plan = flow.plan();
    let definition = DefinitionKey { workflow: plan.name().clone(), version: plan.version(), shape: plan.shape() };
    let now = Timestamp::from(SystemTime::now());
    let ask = LeaseAsk { executor: ExecutorId::new("dead").unwrap(), now, ttl: Duration::from_millis(3_500) };
    let lease = dead.acquire(ask).await.unwrap();
    let key = |n: u64| RunKey { tenant: TenantId::default(), run: RunId::named(&n.to_string()) };
    let new = |n: u64| NewRun {
        key: key(n),
        definition: definition.clone(),
        plan: None,
        input: Payload::json(n.to_string()),
        created_at: now,
    };
    let writes = (0..RUNS).map(|n| Write::Create(new(n).into())).collect();
    dead.commit(Batch { lease: Some(lease.token), now, writes }).await.unwrap();
    let died = Instant::now();
    let parts = || ["one", "two", "three"].map(|name| done.count(name) as u64);
    while parts().iter().sum::<u64>() < RUNS {
        assert!(died.elapsed() < Duration::from_secs(5), "{:?} of {RUNS} after five seconds", parts());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    for n in (0..RUNS).step_by(10) {
        let run = engines[0].runs().handle::<u64>(&key(n).tenant, key(n).run);
        assert_eq!(run.output().await.unwrap(), n * 2);
    }
    let parts = parts();
    assert_eq!(parts.iter().sum::<u64>(), RUNS, "none is done again: {parts:?}");
    assert!(parts.iter().all(|part| *part >= RUNS / 10), "each does its part: {parts:?}");
    for engine in engines {
        engine.shutdown().await.unwrap();
    }
}
