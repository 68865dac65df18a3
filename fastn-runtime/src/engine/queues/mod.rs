//! Queues: runs that wait for their turn.
//!
//! | room | what is there |
//! |---|---|
//! | `queue` | what hosts say about a queue |
//! | `shelf` | the rules of queues, as the store has them |
//! | `known` | those that were read a moment ago |
//! | `place` | how a run is to wait |
//! | `batching` | how items are gathered that become one run |
//! | `enqueue` | starting a run that waits |
//! | `intake` | where those wait that are to be written together |
//! | `grouped` | how they are written |
//! | `seats` | the runs that this engine has admitted |
//! | `gate` | the task that admits runs whose turn it is |
//! | `queues` | what hosts call |
//!
//! Who is admitted is decided in the store, by its rules and in one atomic step: see [`fastn_store::Queues`]. An engine asks
//! when there may be somebody to admit, and never counts by itself.

mod batching;
mod enqueue;
pub(super) mod gate;
mod grouped;
pub(super) mod intake;
pub(super) mod known;
mod place;
mod queue;
#[allow(clippy::module_inception, reason = "the room of what is called `engine.queues()`")]
mod queues;
pub(super) mod seats;
pub(super) mod shelf;

pub use batching::Batching;
pub(super) use enqueue::{enqueue, enqueue_within};
pub use place::Singleton;
pub(super) use place::{Only, Place};
pub use queue::Queue;
pub use queues::Queues;
