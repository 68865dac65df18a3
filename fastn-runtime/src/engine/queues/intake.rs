//! New runs of queues on their way to the store: those that come while others are written are written together.

use std::sync::{Arc, Mutex, PoisonError};

use fastn_core::{Error, ErrorKind, Result};
use fastn_store::{Batch, Enqueue, WhenTaken, Write, Written};
use tokio::sync::oneshot;

use crate::engine::core::Core;
use crate::patience::patiently;

const OP: &str = "enqueue run";

/// A group has so many at most, and takes no more once it has so many bytes.
const MOST: usize = 256;
const BYTES: usize = 4 << 20;

/// One that is on its way, and who waits for what becomes of it.
#[derive(Debug)]
struct Asked {
    new: Arc<Enqueue>,
    reply: oneshot::Sender<Result<Written>>,
}

/// Where they wait for the next group.
#[derive(Debug, Default)]
pub(in crate::engine) struct Intake(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    asked: Vec<Asked>,
    /// Whether a task writes what waits, until nothing does.
    writes: bool,
}

impl Intake {
    /// Has a run written; gives what becomes of it. Dropping the answer does not take it back.
    pub(super) fn put(core: &Arc<Core>, new: &Arc<Enqueue>) -> oneshot::Receiver<Result<Written>> {
        let (reply, answer) = oneshot::channel();
        let asked = Asked { new: new.clone(), reply };
        if !may_share(new) {
            let owner = core.clone();
            core.spawn(Box::pin(async move { write_one(&owner, asked).await }));
        } else if core.intake.add(asked) {
            let writer = Writer { core: core.clone(), is_done: false };
            core.spawn(Box::pin(async move {
                while let Some(group) = writer.core.intake.take() {
                    write(&writer.core, group).await;
                }
                writer.end();
            }));
        }
        answer
    }

    /// Lets one wait. Whether nobody writes just now, and the caller has to.
    fn add(&self, asked: Asked) -> bool {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.asked.push(asked);
        !std::mem::replace(&mut waiting.writes, true)
    }

    /// The next group, in the order in which they came. Without one whoever writes is done.
    fn take(&self) -> Option<Vec<Asked>> {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut bytes = 0_usize;
        let fits = |asked: &&Asked| {
            let before = bytes;
            bytes = bytes.saturating_add(asked.new.new.input.len());
            before < BYTES
        };
        let count = waiting.asked.iter().take(MOST).take_while(fits).count();
        waiting.writes = count > 0;
        (count > 0).then(|| waiting.asked.drain(..count).collect())
    }
}

/// Who writes what waits.
struct Writer {
    core: Arc<Core>,
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
            *self.core.intake.0.lock().unwrap_or_else(PoisonError::into_inner) = Waiting::default();
        }
    }
}

/// Whether one waits for nobody but the store: somebody's transaction that is left open may be about to create a run of an id
/// that a host has chosen, or of the same place, and must keep only such waiting.
fn may_share(new: &Enqueue) -> bool {
    let drawn = new.new.key.run.as_bytes().get(6).is_some_and(|byte| byte >> 4 == 7);
    drawn && new.once.is_none_or(|once| matches!(once.taken, WhenTaken::Join(_)))
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
