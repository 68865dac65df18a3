//! `fastn runs`: lists and shows what is in a store, beside whoever runs it.

use std::fmt::Write;

use fastn::core::{Draft, Error, ErrorKind, Origin, Plan, Result, Seed, Version};
use fastn::runtime::{AuditQuery, Fork, RunFilter};
use fastn::store::{History, Page, RunKey, RunQuery};
use serde_json::{Value, json};

use crate::args::{Output, Runs};
use crate::engines::{block_on, there};
use crate::record::{fields_of, one_line, outcome, value_of, words};
use crate::said::{Exit, say};
use crate::settings::Settings;
use crate::shown::{internal, print, status, summary, wakes};
use crate::{audit, bulk, explain, steer};

pub(crate) fn run(command: Runs, settings: &Settings) -> Result<Exit> {
    match command {
        Runs::List { at, tenant, workflow, limit } => {
            let (url, output) = (settings.must_store(at.store)?, settings.output(at.output));
            let page = block_on(async {
                let store = open(&url).await?;
                let query = RunQuery { tenant, workflow, limit, ..RunQuery::default() };
                let page = store.list(query).await;
                let closed = store.close().await;
                let page = page?;
                closed.map(|()| page)
            })?;
            say(&list(&page, output)?).map(|()| Exit::Well)
        }
        Runs::Show { which } => {
            let (url, output) = (settings.must_store(which.at.store)?, settings.output(which.at.output));
            let shown = block_on(async {
                let store = open(&url).await?;
                let shown = async {
                    let (tenant, id) = (which.tenant, which.id);
                    let history = store.read(&RunKey { tenant, run: id }).await?;
                    let missing = || Error::new(ErrorKind::NotFound, "find run").with("run", id);
                    let history = history.ok_or_else(missing)?;
                    let plan = store.plan(&history.run.key.tenant, &history.run.definition).await?;
                    let (history, origin) = unfolded(history)?;
                    let plan = plan.and_then(|text| Draft::from_editor_json(&text).ok()?.check().ok());
                    show(&history, origin.as_ref(), plan.as_ref(), output)
                }
                .await;
                let closed = store.close().await;
                let shown = shown?;
                closed.map(|()| shown)
            })?;
            say(&shown).map(|()| Exit::Well)
        }
        Runs::Logs { which } => steer::logs(which, settings),
        Runs::Wait { which, timeout } => steer::wait(which, timeout.as_deref(), settings),
        Runs::Cancel { which, who } => steer::cancel(which, who, settings),
        Runs::Pause { which, who } => steer::pause(which, who, settings),
        Runs::Resume { which, who } => steer::resume(which, who, settings),
        Runs::Skip { which, step, who } => steer::skip(which, &step, who, settings),
        Runs::Complete { which, step, became, who } => steer::complete(which, &step, &became, who, settings),
        Runs::Fork { which, step, input, gives, who } => {
            let fork = steer::edited(Fork::from_step(step), input.as_deref(), gives.as_deref())?;
            steer::fork(which, fork, who, settings)
        }
        Runs::Retry { which, input, who } => {
            let fork = steer::edited(Fork::from_failure(), input.as_deref(), None)?;
            steer::fork(which, fork, who, settings)
        }
        Runs::Explain { which } => explain::explain(which, settings),
        Runs::Signal { which, name, value, who } => steer::signal(which, &name, value.as_deref(), who, settings),
        Runs::All { what, at, tenant, workflow, only_version, paused, dry_run, who } => {
            let filter = RunFilter {
                tenant,
                workflow,
                version: only_version.map(Version),
                paused: paused.then_some(true),
                ..RunFilter::default()
            };
            bulk::all(what, at, filter, dry_run, who, settings)
        }
        Runs::Audit { at, tenant, run, actor, deed, limit } => {
            let query = AuditQuery { tenant, run, actor, deed, limit, ..AuditQuery::default() };
            audit::audit(at, query, settings)
        }
    }
}

/// Opens a store that is there.
async fn open(url: &str) -> Result<std::sync::Arc<dyn fastn::store::Store>> {
    there(url)?;
    fastn::store::open(url).await
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
                let status = status(run);
                write!(text, "\n{id}  {status:9}  {}  {workflow:24}  {tenant}", run.created_at).map_err(internal)?;
            }
            if page.next.is_some() {
                write!(text, "\nthere are older runs: see --limit").map_err(internal)?;
            }
            Ok(text)
        }
    }
}

/// A run with its input proper and all that is recorded of it, and where it comes from.
fn unfolded(mut history: History) -> Result<(History, Option<Origin>)> {
    let Some(mut seed) = Seed::read(&history.input)? else { return Ok((history, None)) };
    seed.records.append(&mut history.records);
    (history.input, history.records) = (seed.input, seed.records);
    Ok((history, Some(seed.origin)))
}

fn show(history: &History, origin: Option<&Origin>, plan: Option<&Plan>, output: Output) -> Result<String> {
    match output {
        Output::Ids => Ok(history.run.key.run.to_string()),
        Output::Json => {
            let mut value = summary(&history.run);
            if let Value::Object(fields) = &mut value {
                fields.insert("input".to_owned(), value_of(&history.input));
                let origin = origin.map(|origin| json!({"run": origin.run, "step": origin.step, "by": origin.by}));
                fields.insert("origin".to_owned(), json!(origin));
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
            writeln!(text, "status    {}", status(run)).map_err(internal)?;
            write!(text, "started   {}", run.created_at).map_err(internal)?;
            for (word, time) in [("finished", run.finished_at), ("wakes", wakes(run))] {
                if let Some(time) = time {
                    write!(text, "\n{word:8}  {time}").map_err(internal)?;
                }
            }
            if let Some(Origin { run, step, by, .. }) = origin {
                let from = step.as_deref().unwrap_or("where it failed");
                write!(text, "\norigin    {run}, from {} {}", one_line(from), one_line(&by.to_string()))
                    .map_err(internal)?;
            }
            for record in &history.records {
                write!(text, "\n{}  {}", record.time, one_line(&words(&record.event, plan))).map_err(internal)?;
            }
            Ok(text)
        }
    }
}
