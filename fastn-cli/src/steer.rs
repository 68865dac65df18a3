//! Commands that wait for runs, tell them something and cancel them, wherever they are.

use fastn::core::{By, Decision, Error, ErrorKind, Failure, FailureKind, Payload, Result};
use fastn::prelude::*;
use fastn::runtime::{Fork, Inspection};
use serde_json::{Value, json};

use crate::args::{Became, Output, Which, Who};
use crate::engines::{beside, block_on};
use crate::follow::{End, end};
use crate::given::{given, span};
use crate::record::{fields_of, one_line, words};
use crate::report::Report;
use crate::said::{Exit, say, tell};
use crate::settings::Settings;

/// Does something with an engine that serves nothing.
pub(crate) fn with<T>(store: &str, work: impl AsyncFnOnce(&Engine) -> Result<T>) -> Result<T> {
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

/// Who does it: whom the caller names, or whom the system knows.
pub(crate) fn by(who: Who) -> By {
    let known = || ["USER", "LOGNAME", "USERNAME"].iter().find_map(|name| std::env::var(name).ok());
    let somebody = |name: &String| !name.is_empty();
    let actor = who.actor.or_else(known).filter(somebody).unwrap_or_else(|| "somebody".to_owned());
    By::new(actor, who.reason)
}

pub(crate) fn cancel(which: Which, who: Who, settings: &Settings) -> Result<Exit> {
    let store = settings.must_store(which.at.store)?;
    let found = with(&store, async |engine| engine.runs().cancel(&which.tenant, which.id, by(who)).await)?;
    tell(if found { "it is told" } else { "it has ended already" });
    Ok(Exit::Well)
}

pub(crate) fn pause(which: Which, who: Who, settings: &Settings) -> Result<Exit> {
    let store = settings.must_store(which.at.store)?;
    let new = with(&store, async |engine| engine.runs().pause(&which.tenant, which.id, by(who)).await)?;
    tell(if new { "it is told" } else { "it is paused already, or has ended" });
    Ok(Exit::Well)
}

pub(crate) fn resume(which: Which, who: Who, settings: &Settings) -> Result<Exit> {
    let store = settings.must_store(which.at.store)?;
    let new = with(&store, async |engine| engine.runs().resume(&which.tenant, which.id, by(who)).await)?;
    tell(if new { "it is told" } else { "it is not paused" });
    Ok(Exit::Well)
}

pub(crate) fn skip(which: Which, step: &str, who: Who, settings: &Settings) -> Result<Exit> {
    let store = settings.must_store(which.at.store)?;
    let done = with(&store, async |engine| engine.runs().skip(&which.tenant, which.id, step, by(who)).await)?;
    decided(done)
}

pub(crate) fn complete(which: Which, step: &str, became: &Became, who: Who, settings: &Settings) -> Result<Exit> {
    let store = settings.must_store(which.at.store)?;
    let decision = match (&became.gave, &became.failed) {
        (Some(text), _) => Decision::Gave(Payload::encode(&given(Some(text))?)?),
        (_, Some(why)) => Decision::Failed(Failure::new(FailureKind::ERROR, why.clone()).permanent()),
        _ => Decision::Again,
    };
    let done =
        with(&store, async |engine| engine.runs().decide(&which.tenant, which.id, step, decision, by(who)).await)?;
    decided(done)
}

/// A fork with what is to be otherwise.
pub(crate) fn edited(fork: Fork, input: Option<&str>, gives: Option<&str>) -> Result<Fork> {
    let fork = match input {
        Some(text) => fork.input(&given(Some(text))?),
        None => fork,
    };
    Ok(match gives {
        Some(text) => fork.gives(&given(Some(text))?),
        None => fork,
    })
}

/// Prints the id of the new run.
pub(crate) fn fork(which: Which, fork: Fork, who: Who, settings: &Settings) -> Result<Exit> {
    let store = settings.must_store(which.at.store)?;
    let run = with(&store, async |engine| engine.runs().fork(&which.tenant, which.id, fork, by(who)).await)?;
    say(&run.to_string()).map(|()| Exit::Well)
}

/// A script must not take it for done that came too late.
fn decided(done: bool) -> Result<Exit> {
    if done {
        tell("it is told");
        return Ok(Exit::Well);
    }
    Err(Error::new(ErrorKind::Conflict, "decide step").caused_by("the run has got further meanwhile"))
}

pub(crate) fn signal(which: Which, name: &str, value: Option<&str>, who: Who, settings: &Settings) -> Result<Exit> {
    let store = settings.must_store(which.at.store)?;
    let value = Payload::encode(&given(value)?);
    let delivery = with(&store, async |engine| {
        engine.runs().signal_named(&which.tenant, which.id, name, value).by(by(who)).await
    })?;
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
        let Inspection { history, waits_for, inherited, .. } = engine.runs().inspect(&which.tenant, which.id).await?;
        let plan = engine.runs().plan(&history.run).await?;
        for record in inherited.iter().chain(&history.records) {
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
