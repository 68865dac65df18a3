//! What a store does.

use std::fmt;

use async_trait::async_trait;
use fastn_core::{Result, TenantId, Timestamp};

use super::{
    Batch, ClaimAsk, Claimed, DefinitionKey, History, Lease, LeaseAsk, Mailbox, Page, Queues, Repository, RunKey,
    RunQuery, Written,
};

/// Where runs live between two turns. What is kept beside them is its [`Repository`].
///
/// # Contract
/// * [`commit`](Store::commit) is atomic: all writes of a batch become durable together, or none does. When it returns
///   `Ok`, they are on disk (as far as the store promises disks).
/// * It is fenced: under a lease that has ended or was taken over, it writes nothing and returns
///   [`ErrorKind::Fenced`](fastn_core::ErrorKind::Fenced).
/// * It is idempotent by key: a batch that is committed again after an unknown outcome changes nothing. A run is known by
///   its tenant and id, a turn by its run and its first sequence number.
/// * The records of one run are read back in the order in which they were committed, without gaps; the first has
///   sequence number 0.
/// * A run is in the hands of one lease at a time.
/// * Time is an argument. A store never asks the clock; a server's own may be [told](Store::time).
///
/// # Errors
/// Of every method: [`Unavailable`](fastn_core::ErrorKind::Unavailable) if trying again may help,
/// [`Corrupt`](fastn_core::ErrorKind::Corrupt) if stored data cannot be read,
/// [`Closed`](fastn_core::ErrorKind::Closed) after [`close`](Store::close); and what the method says itself.
///
/// # Cancel safety
/// Of every method: dropping the future does not undo the call; it may still take effect.
#[async_trait]
pub trait Store: Repository + Mailbox + Queues + fmt::Debug + Send + Sync + 'static {
    /// What this store is, for people: `memory`, `sqlite:/var/lib/shop.db`.
    fn name(&self) -> String;

    /// Takes a lease, under which runs are created, claimed and continued.
    ///
    /// # Errors
    /// [`Locked`](fastn_core::ErrorKind::Locked) if the store allows one lease at a time and another live process
    /// holds it.
    async fn acquire(&self, ask: LeaseAsk) -> Result<Lease>;

    /// Extends a lease to `until`.
    ///
    /// # Errors
    /// [`Fenced`](fastn_core::ErrorKind::Fenced) if it has ended.
    async fn renew(&self, lease: &Lease, until: Timestamp) -> Result<()>;

    /// Ends a lease; its runs can be claimed by others at once. Ending it twice is no error.
    async fn release(&self, lease: &Lease) -> Result<()>;

    /// What the clock says that all users of the store go by; `None` if it has none, and each goes by the time that it tells
    /// the store. So it is, unless a store says otherwise. It says so always alike.
    async fn time(&self) -> Result<Option<Timestamp>> {
        Ok(None)
    }

    /// Makes a batch of writes true together. One result per write, in their order.
    ///
    /// # Errors
    /// [`Fenced`](fastn_core::ErrorKind::Fenced) as above;
    /// [`Invalid`](fastn_core::ErrorKind::Invalid) if a turn is for a run that the lease does not hold or leaves a gap, or an
    /// [item](super::Join) is not JSON;
    /// [`Locked`](fastn_core::ErrorKind::Locked) if somebody else's transaction is about to create a run of an id that is
    /// created here, and does not end.
    async fn commit(&self, batch: Batch) -> Result<Vec<Written>>;

    /// Makes a tenant's definition known before the first run of it is created in a transaction of the host's: a store in which
    /// whoever creates the first one keeps the others from doing so until his transaction ends does that now.
    async fn introduce(&self, tenant: &TenantId, definition: &DefinitionKey) -> Result<()> {
        let _ = (tenant, definition);
        Ok(())
    }

    /// How many commits of one lease are worth being under way at once; an executor sees to it that they are of different
    /// runs. One, unless a store says otherwise. It says so always alike.
    fn commits_at_once(&self) -> usize {
        1
    }

    /// Whether a server keeps it, so that it may be away for longer than anybody's patience and come back with all it had.
    /// Executors then give their leases up and wait for it, however long that takes; where it does not come back by itself,
    /// as a disk that is full, they halt and say why. Not, unless a store says otherwise. It says so always alike.
    fn comes_back(&self) -> bool {
        false
    }

    /// Puts unfinished runs that nobody holds into the hands of a lease, oldest first, together with their records.
    /// Runs of definitions that are not in [`ClaimAsk::serves`] are left alone, and so are those of [queues](Queues). Fewer than asked for need not be all there
    /// are: the store may leave some for other executors, for a while.
    ///
    /// Of [suspects](ClaimAsk::suspects) it gives no more than were asked for. For each run it counts the [deaths](Claimed::deaths) of those who held it. Nobody has died over a run that waits.
    ///
    /// # Errors
    /// [`Fenced`](fastn_core::ErrorKind::Fenced) if the lease has ended.
    async fn claim(&self, ask: ClaimAsk) -> Result<Vec<Claimed>>;

    /// Gives a run, with its records; `None` if there is none of that id.
    async fn read(&self, run: &RunKey) -> Result<Option<History>>;

    /// Gives the plan of a definition as it was with the first run of it; `None` if there was none.
    async fn plan(&self, tenant: &TenantId, definition: &DefinitionKey) -> Result<Option<String>>;

    /// Lists runs, newest first.
    async fn list(&self, query: RunQuery) -> Result<Page>;

    /// Deletes up to `limit` runs that finished before `before`; returns how many.
    async fn prune(&self, before: Timestamp, limit: u32) -> Result<u64>;

    /// Waits for what is under way, then frees every thread, file and connection. Every later call is
    /// [`Closed`](fastn_core::ErrorKind::Closed).
    async fn close(&self) -> Result<()>;
}
