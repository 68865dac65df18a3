//! What rings when there may be something to do.

use tokio::sync::Notify;

/// Each is for one task; rung before it listens, it is heard all the same, and once however often it was rung.
#[derive(Debug, Default)]
pub(super) struct Bells {
    /// There may be a lease to be had.
    pub(super) lease: Notify,
    /// There may be runs that nobody holds.
    pub(super) runs: Notify,
    /// There may be runs to be admitted from queues, by what others have done or this engine.
    pub(super) queues: Notify,
    /// The same by what this engine did: it asks before the others.
    pub(super) own_queues: Notify,
    /// There may be messages.
    pub(super) messages: Notify,
    /// Runs that others have may have ended.
    pub(super) ends: Notify,
    /// Somebody has begun to wait for a run that another has.
    pub(super) awaited: Notify,
}
