//! Starting a run that waits.

use std::sync::Arc;

use fastn_core::{By, Error, ErrorKind, QueueName, Result};
use fastn_store::{Enqueue, Existing, HostTransaction, NewRun, RunKey, Taken, Written};

use super::grouped;
use super::place::{Place, Singleton};
use super::shelf;
use crate::engine::core::Core;
use crate::engine::handle::RunHandle;
use crate::engine::same::check_existing;
use crate::engine::steer;

const OP: &str = "enqueue run";

/// Creates a run that waits, and gives its key, or that of the run which is attached to instead.
///
/// # Errors
/// As starting a run; `NotFound` if there is no such queue, `AlreadyExists` as [`Singleton::CancelNewest`] says.
///
/// # Cancel safety
/// Dropping the future does not take the start back.
pub(in crate::engine) async fn enqueue(
    core: &Arc<Core>,
    queue: &QueueName,
    new: NewRun,
    place: &Place,
) -> Result<RunKey> {
    let enqueue = Arc::new(waiting(core, queue, new, place).await?);
    loop {
        let taken = match create(core, &enqueue).await? {
            Written::Created(_) => return Ok(enqueue.new.key.clone()),
            Written::Exists(existing) => {
                check_existing(&enqueue.new, &existing)?;
                return Ok(enqueue.new.key.clone());
            }
            Written::Joined(run) => return Ok(*run),
            Written::Taken(taken) => *taken,
            _ => return Err(mistaken()),
        };
        let Taken { key: taken, run } = taken;
        match place.when_taken() {
            Singleton::Attach => return attach(&enqueue, taken, &run),
            Singleton::CancelNewest => return Err(is_there(&enqueue, &taken)),
            Singleton::CancelInProgress => {
                tracing::debug!(%queue, run = %taken.run, "a run is cancelled for one that was started since");
                let other = RunHandle::<()>::new(core.clone(), taken.clone(), core.watch(&taken));
                match steer::cancel(core, &taken, &By::from("another one was started since")).await {
                    Ok(_) => drop(other.outcome().await?),
                    // It ended, and was deleted since.
                    Err(error) if error.kind() == ErrorKind::NotFound => {}
                    Err(error) => return Err(error),
                }
            }
        }
    }
}

/// Creates a run that waits in a transaction of the host's own, and gives its key, or that of the run which is attached to
/// instead.
///
/// # Errors
/// As [`enqueue`], and `Unsupported` for what cannot be rolled back.
pub(in crate::engine) async fn enqueue_within<T: HostTransaction>(
    core: &Core,
    queue: &QueueName,
    new: NewRun,
    place: &Place,
    transaction: T,
) -> Result<RunKey> {
    if place.when_taken() == Singleton::CancelInProgress {
        let why = "a run in progress cannot be cancelled together with a transaction of the host's";
        return Err(Error::new(ErrorKind::Unsupported, OP).with("queue", queue).caused_by(why));
    }
    let enqueue = waiting(core, queue, new, place).await?;
    match transaction.enqueue(&enqueue).await? {
        Written::Created(_) => Ok(enqueue.new.key),
        Written::Exists(existing) => check_existing(&enqueue.new, &existing).map(|()| enqueue.new.key),
        Written::Taken(taken) if place.when_taken() == Singleton::Attach => attach(&enqueue, taken.key, &taken.run),
        Written::Taken(taken) => Err(is_there(&enqueue, &taken.key)),
        Written::Joined(run) => Ok(*run),
        _ => Err(mistaken()),
    }
}

/// What is to be created.
async fn waiting(core: &Core, queue: &QueueName, new: NewRun, place: &Place) -> Result<Enqueue> {
    let rules = shelf::known(core, queue).await?;
    let key = place.key.clone().unwrap_or_else(|| rules.key_of(&new.key.tenant, &new.input));
    Ok(Enqueue {
        once: place.once(&key, &new, core.services.limits.payload),
        queue: queue.clone(),
        key,
        priority: place.priority,
        ageing: rules.ageing,
        delay: place.delay(),
        cost: place.cost.unwrap_or(1),
        new,
    })
}

/// The run that has the place, unless it is of another workflow: whoever waits for an output must not get that one's.
fn attach(new: &Enqueue, taken: RunKey, run: &Existing) -> Result<RunKey> {
    if run.definition.workflow == new.new.definition.workflow {
        return Ok(taken);
    }
    Err(Error::new(ErrorKind::Conflict, OP)
        .with("queue", &new.queue)
        .with("run", taken.run)
        .with("workflow", &run.definition.workflow)
        .caused_by("its place is taken by a run of another workflow"))
}

fn is_there(new: &Enqueue, taken: &RunKey) -> Error {
    Error::new(ErrorKind::AlreadyExists, OP).with("queue", &new.queue).with("key", &new.key).with("run", taken.run)
}

fn mistaken() -> Error {
    Error::new(ErrorKind::Internal, OP).caused_by("the store mistook a run that is to wait")
}

async fn create(core: &Arc<Core>, new: &Arc<Enqueue>) -> Result<Written> {
    core.check_open(OP)?;
    grouped::put(core, new).await.unwrap_or_else(|_| Err(core.gone(OP)))
}
