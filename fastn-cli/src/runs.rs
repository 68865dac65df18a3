//! `fastn runs`: lists and shows what is in a store, beside whoever runs it.

use std::fmt::Write;

use fastn::core::{Error, ErrorKind, Event, Result};
use fastn::store::{History, RunKey, RunQuery, RunSummary};
use serde_json::{Value, json};

use crate::args::{Output, Place, Runs};

/// What the command prints.
pub(crate) fn run(command: Runs) -> Result<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|e| Error::new(ErrorKind::Unavailable, "start runtime").caused_by(e))?.block_on(async {
        match command {
            Runs::List { at, tenant, workflow, limit } => {
                let store = open(&at).await?;
                let query = RunQuery { tenant, workflow, limit, ..RunQuery::default() };
                let page = store.list(query).await;
                store.close().await?;
                list(&page?.runs, at.output)
            }
            Runs::Show { at, id, tenant } => {
                let store = open(&at).await?;
                let history = store.read(&RunKey { tenant, run: id }).await;
                store.close().await?;
                let missing = || Error::new(ErrorKind::NotFound, "find run").with("run", id);
                show(&history?.ok_or_else(missing)?, at.output)
            }
        }
    })
}

/// Opens a store that is there: looking must not create one.
async fn open(at: &Place) -> Result<std::sync::Arc<dyn fastn::store::Store>> {
    if let Some(path) = at.store.strip_prefix("sqlite:") {
        let path = path.strip_prefix("//").unwrap_or(path).split('?').next().unwrap_or_default();
        if !std::path::Path::new(path).exists() {
            return Err(Error::new(ErrorKind::NotFound, "open store").with("path", path));
        }
    }
    fastn::store::open(&at.store).await
}

fn list(runs: &[RunSummary], output: Output) -> Result<String> {
    match output {
        Output::Ids => Ok(runs.iter().map(|run| run.key.run.to_string()).collect::<Vec<_>>().join("\n")),
        Output::Json => print(&Value::Array(runs.iter().map(summary).collect())),
        Output::Table => {
            let mut text = format!("{:36}  {:9}  {:24}  {:24}  {}", "RUN", "STATUS", "STARTED", "WORKFLOW", "TENANT");
            for run in runs {
                let workflow = format!("{} {}", run.definition.workflow, run.definition.version);
                let (id, tenant) = (run.key.run, &run.key.tenant);
                let status = run.status.as_str();
                write!(text, "\n{id}  {status:9}  {}  {workflow:24}  {tenant}", run.created_at).map_err(internal)?;
            }
            Ok(text)
        }
    }
}

fn show(history: &History, output: Output) -> Result<String> {
    let events = || history.records.iter().map(|record| (record.time, &record.event));
    match output {
        Output::Ids => Ok(history.run.key.run.to_string()),
        Output::Json => {
            let mut value = summary(&history.run);
            if let Value::Object(fields) = &mut value {
                let events = events().map(|(time, event)| json!({"time": time.to_string(), "event": words(event)}));
                fields.insert("events".to_owned(), events.collect());
            }
            print(&value)
        }
        Output::Table => {
            let run = &history.run;
            let mut text = format!("run       {}\n", run.key.run);
            writeln!(text, "tenant    {}", run.key.tenant).map_err(internal)?;
            writeln!(text, "workflow  {} {}", run.definition.workflow, run.definition.version).map_err(internal)?;
            writeln!(text, "status    {}", run.status).map_err(internal)?;
            write!(text, "started   {}", run.created_at).map_err(internal)?;
            for (time, event) in events() {
                write!(text, "\n{time}  {}", words(event)).map_err(internal)?;
            }
            Ok(text)
        }
    }
}

fn summary(run: &RunSummary) -> Value {
    json!({
        "run": run.key.run,
        "tenant": run.key.tenant,
        "workflow": run.definition.workflow,
        "version": run.definition.version,
        "status": run.status.as_str(),
        "started": run.created_at.to_string(),
        "finished": run.finished_at.map(|time| time.to_string()),
        "wakes": run.wake_at.map(|time| time.to_string()),
    })
}

/// An event in words. Nodes are numbers here: their names are in the plan, which the program that runs it has.
fn words(event: &Event) -> String {
    match event {
        Event::Started { at, attempt } => format!("node {} begins attempt {attempt}", at.node.0),
        Event::Succeeded { at, part, attempt, output } => {
            format!("node {} {} succeeded in attempt {attempt}, {} bytes", at.node.0, part.as_str(), output.len())
        }
        Event::Failed { at, part, attempt, failure, retry_at } => {
            let next = retry_at.map_or_else(String::new, |time| format!(", again at {time}"));
            format!("node {} {} failed in attempt {attempt}: {failure}{next}", at.node.0, part.as_str())
        }
        Event::Sleeping { at, until } => format!("node {} sleeps until {until}", at.node.0),
        Event::Woke { at } => format!("node {} woke", at.node.0),
        Event::CancelRequested { reason } => format!("cancel requested: {reason}"),
        Event::Expired => "the run's deadline passed".to_owned(),
        Event::Finished { outcome } => outcome.to_string(),
        _ => "an event of a later version".to_owned(),
    }
}

fn print(value: &Value) -> Result<String> {
    serde_json::to_string_pretty(value).map_err(|e| Error::new(ErrorKind::Internal, "print").caused_by(e))
}

fn internal(error: std::fmt::Error) -> Error {
    Error::new(ErrorKind::Internal, "print").caused_by(error)
}
