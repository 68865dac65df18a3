//! Cases of versus on duroxide, as its README writes orchestrations: activities by name, one awaited after the other.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use duroxide::providers::sqlite::SqliteProvider;
use duroxide::runtime::registry::ActivityRegistry;
use duroxide::runtime::{Runtime, RuntimeOptions};
use duroxide::{ActivityContext, Client, OrchestrationContext, OrchestrationRegistry, OrchestrationStatus};
use versus_measure::{Ask, Durability, Fallible, Figure, VALUE, rate};

/// How long at most for a run to end.
const PATIENCE: Duration = Duration::from_secs(600);

fn main() -> ExitCode {
    versus_measure::main(|ask| {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        runtime.block_on(measure(ask))
    })
}

async fn measure(ask: &Ask) -> Fallible<Vec<Figure>> {
    if ask.kind() != "chain10" || ask.durability != Durability::Normal {
        return ask.unknown();
    }
    // Its provider sets the pragmas of each connection; `synchronous = WAL`, which SQLite takes for NORMAL.
    let url = format!("sqlite:{}?mode=rwc", ask.file().display());
    let store = Arc::new(SqliteProvider::new(&url, None).await?);
    let activities = ActivityRegistry::builder()
        .register("Pass", |_: ActivityContext, value: String| async move { Ok(value) })
        .build();
    let orchestrations = OrchestrationRegistry::builder()
        .register("Ten", |ctx: OrchestrationContext, mut value: String| async move {
            for _ in 0..10 {
                value = ctx.schedule_activity("Pass", value).await?;
            }
            Ok::<_, String>(value)
        })
        .build();
    // Otherwise it logs to standard output, where figures belong; and logging costs time.
    tracing::subscriber::set_global_default(tracing::subscriber::NoSubscriber::new())?;
    // Its defaults: two orchestrations and two activities at a time, which its stress tests recommend, and dispatchers
    // that ask every 100 ms. Asking every 10 ms was measured too, and halves what gets done.
    let options = RuntimeOptions::default();
    let runtime = Runtime::start_with_options(store.clone(), activities, orchestrations, options).await;
    let client = Client::new(store);

    one(&client, "warm").await?;
    let runs = ask.number()?;
    let began = Instant::now();
    for run in 0..runs {
        client.start_orchestration(&format!("run-{run}"), "Ten", VALUE).await?;
    }
    // One after the other: waiting asks the database again and again, which would slow the work down.
    for run in 0..runs {
        wait(&client, &format!("run-{run}")).await?;
    }
    let took = began.elapsed();
    runtime.shutdown(None).await;
    Ok(vec![Figure::new(&ask.case, rate(runs * 10, took), "steps/s")])
}

async fn one(client: &Client, id: &str) -> Fallible<()> {
    client.start_orchestration(id, "Ten", VALUE).await?;
    wait(client, id).await
}

async fn wait(client: &Client, id: &str) -> Fallible<()> {
    match client.wait_for_orchestration(id, PATIENCE).await? {
        OrchestrationStatus::Completed { output, .. } if output == VALUE => Ok(()),
        other => Err(format!("{id} ended as {other:?}").into()),
    }
}
