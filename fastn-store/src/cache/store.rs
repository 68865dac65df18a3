//! Which reads are answered from the cache, and when not.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use fastn_core::{EntryKind, QueueName, Result, TenantId, Timestamp};
use tokio::sync::OnceCell;

use super::coded::Coded;
use super::counts::Gauges;
use super::marks::{Mark, Marks};
use super::names::Names;
use super::shelf::Shelf;
use super::terms::Terms;
use crate::{
    AdmitAsk, Admitted, Batch, ClaimAsk, Claimed, DefinitionKey, Entry, EntryKey, History, Lease, LeaseAsk, Mailbox,
    Message, MessageNo, News, NewsAsk, Page, Put, QueueCounts, Queues, ReceiveAsk, Received, Repository, RunKey,
    RunQuery, RunSummary, Scan, Sent, Store, Withdraw, Write, Written,
};

/// After the store could not say whose answers these are, it is asked again no sooner.
const NAMELESS: Duration = Duration::from_secs(1);

/// A store some of whose reads are answered from a cache.
pub(super) struct CachedStore {
    inner: Arc<dyn Store>,
    shelf: Shelf,
    terms: Terms,
    /// When entries of the kinds that are kept were changed, in the order of [`Terms::entries`].
    changed: Vec<Mark>,
    names: OnceCell<Names>,
    /// Set for a while when there are no names.
    nameless: Mark,
    marks: Marks,
    gauges: Arc<Gauges>,
    closed: AtomicBool,
}

/// What the cache said, and what is needed to tell it more.
struct Looked<'s> {
    store: &'s CachedStore,
    names: &'s Names,
    keys: Vec<String>,
    ttl: Duration,
    found: Vec<Option<Vec<u8>>>,
    asked_at: i64,
}

impl CachedStore {
    pub(super) fn new(inner: Arc<dyn Store>, shelf: Shelf, terms: Terms, gauges: Arc<Gauges>) -> Self {
        let changed = terms.entries.iter().map(|_| Mark::default()).collect();
        let (names, nameless, marks, closed) = (OnceCell::new(), Mark::default(), Marks::new(), AtomicBool::default());
        Self { inner, shelf, terms, changed, names, nameless, marks, gauges, closed }
    }

    /// Looks for answers under as many keys; `None` if the cache is passed by.
    async fn look(
        &self,
        count: usize,
        ttl: Duration,
        passes: bool,
        keys: impl FnOnce(&Names) -> Vec<String>,
    ) -> Option<Looked<'_>> {
        if ttl.is_zero() || count == 0 || self.closed.load(Ordering::SeqCst) {
            return None;
        }
        let looked = async {
            let names = if passes { None } else { self.names().await }?;
            let keys = keys(names);
            let looked = self.shelf.look(names, &keys, ttl).await;
            let asked_at = looked.asked_at?;
            Some(Looked { store: self, names, keys, ttl, found: looked.found, asked_at })
        };
        let looked = looked.await;
        if looked.is_none() {
            self.gauges.passed.add(count);
        }
        looked
    }

    /// The answer of the cache if it counts, or else that of the store, which is kept if it counts.
    async fn one<T: Coded>(
        &self,
        looked: Option<Looked<'_>>,
        counts: impl Fn(&T) -> bool,
        ask: impl Future<Output = Result<Option<T>>>,
    ) -> Result<Option<T>> {
        let Some(looked) = looked else { return ask.await };
        if let Some(answer) = looked.answer(0, &counts) {
            return Ok(Some(answer));
        }
        let told = ask.await?;
        if let Some(answer) = told.as_ref().filter(|answer| counts(answer)) {
            looked.keep(0, answer);
        }
        Ok(told)
    }

    /// Whose answers these are; `None` if the store could not say it a moment ago.
    async fn names(&self) -> Option<&Names> {
        if let Some(names) = self.names.get() {
            return Some(names);
        }
        if self.marks.passes(&self.nameless) {
            return None;
        }
        match self.names.get_or_try_init(|| Names::of(&*self.inner)).await {
            Ok(names) => Some(names),
            Err(error) => {
                self.marks.mark(&self.nameless, NAMELESS);
                tracing::warn!(error = error.chain().join(": "), "reads go past Redis: the store cannot say who it is");
                None
            }
        }
    }

    /// Whether what is known of a run can be told once more: it has ended, and nobody here has deleted it since.
    fn counts(&self, key: &RunKey, run: &RunSummary) -> bool {
        let has_ended = run.status.is_final() && run.finished_at.is_some_and(|at| !self.marks.is_pruned(at));
        has_ended && run.key == *key
    }

    /// How long entries of this kind are kept, and when they were changed.
    fn shelved(&self, kind: &EntryKind) -> Option<(Duration, &Mark)> {
        let kinds = self.terms.entries.iter().zip(&self.changed);
        kinds.filter(|((known, _), _)| known == kind).map(|((_, ttl), changed)| (*ttl, changed)).next()
    }

    /// Runs change from now until this is dropped, which is also when a call is given up that may still take effect.
    fn changes(&self) -> Changes<'_> {
        self.marks.mark_lists(self.terms.lists);
        Changes { store: self, runs: Vec::new() }
    }
}

/// While this is there, and for as long as older answers might count, its runs and all lists are passed by.
struct Changes<'s> {
    store: &'s CachedStore,
    runs: Vec<RunKey>,
}

impl Changes<'_> {
    /// These runs have not ended, or will be told so.
    fn of<'k>(&mut self, runs: impl Iterator<Item = &'k RunKey>) {
        let first = self.runs.len();
        self.runs.extend(runs.cloned());
        for run in self.runs.iter().skip(first) {
            self.store.marks.mark_run(run, self.store.terms.ended);
        }
    }
}

impl Drop for Changes<'_> {
    fn drop(&mut self) {
        let CachedStore { marks, terms, .. } = self.store;
        marks.mark_lists(terms.lists);
        self.runs.iter().for_each(|run| marks.mark_run(run, terms.ended));
    }
}

impl Looked<'_> {
    /// The answer under a key, if there is one that counts.
    fn answer<T: Coded>(&self, at: usize, counts: impl Fn(&T) -> bool) -> Option<T> {
        let gauges = &self.store.gauges;
        let bytes = self.found.get(at).and_then(Option::as_ref);
        let answer = bytes.and_then(|bytes| {
            let answer = T::read(bytes);
            if answer.is_none() {
                gauges.unreadable.add(1);
            }
            answer.filter(|answer| counts(answer))
        });
        if answer.is_some() {
            gauges.hits.add(1)
        } else {
            gauges.misses.add(1)
        }
        answer
    }

    /// Keeps what the store has answered.
    fn keep<T: Coded>(&self, at: usize, answer: &T) {
        if let (Some(key), Some(bytes)) = (self.keys.get(at), answer.write()) {
            self.store.shelf.keep(self.names, key.clone(), self.asked_at, &bytes, self.ttl);
        }
    }
}

impl fmt::Debug for CachedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CachedStore({:?})", self.inner)
    }
}

#[async_trait]
impl Repository for CachedStore {
    async fn get(&self, key: &EntryKey) -> Result<Option<Entry>> {
        let Some((ttl, changed)) = self.shelved(&key.kind) else { return self.inner.get(key).await };
        let looked = self.look(1, ttl, self.marks.passes(changed), |names| vec![names.entry(key)]).await;
        self.one(looked, |entry: &Entry| entry.key == *key, self.inner.get(key)).await
    }

    async fn put(&self, put: Put) -> Result<u64> {
        // Whatever comes of it: who finds another version than it expected gets the entry anew.
        let _changes = self.shelved(&put.key.kind).map(|(ttl, changed)| Changing::begin(&self.marks, changed, ttl));
        self.inner.put(put).await
    }

    async fn scan(&self, scan: Scan) -> Result<Vec<Entry>> {
        let Some((ttl, changed)) = self.shelved(&scan.kind) else { return self.inner.scan(scan).await };
        let looked = self.look(1, ttl, self.marks.passes(changed), |names| vec![names.entries(&scan)]).await;
        let ask = async { self.inner.scan(scan).await.map(Some) };
        Ok(self.one(looked, |_: &Vec<Entry>| true, ask).await?.unwrap_or_default())
    }

    async fn latest(&self, kind: &EntryKind) -> Result<u64> {
        self.inner.latest(kind).await
    }
}

/// Entries of a kind change until this is dropped.
struct Changing<'s> {
    marks: &'s Marks,
    changed: &'s Mark,
    ttl: Duration,
}

impl<'s> Changing<'s> {
    fn begin(marks: &'s Marks, changed: &'s Mark, ttl: Duration) -> Self {
        marks.mark(changed, ttl);
        Self { marks, changed, ttl }
    }
}

impl Drop for Changing<'_> {
    fn drop(&mut self) {
        self.marks.mark(self.changed, self.ttl);
    }
}

#[async_trait]
impl Mailbox for CachedStore {
    async fn send(&self, messages: Vec<Message>) -> Result<Vec<Sent>> {
        let mut changes = self.changes();
        changes.of(messages.iter().map(|message| &message.run));
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
        let passes = runs.iter().any(|run| self.marks.passes_run(run));
        let keys = |names: &Names| runs.iter().map(|run| names.run(run, false)).collect();
        let Some(looked) = self.look(runs.len(), self.terms.ended, passes, keys).await else {
            return self.inner.summaries(runs).await;
        };
        let known = runs.iter().enumerate().map(|(at, run)| looked.answer(at, |found| self.counts(run, found)));
        let mut answers: Vec<Option<RunSummary>> = known.collect();
        let missing: Vec<usize> =
            (0..).zip(&answers).filter(|(_, answer)| answer.is_none()).map(|(at, _)| at).collect();
        if missing.is_empty() {
            return Ok(answers);
        }
        let asked: Vec<RunKey> = missing.iter().filter_map(|at| runs.get(*at).cloned()).collect();
        for ((at, run), told) in missing.into_iter().zip(&asked).zip(self.inner.summaries(&asked).await?) {
            if let Some(summary) = told.as_ref().filter(|summary| self.counts(run, summary)) {
                looked.keep(at, summary);
            }
            if let Some(answer) = answers.get_mut(at) {
                *answer = told;
            }
        }
        Ok(answers)
    }

    async fn news(&self, ask: NewsAsk) -> Result<News> {
        self.inner.news(ask).await
    }
}

#[async_trait]
impl Queues for CachedStore {
    async fn admit(&self, ask: AdmitAsk) -> Result<Admitted> {
        let mut changes = self.changes();
        let admitted = self.inner.admit(ask).await?;
        changes.of(admitted.runs.iter().map(|claimed| &claimed.history.run.key));
        Ok(admitted)
    }

    async fn withdraw(&self, ask: Withdraw) -> Result<bool> {
        let mut changes = self.changes();
        changes.of(std::iter::once(&ask.run));
        self.inner.withdraw(ask).await
    }

    async fn waiting(&self) -> Result<Vec<QueueName>> {
        self.inner.waiting().await
    }

    async fn counts(&self, queue: &QueueName, keys: u32) -> Result<QueueCounts> {
        self.inner.counts(queue, keys).await
    }
}

#[async_trait]
impl Store for CachedStore {
    fn name(&self) -> String {
        self.inner.name()
    }

    fn comes_back(&self) -> bool {
        self.inner.comes_back()
    }

    fn commits_at_once(&self) -> usize {
        self.inner.commits_at_once()
    }

    async fn introduce(&self, tenant: &TenantId, definition: &DefinitionKey) -> Result<()> {
        self.inner.introduce(tenant, definition).await
    }

    async fn time(&self) -> Result<Option<Timestamp>> {
        self.inner.time().await
    }

    async fn acquire(&self, ask: LeaseAsk) -> Result<Lease> {
        let _changes = self.changes();
        self.inner.acquire(ask).await
    }

    async fn renew(&self, lease: &Lease, until: Timestamp) -> Result<()> {
        self.inner.renew(lease, until).await
    }

    async fn release(&self, lease: &Lease) -> Result<()> {
        let _changes = self.changes();
        self.inner.release(lease).await
    }

    async fn commit(&self, batch: Batch) -> Result<Vec<Written>> {
        let mut changes = self.changes();
        changes.of(batch.writes.iter().filter_map(|write| match write {
            Write::Create(new) => Some(&new.key),
            Write::Enqueue(enqueue) => Some(&enqueue.new.key),
            Write::Turn(_) => None,
        }));
        let written = self.inner.commit(batch).await?;
        // What was done to a run that was there before is known only now.
        changes.of(written.iter().filter_map(|written| match written {
            Written::Taken(taken) => Some(&taken.key),
            Written::Joined(key) => Some(&**key),
            _ => None,
        }));
        Ok(written)
    }

    async fn claim(&self, ask: ClaimAsk) -> Result<Vec<Claimed>> {
        let mut changes = self.changes();
        let claimed = self.inner.claim(ask).await?;
        changes.of(claimed.iter().map(|claimed| &claimed.history.run.key));
        Ok(claimed)
    }

    async fn read(&self, run: &RunKey) -> Result<Option<History>> {
        if !self.terms.histories {
            return self.inner.read(run).await;
        }
        let passes = self.marks.passes_run(run);
        let looked = self.look(1, self.terms.ended, passes, |names| vec![names.run(run, true)]).await;
        self.one(looked, |history: &History| self.counts(run, &history.run), self.inner.read(run)).await
    }

    async fn plan(&self, tenant: &TenantId, definition: &DefinitionKey) -> Result<Option<String>> {
        let passes = self.marks.passes_plans();
        let looked = self.look(1, self.terms.ended, passes, |names| vec![names.plan(tenant, definition)]).await;
        self.one(looked, |_: &String| true, self.inner.plan(tenant, definition)).await
    }

    async fn list(&self, query: RunQuery) -> Result<Page> {
        let passes = self.marks.passes_lists();
        let looked = self.look(1, self.terms.lists, passes, |names| vec![names.page(&query)]).await;
        let ask = async { self.inner.list(query).await.map(Some) };
        Ok(self.one(looked, |_: &Page| true, ask).await?.unwrap_or_default())
    }

    async fn prune(&self, before: Timestamp, limit: u32) -> Result<u64> {
        let _changes = self.changes();
        self.marks.mark_pruned(before, self.terms.ended);
        let pruned = self.inner.prune(before, limit).await;
        self.marks.mark_pruned(before, self.terms.ended);
        pruned
    }

    async fn close(&self) -> Result<()> {
        self.closed.store(true, Ordering::SeqCst);
        self.shelf.stop();
        self.inner.close().await
    }
}
