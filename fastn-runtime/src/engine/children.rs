//! Runs that are started by other runs, and their ends.
//!
//! A child is a run like any other: whichever executor has it brings it to its end. Its id follows from the node and the attempt
//! that start it, so there is one however often it is started. That it has ended is read from the store, or heard from this
//! engine where it ended here, so nothing has to arrive: whoever loads the parent looks.

use std::sync::Arc;
use std::time::Duration;

use fastn_core::{By, Error, ErrorKind, Failure, FailureKind, Outcome, Result, RunId};
use fastn_store::{NewRun, RunKey};

use super::core::{Core, Served};
use super::families::{Birth, Want};
use super::handle::{Recorded, recorded};
use super::recovery::{self, Found};
use super::run::Told;
use super::start::create_somehow;
use super::steer;
use super::strand::{self, is_of_lease};
use super::watch::Watch;
use crate::clock::pause;

/// How long after the store was unavailable it is asked again.
const SOON: Duration = Duration::from_millis(200);

/// How long after something else was wrong it is tried again.
const LATER: Duration = Duration::from_secs(5);

/// Does what runs want of their children, as long as the engine lives.
pub(super) async fn run(core: Arc<Core>) {
    loop {
        let want = core.families.next().await;
        let owner = core.clone();
        core.spawn(Box::pin(async move {
            match want {
                Want::Start(birth) => start(&owner, birth).await,
                Want::Follow(child) => follow(&owner, &child).await,
                Want::Tell(child, watch, parents) => tell(&owner, &child, &watch, parents).await,
                Want::End(child, reason) => end(&owner, &child, &reason).await,
            }
        }));
    }
}

async fn start(core: &Arc<Core>, Birth { key, definition, input, reply }: Birth) {
    let Some(Served { definition: served, plan, lacks }) = core.definitions.get(&definition).cloned() else {
        let missing = Error::new(ErrorKind::NotFound, "start run").with("workflow", &definition.workflow);
        // Who no longer waits need not know.
        let _ = reply.send(Err(missing));
        return;
    };
    if let (Some(tag), None) = (lacks.first(), core.services.durable()) {
        let lacking = Error::new(ErrorKind::Unsupported, "start run").with("workflow", &definition.workflow);
        let lacking =
            lacking.with("tag", tag).caused_by("this executor has not the tag, and an ephemeral engine has no other");
        // Who no longer waits need not know.
        let _ = reply.send(Err(lacking));
        return;
    }
    let watch = core.watch(&key);
    let creating = watch.create();
    let new = Arc::new(NewRun { key: key.clone(), definition, plan, input, created_at: core.services.clock.now() });
    let here = lacks.is_empty();
    let started = loop {
        match create_somehow(core, &served, &new, &watch, here).await {
            // Whether it is there is not known, and whoever has its parent next finds out.
            Err(error) if error.is_transient() && core.is_stopping() => break Err(core.gone("start run")),
            Err(error) if error.is_transient() => {
                tracing::warn!(run = %key.run, error = ?error, "a child could not be started; trying again");
                pause(&*core.services.clock, SOON).await;
            }
            started => break started,
        }
    };
    drop(creating);
    drop(watch);
    core.unwatch(&key);
    if core.awaits_others() {
        // Its end may be to be looked for, which was left until now.
        core.bells.ends.notify_one();
    }
    // Who no longer waits need not know.
    let _ = reply.send(started);
}

/// Sees to it that the end of a run is told, wherever it is.
async fn follow(core: &Arc<Core>, child: &RunKey) {
    let clock = &*core.services.clock;
    while let Some(watch) = core.families.watch(child) {
        if watch.peek().is_some() {
            return core.families.ended(child);
        }
        // As one that is in memory does, or that left it to wait, or was lost with the lease.
        if watch.times_begun() > 0 || core.find(child).is_some() {
            return;
        }
        let found = match recorded(core, child).await {
            Ok(Recorded::Over(outcome)) => return core.tell_end(child, Ok(outcome)),
            Ok(Recorded::Elsewhere) => return core.await_elsewhere(child, &watch),
            Ok(Recorded::Here) => recovery::load(core, child).await,
            Err(error) => Err(error),
        };
        match found {
            Ok(Found::Here(_)) => return,
            Ok(Found::Over | Found::Elsewhere) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => return core.refuse(child, error),
            Err(error) if error.kind() == ErrorKind::Closed => return,
            Err(error) => {
                tracing::warn!(run = %child.run, error = ?error, "the end of a child could not be looked for");
                pause(clock, if error.is_transient() { SOON } else { LATER }).await;
            }
        }
    }
}

/// Tells those that wait for a run how it ended.
async fn tell(core: &Arc<Core>, child: &RunKey, watch: &Watch, parents: Vec<RunId>) {
    let outcome = match watch.peek() {
        Some(Ok(outcome)) => outcome.clone(),
        Some(Err(error)) if error.kind() == ErrorKind::NotFound => {
            let what = format!("run {} is not in the store any more; how it ended is not known", child.run);
            Outcome::Failed(Failure::new(FailureKind::OUTCOME_UNKNOWN, what).permanent())
        }
        // It was lost to this engine without having ended; whoever asks for it has it loaded again.
        Some(Err(error)) if error.kind() != ErrorKind::Closed => {
            tracing::warn!(run = %child.run, error = ?error, "a child was lost to this engine; it is looked for again");
            pause(&*core.services.clock, LATER).await;
            for parent in parents {
                core.await_child(child, parent);
            }
            return;
        }
        _ => return,
    };
    for parent in parents {
        let parent = RunKey { tenant: child.tenant.clone(), run: parent };
        while let Err(error) = tell_one(core, &parent, child.run, &outcome).await {
            if core.is_stopping() || is_of_lease(&error) || error.kind() == ErrorKind::Closed {
                return;
            }
            if error.kind() == ErrorKind::NotFound {
                tracing::error!(run = %parent.run, error = ?error, "a run that waits for the end of its child is gone");
                break;
            }
            tracing::warn!(run = %parent.run, error = ?error, "a run could not be told of the end of its child; trying again");
            pause(&*core.services.clock, if error.is_transient() { SOON } else { LATER }).await;
        }
    }
}

async fn tell_one(core: &Arc<Core>, parent: &RunKey, child: RunId, outcome: &Outcome) -> Result<()> {
    loop {
        // Whoever has it otherwise looks for himself.
        let Found::Here(run) = recovery::load(core, parent).await? else { return Ok(()) };
        let (now, chance) = (core.services.clock.now(), core.services.chance.next());
        match run.tell(&core.services, |machine| machine.child_ended(child, outcome, now, chance))? {
            Told::Turn(pending) => strand::carry_on(core, &run, pending),
            Told::Nothing => {}
            Told::Left => continue,
        }
        return Ok(());
    }
}

/// Cancels a run, however long that takes: its parent goes on only then.
async fn end(core: &Arc<Core>, child: &RunKey, reason: &str) {
    while let Err(error) = steer::cancel(core, child, &By::from(reason)).await {
        match error.kind() {
            // Then its end is not to be had either, and the parent is told so.
            ErrorKind::NotFound | ErrorKind::Closed => return,
            _ if core.is_stopping() => return,
            _ => tracing::warn!(run = %child.run, error = ?error, "a child could not be cancelled; trying again"),
        }
        pause(&*core.services.clock, if error.is_transient() { SOON } else { LATER }).await;
    }
}
