//! `fastn run`: starts a run of a document and waits for its end.

use fastn::core::{ErrorKind, Result, RunId};
use fastn::documents::Tasks;
use fastn::prelude::*;
use serde_json::Value;

use crate::args::{Output, Run};
use crate::engines::{block_on, open};
use crate::follow::{End, follow};
use crate::given::{check, given, span};
use crate::load::{Loaded, beside, load};
use crate::report::Report;
use crate::said::{Exit, tell};
use crate::settings::Settings;

pub(crate) fn run(args: Run, settings: &Settings) -> Result<Exit> {
    let output = settings.output(args.output);
    let store = settings.store(args.store.clone());
    let tasks = Tasks::new();
    let Some(loaded) = load(&args.file, &tasks)? else { return Ok(Exit::Usage) };
    let input = given(args.input.as_deref())?;
    check(&loaded.document, &input)?;
    let timeout = span(args.timeout.as_deref())?;
    if args.detach && store.is_none() {
        let why = "a run that nobody waits for must be kept: say --store";
        return Err(fastn::core::Error::new(ErrorKind::Invalid, "start run").caused_by(why));
    }
    let mut workflows = beside(&args.file, &loaded, &tasks)?;
    workflows.insert(0, loaded.workflow.clone());
    block_on(async {
        let engine = open(store.as_deref(), &workflows, args.network).await?;
        let done = attend(&engine, &loaded, input, &args, timeout, output).await;
        let closed = engine.shutdown().await;
        let exit = done?;
        // What was said of the run holds whether or not the store could be closed.
        if let Err(error) = closed {
            tell(format!("fastn: {error:?}"));
        }
        Ok(exit)
    })
}

async fn attend(
    engine: &Engine,
    loaded: &Loaded,
    input: Value,
    args: &Run,
    timeout: Option<std::time::Duration>,
    output: Output,
) -> Result<Exit> {
    let start = engine.start(&loaded.workflow, input).tenant(args.tenant.clone());
    let start = match &args.id {
        Some(id) => start.id(id.parse::<RunId>().unwrap_or_else(|_| RunId::named(id))),
        None => start,
    };
    let (run, events) = start.watched().await?;
    let report = |outcome| Report { run: run.id(), workflow: loaded.document.name(), outcome };
    if args.detach {
        return report(None).say(output);
    }
    if matches!(output, Output::Table) {
        tell(format!("{} {} as run {}", loaded.document.name(), loaded.document.version(), run.id()));
    }
    match follow(&run, events, loaded.workflow.plan(), timeout).await? {
        End::Over(outcome) => report(Some(&outcome)).say(output),
        End::TimedOut => report(None).say(output),
        End::Interrupted => {
            report(None).say(output)?;
            tell("interrupted; the same command with --store and --id goes on with the run");
            Ok(Exit::Interrupted)
        }
    }
}
