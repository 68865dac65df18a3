//! Cases of versus on duroxide with its Postgres provider, as its README writes orchestrations: activities by name, one
//! awaited after the other.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use duroxide::runtime::registry::ActivityRegistry;
use duroxide::runtime::{Runtime, RuntimeOptions};
use duroxide::{ActivityContext, Client, OrchestrationContext, OrchestrationRegistry, OrchestrationStatus};
use duroxide_pg::PostgresProvider;
use tokio::task::JoinSet;
use versus_measure::{Ask, Fallible, Figure, VALUE, rate};

/// How long at most for a run to end.
const PATIENCE: Duration = Duration::from_secs(600);

fn main() -> ExitCode {
    versus_measure::main(|ask| {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        runtime.block_on(measure(ask))
    })
}

async fn measure(ask: &Ask) -> Fallible<Vec<Figure>> {
    // Otherwise it logs to standard output, where figures belong; and logging costs time.
    tracing::subscriber::set_global_default(tracing::subscriber::NoSubscriber::new())?;
    match ask.kind() {
        "chain10" => {
            let runs = ask.number()?;
            let took = all(ask, "Ten", runs).await?;
            Ok(vec![Figure::new(&ask.case, rate(runs * 10, took), "steps/s")])
        }
        "jobs" => {
            let jobs = ask.pick(2_000, 500);
            Ok(vec![Figure::new("jobs", rate(jobs, all(ask, "One", jobs).await?), "jobs/s")])
        }
        _ => ask.unknown(),
    }
}

/// So many activities in a row, each of which gives what it got.
async fn chain(ctx: OrchestrationContext, steps: usize, mut value: String) -> Result<String, String> {
    for _ in 0..steps {
        value = ctx.schedule_activity("Pass", value).await?;
    }
    Ok(value)
}

/// From the start of the first run to the output of the last.
async fn all(ask: &Ask, name: &'static str, runs: usize) -> Fallible<Duration> {
    let store = Arc::new(PostgresProvider::new(ask.url()?).await?);
    let activities = ActivityRegistry::builder()
        .register("Pass", |_: ActivityContext, value: String| async move { Ok(value) })
        .build();
    let orchestrations = OrchestrationRegistry::builder()
        .register("One", |ctx, value| chain(ctx, 1, value))
        .register("Ten", |ctx, value| chain(ctx, 10, value))
        .build();
    // Of two, four and eight at a time, and of asking every 10 and every 100 ms, as good as any.
    let options = RuntimeOptions { orchestration_concurrency: 4, worker_concurrency: 4, ..RuntimeOptions::default() };
    let runtime = Runtime::start_with_options(store.clone(), activities, orchestrations, options).await;
    let client = Arc::new(Client::new(store));

    client.start_orchestration("warm", name, VALUE).await?;
    wait(&client, "warm").await?;
    let began = Instant::now();
    let mut starts: JoinSet<Fallible<()>> = JoinSet::new();
    for run in 0..runs {
        let client = client.clone();
        starts.spawn(async move { Ok(client.start_orchestration(&format!("run-{run}"), name, VALUE).await?) });
    }
    while let Some(started) = starts.join_next().await {
        started??;
    }
    // One after the other: waiting asks the database again and again, which would slow the work down.
    for run in 0..runs {
        wait(&client, &format!("run-{run}")).await?;
    }
    let took = began.elapsed();
    runtime.shutdown(None).await;
    Ok(took)
}

async fn wait(client: &Client, id: &str) -> Fallible<()> {
    match client.wait_for_orchestration(id, PATIENCE).await? {
        OrchestrationStatus::Completed { output, .. } if output == VALUE => Ok(()),
        other => Err(format!("{id} ended as {other:?}").into()),
    }
}
