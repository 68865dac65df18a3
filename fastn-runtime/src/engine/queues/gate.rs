//! The task that admits runs whose turn it is.

use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use fastn_core::{ErrorKind, QueueName, Result};
use fastn_store::AdmitAsk;

use crate::clock::pause;
use crate::engine::core::Core;
use crate::engine::recovery;
use crate::engine::spread::Spread;
use crate::engine::steer::look::look;
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

/// What a look at the queues is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum For {
    /// It is the first, or it is time to look whatever was heard, or this engine did something.
    Itself,
    /// What all have heard of, or were told to wait for.
    All,
}

/// Admits runs as long as the engine has its lease: when something happens to a queue, when the store has said that it is
/// time, and from time to time.
pub(in crate::engine) async fn run(core: Arc<Core>, tenure: Arc<Tenure>) {
    let (Some(durable), Some(token)) = (core.services.durable(), tenure.token()) else { return };
    let (clock, chance) = (&*core.services.clock, &core.services.chance);
    let mut spread = Spread::default();
    let mut look = For::Itself;
    // Whether a call failed: it may have taken effect all the same.
    let mut unsure = false;
    while !core.is_stopping() {
        let poll = POLL + Duration::from_millis(chance.next() % SPREAD);
        let (mut wait, mut admitted) = (poll, 0);
        match durable.store.waiting().await {
            Ok(queues) => {
                for queue in queues {
                    match admit(&core, &tenure, token, &queue).await {
                        Ok((count, again)) => {
                            admitted += count;
                            wait = again.map_or(wait, |again| wait.min(again));
                        }
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
        if look == For::All {
            spread.looked(clock.uptime(), admitted > 0);
        }
        let told = wait < poll && !unsure;
        look = tokio::select! {
            biased;
            () = core.bells.own_queues.notified() => For::Itself,
            () = core.bells.queues.notified() => For::All,
            () = pause(clock, wait) => if told { For::All } else { For::Itself },
        };
        if look == For::All {
            let delay = spread.delay(clock.uptime(), || chance.next());
            tokio::select! {
                biased;
                () = core.bells.own_queues.notified() => look = For::Itself,
                () = pause(clock, delay), if !delay.is_zero() => {}
                () = ready(()), if delay.is_zero() => {}
            }
        }
        // What was heard by now is seen by the look that begins.
        tokio::select! {
            biased;
            () = core.bells.queues.notified() => {}
            () = ready(()) => {}
        }
    }
}

/// Admits what a queue allows, page by page. Tells how many there were, and after which span there may be more.
async fn admit(
    core: &Arc<Core>,
    tenure: &Arc<Tenure>,
    lease: u64,
    queue: &QueueName,
) -> Result<(usize, Option<Duration>)> {
    let store = core.services.store()?;
    let serves = core.runnable();
    let mut all = 0;
    loop {
        let claiming = core.claiming.write().await;
        let (now, suspects) = (core.services.clock.now(), tenure.suspicion.suspects(core.services.limits.poison_after));
        let ask = AdmitAsk { lease, now, queue: queue.clone(), serves: serves.clone(), limit: PAGE, suspects };
        let admitted = store.admit(ask).await?;
        let count = admitted.runs.len();
        if count > 0 {
            look(core, tenure).await?;
        }
        for run in admitted.runs {
            let key = run.history.run.key.clone();
            core.seats.take(run.no);
            if let Err(error) = recovery::take_over(core, tenure, run) {
                tracing::error!(run = %key.run, error = ?error, "a run that was admitted could not be begun");
                core.refuse(&key, error);
            }
        }
        drop(claiming);
        all += count;
        if count > 0 {
            tracing::debug!(%queue, runs = count, "runs are admitted");
            // Some may have waited for somebody to hold the run.
            core.bells.messages.notify_one();
        }
        if admitted.again_in != Some(Duration::ZERO) || count == 0 || core.is_stopping() {
            return Ok((all, admitted.again_in));
        }
        tokio::task::yield_now().await;
    }
}
