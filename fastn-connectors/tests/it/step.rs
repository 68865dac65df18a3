//! A step to call connectors in the name of.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use fastn_core::{
    Attempt, BoxFuture, Failure, Payload, RunId, StepCx, StepError, StepInfo, StepLink, TenantId, Version, WorkflowName,
};
use serde_json::Value;
use tokio::sync::watch;

/// The engine's side of a step, seen from both sides.
pub(crate) struct Link {
    info: StepInfo,
    progress: Mutex<Vec<Value>>,
    /// How many have been told so far, for those who wait for one.
    told: watch::Sender<usize>,
    cancelled: watch::Sender<bool>,
    /// When the step is cut off.
    until: Option<Instant>,
}

impl Link {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self::until("charge", None))
    }

    fn until(node: &str, until: Option<Instant>) -> Self {
        let (told, cancelled) = (watch::Sender::new(0), watch::Sender::new(false));
        Self { info: info(node), progress: Mutex::default(), told, cancelled, until }
    }

    pub(crate) fn cancel(&self) {
        self.cancelled.send_replace(true);
    }

    pub(crate) fn progress(&self) -> Vec<Value> {
        self.progress.lock().expect("no test panics while it holds this").clone()
    }

    /// The first progress, as soon as there is one.
    pub(crate) async fn first(&self) -> Value {
        self.told.subscribe().wait_for(|told| *told > 0).await.expect("the link is held");
        self.progress().remove(0)
    }
}

impl StepLink for Link {
    fn info(&self) -> &StepInfo {
        &self.info
    }

    fn progress(&self, data: Payload) {
        self.progress
            .lock()
            .expect("no test panics while it holds this")
            .push(data.decode().expect("progress is JSON"));
        self.told.send_modify(|told| *told += 1);
    }

    fn time_left(&self) -> Option<Duration> {
        self.until.map(|until| until.saturating_duration_since(Instant::now()))
    }

    fn is_cancelled(&self) -> bool {
        *self.cancelled.borrow()
    }

    fn cancelled(&self) -> BoxFuture<'static, ()> {
        let mut cancelled = self.cancelled.subscribe();
        Box::pin(async move {
            // A link that is gone can no longer cancel.
            if cancelled.wait_for(|cancelled| *cancelled).await.is_err() {
                std::future::pending::<()>().await;
            }
        })
    }
}

pub(crate) fn info(node: &str) -> StepInfo {
    StepInfo::new(
        TenantId::default(),
        RunId::named("order-42"),
        WorkflowName::new("checkout").expect("a name"),
        Version(1),
        node.to_owned(),
        Attempt(2),
    )
}

pub(crate) fn cx() -> StepCx {
    cx_of(&Link::new())
}

pub(crate) fn cx_of(link: &Arc<Link>) -> StepCx {
    StepCx::new(Arc::clone(link) as Arc<dyn StepLink>)
}

/// A step that is cut off after this time.
pub(crate) fn cx_until(limit: Duration) -> StepCx {
    StepCx::new(Arc::new(Link::until("charge", Some(Instant::now() + limit))))
}

pub(crate) fn failure<T: std::fmt::Debug>(result: Result<T, StepError>) -> Failure {
    result.expect_err("it should fail").into_failure()
}
