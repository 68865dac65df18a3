//! Cases of versus on durare, as its examples write workflows: steps and workflows by its macros, started by reference.

use std::process::ExitCode;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use durare::{DurableContext, DurableEngine, PostgresProvider, Result, SqliteProvider, WorkflowDef, WorkflowOptions};
use sqlx::postgres::PgPoolOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};
use tokio::task::JoinSet;
use versus_measure::{Ask, Durability, Fallible, Figure, Marks, Size, Store, VALUE, percentile, rate, resident};

const NAP: Duration = Duration::from_millis(200);

/// Where steps note when they begin.
static MARKS: OnceLock<Marks> = OnceLock::new();

fn main() -> ExitCode {
    versus_measure::main(|ask| {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        runtime.block_on(measure(ask))
    })
}

async fn measure(ask: &Ask) -> Fallible<Vec<Figure>> {
    if ask.store == Store::Postgres {
        return on_postgres(ask).await;
    }
    let pool = open(ask).await?;
    let provider = Arc::new(SqliteProvider::from_pool(pool.clone()));
    let engine = Arc::new(DurableEngine::new(provider).await?);
    engine.launch().await?;
    let figures = match ask.kind() {
        "chain10" => chain10(ask, &engine).await?,
        "seq" => seq(&engine).await?,
        "parked" => parked(ask, &engine, &pool).await?,
        _ => return ask.unknown(),
    };
    // Runs that sleep need not be waited for.
    let _ = engine.shutdown(Duration::from_millis(100)).await;
    Ok(figures)
}

/// With as many connections as `PostgresProvider::connect` takes, but more patience for getting one.
async fn on_postgres(ask: &Ask) -> Fallible<Vec<Figure>> {
    let pool = PgPoolOptions::new().max_connections(8).acquire_timeout(Duration::from_secs(600));
    let provider = Arc::new(PostgresProvider::from_pool(pool.connect(ask.url()?).await?));
    let engine = Arc::new(DurableEngine::new(provider).await?);
    engine.launch().await?;
    let figures = match ask.kind() {
        "chain10" => chain10(ask, &engine).await?,
        "jobs" => jobs(ask, &engine).await?,
        "seq" => seq(&engine).await?,
        _ => return ask.unknown(),
    };
    engine.shutdown(Duration::from_secs(10)).await?;
    Ok(figures)
}

/// The pool as `SqliteProvider::connect` makes it, but for the durability, and for patience: ten thousand runs wait
/// longer for a connection than sqlx lets them by default.
async fn open(ask: &Ask) -> Fallible<SqlitePool> {
    let (synchronous, number) = match ask.durability {
        Durability::Full => (SqliteSynchronous::Full, 2),
        Durability::Normal => (SqliteSynchronous::Normal, 1),
        Durability::On | Durability::None => return ask.unknown(),
    };
    let options = SqliteConnectOptions::new()
        .filename(ask.file())
        .create_if_missing(true)
        .foreign_keys(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(synchronous)
        .busy_timeout(Duration::from_secs(5));
    let pool = SqlitePoolOptions::new().max_connections(5).acquire_timeout(Duration::from_secs(600));
    let pool = pool.connect_with(options).await?;
    let real: i64 = sqlx::query_scalar("PRAGMA synchronous").fetch_one(&pool).await?;
    if real == number { Ok(pool) } else { Err(format!("synchronous is {real}").into()) }
}

#[durare::step]
async fn pass(ctx: &DurableContext, value: String) -> Result<String> {
    if let Some(marks) = MARKS.get() {
        marks.note();
    }
    Ok(value)
}

#[durare::workflow]
async fn one(ctx: DurableContext, value: String) -> Result<String> {
    steps(&ctx, 1, value).await
}

#[durare::workflow]
async fn ten(ctx: DurableContext, value: String) -> Result<String> {
    steps(&ctx, 10, value).await
}

#[durare::workflow]
async fn thousand(ctx: DurableContext, value: String) -> Result<String> {
    steps(&ctx, 1_000, value).await
}

async fn steps(ctx: &DurableContext, count: usize, mut value: String) -> Result<String> {
    for _ in 0..count {
        value = pass(ctx, value).await?;
    }
    Ok(value)
}

#[durare::workflow]
async fn asleep(ctx: DurableContext, value: String) -> Result<String> {
    ctx.sleep(Duration::from_secs(3600)).await?;
    Ok(value)
}

#[durare::workflow]
async fn napper(ctx: DurableContext, value: String) -> Result<String> {
    let value = pass(&ctx, value).await?;
    ctx.sleep(NAP).await?;
    pass(&ctx, value).await
}

async fn chain10(ask: &Ask, engine: &Arc<DurableEngine>) -> Fallible<Vec<Figure>> {
    let runs = ask.number()?;
    let took = all_at_once::<Ten>(engine, runs).await?;
    Ok(vec![Figure::new(&ask.case, rate(runs * 10, took), "steps/s")])
}

async fn jobs(ask: &Ask, engine: &Arc<DurableEngine>) -> Fallible<Vec<Figure>> {
    let jobs = ask.pick(20_000, 2_000);
    Ok(vec![Figure::new("jobs", rate(jobs, all_at_once::<One>(engine, jobs).await?), "jobs/s")])
}

/// From the start of the first run to the output of the last. What `start_with` takes is a workflow's name and types.
async fn all_at_once<W>(engine: &Arc<DurableEngine>, runs: usize) -> Fallible<Duration>
where
    W: WorkflowDef<Input = String, Output = String>,
{
    let start = |engine: Arc<DurableEngine>| async move {
        let run = engine.start::<String, String>(W::NAME, VALUE.to_owned(), WorkflowOptions::default()).await?;
        if run.await? == VALUE { Ok(()) } else { Err("a value was lost on its way".into()) }
    };
    let warm: Fallible<()> = start(engine.clone()).await;
    warm?;
    let began = Instant::now();
    let mut tasks: JoinSet<Fallible<()>> = JoinSet::new();
    for _ in 0..runs {
        tasks.spawn(start(engine.clone()));
    }
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    Ok(began.elapsed())
}

async fn seq(engine: &Arc<DurableEngine>) -> Fallible<Vec<Figure>> {
    let marks = MARKS.get_or_init(|| Marks::new(1_000));
    engine.start_with(Thousand, VALUE.to_owned(), WorkflowOptions::default()).await?.await?;
    Ok(marks.seq())
}

async fn parked(ask: &Ask, engine: &Arc<DurableEngine>, pool: &SqlitePool) -> Fallible<Vec<Figure>> {
    let warm = 2_000;
    let runs = if ask.size == Size::Quick { 2_000 } else { 20_000 };
    park(engine, pool, 0..warm).await?;
    let before = resident()?;
    park(engine, pool, warm..warm + runs).await?;
    let each = (resident()? - before) / runs as f64;

    let marks = MARKS.get_or_init(|| Marks::new(40));
    for _ in 0..20 {
        engine.start_with(Napper, VALUE.to_owned(), WorkflowOptions::default()).await?.await?;
    }
    let naps = marks.micros().into_iter().step_by(2).map(|took| took / 1e3 - NAP.as_secs_f64() * 1e3);
    let late = percentile(naps.collect(), 1.0);
    Ok(vec![Figure::new("parked", each, "B/run"), Figure::new("parked-wake-max", late, "ms")])
}

/// Starts runs, a hundred at a time, lets go of them, and waits until all of them sleep.
async fn park(engine: &Arc<DurableEngine>, pool: &SqlitePool, runs: std::ops::Range<usize>) -> Fallible<()> {
    let end = runs.end;
    for from in runs.step_by(100) {
        let mut tasks = JoinSet::new();
        for _ in from..end.min(from + 100) {
            let engine = engine.clone();
            tasks.spawn(async move {
                engine.start_with(Asleep, VALUE.to_owned(), WorkflowOptions::default()).await.map(drop)
            });
        }
        while let Some(started) = tasks.join_next().await {
            started??;
        }
    }
    loop {
        let asleep: i64 = sqlx::query_scalar("SELECT count(*) FROM operation_outputs").fetch_one(pool).await?;
        if asleep as usize >= end {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
