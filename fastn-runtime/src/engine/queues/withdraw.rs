//! Cancelling a run that waits: nothing of it begins.

use std::sync::Arc;

use fastn_core::{ErrorKind, Result};
use fastn_store::{History, RunKey, Withdraw};

use crate::engine::core::Core;
use crate::engine::recovery;
use crate::engine::strand::{self, is_of_lease};
use crate::patience::patiently;

/// Cancels a run that waits in a queue, and comes back when that is durable. Whether it did: not if it does not wait, or
/// this engine cannot have it.
pub(in crate::engine) async fn cancel(core: &Arc<Core>, key: &RunKey, reason: &str) -> Result<bool> {
    let (Some(durable), Some(tenure)) = (core.services.durable(), core.services.tenure()) else { return Ok(false) };
    let Some(lease) = tenure.token() else { return Ok(false) };
    let serves = core.runnable();
    let clock = &*core.services.clock;
    // Until it is in memory, nobody else must bring it there.
    let claiming = core.claiming.write().await;
    let ask = || Withdraw { lease, now: clock.now(), run: key.clone(), serves: serves.clone() };
    let found = patiently(clock, durable.patience, || async {
        match durable.store.withdraw(ask()).await? {
            Some(claimed) => Ok(Some(claimed.history)),
            // It may have been withdrawn by a call whose answer was lost.
            None => Ok(durable.store.read(key).await?.filter(|history| is_untouched(history, lease))),
        }
    });
    let history = match found.await {
        Ok(Some(history)) if core.find(key).is_none() => history,
        Ok(_) => return Ok(false),
        Err(error) if is_of_lease(&error) || error.kind() == ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    let begun = recovery::take_over_cancelled(core, &tenure, history, reason)?;
    drop(claiming);
    let Some((run, pending)) = begun else { return Ok(false) };
    match strand::carry_out(core, &run, pending).await {
        // It is for whoever has the run now.
        Err(error) if is_of_lease(&error) => {
            run.tenure.left().await;
            Ok(false)
        }
        result => result.map(|()| true),
    }
}

/// Whether the lease has the run and nothing was done with it.
fn is_untouched(history: &History, lease: u64) -> bool {
    history.run.holder == Some(lease) && history.records.is_empty()
}
