//! A store that counts what it is asked to do.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use fastn_core::{EntryKind, QueueName, Result, TenantId, Timestamp};
use fastn_store::{
    AdmitAsk, Admitted, Batch, ClaimAsk, Claimed, DefinitionKey, Entry, EntryKey, History, Lease, LeaseAsk, Mailbox,
    Message, MessageNo, News, NewsAsk, Page, Put, QueueCounts, Queues, ReceiveAsk, Received, Repository, RunKey,
    RunQuery, RunSummary, Scan, Sent, Store, Withdraw, Write, Written,
};

/// What a store was asked to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Cost {
    /// Batches.
    pub commits: u64,
    /// Writes in them.
    pub writes: u64,
    /// Bytes of the records in those.
    pub record_bytes: u64,
    /// Reads of runs, of any kind, claims among them.
    pub reads: u64,
    /// Renewals of leases.
    pub renewals: u64,
    /// Puts of entries.
    pub puts: u64,
    /// Looks at entries.
    pub looks: u64,
    /// Asks for runs of queues.
    pub asks: u64,
}

/// Passes everything on and counts it, for tests that hold what a workflow costs. Clones count together.
#[derive(Clone)]
pub struct MeterStore {
    inner: Arc<dyn Store>,
    cost: Arc<Mutex<Cost>>,
}

impl MeterStore {
    /// Counts what this store is asked to do.
    pub fn new(inner: Arc<dyn Store>) -> Self {
        Self { inner, cost: Arc::default() }
    }

    /// What was asked since this was last called.
    pub fn take(&self) -> Cost {
        std::mem::take(&mut *self.cost.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn count(&self, count: impl FnOnce(&mut Cost)) {
        count(&mut self.cost.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn count_look(&self) {
        self.count(|cost| cost.looks = cost.looks.saturating_add(1));
    }

    fn count_ask(&self) {
        self.count(|cost| cost.asks = cost.asks.saturating_add(1));
    }

    fn count_read(&self) {
        self.count(|cost| cost.reads = cost.reads.saturating_add(1));
    }
}

impl fmt::Debug for MeterStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MeterStore({:?})", self.inner)
    }
}

#[async_trait]
impl Repository for MeterStore {
    async fn get(&self, key: &EntryKey) -> Result<Option<Entry>> {
        self.count_look();
        self.inner.get(key).await
    }

    async fn put(&self, put: Put) -> Result<u64> {
        self.count(|cost| cost.puts = cost.puts.saturating_add(1));
        self.inner.put(put).await
    }

    async fn scan(&self, scan: Scan) -> Result<Vec<Entry>> {
        self.count_look();
        self.inner.scan(scan).await
    }

    async fn latest(&self, kind: &EntryKind) -> Result<u64> {
        self.count_look();
        self.inner.latest(kind).await
    }
}

#[async_trait]
impl Mailbox for MeterStore {
    async fn send(&self, messages: Vec<Message>) -> Result<Vec<Sent>> {
        self.inner.send(messages).await
    }

    async fn receive(&self, ask: ReceiveAsk) -> Result<Vec<Received>> {
        self.count_read();
        self.inner.receive(ask).await
    }

    async fn acknowledge(&self, lease: u64, messages: &[MessageNo]) -> Result<()> {
        self.inner.acknowledge(lease, messages).await
    }

    async fn unread(&self, run: &RunKey) -> Result<Vec<Message>> {
        self.count_read();
        self.inner.unread(run).await
    }

    async fn summaries(&self, runs: &[RunKey]) -> Result<Vec<Option<RunSummary>>> {
        self.count_read();
        self.inner.summaries(runs).await
    }

    async fn news(&self, ask: NewsAsk) -> Result<News> {
        self.inner.news(ask).await
    }
}

#[async_trait]
impl Queues for MeterStore {
    async fn admit(&self, ask: AdmitAsk) -> Result<Admitted> {
        self.count_ask();
        self.inner.admit(ask).await
    }

    async fn withdraw(&self, ask: Withdraw) -> Result<bool> {
        self.count_look();
        self.inner.withdraw(ask).await
    }

    async fn waiting(&self) -> Result<Vec<QueueName>> {
        self.count_look();
        self.inner.waiting().await
    }

    async fn counts(&self, queue: &QueueName, keys: u32) -> Result<QueueCounts> {
        self.count_look();
        self.inner.counts(queue, keys).await
    }
}

#[async_trait]
impl Store for MeterStore {
    fn name(&self) -> String {
        self.inner.name()
    }

    fn comes_back(&self) -> bool {
        self.inner.comes_back()
    }

    fn commits_at_once(&self) -> usize {
        self.inner.commits_at_once()
    }

    async fn time(&self) -> Result<Option<Timestamp>> {
        self.inner.time().await
    }

    async fn introduce(&self, tenant: &TenantId, definition: &DefinitionKey) -> Result<()> {
        self.inner.introduce(tenant, definition).await
    }

    async fn acquire(&self, ask: LeaseAsk) -> Result<Lease> {
        self.inner.acquire(ask).await
    }

    async fn renew(&self, lease: &Lease, until: Timestamp) -> Result<()> {
        self.count(|cost| cost.renewals = cost.renewals.saturating_add(1));
        self.inner.renew(lease, until).await
    }

    async fn release(&self, lease: &Lease) -> Result<()> {
        self.inner.release(lease).await
    }

    async fn commit(&self, batch: Batch) -> Result<Vec<Written>> {
        self.count(|cost| {
            cost.commits = cost.commits.saturating_add(1);
            for write in &batch.writes {
                cost.writes = cost.writes.saturating_add(1);
                if let Write::Turn(turn) = write {
                    cost.record_bytes = cost.record_bytes.saturating_add(turn.records.len() as u64);
                }
            }
        });
        self.inner.commit(batch).await
    }

    async fn claim(&self, ask: ClaimAsk) -> Result<Vec<Claimed>> {
        self.count_read();
        self.inner.claim(ask).await
    }

    async fn read(&self, run: &RunKey) -> Result<Option<History>> {
        self.count_read();
        self.inner.read(run).await
    }

    async fn plan(&self, tenant: &TenantId, definition: &DefinitionKey) -> Result<Option<String>> {
        self.count_read();
        self.inner.plan(tenant, definition).await
    }

    async fn list(&self, query: RunQuery) -> Result<Page> {
        self.count_read();
        self.inner.list(query).await
    }

    async fn prune(&self, before: Timestamp, limit: u32) -> Result<u64> {
        self.inner.prune(before, limit).await
    }

    async fn close(&self) -> Result<()> {
        self.inner.close().await
    }
}
