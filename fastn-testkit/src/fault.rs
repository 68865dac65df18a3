//! A store that fails as the test says.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use fastn_core::{EntryKind, Error, ErrorKind, QueueName, Result, TenantId, Timestamp};
use fastn_store::{
    AdmitAsk, Admitted, Batch, ClaimAsk, Claimed, DefinitionKey, Entry, EntryKey, History, Lease, LeaseAsk, Mailbox,
    Message, MessageNo, News, NewsAsk, Page, Put, QueueCounts, Queues, ReceiveAsk, Received, Repository, RunKey,
    RunQuery, RunSummary, Scan, Sent, Store, Withdraw, Written,
};
use tokio::sync::Semaphore;

/// What goes wrong with a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// It fails with this kind, and nothing is written.
    Refused(ErrorKind),
    /// It is written, but the answer is lost: the caller is told that the store is unavailable.
    AnswerLost,
}

/// Decides what goes wrong with which commit; they are counted from 0.
type Decide = Box<dyn FnMut(u64, &Batch) -> Option<Fault> + Send>;

/// A store whose commits, claims, reads and puts fail as the test says; everything else goes through.
#[derive(Clone)]
pub struct FaultStore {
    inner: Arc<dyn Store>,
    decide: Arc<Mutex<Decide>>,
    commits: Arc<AtomicU64>,
    /// One permit when claims go through, none while they are held.
    claims: Arc<Semaphore>,
    /// One permit when renewals go through, none while they are held.
    renewals: Arc<Semaphore>,
    /// How many claims are still to lose their answers, and how many reads to be refused.
    lost_claims: Arc<AtomicU64>,
    refused_reads: Arc<AtomicU64>,
    /// How many puts are still to be refused, and how many to lose their answers.
    refused_puts: Arc<AtomicU64>,
    lost_puts: Arc<AtomicU64>,
    /// How many withdrawals are still to lose their answers.
    lost_withdrawals: Arc<AtomicU64>,
    comes_back: Arc<AtomicBool>,
}

impl FaultStore {
    /// Wraps a store. `decide` is asked before each commit what goes wrong with it, if anything.
    pub fn new(inner: Arc<dyn Store>, decide: impl FnMut(u64, &Batch) -> Option<Fault> + Send + 'static) -> Self {
        let (decide, claims) = (Arc::new(Mutex::new(Box::new(decide) as Decide)), Arc::new(Semaphore::new(1)));
        Self {
            inner,
            decide,
            commits: Arc::default(),
            claims,
            renewals: Arc::new(Semaphore::new(1)),
            lost_claims: Arc::default(),
            refused_reads: Arc::default(),
            refused_puts: Arc::default(),
            lost_puts: Arc::default(),
            lost_withdrawals: Arc::default(),
            comes_back: Arc::default(),
        }
    }

    /// Claims wait until [`FaultStore::let_claims`]: a store that is slow to say which runs there are.
    #[must_use]
    pub fn hold_claims(self) -> Self {
        self.claims.forget_permits(1);
        self
    }

    /// Lets claims through that were held.
    pub fn let_claims(&self) {
        self.claims.add_permits(1);
    }

    /// From now on renewals of leases wait until [`FaultStore::let_renewals`], as those of a process that is held up.
    pub fn hold_renewals(&self) {
        self.renewals.forget_permits(1);
    }

    /// Lets renewals through that were held.
    pub fn let_renewals(&self) {
        self.renewals.add_permits(1);
    }

    /// The answers of the first so many claims are lost, although they took effect.
    #[must_use]
    pub fn lose_claims(self, count: u64) -> Self {
        self.lost_claims.store(count, Ordering::SeqCst);
        self
    }

    /// The first so many reads of a run are refused.
    #[must_use]
    pub fn refuse_reads(self, count: u64) -> Self {
        self.refused_reads.store(count, Ordering::SeqCst);
        self
    }

    /// The next so many puts of entries are refused.
    pub fn refuse_puts(&self, count: u64) {
        self.refused_puts.store(count, Ordering::SeqCst);
    }

    /// The answers of the next so many withdrawals are lost, although they took effect.
    pub fn lose_withdrawals(&self, count: u64) {
        self.lost_withdrawals.store(count, Ordering::SeqCst);
    }

    /// The answers of the next so many puts of entries are lost, although they took effect.
    pub fn lose_puts(&self, count: u64) {
        self.lost_puts.store(count, Ordering::SeqCst);
    }

    /// Says that it [comes back](Store::comes_back) after having been away, as a store on a server does.
    #[must_use]
    pub fn that_comes_back(self) -> Self {
        self.comes_back.store(true, Ordering::SeqCst);
        self
    }

    /// How many commits were asked for.
    pub fn commits(&self) -> u64 {
        self.commits.load(Ordering::SeqCst)
    }
}

impl fmt::Debug for FaultStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FaultStore({:?})", self.inner)
    }
}

#[async_trait]
impl Repository for FaultStore {
    async fn get(&self, key: &EntryKey) -> Result<Option<Entry>> {
        self.inner.get(key).await
    }

    async fn put(&self, put: Put) -> Result<u64> {
        if is_one_more(&self.refused_puts) {
            return Err(asked_for(ErrorKind::Unavailable, "put entry"));
        }
        let version = self.inner.put(put).await?;
        if is_one_more(&self.lost_puts) { Err(asked_for(ErrorKind::Unavailable, "put entry")) } else { Ok(version) }
    }

    async fn scan(&self, scan: Scan) -> Result<Vec<Entry>> {
        self.inner.scan(scan).await
    }

    async fn latest(&self, kind: &EntryKind) -> Result<u64> {
        self.inner.latest(kind).await
    }
}

#[async_trait]
impl Mailbox for FaultStore {
    async fn send(&self, messages: Vec<Message>) -> Result<Vec<Sent>> {
        self.inner.send(messages).await
    }

    async fn receive(&self, ask: ReceiveAsk) -> Result<Vec<Received>> {
        self.inner.receive(ask).await
    }

    async fn acknowledge(&self, lease: u64, messages: &[MessageNo]) -> Result<()> {
        self.inner.acknowledge(lease, messages).await
    }

    async fn unread(&self, run: &RunKey) -> Result<Vec<Message>> {
        self.inner.unread(run).await
    }

    async fn summaries(&self, runs: &[RunKey]) -> Result<Vec<Option<RunSummary>>> {
        self.inner.summaries(runs).await
    }

    async fn news(&self, ask: NewsAsk) -> Result<News> {
        self.inner.news(ask).await
    }
}

#[async_trait]
impl Queues for FaultStore {
    async fn admit(&self, ask: AdmitAsk) -> Result<Admitted> {
        self.inner.admit(ask).await
    }

    async fn withdraw(&self, ask: Withdraw) -> Result<bool> {
        let withdrawn = self.inner.withdraw(ask).await?;
        if is_one_more(&self.lost_withdrawals) {
            return Err(Error::new(ErrorKind::Unavailable, "withdraw run").caused_by("the answer was lost"));
        }
        Ok(withdrawn)
    }

    async fn waiting(&self) -> Result<Vec<QueueName>> {
        self.inner.waiting().await
    }

    async fn counts(&self, queue: &QueueName, keys: u32) -> Result<QueueCounts> {
        self.inner.counts(queue, keys).await
    }
}

#[async_trait]
impl Store for FaultStore {
    fn name(&self) -> String {
        format!("faulty {}", self.inner.name())
    }

    fn comes_back(&self) -> bool {
        self.comes_back.load(Ordering::SeqCst) || self.inner.comes_back()
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
        let _permit = self.renewals.acquire().await;
        self.inner.renew(lease, until).await
    }

    async fn release(&self, lease: &Lease) -> Result<()> {
        self.inner.release(lease).await
    }

    async fn commit(&self, batch: Batch) -> Result<Vec<Written>> {
        let number = self.commits.fetch_add(1, Ordering::SeqCst);
        let fault = self.decide.lock().unwrap_or_else(PoisonError::into_inner)(number, &batch);
        let fail = |kind| asked_for(kind, "commit");
        match fault {
            None => self.inner.commit(batch).await,
            Some(Fault::Refused(kind)) => Err(fail(kind)),
            Some(Fault::AnswerLost) => {
                self.inner.commit(batch).await?;
                Err(fail(ErrorKind::Unavailable))
            }
        }
    }

    async fn claim(&self, ask: ClaimAsk) -> Result<Vec<Claimed>> {
        let _permit = self.claims.acquire().await;
        let claimed = self.inner.claim(ask).await?;
        if is_one_more(&self.lost_claims) { Err(asked_for(ErrorKind::Unavailable, "claim runs")) } else { Ok(claimed) }
    }

    async fn read(&self, run: &RunKey) -> Result<Option<History>> {
        if is_one_more(&self.refused_reads) {
            return Err(asked_for(ErrorKind::Unavailable, "read run"));
        }
        self.inner.read(run).await
    }

    async fn plan(&self, tenant: &TenantId, definition: &DefinitionKey) -> Result<Option<String>> {
        self.inner.plan(tenant, definition).await
    }

    async fn list(&self, query: RunQuery) -> Result<Page> {
        self.inner.list(query).await
    }

    async fn prune(&self, before: Timestamp, limit: u32) -> Result<u64> {
        self.inner.prune(before, limit).await
    }

    async fn close(&self) -> Result<()> {
        self.inner.close().await
    }
}

fn asked_for(kind: ErrorKind, op: &'static str) -> Error {
    Error::new(kind, op).caused_by("a fault that was asked for")
}

/// Takes one off, if there is one.
fn is_one_more(count: &AtomicU64) -> bool {
    count.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
}
