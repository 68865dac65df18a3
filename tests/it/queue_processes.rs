//! Many processes on one queue, some of them killed, and some stopped until they have lost their runs: no instant has more than the limit, every run is done, and every item
//! that was acknowledged is in one run, once.

use std::collections::BTreeMap;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use fastn::prelude::*;
use fastn::runtime::{Batching, Queue};
use fastn::store::{PostgresOptions, PostgresStore, Store};
use fastn_testkit::server::PrivatePostgres;

use crate::world::{Res, builder};

/// Set for a copy of this program that is to work: the URL of its database.
const WORKER: &str = "FASTN_TEST_QUEUE_WORKER";

const SCHEMA: &str = "queue_processes";
const RUNS: i64 = 90;
const KEYS: i64 = 12;

/// In any two seconds at most so much is begun: every third run costs twice as much as others.
const RATE: (u32, Duration) = (34, Duration::from_secs(2));

const fn cost(n: i64) -> u32 {
    if n % 3 == 0 { 2 } else { 1 }
}

fn queue() -> Queue {
    Queue::new("hammered").concurrency(5).per_key(1).per_executor(3).rate(RATE.0, RATE.1).fair()
}

/// Notes when it begins, by the database's clock and exactly once, takes a while, and notes when it ends.
fn work(database: &Arc<PostgresStore>) -> Workflow<i64, i64> {
    let note = |what: &'static str| {
        let database = database.clone();
        move |cx: StepCx, n: i64| {
            let database = database.clone();
            async move {
                let insert = format!(
                    "INSERT INTO {SCHEMA}_log VALUES ($1, '{what}', clock_timestamp(), {})",
                    std::process::id()
                );
                database
                    .once(&cx, |transaction| {
                        Box::pin(async move {
                            transaction.execute(&insert, &[&n]).await?;
                            Ok(n)
                        })
                    })
                    .await
            }
        }
    };
    // Not to wait for anything: it is what takes time.
    let toil = |n: i64| async move {
        tokio::time::sleep(Duration::from_millis(10 + u64::try_from(n % 7).unwrap_or(0) * 10)).await;
        Res::Ok(n)
    };
    workflow("toil")
        .define(|flow, n| {
            let begun = flow.step("begin", note("begin"), n);
            let done = flow.step("toil", toil, begun);
            flow.step("end", note("end"), done)
        })
        .unwrap()
}

async fn open(url: &str) -> Arc<PostgresStore> {
    let options = PostgresOptions::default().schema(SCHEMA).connections(4);
    Arc::new(PostgresStore::open(url, options).await.unwrap())
}

/// Not a test of its own: what the copies do. Without the variable it has nothing to do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn worker() {
    let Ok(url) = std::env::var(WORKER) else { return };
    let database = open(&url).await;
    let flow = work(&database);
    let store = database as Arc<dyn Store>;
    let builder = builder().store(store).queue(queue()).lease(Duration::from_secs(1)).serve(&flow);
    let _engine = builder.open().await.unwrap();
    // Until it is killed.
    std::future::pending::<()>().await;
}

fn begin(url: &str) -> Child {
    copy("worker", &[(WORKER, url)])
}

/// A copy of this program that does what a function here does.
fn copy(what: &str, vars: &[(&str, &str)]) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("queue_processes::{what}"), "--nocapture", "--test-threads=1"])
        .envs(vars.iter().copied())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn signal(process: u32, signal: &str) {
    assert!(Command::new("kill").args([signal, &process.to_string()]).status().unwrap().success());
}

/// Ends with its test, however that ends.
struct Workers(Vec<Child>);

impl Drop for Workers {
    fn drop(&mut self) {
        for worker in &mut self.0 {
            let _ = worker.kill();
            let _ = worker.wait();
        }
    }
}

fn numbers(text: &str) -> Vec<Vec<i64>> {
    text.lines().map(|line| line.split('|').map(|number| number.trim().parse().unwrap()).collect()).collect()
}

/// Holds what is in the tables against the limits.
fn judge(server: &PrivatePostgres) {
    let micros = "(extract(epoch FROM at) * 1000000)::bigint";
    let log = format!("SELECT n, CASE what WHEN 'begin' THEN 1 ELSE -1 END, {micros} FROM {SCHEMA}_log ORDER BY at, 2");
    let log = numbers(&server.sql("postgres", &log).unwrap());
    assert_eq!(log.len() as i64, 2 * RUNS, "every run has begun and ended once");
    let (mut now, mut most, mut of_keys) = (0, 0, BTreeMap::<i64, i64>::new());
    for line in &log {
        let [n, change, at] = line[..] else { panic!("{line:?}") };
        now += change;
        most = most.max(now);
        let of_key = of_keys.entry(n % KEYS).or_default();
        *of_key += change;
        assert!(now <= 5 && *of_key <= 1, "{now} runs at {at}, {of_key} of key {}", n % KEYS);
    }
    assert!(now == 0 && most >= 3, "at most {most} at a time put no limit to the test");

    // Those that one process has both begun and ended it has had all the while.
    let whole = format!(
        "SELECT b.by, (extract(epoch FROM b.at) * 1000000)::bigint, (extract(epoch FROM e.at) * 1000000)::bigint
         FROM {SCHEMA}_log b JOIN {SCHEMA}_log e ON e.n = b.n AND e.by = b.by WHERE b.what = 'begin' AND e.what = 'end'"
    );
    let whole = numbers(&server.sql("postgres", &whole).unwrap());
    let beside = |line: &Vec<i64>| {
        whole.iter().filter(|other| other[0] == line[0] && (other[1]..=other[2]).contains(&line[1])).count()
    };
    let most = whole.iter().map(beside).max().unwrap();
    assert!((2..=3).contains(&most), "{most} at a time in one process");

    let admitted = format!("SELECT cost, {micros} FROM {SCHEMA}_admitted ORDER BY at");
    let admitted = numbers(&server.sql("postgres", &admitted).unwrap());
    let all: i64 = (0..RUNS).map(|n| i64::from(cost(n))).sum();
    assert_eq!(admitted.iter().map(|line| line[0]).sum::<i64>(), all, "every run was admitted once");
    // What was admitted at a time was decided on after what came before it was written.
    let span = i64::try_from(RATE.1.as_micros()).unwrap();
    for first in 0..admitted.len() {
        let after = if first == 0 { i64::MIN / 2 } else { admitted[first - 1][1] };
        let inside = admitted[first..].iter().take_while(|line| line[1] - after < span);
        let taken: i64 = inside.map(|line| line[0]).sum();
        assert!(taken <= i64::from(RATE.0), "{taken} in a window");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_limit_is_overshot_by_many_processes_of_which_some_are_killed_and_some_stopped() {
    let server = PrivatePostgres::shared().unwrap();
    let url = server.url("postgres");
    let database = open(&url).await;
    // What is admitted is noted by the database itself.
    let tables = format!(
        "CREATE TABLE {SCHEMA}_log (n bigint, what text, at timestamptz, by bigint);
         CREATE TABLE {SCHEMA}_admitted (cost bigint, at timestamptz);
         CREATE FUNCTION {SCHEMA}_note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             INSERT INTO public.{SCHEMA}_admitted SELECT sum(cost), clock_timestamp() FROM seated
             WHERE state = 2 HAVING count(*) > 0;
             RETURN NULL;
         END $$;
         CREATE TRIGGER note AFTER UPDATE ON {SCHEMA}.flow_queued REFERENCING NEW TABLE AS seated
         FOR EACH STATEMENT EXECUTE FUNCTION {SCHEMA}_note()"
    );
    server.sql("postgres", &tables).unwrap();
    let flow = work(&database);
    let store = database.clone() as Arc<dyn Store>;
    let engine = builder().store(store).queue(queue()).lease(Duration::from_secs(1)).serve(&flow).open().await.unwrap();
    let mut workers = Workers((0..4).map(|_| begin(&url)).collect());
    let mut runs = Vec::new();
    for n in 0..RUNS {
        let start = engine.start(&flow, n).queue("hammered").queue_key(&(n % KEYS).to_string());
        runs.push(start.cost(cost(n)).await.unwrap());
    }
    let (began, mut killed, mut stopped) = (Instant::now(), 0, None);
    for (n, run) in (0..).zip(&runs) {
        // One is stopped in the midst of it, and goes on when others have had its runs for long.
        if n % 20 == 12 {
            let worker = workers.0[2 + killed % 2].id();
            signal(worker, "-STOP");
            stopped = Some((worker, Instant::now()));
        }
        if let Some((worker, _)) =
            stopped.filter(|(_, since): &(u32, Instant)| since.elapsed() > Duration::from_millis(1_800))
        {
            signal(worker, "-CONT");
            stopped = None;
        }
        // Every so often one dies in the midst of it, and another comes.
        if n % 20 == 10 {
            let place = killed % 2;
            workers.0[place].kill().unwrap();
            workers.0[place].wait().unwrap();
            workers.0[place] = begin(&url);
            killed += 1;
        }
        let outcome = tokio::time::timeout(Duration::from_secs(60), run.output()).await;
        assert_eq!(outcome.expect("every run is done").unwrap(), n);
    }
    let counts = engine.queues().counts("hammered", 9).await.unwrap();
    assert_eq!((counts.waiting, counts.running, killed), (0, 0, 4), "after {:?}", began.elapsed());
    drop(workers);
    judge(server);
    engine.shutdown().await.unwrap();
    database.close().await.unwrap();
}

/// Set for a copy of this program that is to add items, and run what they become: which one it is.
const ADDER: &str = "FASTN_TEST_ITEM_ADDER";

const ITEMS: &str = "item_processes";

/// A run of many items notes each of them, exactly once.
fn digest(database: &Arc<PostgresStore>) -> Workflow<Vec<i64>, usize> {
    let database = database.clone();
    let note = move |cx: StepCx, items: Vec<i64>| {
        let database = database.clone();
        async move {
            database
                .once(&cx, |transaction| {
                    Box::pin(async move {
                        let insert = format!("INSERT INTO public.{ITEMS}_done SELECT unnest($1::bigint[])");
                        transaction.execute(&insert, &[&items]).await?;
                        Ok(items.len())
                    })
                })
                .await
        }
    };
    workflow("digest").define(|flow, items| flow.step("note", note.retry(9), items)).unwrap()
}

async fn item_engine(url: &str) -> (Arc<PostgresStore>, Workflow<Vec<i64>, usize>, Engine) {
    let options = PostgresOptions::default().schema(ITEMS).connections(4);
    let database = Arc::new(PostgresStore::open(url, options).await.unwrap());
    let flow = digest(&database);
    let builder = builder().store(database.clone() as Arc<dyn Store>).queue(Queue::new("gathered").concurrency(3));
    let engine = builder.lease(Duration::from_secs(1)).serve(&flow).open().await.unwrap();
    (database, flow, engine)
}

/// Not a test of its own: what the copies do. Without the variables it has nothing to do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn adder() {
    let (Ok(url), Ok(number)) = (std::env::var(WORKER), std::env::var(ADDER)) else { return };
    let (_database, flow, engine) = item_engine(&url).await;
    let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    let first = number.parse::<i64>().unwrap() * 1_000_000;
    let batching = Batching::new("gathered", 7, Duration::from_millis(150));
    // Until it is killed.
    for item in first.. {
        // Each third is told of twice.
        for _ in 0..if item % 3 == 0 { 2 } else { 1 } {
            let add = engine.start_batched(&flow, item, &batching).deduplicate(item.to_string());
            let run = add.queue_key(&(item % 2).to_string()).await.unwrap();
            let note = format!("INSERT INTO {ITEMS}_added VALUES ($1, $2)");
            client.execute(&note, &[&item, &run.id().to_string()]).await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_item_is_lost_or_doubled_by_processes_that_are_killed() {
    const ADDERS: usize = 3;
    let server = PrivatePostgres::shared().unwrap();
    let url = server.url("postgres");
    let tables = format!("CREATE TABLE {ITEMS}_added (item bigint, run text); CREATE TABLE {ITEMS}_done (item bigint)");
    server.sql("postgres", &tables).unwrap();
    let (database, _flow, engine) = item_engine(&url).await;
    let begin = |number: usize| copy("adder", &[(WORKER, &url), (ADDER, &number.to_string())]);
    let mut adders = Workers((0..ADDERS).map(begin).collect());
    let count = |table: &str| server.sql("postgres", &format!("SELECT count(*) FROM {ITEMS}_{table}")).unwrap();
    let (began, mut killed) = (Instant::now(), 0);
    for added in (60..=300).step_by(60) {
        while count("added").parse::<i64>().unwrap() < added {
            assert!(began.elapsed() < Duration::from_secs(120), "items come");
            for adder in &mut adders.0 {
                assert!(adder.try_wait().unwrap().is_none(), "no adder ends by itself");
            }
            tokio::task::yield_now().await;
        }
        let place = killed % ADDERS;
        adders.0[place].kill().unwrap();
        adders.0[place].wait().unwrap();
        killed += 1;
        adders.0[place] = begin(ADDERS + killed);
    }
    drop(adders);
    // What the dead have left is brought to its end by the one that lives.
    loop {
        let counts = engine.queues().counts("gathered", 0).await.unwrap();
        if (counts.waiting, counts.running) == (0, 0) {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(180), "{counts:?} are left");
        tokio::task::yield_now().await;
    }
    let twice = format!("SELECT count(*) FROM (SELECT item FROM {ITEMS}_done GROUP BY item HAVING count(*) > 1) twice");
    let lost = format!("SELECT count(*) FROM {ITEMS}_added WHERE item NOT IN (SELECT item FROM {ITEMS}_done)");
    // Each is in the input of the run that its adder was told of, and in no other.
    let told = format!(
        "SELECT count(*) FROM {ITEMS}_added a WHERE (
             SELECT string_agg(e.run_id::text, ' ') FROM {ITEMS}.flow_executions e
             WHERE convert_from(e.input, 'UTF8')::jsonb @> to_jsonb(a.item)) IS DISTINCT FROM a.run"
    );
    let full =
        format!("SELECT max(jsonb_array_length(convert_from(input, 'UTF8')::jsonb)) FROM {ITEMS}.flow_executions");
    let failed = format!("SELECT count(*) FROM {ITEMS}.flow_history WHERE status <> 10");
    let found = [failed, twice, lost, told].map(|sql| server.sql("postgres", &sql).unwrap());
    assert_eq!(found, ["0", "0", "0", "0"], "failed, twice, lost, elsewhere than told");
    let most: i64 = server.sql("postgres", &full).unwrap().parse().unwrap();
    assert!((2..=7).contains(&most), "the largest run has {most}");
    engine.shutdown().await.unwrap();
    database.close().await.unwrap();
}
