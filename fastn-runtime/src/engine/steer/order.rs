//! Steering a run, wherever it is.

use std::sync::Arc;

use fastn_core::{By, Decision, Draft, Error, ErrorKind, Plan, Result};
use fastn_store::{RunKey, RunSummary, Sent, Store};
use serde_json::value::RawValue;

use super::deed::Deed;
use super::ledger;
use crate::engine::command::{Command, Which};
use crate::engine::core::Core;
use crate::engine::recovery::{self, Found};
use crate::engine::run::Told;
use crate::engine::{post, strand, withdraw};

/// Cancels a run. Whether there was anything to cancel.
pub(in crate::engine) async fn cancel(core: &Arc<Core>, key: &RunKey, by: &By) -> Result<bool> {
    const OP: &str = "cancel run";
    core.check_open(OP)?;
    if by.reason.len() > core.services.limits.payload {
        return Err(Error::new(ErrorKind::TooLarge, OP).with("reason", by.reason.len()));
    }
    let work = order(core, key, Command::Cancel { by: by.clone() });
    ledger::audited(core, key, || Deed::Cancel, by, in_vain, work).await
}

/// Pauses a run. Whether it was not paused before.
pub(in crate::engine) async fn pause(core: &Arc<Core>, key: &RunKey, by: &By) -> Result<bool> {
    must_say_who(core, by, "pause run")?;
    let work = order(core, key, Command::Pause { by: by.clone() });
    ledger::audited(core, key, || Deed::Pause, by, in_vain, work).await
}

/// Lets a run go on that is paused. Whether it was.
pub(in crate::engine) async fn resume(core: &Arc<Core>, key: &RunKey, by: &By) -> Result<bool> {
    must_say_who(core, by, "resume run")?;
    let work = order(core, key, Command::Resume { by: by.clone() });
    ledger::audited(core, key, || Deed::Resume, by, in_vain, work).await
}

/// Says what became of a step. Whether that meant anything to the run.
pub(in crate::engine) async fn decide(
    core: &Arc<Core>,
    key: &RunKey,
    (step, which): (&str, Which),
    decision: Decision,
    by: &By,
) -> Result<bool> {
    const OP: &str = "decide step";
    must_say_who(core, by, OP)?;
    if let Decision::Gave(output) = &decision {
        // Read once, so that who says it is told, and not whoever receives it.
        output.decode::<Box<RawValue>>()?;
        if output.len() > core.services.limits.payload {
            return Err(Error::new(ErrorKind::TooLarge, OP).with("output", output.len()));
        }
    }
    let deed = || Deed::Decide { step: step.to_owned(), decision: decision.as_str().to_owned() };
    let work = order(core, key, Command::Decide { which, decision: decision.clone(), by: by.clone() });
    ledger::audited(core, key, deed, by, in_vain, work).await
}

/// The plan that a run was started with, as the store has it.
pub(in crate::engine) async fn plan(store: &dyn Store, run: &RunSummary, op: &'static str) -> Result<Plan> {
    let text = store.plan(&run.key.tenant, &run.definition).await?;
    let unknown = || Error::new(ErrorKind::Unsupported, op).caused_by("its plan is not in the store");
    Ok(Draft::from_editor_json(&text.ok_or_else(unknown)?)?.check()?)
}

/// Those who steer by hand say who they are.
pub(super) fn must_say_who(core: &Core, by: &By, op: &'static str) -> Result<()> {
    core.check_open(op)?;
    by.check()?;
    let nobody = || Error::new(ErrorKind::Invalid, op).caused_by("it is not said who does it");
    if by.is_somebody() { Ok(()) } else { Err(nobody()) }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as it is asked of whatever comes of a deed")]
fn in_vain(done: &bool) -> Option<String> {
    (!*done).then(|| "there was nothing to do".to_owned())
}

/// Gives a run an order, here or by a message to whoever has it, and comes back when it is durable. Whether it meant anything
/// to the run, or will: one that has to be told by a message may end before.
async fn order(core: &Arc<Core>, key: &RunKey, command: Command) -> Result<bool> {
    // One for all times it is told, so that it counts once.
    let id = *core.services.chance.run_id(core.services.clock.now()).as_bytes();
    loop {
        let run = match recovery::load(core, key).await? {
            Found::Here(run) => run,
            Found::Over => return Ok(false),
            Found::Elsewhere => {
                if let Command::Cancel { by } = &command
                    && withdraw::cancel(core, key, by).await?
                {
                    return Ok(true);
                }
                let sent = post::send(core, key, command, Some(id)).await?;
                return Ok(!matches!(sent, Sent::Ended(_)));
            }
        };
        match run.tell(&core.services, |machine| command.event(id, machine))? {
            Told::Turn(pending) => match strand::carry_out(core, &run, pending).await {
                // It is for whoever has the run now.
                Err(error) if strand::is_of_lease(&error) => run.tenure.left().await,
                told => return told.map(|()| true),
            },
            Told::Nothing => {
                // What makes it mean nothing may be on its way to the store still.
                if let Some(last) = run.last() {
                    last.durable().await?;
                }
                return Ok(false);
            }
            Told::Left => {}
        }
    }
}
