//! What happens by itself: sleeps end, retries begin, deadlines pass.

use std::sync::Arc;
use std::time::Duration;

use fastn_store::RunKey;

use super::core::Core;
use super::recovery;
use super::run::Told;
use super::strand;

/// The longest sleep at a stretch, so that it is noticed when the calendar is set.
const STRETCH: Duration = Duration::from_secs(30);

/// Looks at runs when their time has come, as long as the engine lives.
pub(super) async fn run(core: Arc<Core>) {
    loop {
        let (due, next) = core.services.alarms.due(core.services.clock.now());
        for key in due {
            match core.find(&key) {
                Some(run) => match run.wake(&core.services) {
                    Ok(Told::Turn(pending)) => strand::carry_on(&core, &run, pending),
                    Ok(Told::Nothing) => {}
                    Ok(Told::Left) => unpark(&core, key),
                    Err(error) => strand::lose(&core, &run, error),
                },
                None => unpark(&core, key),
            }
        }
        let earlier = core.services.alarms.earlier();
        match next {
            None => earlier.await,
            Some(time) => tokio::select! {
                biased;
                () = earlier => {}
                () = core.services.clock.sleep(time.since(core.services.clock.now()).min(STRETCH)) => {}
            },
        }
    }
}

/// Wakes a run that left memory while it waited.
fn unpark(core: &Arc<Core>, key: RunKey) {
    let owner = core.clone();
    core.spawn(Box::pin(async move { recovery::unpark(&owner, &key).await }));
}
