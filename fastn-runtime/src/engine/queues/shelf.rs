//! The rules of queues, as the store has them.

use std::sync::Arc;
use std::time::Duration;

use fastn_core::{EntryKind, EntryName, Error, ErrorKind, QueueName, Result, TenantId};
use fastn_store::{EntryKey, Expect, Put, QUEUE, QueueRules, Store};

use super::queue::Queue;
use crate::engine::core::Core;
use crate::patience::patiently;

/// How often rules are tried to be changed while others change them.
const TRIES: usize = 64;

/// The entry that says a queue's rules.
pub(super) fn key(queue: &QueueName) -> Result<EntryKey> {
    let wrong = |e| Error::new(ErrorKind::Internal, "find queue").caused_by(e);
    let (kind, name) = (EntryKind::new(QUEUE).map_err(wrong)?, EntryName::new(queue.as_str()).map_err(wrong)?);
    Ok(EntryKey { kind, tenant: TenantId::default(), name })
}

/// The rules of a queue, as they are or were a moment ago.
///
/// # Errors
/// `NotFound` if there is no such queue.
pub(super) async fn known(core: &Core, queue: &QueueName) -> Result<Arc<QueueRules>> {
    let now = core.services.clock.uptime();
    if let Some(rules) = core.queues.get(queue, now) {
        return Ok(rules);
    }
    let rules = Arc::new(read(core, queue).await?);
    core.queues.put(queue, now, rules.clone());
    Ok(rules)
}

/// The rules of a queue as they are.
///
/// # Errors
/// `NotFound` if there is no such queue.
pub(super) async fn read(core: &Core, queue: &QueueName) -> Result<QueueRules> {
    let (durable, key) = (core.services.store()?, key(queue)?);
    let missing = || Error::new(ErrorKind::NotFound, "find queue").with("queue", queue);
    let entry = durable.get(&key).await?.ok_or_else(missing)?;
    QueueRules::decode(&entry.value).map_err(|error| error.with("queue", queue))
}

/// Changes the rules of a queue, whoever else does; gives them as they are then.
///
/// # Errors
/// `NotFound` if there is no such queue; `Invalid` if it cannot be like that; `Conflict` if others never stop changing it.
pub(super) async fn change(
    core: &Core,
    queue: &QueueName,
    change: impl Fn(&mut QueueRules) + Send + Sync,
) -> Result<QueueRules> {
    const OP: &str = "change queue";
    let (store, key) = (core.services.store()?, key(queue)?);
    for _ in 0..TRIES {
        let missing = || Error::new(ErrorKind::NotFound, OP).with("queue", queue);
        let entry = store.get(&key).await?.ok_or_else(missing)?;
        let before = QueueRules::decode(&entry.value).map_err(|error| error.with("queue", queue))?;
        let mut rules = before.clone();
        change(&mut rules);
        if rules == before {
            return Ok(rules);
        }
        let put = Put { key: key.clone(), value: Some(rules.encode()?), expect: Expect::Version(entry.version) };
        match store.put(put).await {
            Ok(_) => {
                core.queues.forget(queue);
                core.bells.own_queues.notify_one();
                return Ok(rules);
            }
            Err(error) if error.kind() == ErrorKind::Conflict => {}
            Err(error) => return Err(error),
        }
    }
    Err(Error::new(ErrorKind::Conflict, OP).with("queue", queue).caused_by("others change it all the time"))
}

/// Makes queues known as this program has them. The last program to come is right; a queue that is paused stays so.
///
/// # Errors
/// `Invalid` if there can be no such queue.
pub(in crate::engine) async fn put_all(
    store: &Arc<dyn Store>,
    clock: &dyn crate::clock::Clock,
    patience: Duration,
    queues: Vec<Queue>,
) -> Result<()> {
    for queue in queues {
        let (name, rules) = queue.into_parts()?;
        patiently(clock, patience, || put(store, &name, &rules)).await.map_err(|error| error.with("queue", &name))?;
    }
    Ok(())
}

async fn put(store: &Arc<dyn Store>, queue: &QueueName, ours: &QueueRules) -> Result<()> {
    let key = key(queue)?;
    for _ in 0..TRIES {
        let entry = store.get(&key).await?;
        let (rules, expect) = match &entry {
            None => (ours.clone(), Expect::Absent),
            Some(entry) => {
                let found = QueueRules::decode(&entry.value)?;
                let rules = found.clone().defined_as(ours);
                if rules == found {
                    return Ok(());
                }
                tracing::info!(%queue, "the rules of a queue are other than another program, or somebody since, has said");
                (rules, Expect::Version(entry.version))
            }
        };
        match store.put(Put { key: key.clone(), value: Some(rules.encode()?), expect }).await {
            Ok(_) => return Ok(()),
            Err(error) if error.kind() == ErrorKind::Conflict => {}
            Err(error) => return Err(error),
        }
    }
    Err(Error::new(ErrorKind::Conflict, "define queue").caused_by("others change it all the time"))
}
