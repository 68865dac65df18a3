//! A store whose caller dies at one of its calls.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use fastn_core::{EntryKind, QueueName, Result, TenantId, Timestamp};
use fastn_store::{
    AdmitAsk, Admitted, Batch, ClaimAsk, Claimed, DefinitionKey, Entry, EntryKey, History, Lease, LeaseAsk, Mailbox,
    Message, MessageNo, News, NewsAsk, Page, Put, QueueCounts, Queues, ReceiveAsk, Received, Repository, RunKey,
    RunQuery, RunSummary, Scan, Sent, Store, Withdraw, Written,
};
use tokio_util::sync::CancellationToken;

/// At which call the caller dies; calls are counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Death {
    pub(super) call: u64,
    /// Whether the call still takes effect; its answer is never heard.
    pub(super) after: bool,
}

impl fmt::Display for Death {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} call {}", if self.after { "after" } else { "before" }, self.call)
    }
}

/// Passes calls on until death; afterwards no call ever comes back.
pub(super) struct MortalStore {
    inner: Arc<dyn Store>,
    death: Option<Death>,
    calls: AtomicU64,
    died: CancellationToken,
}

impl MortalStore {
    pub(super) fn new(inner: Arc<dyn Store>, death: Option<Death>) -> Self {
        Self { inner, death, calls: AtomicU64::new(0), died: CancellationToken::new() }
    }

    /// Cancelled at the moment of death.
    pub(super) fn died(&self) -> CancellationToken {
        self.died.clone()
    }

    async fn pass<T>(&self, call: impl Future<Output = Result<T>>) -> Result<T> {
        let number = self.calls.fetch_add(1, Ordering::SeqCst);
        match self.death.filter(|death| death.call <= number) {
            None => return call.await,
            Some(death) if death.after && death.call == number => {
                let _ = call.await;
            }
            Some(_) => {}
        }
        self.died.cancel();
        std::future::pending().await
    }
}

impl fmt::Debug for MortalStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MortalStore({:?})", self.inner)
    }
}

#[async_trait]
impl Repository for MortalStore {
    async fn get(&self, key: &EntryKey) -> Result<Option<Entry>> {
        self.pass(self.inner.get(key)).await
    }

    async fn put(&self, put: Put) -> Result<u64> {
        self.pass(self.inner.put(put)).await
    }

    async fn scan(&self, scan: Scan) -> Result<Vec<Entry>> {
        self.pass(self.inner.scan(scan)).await
    }

    async fn latest(&self, kind: &EntryKind) -> Result<u64> {
        self.pass(self.inner.latest(kind)).await
    }
}

#[async_trait]
impl Mailbox for MortalStore {
    async fn send(&self, messages: Vec<Message>) -> Result<Vec<Sent>> {
        self.pass(self.inner.send(messages)).await
    }

    async fn receive(&self, ask: ReceiveAsk) -> Result<Vec<Received>> {
        // When messages are looked for hangs on others as well.
        if self.died.is_cancelled() { std::future::pending().await } else { self.inner.receive(ask).await }
    }

    async fn acknowledge(&self, lease: u64, messages: &[MessageNo]) -> Result<()> {
        self.pass(self.inner.acknowledge(lease, messages)).await
    }

    async fn unread(&self, run: &RunKey) -> Result<Vec<Message>> {
        self.pass(self.inner.unread(run)).await
    }

    async fn summaries(&self, runs: &[RunKey]) -> Result<Vec<Option<RunSummary>>> {
        self.pass(self.inner.summaries(runs)).await
    }

    async fn news(&self, ask: NewsAsk) -> Result<News> {
        // Waiting is no call at which anybody dies: when it ends hangs on others.
        if self.died.is_cancelled() { std::future::pending().await } else { self.inner.news(ask).await }
    }
}

#[async_trait]
impl Queues for MortalStore {
    async fn admit(&self, ask: AdmitAsk) -> Result<Admitted> {
        self.pass(self.inner.admit(ask)).await
    }

    async fn withdraw(&self, ask: Withdraw) -> Result<bool> {
        self.pass(self.inner.withdraw(ask)).await
    }

    async fn waiting(&self) -> Result<Vec<QueueName>> {
        self.pass(self.inner.waiting()).await
    }

    async fn counts(&self, queue: &QueueName, keys: u32) -> Result<QueueCounts> {
        self.pass(self.inner.counts(queue, keys)).await
    }
}

#[async_trait]
impl Store for MortalStore {
    fn name(&self) -> String {
        format!("mortal {}", self.inner.name())
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
        self.pass(self.inner.acquire(ask)).await
    }

    async fn renew(&self, lease: &Lease, until: Timestamp) -> Result<()> {
        self.pass(self.inner.renew(lease, until)).await
    }

    async fn release(&self, lease: &Lease) -> Result<()> {
        self.pass(self.inner.release(lease)).await
    }

    async fn commit(&self, batch: Batch) -> Result<Vec<Written>> {
        self.pass(self.inner.commit(batch)).await
    }

    async fn claim(&self, ask: ClaimAsk) -> Result<Vec<Claimed>> {
        self.pass(self.inner.claim(ask)).await
    }

    async fn read(&self, run: &RunKey) -> Result<Option<History>> {
        self.pass(self.inner.read(run)).await
    }

    async fn plan(&self, tenant: &TenantId, definition: &DefinitionKey) -> Result<Option<String>> {
        self.pass(self.inner.plan(tenant, definition)).await
    }

    async fn list(&self, query: RunQuery) -> Result<Page> {
        self.pass(self.inner.list(query)).await
    }

    async fn prune(&self, before: Timestamp, limit: u32) -> Result<u64> {
        self.pass(self.inner.prune(before, limit)).await
    }

    async fn close(&self) -> Result<()> {
        self.pass(self.inner.close()).await
    }
}
