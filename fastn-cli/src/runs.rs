//! `fastn runs`: lists and shows what is in a store, beside whoever runs it.

use std::fmt::Write;

use fastn::core::{Draft, Error, ErrorKind, Plan, Result};
use fastn::store::{History, Page, RunKey, RunQuery, RunSummary};
use serde_json::{Value, json};

use crate::record::{fields_of, one_line, outcome, value_of, words};

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
                let closed = store.close().await;
                let page = page?;
                closed?;
                list(&page, at.output)
            }
            Runs::Show { at, id, tenant } => {
                let store = open(&at).await?;
                let shown = async {
                    let history = store.read(&RunKey { tenant, run: id }).await?;
                    let missing = || Error::new(ErrorKind::NotFound, "find run").with("run", id);
                    let history = history.ok_or_else(missing)?;
                    let plan = store.plan(&history.run.key.tenant, &history.run.definition).await?;
                    let plan = plan.and_then(|text| Draft::from_editor_json(&text).ok()?.check().ok());
                    show(&history, plan.as_ref(), at.output)
                }
                .await;
                let closed = store.close().await;
                let shown = shown?;
                closed.map(|()| shown)
            }
        }
    })
}

/// Opens a store that is there: looking must not create one.
async fn open(at: &Place) -> Result<std::sync::Arc<dyn fastn::store::Store>> {
    if at.store == "memory:" {
        let why = "what a program keeps in its memory cannot be seen from outside";
        return Err(Error::new(ErrorKind::Unsupported, "open store").with("url", &at.store).caused_by(why));
    }
    if let Some(path) = at.store.strip_prefix("sqlite:") {
        let path = path.strip_prefix("//").unwrap_or(path).split('?').next().unwrap_or_default();
        if !std::path::Path::new(path).exists() {
            return Err(Error::new(ErrorKind::NotFound, "open store").with("path", path));
        }
    }
    fastn::store::open(&at.store).await
}

fn list(page: &Page, output: Output) -> Result<String> {
    let runs = &page.runs;
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
            if page.next.is_some() {
                write!(text, "\nthere are older runs: see --limit").map_err(internal)?;
            }
            Ok(text)
        }
    }
}

fn show(history: &History, plan: Option<&Plan>, output: Output) -> Result<String> {
    match output {
        Output::Ids => Ok(history.run.key.run.to_string()),
        Output::Json => {
            let mut value = summary(&history.run);
            if let Value::Object(fields) = &mut value {
                fields.insert("input".to_owned(), value_of(&history.input));
                fields.insert("outcome".to_owned(), history.outcome().map_or(Value::Null, outcome));
                fields.insert(
                    "events".to_owned(),
                    history.records.iter().map(|record| fields_of(record, plan)).collect(),
                );
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
            for (word, time) in [("finished", run.finished_at), ("wakes", run.wake_at)] {
                if let Some(time) = time {
                    write!(text, "\n{word:8}  {time}").map_err(internal)?;
                }
            }
            for record in &history.records {
                write!(text, "\n{}  {}", record.time, one_line(&words(&record.event, plan))).map_err(internal)?;
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

fn print(value: &Value) -> Result<String> {
    serde_json::to_string_pretty(value).map_err(|e| Error::new(ErrorKind::Internal, "print").caused_by(e))
}

fn internal(error: std::fmt::Error) -> Error {
    Error::new(ErrorKind::Internal, "print").caused_by(error)
}
