//! Cases of versus on graphile_worker, with the settings of its own benchmark of throughput, `benches/perf_test.rs`.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use graphile_worker::{IntoTaskHandlerResult, JobSpec, LocalQueueConfig, TaskHandler, WorkerContext, WorkerOptions};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use tokio::sync::Notify;
use versus_measure::{Ask, Fallible, Figure, VALUE, rate};

/// How many jobs are enqueued with one call: of 300 to 100,000 the best.
const BATCH: usize = 1_000;

fn main() -> ExitCode {
    versus_measure::main(|ask| {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        runtime.block_on(measure(ask))
    })
}

async fn measure(ask: &Ask) -> Fallible<Vec<Figure>> {
    match ask.kind() {
        "jobs" => jobs(ask).await,
        _ => ask.unknown(),
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Pass {
    value: String,
}

impl TaskHandler for Pass {
    const IDENTIFIER: &'static str = "pass";

    async fn run(self, ctx: WorkerContext) -> impl IntoTaskHandlerResult {
        if self.value != VALUE {
            return Err("a value was lost on its way".to_owned());
        }
        if let Some(count) = ctx.get_ext::<Count>() {
            count.one();
        }
        Ok(())
    }
}

/// How many jobs have not been run.
#[derive(Clone, Debug)]
struct Count(Arc<(AtomicUsize, Notify)>);

impl Count {
    fn one(&self) {
        if self.0.0.fetch_sub(1, Relaxed) == 1 {
            self.0.1.notify_one();
        }
    }

    fn expect(&self, jobs: usize) {
        self.0.0.store(jobs, Relaxed);
    }

    async fn none_left(&self) {
        self.0.1.notified().await;
    }
}

async fn jobs(ask: &Ask) -> Fallible<Vec<Figure>> {
    let jobs = ask.pick(100_000, 10_000);
    let pool = PgPoolOptions::new().max_connections(100).connect(ask.url()?).await?;
    let count = Count(Arc::new((AtomicUsize::new(0), Notify::new())));
    let worker = WorkerOptions::default()
        .pg_pool(pool.clone())
        .concurrency(500)
        .poll_interval(Duration::from_millis(5))
        .complete_job_batch_delay(Duration::from_millis(5))
        .local_queue(LocalQueueConfig::default().with_size(5_000))
        .listen_os_shutdown_signals(false)
        .add_extension(count.clone())
        .define_job::<Pass>()
        .init()
        .await?;
    let worker = Arc::new(worker);
    let running = tokio::spawn({
        let worker = worker.clone();
        async move { worker.run().await.map_err(|why| why.to_string()) }
    });

    all(&worker, &pool, &count, 1).await?;
    let began = Instant::now();
    all(&worker, &pool, &count, jobs).await?;
    let took = began.elapsed();
    worker.request_shutdown();
    running.await??;
    Ok(vec![Figure::new("jobs", rate(jobs, took), "jobs/s")])
}

/// Enqueues so many jobs, while the worker does them, and returns when all are recorded as done.
async fn all(worker: &graphile_worker::Worker, pool: &PgPool, count: &Count, jobs: usize) -> Fallible<()> {
    count.expect(jobs);
    let utils = worker.create_utils();
    let spec = JobSpec::default();
    for from in (0..jobs).step_by(BATCH) {
        let some = BATCH.min(jobs - from);
        utils.add_jobs(&vec![(Pass { value: VALUE.to_owned() }, &spec); some]).await?;
    }
    count.none_left().await;
    // A job that is done is gone, a few milliseconds after it was run.
    while sqlx::query_scalar("SELECT EXISTS (SELECT FROM graphile_worker._private_jobs)").fetch_one(pool).await? {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    Ok(())
}
