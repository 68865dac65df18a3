//! One of the stores, with what must be known of it to do to it what is done to all.

use std::fmt::Write as _;
use std::sync::Arc;

use fastn_core::{Error, ErrorKind, Result, TenantId, WorkflowName};
use fastn_store::{Batch, ClaimAsk, Existing, Lease, NewRun, News, RunNo, RunQuery, Store, Suspects, Write, Written};

use super::by::By;
use super::deed::Deed;
use super::entries::Versions;
use super::lines::{self, Line};
use super::mail::Post;
use super::names::Names;
use super::place::place;
use super::subject::Subject;
use crate::sample::{at, definition, lease_ask, turn};

/// A write whose run and place in it are settled, the same for all stores.
#[derive(Clone, Debug)]
pub(super) enum Settled {
    Create { new: NewRun },
    Enqueue { new: NewRun, line: Line },
    Turn { place: usize, first: u64, count: u64, then: fastn_store::Then },
}

/// A store and the numbers by which it knows leases and runs; stores may give different ones.
pub(super) struct Hand {
    subject: Subject,
    number: u64,
    /// One lease at a time is all that is asked of it, whatever it would give.
    one_lease: bool,
    /// `None` only while it is opened again.
    store: Option<Arc<dyn Store>>,
    names: Names,
    versions: Versions,
    post: Post,
}

impl Hand {
    pub(super) async fn open(subject: &Subject, number: u64, one_lease: bool) -> Result<Self> {
        let store = (subject.open)(number).await?;
        let (names, versions, post) = (Names::default(), Versions::default(), Post::default());
        let (subject, first) = (subject.clone(), store.clone());
        let mut hand = Self { subject, number, one_lease, store: Some(store), names, versions, post };
        hand.acquire(&*first, false, 0).await?;
        Ok(hand)
    }

    pub(super) fn name(&self) -> &str {
        &self.subject.name
    }

    /// Does it and gives the answer as text, in which leases and runs are meant by their places.
    pub(super) async fn apply(&mut self, deed: &Deed, writes: &[Settled], runs: &[NewRun], now: i64) -> String {
        match self.answer(deed, writes, runs, now).await {
            Ok(answer) => answer,
            Err(error) => format!("error: {}", error.kind().as_str()),
        }
    }

    async fn answer(&mut self, deed: &Deed, writes: &[Settled], runs: &[NewRun], now: i64) -> Result<String> {
        let store = self.store()?;
        match deed {
            Deed::Commit { by, listens, .. } => self.commit(&*store, (*by, *listens), writes, now).await,
            Deed::Claim { by, workflows, limit } => {
                let serves = workflows.iter().map(|workflow| definition(workflow)).collect::<Result<_>>()?;
                let lease = self.names.token(*by).unwrap_or(0);
                let claimed = store
                    .claim(ClaimAsk { lease, now: at(now), serves, limit: *limit, suspects: Suspects::default() })
                    .await?;
                Ok(self.names.claimed(&claimed))
            }
            Deed::Renew { by } => {
                let Some(lease) = self.names.lease(*by).cloned() else { return Ok("nothing to renew".to_owned()) };
                let until = at(now.saturating_add(10));
                store.renew(&lease, until).await?;
                self.names.renew(lease.token, until);
                Ok("renewed".to_owned())
            }
            Deed::Succeed => {
                self.release(&*store, By::Own, now).await?;
                self.acquire(&*store, false, now).await
            }
            Deed::Join => self.acquire(&*store, true, now).await,
            Deed::Part => self.release(&*store, By::Other, now).await.map(|()| "gone".to_owned()),
            Deed::Reopen if self.subject.reopens => {
                self.store = None;
                drop(store);
                let store = (self.subject.open)(self.number).await?;
                self.store = Some(store.clone());
                // What it had given nobody has any more.
                let given = self.names.in_force().map(|lease| lease.token);
                given.into_iter().for_each(|token| self.names.take_back(token));
                self.acquire(&*store, false, now).await
            }
            Deed::Reopen => {
                match self.names.in_force().cloned().filter(|_| self.one_lease) {
                    Some(lease) => self.give_back(&*store, &lease).await?,
                    None => self.release(&*store, By::Own, now).await?,
                }
                self.acquire(&*store, false, now).await
            }
            Deed::Prune { before, limit } => Ok(format!("{} pruned", store.prune(at(*before), *limit).await?)),
            Deed::List { tenant, workflow, status, holder, limit, before } => {
                let tenant = tenant.and_then(|tenant| TenantId::new(tenant).ok());
                let workflow = workflow.and_then(|workflow| WorkflowName::new(workflow).ok());
                let before = before.and_then(|before| self.names.run_at(place(before, self.names.runs())?));
                let holder = holder.map(|by| self.names.token(by).unwrap_or(u64::MAX >> 1));
                let (status, limit) = (status.clone(), *limit);
                self.list(&*store, RunQuery { tenant, workflow, status, holder, before, limit }).await
            }
            Deed::Plan { run } => match place(*run, runs.len()).and_then(|place| runs.get(place)) {
                Some(run) => Ok(format!("{:?}", store.plan(&run.key.tenant, &run.definition).await?)),
                None => Ok("no run".to_owned()),
            },
            Deed::Entry(deed) => self.versions.answer(&*store, deed).await,
            Deed::Mail(deed) => self.post.answer(&*store, deed, (&self.names, runs, now)).await,
            Deed::Line(deed) => lines::answer(&*store, deed, (&self.names, runs, now)).await,
            Deed::Look => {
                let all = RunQuery { limit: u32::MAX, ..RunQuery::default() };
                let mut seen = self.list(&*store, all).await?;
                for run in runs {
                    match store.read(&run.key).await? {
                        Some(history) => seen.push_str(&self.names.history(&history)),
                        None => seen.push_str("; none"),
                    }
                }
                Ok(seen)
            }
        }
    }

    async fn commit(
        &mut self,
        store: &dyn Store,
        (by, listens): (By, bool),
        writes: &[Settled],
        now: i64,
    ) -> Result<String> {
        let concrete = writes.iter().map(|write| match write {
            Settled::Create { new } => Ok(Write::Create(new.clone().into())),
            Settled::Enqueue { new, line } => Ok(Write::Enqueue(line.enqueue(new)?.into())),
            Settled::Turn { place, first, count, then } => {
                let run = self.names.run_at(*place).unwrap_or(RunNo(u64::MAX));
                Ok(Write::Turn(turn(run, *first, *count, *then)?))
            }
        });
        let batch = Batch { lease: self.names.token(by), now: at(now), writes: concrete.collect::<Result<_>>()? };
        if listens {
            self.post.listen(store).await?;
        }
        let written = store.commit(batch).await?;
        // First of all numbers, since a run may be met in the batch that creates it.
        for written in &written {
            if let Written::Created(no) = written {
                self.names.add_run(*no);
            }
        }
        let heard = !listens || self.hears(store, by, writes, &written).await?;
        let found = |old: &Existing| {
            let (input, status) = (String::from_utf8_lossy(old.input.bytes()), old.status);
            format!("{} {} {input:?} {status}", self.names.run(old.no), old.definition.workflow)
        };
        let answer = |written: &Written| match written {
            Written::Created(no) => format!("; created {}", self.names.run(*no)),
            Written::Exists(old) => format!("; exists {}", found(old)),
            Written::Taken(taken) => format!("; taken by {:?} {}", taken.key, found(&taken.run)),
            other => format!("; {other:?}"),
        };
        Ok(format!("heard of: {heard}{}", written.iter().map(answer).collect::<String>()))
    }

    /// Whether what somebody else has to begin is news.
    async fn hears(&self, store: &dyn Store, by: By, writes: &[Settled], written: &[Written]) -> Result<bool> {
        let new = |write: &Settled, written: &Written| match (write, written) {
            (Settled::Create { .. }, Written::Created(_)) => (self.names.token(by).is_none(), false),
            (Settled::Enqueue { .. }, Written::Created(_)) => (false, true),
            _ => (false, false),
        };
        let (runs, queues): (Vec<_>, Vec<_>) =
            writes.iter().zip(written).map(|(write, written)| new(write, written)).unzip();
        let (runs, queues) = (runs.contains(&true), queues.contains(&true));
        let is = |old: &News, new: &News| (!runs || old.runs != new.runs) && (!queues || old.queues != new.queues);
        self.post.hears(store, is).await
    }

    /// The places of the runs that a lease holds.
    pub(super) async fn held(&self, by: By, runs: &[NewRun]) -> Result<Vec<usize>> {
        let (store, Some(token)) = (self.store()?, self.names.token(by)) else { return Ok(Vec::new()) };
        let keys: Vec<_> = runs.iter().map(|run| run.key.clone()).collect();
        let found = store.summaries(&keys).await?;
        let holds = |run: &Option<fastn_store::RunSummary>| run.as_ref().is_some_and(|run| run.holder == Some(token));
        Ok(found.iter().enumerate().filter(|(_, run)| holds(run)).map(|(place, _)| place).collect())
    }

    async fn list(&self, store: &dyn Store, query: RunQuery) -> Result<String> {
        let page = store.list(query).await?;
        let mut seen: String = page.runs.iter().map(|run| self.names.summary(run)).collect();
        if let Some(next) = page.next {
            let _ = write!(seen, "; next {}", self.names.run(next));
        }
        Ok(seen)
    }

    /// An executor gives its lease back, unless it is late: whether it has died over the runs of one that has ended, stores
    /// judge differently.
    async fn release(&mut self, store: &dyn Store, by: By, now: i64) -> Result<()> {
        match self.names.lease(by).cloned().filter(|lease| lease.until >= at(now)) {
            Some(lease) => self.give_back(store, &lease).await,
            None => Ok(()),
        }
    }

    async fn give_back(&mut self, store: &dyn Store, lease: &Lease) -> Result<()> {
        store.release(lease).await?;
        self.names.take_back(lease.token);
        Ok(())
    }

    /// An executor takes a lease, if it may.
    async fn acquire(&mut self, store: &dyn Store, second: bool, now: i64) -> Result<String> {
        // What a store that gives one lease at a time sees to by itself.
        let sees_to_it = self.one_lease && !self.subject.gives_one_lease;
        let held = self.names.in_force().is_some_and(|lease| lease.until >= at(now));
        if sees_to_it && held {
            return Err(Error::new(ErrorKind::Locked, "acquire lease"));
        }
        let lease = store.acquire(lease_ask(if second { "y" } else { "x" }, now)?).await?;
        if sees_to_it {
            let (serves, suspects) = (Vec::new(), Suspects::default());
            // Ends those that were not renewed.
            store.claim(ClaimAsk { lease: lease.token, now: at(now), serves, limit: 0, suspects }).await?;
        }
        Ok(format!("a lease, larger: {}", self.names.give(second, lease)))
    }

    fn store(&self) -> Result<Arc<dyn Store>> {
        let gone = || Error::new(ErrorKind::Closed, "use store");
        self.store.clone().ok_or_else(gone)
    }
}
