//! A store as one process sees it: it is somewhere else, so calls take time, fail, lose their answers, and take effect
//! after whoever made them is dead.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use fastn_core::{BoxFuture, EntryKind, Error, ErrorKind, QueueName, Result, TenantId, Timestamp};
use fastn_store::{
    AdmitAsk, Admitted, Batch, ClaimAsk, Claimed, DefinitionKey, Entry, EntryKey, History, Lease, LeaseAsk, Mailbox,
    Message, MessageNo, News, NewsAsk, Page, Put, QueueCounts, Queues, ReceiveAsk, Received, Repository, RunKey,
    RunQuery, RunSummary, Scan, Sent, Store, Withdraw, Write, Written,
};
use tokio::sync::oneshot;

use super::executor::Process;
use super::intake::refused;
use super::weather::Weather;
use super::world::World;

/// The way from a process to the store.
#[derive(Clone)]
pub(super) struct Wire {
    pub(super) world: World,
    pub(super) process: Process,
    pub(super) store: Arc<dyn Store>,
    /// How many of its commits are under way.
    pub(super) flights: Arc<AtomicUsize>,
}

/// A commit that is under way until whoever made it is answered, or waits no longer.
struct Flight(Arc<AtomicUsize>);

impl Drop for Flight {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Wire {
    /// Makes a call, with whatever befalls it on the way.
    async fn pass<T: Send + 'static>(&self, op: &'static str, call: BoxFuture<'static, Result<T>>) -> Result<T> {
        let (world, weather) = (&self.world, self.world.weather());
        if world.executor().is_dead(self.process) {
            return std::future::pending().await;
        }
        let (there, back) = (self.delay(), self.delay());
        let refused = world.strikes(weather.refused);
        let lost = world.strikes(weather.answer_lost);
        // A run that cannot be read is left to people, and nothing here mends it.
        let broken = op != "read" && world.strikes(weather.broken);
        let dies = world.strikes(weather.deadly);
        // Before the call has left it, or after.
        let unsent = dies && world.dice().one_in(2);
        let trouble = if unsent {
            "not sent"
        } else if refused || broken {
            "refused"
        } else if lost {
            "answer lost"
        } else {
            ""
        };
        world.tell(|| {
            let dies = if dies { ", and it dies" } else { "" };
            let others = self.flights.load(Ordering::Relaxed).saturating_sub(1);
            let beside = if op == "commit" && others > 0 { ", beside others" } else { "" };
            format!("{:?} {op} there {there:?} back {back:?} {trouble}{dies}{beside}", self.process)
        });
        if dies {
            world.let_die(self.process);
        }
        let error = move |kind| Error::new(kind, op).caused_by("the weather is bad");
        let (answer, answered) = oneshot::channel();
        let server = world.clone();
        let work = async move {
            if let Some(span) = there {
                server.pause(span).await;
            }
            let result = if broken {
                Err(error(ErrorKind::Corrupt))
            } else if refused || unsent {
                Err(error(ErrorKind::Unavailable))
            } else {
                call.await
            };
            if let Some(span) = back {
                server.pause(span).await;
            }
            let result = if lost { result.and(Err(error(ErrorKind::Unavailable))) } else { result };
            // Who is dead or no longer waits hears nothing.
            let _ = answer.send(result);
        };
        if there.is_none() && back.is_none() && !dies {
            work.await;
        } else {
            world.spawn(Process::WORLD, work);
        }
        match answered.await {
            Ok(result) => result,
            Err(_) => Err(error(ErrorKind::Unavailable)),
        }
    }

    fn delay(&self) -> Option<std::time::Duration> {
        let weather = self.world.weather();
        self.world.strikes(weather.slow).then(|| Weather::span(&mut self.world.dice(), weather.slowness))
    }

    /// Looks whether the store has what it said it has.
    async fn look(&self, key: &RunKey) {
        let found = self.store.read(key).await;
        let held = match &found {
            Ok(found) => self.world.truth().verify(key, found.as_ref()),
            Err(_) => Ok(()),
        };
        self.world.note(held);
    }

    /// The runs that a batch is about.
    fn runs_of(&self, batch: &Batch) -> Vec<RunKey> {
        let truth = self.world.truth();
        let key = |write: &Write| match write {
            Write::Create(new) => Some(new.key.clone()),
            Write::Enqueue(new) => Some(new.new.key.clone()),
            Write::Turn(turn) => truth.key_of(turn.run),
            _ => None,
        };
        let mut keys: Vec<RunKey> = batch.writes.iter().filter_map(key).collect();
        keys.sort();
        keys.dedup();
        keys
    }

    async fn write(self, batch: Batch) -> Result<Vec<Written>> {
        self.world.commits().fetch_add(1, Ordering::Relaxed);
        let written = match refused(&self.world, self.process, &batch) {
            Some(kind) => Err(Error::new(kind, "commit").caused_by("a write that is not taken")),
            None => self.store.commit(batch.clone()).await,
        };
        self.world.tell(|| match &written {
            Ok(_) => format!("store wrote {}", told(&batch)),
            Err(error) => format!("store refused {}: {}", told(&batch), error.chain().join(": ")),
        });
        if let Ok(written) = &written {
            let held = self.world.truth().committed(&batch, written);
            self.world.note(held);
        }
        for key in self.runs_of(&batch) {
            self.look(&key).await;
        }
        written
    }
}

/// A batch in a line.
fn told(batch: &Batch) -> String {
    let writes = batch.writes.iter().map(|write| match write {
        Write::Create(new) => format!("new {}", new.key.run),
        Write::Enqueue(new) => format!("new {} for {}", new.new.key.run, new.queue),
        Write::Turn(turn) => format!("run {} from {} +{} then {:?}", turn.run.0, turn.first, turn.count, turn.then),
        _ => "what is not known".to_owned(),
    });
    format!("under {:?}: {}", batch.lease, writes.collect::<Vec<_>>().join("; "))
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Wire({:?})", self.process)
    }
}

#[async_trait]
impl Repository for Wire {
    async fn get(&self, key: &EntryKey) -> Result<Option<Entry>> {
        let (at, key) = (self.clone(), key.clone());
        self.pass("get", Box::pin(async move { at.store.get(&key).await })).await
    }

    async fn put(&self, put: Put) -> Result<u64> {
        let at = self.clone();
        self.pass("put", Box::pin(async move { at.store.put(put).await })).await
    }

    async fn scan(&self, scan: Scan) -> Result<Vec<Entry>> {
        let at = self.clone();
        self.pass("scan", Box::pin(async move { at.store.scan(scan).await })).await
    }

    async fn latest(&self, kind: &EntryKind) -> Result<u64> {
        let (at, kind) = (self.clone(), kind.clone());
        self.pass("latest", Box::pin(async move { at.store.latest(&kind).await })).await
    }
}

#[async_trait]
impl Mailbox for Wire {
    async fn send(&self, messages: Vec<Message>) -> Result<Vec<Sent>> {
        let at = self.clone();
        let call = async move {
            let sent = at.store.send(messages.clone()).await?;
            at.world.tell(|| format!("store took {} messages: {sent:?}", messages.len()));
            at.world.truth().mail.sent(&messages, &sent);
            Ok(sent)
        };
        self.pass("send", Box::pin(call)).await
    }

    async fn receive(&self, ask: ReceiveAsk) -> Result<Vec<Received>> {
        let at = self.clone();
        let call = async move {
            let lease = ask.lease;
            let received = at.store.receive(ask).await?;
            let held = at.world.truth().received(lease, &received);
            at.world.note(held);
            Ok(received)
        };
        self.pass("receive", Box::pin(call)).await
    }

    async fn acknowledge(&self, lease: u64, messages: &[MessageNo]) -> Result<()> {
        let (at, messages) = (self.clone(), messages.to_vec());
        let call = async move {
            at.store.acknowledge(lease, &messages).await?;
            messages.iter().for_each(|no| at.world.tell(|| format!("message acknowledged: {}", no.0)));
            let held = at.world.truth().acknowledged(&messages);
            at.world.note(held);
            Ok(())
        };
        self.pass("acknowledge", Box::pin(call)).await
    }

    async fn unread(&self, run: &RunKey) -> Result<Vec<Message>> {
        let (at, run) = (self.clone(), run.clone());
        self.pass("unread", Box::pin(async move { at.store.unread(&run).await })).await
    }

    async fn summaries(&self, runs: &[RunKey]) -> Result<Vec<Option<RunSummary>>> {
        let (at, runs) = (self.clone(), runs.to_vec());
        self.pass("summaries", Box::pin(async move { at.store.summaries(&runs).await })).await
    }

    /// Comes late, or not at all.
    async fn news(&self, ask: NewsAsk) -> Result<News> {
        let (world, weather) = (&self.world, self.world.weather());
        if world.executor().is_dead(self.process) {
            return std::future::pending().await;
        }
        if world.strikes(weather.refused) {
            let span = Weather::span(&mut world.dice(), weather.slowness);
            world.pause(span).await;
            return Err(Error::new(ErrorKind::Unavailable, "news").caused_by("the weather is bad"));
        }
        let news = self.store.news(ask).await?;
        if let Some(span) = self.delay() {
            world.pause(span).await;
        }
        Ok(news)
    }
}

#[async_trait]
impl Queues for Wire {
    async fn admit(&self, ask: AdmitAsk) -> Result<Admitted> {
        let at = self.clone();
        let call = async move {
            let (token, now) = (ask.lease, ask.now);
            let admitted = at.store.admit(ask).await?;
            for claim in &admitted.runs {
                at.world.tell(|| format!("{:?} admits run {}", at.process, claim.history.run.key.run));
            }
            let held = at.world.truth().claimed(token, now, &admitted.runs);
            at.world.note(held);
            Ok(admitted)
        };
        self.pass("admit", Box::pin(call)).await
    }

    async fn withdraw(&self, ask: Withdraw) -> Result<bool> {
        let at = self.clone();
        let call = async move {
            let withdrawn = at.store.withdraw(ask.clone()).await?;
            if withdrawn {
                at.world.tell(|| format!("{:?} withdraws run {}", at.process, ask.run.run));
                let held = at.world.truth().withdrawn(&ask);
                at.world.note(held);
                at.look(&ask.run).await;
            }
            Ok(withdrawn)
        };
        self.pass("withdraw", Box::pin(call)).await
    }

    async fn waiting(&self) -> Result<Vec<QueueName>> {
        let at = self.clone();
        self.pass("waiting", Box::pin(async move { at.store.waiting().await })).await
    }

    async fn counts(&self, queue: &QueueName, keys: u32) -> Result<QueueCounts> {
        let (at, queue) = (self.clone(), queue.clone());
        self.pass("counts", Box::pin(async move { at.store.counts(&queue, keys).await })).await
    }
}

#[async_trait]
impl Store for Wire {
    fn name(&self) -> String {
        format!("simulated {}", self.store.name())
    }

    /// Whatever the store would say: an engine has to get along with any number.
    fn commits_at_once(&self) -> usize {
        self.world.weather().lanes
    }

    /// Whatever the store would say: both have to keep every promise.
    fn comes_back(&self) -> bool {
        self.world.weather().comes_back
    }

    async fn introduce(&self, tenant: &TenantId, definition: &DefinitionKey) -> Result<()> {
        self.store.introduce(tenant, definition).await
    }

    async fn acquire(&self, ask: LeaseAsk) -> Result<Lease> {
        let at = self.clone();
        let call = async move {
            let lease = at.store.acquire(ask).await?;
            let held = at.world.truth().acquired(at.process, lease.token, lease.until);
            at.world.note(held);
            at.world.tell(|| format!("{:?} has lease {}", at.process, lease.token));
            Ok(lease)
        };
        self.pass("acquire", Box::pin(call)).await
    }

    async fn renew(&self, lease: &Lease, until: Timestamp) -> Result<()> {
        let (at, lease) = (self.clone(), lease.clone());
        let call = async move {
            at.store.renew(&lease, until).await?;
            let held = at.world.truth().renewed(lease.token, until);
            at.world.note(held);
            Ok(())
        };
        self.pass("renew", Box::pin(call)).await
    }

    async fn release(&self, lease: &Lease) -> Result<()> {
        let (at, lease) = (self.clone(), lease.clone());
        let call = async move {
            at.store.release(&lease).await?;
            at.world.truth().released(lease.token);
            Ok(())
        };
        self.pass("release", Box::pin(call)).await
    }

    async fn commit(&self, batch: Batch) -> Result<Vec<Written>> {
        self.flights.fetch_add(1, Ordering::Relaxed);
        let _flight = Flight(self.flights.clone());
        self.pass("commit", Box::pin(self.clone().write(batch))).await
    }

    async fn claim(&self, ask: ClaimAsk) -> Result<Vec<Claimed>> {
        let at = self.clone();
        let call = async move {
            let (token, now) = (ask.lease, ask.now);
            let claimed = at.store.claim(ask).await?;
            for claim in &claimed {
                at.world.tell(|| format!("{:?} takes over run {}", at.process, claim.history.run.key.run));
            }
            let held = at.world.truth().claimed(token, now, &claimed);
            at.world.note(held);
            Ok(claimed)
        };
        self.pass("claim", Box::pin(call)).await
    }

    async fn read(&self, run: &RunKey) -> Result<Option<History>> {
        let (at, key) = (self.clone(), run.clone());
        let call = async move {
            let found = at.store.read(&key).await?;
            let held = at.world.truth().verify(&key, found.as_ref());
            at.world.note(held);
            Ok(found)
        };
        self.pass("read", Box::pin(call)).await
    }

    async fn plan(&self, tenant: &TenantId, definition: &DefinitionKey) -> Result<Option<String>> {
        let (at, tenant, definition) = (self.clone(), tenant.clone(), definition.clone());
        self.pass("plan", Box::pin(async move { at.store.plan(&tenant, &definition).await })).await
    }

    async fn list(&self, query: RunQuery) -> Result<Page> {
        let at = self.clone();
        self.pass("list", Box::pin(async move { at.store.list(query).await })).await
    }

    async fn prune(&self, before: Timestamp, limit: u32) -> Result<u64> {
        let at = self.clone();
        self.pass("prune", Box::pin(async move { at.store.prune(before, limit).await })).await
    }

    async fn close(&self) -> Result<()> {
        // The store outlives its processes.
        Ok(())
    }
}
