//! `fastn dead-letters`: runs that failed for good.

use fastn::core::{Result, TenantId};
use fastn::runtime::{DeadLetter, LetterQuery, LetterRetry};
use serde_json::{Value, json};

use crate::args::{Letters, Output};
use crate::engines::{beside, block_on, open, there};
use crate::load::folder;
use crate::record::{one_line, value_of};
use crate::said::{Exit, say};
use crate::settings::Settings;

pub(crate) fn letters(command: Letters, settings: &Settings) -> Result<Exit> {
    match command {
        Letters::List { at, all, workflow, limit } => {
            let (store, output) = (settings.must_store(at.store)?, settings.output(at.output));
            let letters = block_on(async {
                let engine = beside(&store).await?;
                let mut query = LetterQuery::default();
                (query.workflow, query.limit, query.open) = (workflow, limit, !all);
                let page = engine.dead_letters().list(query).await;
                let closed = engine.shutdown().await;
                let page = page?;
                closed.map(|()| page.letters)
            })?;
            list(&letters, output).map(|()| Exit::Well)
        }
        Letters::Retry { which, dir, number, network } => {
            let store = settings.must_store(which.at.store)?;
            there(&store)?;
            let Some(workflows) = folder(&dir)? else { return Ok(Exit::Usage) };
            let run = block_on(async {
                let engine = open(Some(&store), &workflows, network).await?;
                let how = LetterRetry { number, ..LetterRetry::default() };
                let run = engine.dead_letters().retry(&which.tenant, which.id, how).await;
                let closed = engine.shutdown().await;
                let run = run?;
                closed.map(|()| run)
            })?;
            say(&run.to_string()).map(|()| Exit::Well)
        }
        Letters::Dismiss { which, by, why } => {
            let store = settings.must_store(which.at.store)?;
            let new = block_on(async {
                let engine = beside(&store).await?;
                let done = engine.dead_letters().dismiss(&which.tenant, which.id, &by, &why).await;
                let closed = engine.shutdown().await;
                let done = done?;
                closed.map(|()| done)
            })?;
            say(if new { "dismissed" } else { "it was dismissed before" }).map(|()| Exit::Well)
        }
    }
}

fn list(letters: &[DeadLetter], output: Output) -> Result<()> {
    match output {
        Output::Ids => say(&letters.iter().map(|letter| letter.run.key.run.to_string()).collect::<Vec<_>>().join("\n")),
        Output::Json => say(&format!("{:#}", Value::from_iter(letters.iter().map(fields)))),
        Output::Table => {
            let mut lines = vec![format!("{:36}  {:24}  {:24}  FAILURE", "RUN", "WORKFLOW", "STEP")];
            for letter in letters {
                let workflow = format!("{} {}", letter.run.definition.workflow, letter.run.definition.version);
                let step = letter.step.as_deref().unwrap_or("-");
                let (id, what) = (letter.run.key.run, &letter.failure.message);
                lines.push(one_line(&format!("{id}  {workflow:24}  {step:24}  {what} ({})", letter.failure.kind)));
            }
            say(&lines.join("\n"))
        }
    }
}

fn fields(letter: &DeadLetter) -> Value {
    let tenant: &TenantId = &letter.run.key.tenant;
    json!({
        "run": letter.run.key.run,
        "tenant": tenant,
        "workflow": letter.run.definition.workflow,
        "version": letter.run.definition.version,
        "step": letter.step,
        "attempts": letter.attempts,
        "failure": letter.failure,
        "input": value_of(&letter.input),
        "retries": letter.retries,
        "dismissed": letter.dismissed.is_some(),
    })
}
