//! What happens by itself: sleeps end, retries begin, deadlines pass.

use std::sync::Arc;

use super::core::Core;
use super::recovery;
use super::strand;

/// Looks at runs when their time has come, as long as the engine lives.
pub(super) async fn run(core: Arc<Core>) {
    loop {
        let (due, next) = core.services.alarms.due(core.services.clock.now());
        for key in due {
            match core.find(&key) {
                Some(run) => match run.wake(&core.services) {
                    Ok(pending) => strand::carry_on(&core, &run, pending),
                    Err(error) => {
                        tracing::error!(run = %key.run, error = ?error, "a run could not be woken");
                        core.dismiss(&key, Err(Arc::new(error)));
                    }
                },
                // It left memory while it waited.
                None => {
                    let owner = core.clone();
                    core.spawn(async move { recovery::unpark(&owner, &key).await });
                }
            }
        }
        let earlier = core.services.alarms.earlier();
        match next {
            None => earlier.await,
            Some(time) => tokio::select! {
                () = earlier => {}
                () = core.services.clock.sleep_until(time) => {}
            },
        }
    }
}
