//! The engine: drives the machines of all runs of this process.
//!
//! | room | what is there |
//! |---|---|
//! | `builder` | what an engine is made of, and opening one |
//! | `core` | the runs in memory and the tasks that work on them |
//! | `services` | what runs need of their engine: the journal, time, chance |
//! | `alarms` | when to look at which run |
//! | `run` | one run in memory: its machine, and how events become turns |
//! | `strand` | a task that makes attempts one after the other |
//! | `attempt` | one attempt: deadline, cancellation, panic, size |
//! | `timers` | what happens when an alarm goes off: sleeps end, retries begin, deadlines pass |
//! | `recovery` | runs that were under way when a process died |
//! | `start`, `handle`, `runs` | what hosts call |
//! | `watch` | what hosts can wait for and listen to |

mod alarms;
mod attempt;
mod builder;
mod core;
mod handle;
mod recovery;
mod run;
mod runs;
mod services;
mod start;
mod strand;
mod timers;
mod watch;

pub use builder::{EngineBuilder, StoreSource};
pub use handle::{RunEvents, RunHandle};
pub use runs::{Inspection, Runs};
pub use start::Start;
pub use watch::RunEvent;

use std::sync::Arc;

use fastn_core::{Result, Workflow};
use serde::Serialize;

use self::core::Core;

/// Runs workflows in this process.
///
/// Cloning is cheap. When the last clone is dropped without [`Engine::shutdown`], everything stops at once, as in a
/// crash: nothing recorded is lost, and the next engine goes on from there.
#[derive(Clone, Debug)]
pub struct Engine {
    core: Arc<Core>,
    /// Stops everything when the last clone goes.
    _owner: Arc<Owner>,
}

#[derive(Debug)]
struct Owner(Arc<Core>);

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.abandon();
    }
}

impl Engine {
    /// Says what an engine is to be made of.
    pub fn builder() -> EngineBuilder {
        EngineBuilder::default()
    }

    fn new(core: Arc<Core>) -> Self {
        Self { _owner: Arc::new(Owner(core.clone())), core }
    }

    /// Starts a run of a workflow that this engine serves. Await what it returns, or say more first:
    /// `engine.start(&checkout, order).key("order-42").await?`.
    pub fn start<I: Serialize, O>(&self, workflow: &Workflow<I, O>, input: I) -> Start<O> {
        Start::new(self.core.clone(), workflow.definition(), &input)
    }

    /// The runs of this engine's store: to list, inspect and cancel.
    pub fn runs(&self) -> Runs {
        Runs::new(self.core.clone())
    }

    /// Stops: no new runs and no new attempts, those under way have the engine's grace to end, and what they gave is
    /// recorded. Then they are dropped, the lease is released, and a store that the engine opened itself is closed.
    /// Unfinished runs go on when an engine is next opened. Later calls are
    /// [`Closed`](fastn_core::ErrorKind::Closed).
    ///
    /// # Errors
    /// If the store failed; everything is stopped all the same.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the engine stopping; call again to wait for the end.
    pub async fn shutdown(&self) -> Result<()> {
        self.core.shutdown().await
    }
}
