//! A store that takes its time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use fastn::core::EntryKind;
use fastn::core::QueueName;
use fastn::prelude::*;
use fastn::store::{
    AdmitAsk, Admitted, Batch, ClaimAsk, Claimed, DefinitionKey, Entry, EntryKey, History, Lease, LeaseAsk, Mailbox,
    Message, MessageNo, News, NewsAsk, Page, Put, QueueCounts, Queues, ReceiveAsk, Received, Repository, RunKey,
    RunSummary, Scan, Sent, Store, Withdraw, Written,
};
use tokio::sync::Semaphore;

/// A store that answers claims and what it is asked about leases only when it may, although they take effect at once, and
/// commits only when it may.
pub(crate) struct SlowStore {
    inner: Arc<dyn Store>,
    pub(crate) claims: Semaphore,
    pub(crate) commits: Semaphore,
    /// As many as one likes unless a test takes them away.
    pub(crate) leases: Semaphore,
    waits: AtomicUsize,
}

impl SlowStore {
    pub(crate) fn new(inner: Arc<dyn Store>, claims: usize, commits: usize) -> Arc<Self> {
        let leases = Semaphore::new(Semaphore::MAX_PERMITS);
        Arc::new(Self {
            inner,
            claims: Semaphore::new(claims),
            commits: Semaphore::new(commits),
            leases,
            waits: AtomicUsize::new(0),
        })
    }

    /// How many commits wait until they may.
    pub(crate) fn waiting(&self) -> usize {
        self.waits.load(Ordering::SeqCst)
    }
}

impl std::fmt::Debug for SlowStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SlowStore")
    }
}

#[async_trait::async_trait]
impl Repository for SlowStore {
    async fn get(&self, key: &EntryKey) -> Result<Option<Entry>, Error> {
        self.inner.get(key).await
    }

    async fn put(&self, put: Put) -> Result<u64, Error> {
        self.inner.put(put).await
    }

    async fn scan(&self, scan: Scan) -> Result<Vec<Entry>, Error> {
        self.inner.scan(scan).await
    }

    async fn latest(&self, kind: &EntryKind) -> Result<u64, Error> {
        self.inner.latest(kind).await
    }
}

#[async_trait::async_trait]
impl Mailbox for SlowStore {
    async fn send(&self, messages: Vec<Message>) -> Result<Vec<Sent>, Error> {
        self.inner.send(messages).await
    }

    async fn receive(&self, ask: ReceiveAsk) -> Result<Vec<Received>, Error> {
        self.inner.receive(ask).await
    }

    async fn acknowledge(&self, lease: u64, messages: &[MessageNo]) -> Result<(), Error> {
        self.inner.acknowledge(lease, messages).await
    }

    async fn unread(&self, run: &RunKey) -> Result<Vec<Message>, Error> {
        self.inner.unread(run).await
    }

    async fn summaries(&self, runs: &[RunKey]) -> Result<Vec<Option<RunSummary>>, Error> {
        self.inner.summaries(runs).await
    }

    async fn news(&self, ask: NewsAsk) -> Result<News, Error> {
        self.inner.news(ask).await
    }
}

#[async_trait::async_trait]
impl Queues for SlowStore {
    async fn admit(&self, ask: AdmitAsk) -> Result<Admitted, Error> {
        self.inner.admit(ask).await
    }

    async fn withdraw(&self, ask: Withdraw) -> Result<bool, Error> {
        self.inner.withdraw(ask).await
    }

    async fn waiting(&self) -> Result<Vec<QueueName>, Error> {
        self.inner.waiting().await
    }

    async fn counts(&self, queue: &QueueName, keys: u32) -> Result<QueueCounts, Error> {
        self.inner.counts(queue, keys).await
    }
}

#[async_trait::async_trait]
impl Store for SlowStore {
    fn name(&self) -> String {
        "slow".to_owned()
    }

    async fn acquire(&self, ask: LeaseAsk) -> Result<Lease, Error> {
        let lease = self.inner.acquire(ask).await;
        self.leases.acquire().await.unwrap().forget();
        lease
    }

    async fn renew(&self, lease: &Lease, until: Timestamp) -> Result<(), Error> {
        let renewed = self.inner.renew(lease, until).await;
        self.leases.acquire().await.unwrap().forget();
        renewed
    }

    async fn release(&self, lease: &Lease) -> Result<(), Error> {
        self.inner.release(lease).await
    }

    async fn commit(&self, batch: Batch) -> Result<Vec<Written>, Error> {
        self.waits.fetch_add(1, Ordering::SeqCst);
        self.commits.acquire().await.unwrap().forget();
        self.waits.fetch_sub(1, Ordering::SeqCst);
        self.inner.commit(batch).await
    }

    async fn claim(&self, ask: ClaimAsk) -> Result<Vec<Claimed>, Error> {
        let claimed = self.inner.claim(ask).await;
        self.claims.acquire().await.unwrap().forget();
        claimed
    }

    async fn read(&self, run: &RunKey) -> Result<Option<History>, Error> {
        self.inner.read(run).await
    }

    async fn plan(&self, tenant: &TenantId, definition: &DefinitionKey) -> Result<Option<String>, Error> {
        self.inner.plan(tenant, definition).await
    }

    async fn list(&self, query: RunQuery) -> Result<Page, Error> {
        self.inner.list(query).await
    }

    async fn prune(&self, before: Timestamp, limit: u32) -> Result<u64, Error> {
        self.inner.prune(before, limit).await
    }

    async fn close(&self) -> Result<(), Error> {
        self.inner.close().await
    }
}
