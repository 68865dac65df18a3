//! Commands that wait for runs, tell them something and cancel them, wherever they are.

use fastn::core::{Error, ErrorKind, Payload, Result};
use fastn::prelude::*;
use fastn::runtime::Inspection;
use serde_json::{Value, json};

use crate::args::{Output, Which};
use crate::engines::{beside, block_on};
use crate::follow::{End, end};
use crate::given::{given, span};
use crate::record::{fields_of, one_line, words};
use crate::report::Report;
use crate::said::{Exit, say, tell};
use crate::settings::Settings;

/// Does something with an engine that serves nothing.
fn with<T>(store: &str, work: impl AsyncFnOnce(&Engine) -> Result<T>) -> Result<T> {
    block_on(async {
        let engine = beside(store).await?;
        let done = work(&engine).await;
        let closed = engine.shutdown().await;
        let done = done?;
        closed.map(|()| done)
    })
}

pub(crate) fn wait(which: Which, timeout: Option<&str>, settings: &Settings) -> Result<Exit> {
    let (store, output) = (settings.must_store(which.at.store)?, settings.output(which.at.output));
    let timeout = span(timeout)?;
    with(&store, async |engine| {
        let inspection = engine.runs().inspect(&which.tenant, which.id).await?;
        let workflow = inspection.history.run.definition.workflow.to_string();
        let run = engine.runs().handle::<Value>(&which.tenant, which.id);
        let report = |outcome| Report { run: which.id, workflow: &workflow, outcome };
        match end(&run, timeout).await? {
            End::Over(outcome) => report(Some(&outcome)).say(output),
            End::TimedOut => report(None).say(output),
            End::Interrupted => report(None).say(output).map(|_| Exit::Interrupted),
        }
    })
}

pub(crate) fn cancel(which: Which, reason: &str, settings: &Settings) -> Result<Exit> {
    let store = settings.must_store(which.at.store)?;
    let found = with(&store, async |engine| engine.runs().cancel(&which.tenant, which.id, reason).await)?;
    tell(if found { "it is told" } else { "it has ended already" });
    Ok(Exit::Well)
}

pub(crate) fn signal(which: Which, name: &str, value: Option<&str>, settings: &Settings) -> Result<Exit> {
    let store = settings.must_store(which.at.store)?;
    let value = Payload::encode(&given(value)?);
    let delivery = with(&store, async |engine| engine.runs().signal_named(&which.tenant, which.id, name, value).await)?;
    match delivery {
        Delivery::Told => tell("it is told"),
        Delivery::Ended => {
            return Err(Error::new(ErrorKind::Conflict, "signal run").with("run", which.id).caused_by("it has ended"));
        }
        _ => tell("it was told before"),
    }
    Ok(Exit::Well)
}

pub(crate) fn logs(which: Which, settings: &Settings) -> Result<Exit> {
    let (store, output) = (settings.must_store(which.at.store)?, settings.output(which.at.output));
    with(&store, async |engine| {
        let Inspection { history, waits_for, .. } = engine.runs().inspect(&which.tenant, which.id).await?;
        let plan = engine.runs().plan(&history.run).await?;
        for record in &history.records {
            match output {
                Output::Json => say(&fields_of(record, plan.as_ref()).to_string())?,
                _ => say(&format!("{}  {}", record.time, one_line(&words(&record.event, plan.as_ref()))))?,
            }
        }
        if let Some(why) = waits_for {
            match output {
                Output::Json => say(&json!({"event": "waits_for", "what": why}).to_string())?,
                _ => tell(one_line(&format!("waits for {why}"))),
            }
        }
        Ok(Exit::Well)
    })
}
