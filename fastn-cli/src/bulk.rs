//! `fastn runs all`: steering many runs.

use fastn::core::Result;
use fastn::runtime::{Matching, RunFilter, Steered, Steering};
use serde_json::{Value, json};

use crate::args::{At, Output, What, Who};
use crate::engines::{beside, block_on};
use crate::record::one_line;
use crate::said::{Exit, say, tell};
use crate::settings::Settings;
use crate::shown::{print, status, summary};
use crate::steer::{by, with};

/// How many runs are steered at a time.
const PAGE: u32 = 200;

pub(crate) fn all(what: What, at: At, filter: RunFilter, dry_run: bool, who: Who, settings: &Settings) -> Result<Exit> {
    let (store, output) = (settings.must_store(at.store)?, settings.output(at.output));
    if dry_run {
        let found = with(&store, async |engine| engine.runs().matching(&filter).await)?;
        return show(&found, output).map(|()| Exit::Well);
    }
    let steering = match what {
        What::Cancel => Steering::Cancel,
        What::Pause => Steering::Pause,
        What::Resume => Steering::Resume,
    };
    let (by, mut filter) = (by(who), RunFilter { limit: PAGE, ..filter });
    let all = block_on(async {
        let engine = beside(&store).await?;
        let mut all = Steered::default();
        let done = loop {
            match engine.runs().steer_all(&filter, steering, by.clone()).await {
                Ok(page) => {
                    let stuck = page.done.is_empty() && page.in_vain.is_empty() && !page.refused.is_empty();
                    filter.before = page.next;
                    all.done.extend(page.done);
                    all.in_vain.extend(page.in_vain);
                    all.refused.extend(page.refused);
                    if filter.before.is_none() || stuck {
                        break Ok(());
                    }
                }
                Err(error) => break Err(error),
            }
        };
        let closed = engine.shutdown().await;
        done?;
        closed.map(|()| all)
    })?;
    told(&all, output)
}

fn show(found: &Matching, output: Output) -> Result<()> {
    match output {
        Output::Ids => say(&found.sample.iter().map(|run| run.key.run.to_string()).collect::<Vec<_>>().join("\n")),
        Output::Json => {
            let statuses: serde_json::Map<String, Value> =
                found.statuses.iter().map(|(status, count)| (status.as_str().to_owned(), json!(count))).collect();
            let sample: Vec<Value> = found.sample.iter().map(summary).collect();
            say(&print(&json!({"runs": found.runs, "statuses": statuses, "sample": sample}))?)
        }
        Output::Table => {
            let mut lines = vec![format!("{} runs", found.runs)];
            lines.extend(found.statuses.iter().map(|(status, count)| format!("{count:8}  {status}")));
            for run in &found.sample {
                lines.push(format!("{}  {:9}  {}", run.key.run, status(run), run.definition.workflow));
            }
            say(&lines.join("\n"))
        }
    }
}

/// One that could not be steered makes the command fail, whatever became of the others.
fn told(all: &Steered, output: Output) -> Result<Exit> {
    match output {
        Output::Json => {
            let refused = all.refused.iter();
            let refused = refused.map(|(run, error)| json!({"run": run.run, "why": error.chain().join(": ")}));
            let done: Vec<Value> = all.done.iter().map(|run| json!(run.run)).collect();
            let fields = json!({"done": done, "in_vain": all.in_vain.len(), "refused": refused.collect::<Value>()});
            say(&print(&fields)?)?;
        }
        _ => {
            say(&all.done.iter().map(|run| run.run.to_string()).collect::<Vec<_>>().join("\n"))?;
            for (run, error) in &all.refused {
                tell(one_line(&format!("{}: {}", run.run, error.chain().join(": "))));
            }
            tell(format!("{} told, {} in vain, {} refused", all.done.len(), all.in_vain.len(), all.refused.len()));
        }
    }
    Ok(if all.refused.is_empty() { Exit::Well } else { Exit::Unexpected })
}
