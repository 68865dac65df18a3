//! The task that admits runs whose turn it is.

use std::sync::Arc;
use std::time::Duration;

use fastn_core::{ErrorKind, QueueName, Result};
use fastn_store::AdmitAsk;

use crate::clock::pause;
use crate::engine::core::Core;
use crate::engine::recovery;
use crate::engine::strand::is_of_lease;
use crate::engine::tenure::Tenure;

/// How many runs are admitted at a time.
const PAGE: u32 = 256;

/// How often to look where nothing was heard.
const POLL: Duration = Duration::from_secs(5);

/// How much later than that at most, in milliseconds, so that executors do not look in step.
const SPREAD: u64 = 500;

/// How long after the store was unavailable it is asked again.
const SOON: Duration = Duration::from_millis(200);

/// Admits runs as long as the engine has its lease: when something happens to a queue, when the store has said that it is
/// time, and from time to time.
pub(in crate::engine) async fn run(core: Arc<Core>, tenure: Arc<Tenure>) {
    let (Some(durable), Some(token)) = (core.services.durable(), tenure.token()) else { return };
    // Whether a call failed: it may have taken effect all the same.
    let mut unsure = false;
    while !core.is_stopping() {
        let poll = POLL + Duration::from_millis(core.services.chance.next() % SPREAD);
        let mut wait = poll;
        match durable.store.waiting().await {
            Ok(queues) => {
                for queue in queues {
                    match admit(&core, &tenure, token, &queue).await {
                        Ok(again) => wait = again.map_or(wait, |again| wait.min(again)),
                        Err(error) if is_of_lease(&error) => return core.lose(&tenure, &Arc::new(error)),
                        Err(error) if error.kind() == ErrorKind::Closed => return,
                        Err(error) if error.is_transient() => {
                            tracing::warn!(%queue, error = ?error, "runs could not be admitted; trying again");
                            (unsure, wait) = (true, SOON);
                        }
                        // One queue that cannot be read must not keep the others from being served.
                        Err(error) => {
                            tracing::error!(%queue, error = ?error, "runs could not be admitted; trying again later");
                            unsure = true;
                        }
                    }
                }
            }
            Err(error) if error.kind() == ErrorKind::Closed => return,
            Err(error) => {
                tracing::warn!(error = ?error, "queues could not be looked for; trying again");
                wait = SOON;
            }
        }
        if unsure {
            match recovery::load_all_own(&core, token).await {
                Ok(()) => unsure = false,
                Err(error) => {
                    tracing::warn!(error = ?error, "runs of this engine could not be looked for; trying again");
                    wait = SOON;
                }
            }
        }
        tokio::select! {
            biased;
            () = core.bells.queues.notified() => {}
            () = pause(&*core.services.clock, wait) => {}
        }
    }
}

/// Admits what a queue allows, page by page. Tells after which span there may be more.
async fn admit(core: &Arc<Core>, tenure: &Arc<Tenure>, lease: u64, queue: &QueueName) -> Result<Option<Duration>> {
    let store = core.services.store()?;
    let serves = core.runnable();
    loop {
        let claiming = core.claiming.write().await;
        let (now, suspects) = (core.services.clock.now(), tenure.suspicion.suspects(core.services.limits.poison_after));
        let ask = AdmitAsk { lease, now, queue: queue.clone(), serves: serves.clone(), limit: PAGE, suspects };
        let admitted = store.admit(ask).await?;
        let count = admitted.runs.len();
        for run in admitted.runs {
            let key = run.history.run.key.clone();
            if let Err(error) = recovery::take_over(core, tenure, run) {
                tracing::error!(run = %key.run, error = ?error, "a run that was admitted could not be begun");
                core.refuse(&key, error);
            }
        }
        drop(claiming);
        if count > 0 {
            tracing::debug!(%queue, runs = count, "runs are admitted");
            // Some may have waited for somebody to hold the run.
            core.bells.messages.notify_one();
        }
        if admitted.again_in != Some(Duration::ZERO) || count == 0 || core.is_stopping() {
            return Ok(admitted.again_in);
        }
        tokio::task::yield_now().await;
    }
}
