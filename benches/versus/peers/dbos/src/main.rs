//! Cases of versus on dbos, as its documentation writes workflows: registered functions whose steps are `dbos::step`.

use std::process::ExitCode;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use dbos::{Config, DBOS, Error, WorkflowRef};
use tokio::task::JoinSet;
use versus_measure::{Ask, Fallible, Figure, Marks, VALUE, rate};

/// Where steps note when they begin.
static MARKS: OnceLock<Marks> = OnceLock::new();

fn main() -> ExitCode {
    versus_measure::main(|ask| {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        runtime.block_on(measure(ask))
    })
}

async fn measure(ask: &Ask) -> Fallible<Vec<Figure>> {
    let dbos = DBOS::new(Config { app_version: Some("1".to_owned()), ..Config::new("versus", ask.url()?) });
    let one = chain(&dbos, "one", 1)?;
    let ten = chain(&dbos, "ten", 10)?;
    let thousand = chain(&dbos, "thousand", 1_000)?;
    dbos.launch().await?;
    let figures = match ask.kind() {
        "chain10" => {
            let runs = ask.number()?;
            let took = all_at_once(&ten, runs).await?;
            vec![Figure::new(&ask.case, rate(runs * 10, took), "steps/s")]
        }
        "jobs" => {
            let jobs = ask.pick(20_000, 2_000);
            vec![Figure::new("jobs", rate(jobs, all_at_once(&one, jobs).await?), "jobs/s")]
        }
        "seq" => {
            let marks = MARKS.get_or_init(|| Marks::new(1_000));
            thousand.run(VALUE.to_owned()).await?;
            marks.seq()
        }
        _ => return ask.unknown(),
    };
    dbos.shutdown().await;
    Ok(figures)
}

/// A workflow of so many steps in a row, each of which gives what it got.
fn chain(dbos: &DBOS, name: &str, steps: usize) -> dbos::Result<WorkflowRef<String, String>> {
    dbos.register_workflow(name, move |mut value: String| async move {
        for _ in 0..steps {
            let given = value;
            value = dbos::step("pass", || {
                if let Some(marks) = MARKS.get() {
                    marks.note();
                }
                let value = given.clone();
                async move { Ok::<_, Error>(value) }
            })
            .await?;
        }
        Ok::<_, Error>(value)
    })
}

/// From the start of the first run to the output of the last.
async fn all_at_once(workflow: &WorkflowRef<String, String>, runs: usize) -> Fallible<Duration> {
    workflow.run(VALUE.to_owned()).await?;
    let began = Instant::now();
    let mut tasks: JoinSet<Fallible<()>> = JoinSet::new();
    for _ in 0..runs {
        let workflow = workflow.clone();
        tasks.spawn(async move {
            let output = workflow.run(VALUE.to_owned()).await?;
            if output == VALUE { Ok(()) } else { Err("a value was lost on its way".into()) }
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    Ok(began.elapsed())
}
