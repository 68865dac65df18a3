//! New runs of queues on their way to the store: those that come while others are written are written together.

use std::sync::Arc;

use fastn_core::{Error, ErrorKind, Result};
use fastn_store::{Batch, Enqueue, WhenTaken, Write, Written};
use tokio::sync::oneshot;

use super::intake::{Asked, Lane};
use crate::engine::core::Core;
use crate::patience::patiently;

const OP: &str = "enqueue run";

/// Has a run written; gives what becomes of it. Dropping the answer does not take it back.
pub(super) fn put(core: &Arc<Core>, new: &Arc<Enqueue>) -> oneshot::Receiver<Result<Written>> {
    let (reply, answer) = oneshot::channel();
    let asked = Asked { new: new.clone(), reply };
    let owner = core.clone();
    match lane(new) {
        None => core.spawn(Box::pin(async move { write_one(&owner, asked).await })),
        Some(lane) if core.intake.add(&lane, asked) => {
            let writer = Writer { core: owner, lane, is_done: false };
            core.spawn(Box::pin(async move {
                while let Some(group) = writer.core.intake.take(&writer.lane) {
                    write(&writer.core, group).await;
                }
                writer.end();
            }));
        }
        Some(_) => {}
    }
    answer
}

/// Who writes what waits.
struct Writer {
    core: Arc<Core>,
    lane: Lane,
    is_done: bool,
}

impl Writer {
    /// Nothing waits any more, and whoever comes next has another write it.
    fn end(mut self) {
        self.is_done = true;
    }
}

impl Drop for Writer {
    /// Where its task is gone before it is done, the engine is: whoever waits is told.
    fn drop(&mut self) {
        if !self.is_done {
            self.core.intake.forgo(&self.lane);
        }
    }
}

/// With which others one is written together; with none where somebody's transaction that is left open may be about to create a
/// run of an id that a host has chosen, or of the same place, which must keep only such waiting.
fn lane(new: &Enqueue) -> Option<Lane> {
    if new.new.key.run.as_bytes().get(6).is_none_or(|byte| byte >> 4 != 7) {
        return None;
    }
    match new.once.map(|once| once.taken) {
        None => Some(None),
        Some(WhenTaken::Join(_)) => Some(Some(new.queue.clone())),
        Some(_) => None,
    }
}

/// Writes a group. A bad one among them must not harm the others, so each is written by itself then.
async fn write(core: &Core, mut group: Vec<Asked>) {
    if let [_] = group.as_slice()
        && let Some(asked) = group.pop()
    {
        return write_one(core, asked).await;
    }
    let writes = group.iter().map(|asked| asked.new.clone()).collect();
    match commit(core, writes).await {
        Ok(written) if written.len() == group.len() => {
            for (asked, written) in group.into_iter().zip(written) {
                // Who no longer waits need not know.
                let _ = asked.reply.send(Ok(written));
            }
        }
        Err(error) if error.is_transient() || error.kind() == ErrorKind::Closed => {
            let error = Arc::new(error);
            for asked in group {
                let _ = asked.reply.send(Err(Error::new(error.kind(), OP).caused_by(error.clone())));
            }
        }
        Ok(_) | Err(_) => {
            for asked in group {
                write_one(core, asked).await;
            }
        }
    }
}

async fn write_one(core: &Core, Asked { new, reply }: Asked) {
    let missing = || Error::new(ErrorKind::Internal, OP).caused_by("the store forgot a write");
    let written = commit(core, vec![new]).await;
    // Who no longer waits need not know.
    let _ = reply.send(written.and_then(|written| written.into_iter().next().ok_or_else(missing)));
}

async fn commit(core: &Core, new: Vec<Arc<Enqueue>>) -> Result<Vec<Written>> {
    let Some(durable) = core.services.durable() else { return Err(core.gone(OP)) };
    let clock = &*core.services.clock;
    let writes: Vec<Write> = new.into_iter().map(Write::Enqueue).collect();
    let batch = || Batch { lease: None, now: clock.now(), writes: writes.clone() };
    let written = patiently(clock, durable.patience, || durable.store.commit(batch())).await?;
    core.bells.own_queues.notify_one();
    Ok(written)
}
