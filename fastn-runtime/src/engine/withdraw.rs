//! Cancelling a run that nobody has ever had: nothing of it begins, and nothing need be known of what it would do.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use fastn_core::{By, Event, Failure, FailureKind, Outcome, Record, Result};
use fastn_store::{RunKey, Withdraw};

use super::core::Core;
use crate::machine::status_of;
use crate::patience::patiently;

/// Cancels a run that waits, for its turn or for anybody who can run it, and comes back when that is durable. Whether it did:
/// not if somebody has it, or has had it.
pub(super) async fn cancel(core: &Arc<Core>, key: &RunKey, by: &By) -> Result<bool> {
    let Some(durable) = core.services.durable() else { return Ok(false) };
    let clock = &*core.services.clock;
    let now = clock.now();
    let outcome = Outcome::Cancelled(Failure::new(FailureKind::CANCELLED, by.reason.clone()));
    let actor = Some(by.actor.as_str().into()).filter(|_| by.is_somebody());
    let asked = Event::CancelRequested { reason: by.reason.clone(), actor };
    let events = [asked, Event::Finished { outcome: outcome.clone() }];
    let records = events.map(|event| Record { time: now, event });
    let mut bytes = Vec::new();
    records.iter().try_for_each(|record| record.append_to(&mut bytes))?;
    let ask = Withdraw { now, run: key.clone(), status: status_of(&outcome), records: bytes.into(), count: 2 };
    let asked = AtomicBool::new(false);
    let withdrawn = patiently(clock, durable.patience, || async {
        let again = asked.swap(true, Ordering::Relaxed);
        if durable.store.withdraw(ask.clone()).await? {
            return Ok(true);
        }
        // It may have been withdrawn by a call whose answer was lost.
        Ok(again && durable.store.read(key).await?.is_some_and(|history| history.records == records))
    });
    if !withdrawn.await? {
        return Ok(false);
    }
    core.bells.own_queues.notify_one();
    core.tell_end(key, Ok(outcome));
    Ok(true)
}
