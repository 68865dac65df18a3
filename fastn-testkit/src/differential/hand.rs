//! One of the stores, with what must be known of it to do to it what is done to all.

use std::fmt::Write as _;
use std::sync::Arc;

use fastn_core::{Result, TenantId, WorkflowName};
use fastn_store::{
    Batch, ClaimAsk, History, Lease, NewRun, RunNo, RunQuery, RunSummary, Store, Suspects, Write, Written,
};

use super::deed::{By, Deed};
use super::entries::Versions;
use super::subject::Subject;
use crate::sample::{at, definition, lease_ask, turn};

/// A write whose run and place in it are settled, the same for all stores.
#[derive(Clone, Debug)]
pub(super) enum Settled {
    Create { new: NewRun },
    Turn { place: usize, first: u64, count: u64, then: fastn_store::Then },
}

/// A store and the numbers by which it knows leases and runs; stores may give different ones.
pub(super) struct Hand {
    subject: Subject,
    number: u64,
    /// `None` only while it is opened again.
    store: Option<Arc<dyn Store>>,
    leases: Vec<Lease>,
    runs: Vec<RunNo>,
    versions: Versions,
}

impl Hand {
    pub(super) async fn open(subject: &Subject, number: u64) -> Result<Self> {
        let store = (subject.open)(number).await?;
        let lease = store.acquire(lease_ask("x", 0)?).await?;
        let (store, leases) = (Some(store), vec![lease]);
        Ok(Self { subject: subject.clone(), number, store, leases, runs: Vec::new(), versions: Versions::default() })
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
            Deed::Commit { by, .. } => self.commit(&*store, *by, writes, now).await,
            Deed::Claim { by, workflows, limit } => {
                let serves = workflows.iter().map(|workflow| definition(workflow)).collect::<Result<_>>()?;
                let lease = self.token(*by).unwrap_or(0);
                let claimed = store
                    .claim(ClaimAsk { lease, now: at(now), serves, limit: *limit, suspects: Suspects::default() })
                    .await?;
                Ok(claimed
                    .iter()
                    .map(|claim| {
                        let (run, history) = (self.run(claim.no), self.history(&claim.history));
                        format!("{run} after {} deaths: {history}", claim.deaths)
                    })
                    .collect())
            }
            Deed::Renew { by } => match self.lease(*by) {
                Some(lease) => store.renew(lease, at(now.saturating_add(10))).await.map(|()| "renewed".to_owned()),
                None => Ok("nothing to renew".to_owned()),
            },
            Deed::Succeed => {
                self.release(&*store).await?;
                self.acquire(&*store, now).await
            }
            Deed::Reopen if self.subject.reopens => {
                self.store = None;
                drop(store);
                let store = (self.subject.open)(self.number).await?;
                self.store = Some(store.clone());
                self.acquire(&*store, now).await
            }
            Deed::Reopen => {
                self.release(&*store).await?;
                self.acquire(&*store, now).await
            }
            Deed::Prune { before, limit } => Ok(format!("{} pruned", store.prune(at(*before), *limit).await?)),
            Deed::List { tenant, workflow, status, limit, before } => {
                let tenant = tenant.and_then(|tenant| TenantId::new(tenant).ok());
                let workflow = workflow.and_then(|workflow| WorkflowName::new(workflow).ok());
                let before = before.and_then(|before| self.runs.get(place(before, self.runs.len())?).copied());
                self.list(&*store, RunQuery { tenant, workflow, status: status.clone(), limit: *limit, before }).await
            }
            Deed::Plan { run } => match place(*run, runs.len()).and_then(|place| runs.get(place)) {
                Some(run) => Ok(format!("{:?}", store.plan(&run.key.tenant, &run.definition).await?)),
                None => Ok("no run".to_owned()),
            },
            Deed::Entry(deed) => self.versions.answer(&*store, deed).await,
            Deed::Look => {
                let all = RunQuery { limit: u32::MAX, ..RunQuery::default() };
                let mut seen = self.list(&*store, all).await?;
                for run in runs {
                    match store.read(&run.key).await? {
                        Some(history) => seen.push_str(&self.history(&history)),
                        None => seen.push_str("; none"),
                    }
                }
                Ok(seen)
            }
        }
    }

    async fn commit(&mut self, store: &dyn Store, by: By, writes: &[Settled], now: i64) -> Result<String> {
        let concrete = writes.iter().map(|write| match write {
            Settled::Create { new } => Ok(Write::Create(new.clone().into())),
            Settled::Turn { place, first, count, then } => {
                let run = self.runs.get(*place).copied().unwrap_or(RunNo(u64::MAX));
                Ok(Write::Turn(turn(run, *first, *count, *then)?))
            }
        });
        let writes = concrete.collect::<Result<_>>()?;
        let written = store.commit(Batch { lease: self.token(by), now: at(now), writes }).await?;
        // First of all numbers, since a run may be met in the batch that creates it.
        for written in &written {
            if let Written::Created(no) = written {
                self.runs.push(*no);
            }
        }
        let answer = |written: &Written| match written {
            Written::Created(no) => format!("; created {}", self.run(*no)),
            Written::Exists(old) => {
                let (input, status) = (String::from_utf8_lossy(old.input.bytes()), old.status);
                format!("; exists {} {} {input:?} {status}", self.run(old.no), old.definition.workflow)
            }
            other => format!("; {other:?}"),
        };
        Ok(written.iter().map(answer).collect())
    }

    async fn list(&self, store: &dyn Store, query: RunQuery) -> Result<String> {
        let page = store.list(query).await?;
        let mut seen: String = page.runs.iter().map(|run| self.summary(run)).collect();
        if let Some(next) = page.next {
            let _ = write!(seen, "; next {}", self.run(next));
        }
        Ok(seen)
    }

    async fn release(&self, store: &dyn Store) -> Result<()> {
        match self.leases.last() {
            Some(lease) => store.release(lease).await,
            None => Ok(()),
        }
    }

    async fn acquire(&mut self, store: &dyn Store, now: i64) -> Result<String> {
        let lease = store.acquire(lease_ask("x", now)?).await?;
        let grown = self.leases.last().is_none_or(|last| last.token < lease.token);
        self.leases.push(lease);
        Ok(format!("a lease, larger: {grown}"))
    }

    fn store(&self) -> Result<Arc<dyn Store>> {
        let gone = || fastn_core::Error::new(fastn_core::ErrorKind::Closed, "use store");
        self.store.clone().ok_or_else(gone)
    }

    fn lease(&self, by: By) -> Option<&Lease> {
        match by {
            By::Own => self.leases.last(),
            By::Old => self.leases.iter().rev().nth(1),
            By::Nobody => None,
        }
    }

    fn token(&self, by: By) -> Option<u64> {
        self.lease(by).map(|lease| lease.token)
    }

    fn run(&self, no: RunNo) -> String {
        match self.runs.iter().position(|known| *known == no) {
            Some(place) => format!("#{place}"),
            None => format!("unknown {no:?}"),
        }
    }

    fn summary(&self, run: &RunSummary) -> String {
        let holder = run.holder.map(|token| self.leases.iter().position(|lease| lease.token == token));
        let (no, RunSummary { key, definition, status, created_at, finished_at, wake_at, .. }) =
            (self.run(run.no), run);
        let (tenant, run, workflow) = (&key.tenant, key.run, &definition.workflow);
        format!(
            "; {no} {tenant}/{run} {workflow} {} {} {status} {created_at} {finished_at:?} {wake_at:?} held by {holder:?}",
            definition.version, definition.shape
        )
    }

    fn history(&self, history: &History) -> String {
        let input = String::from_utf8_lossy(history.input.bytes());
        format!("{} {input:?} {:?}", self.summary(&history.run), history.records)
    }
}

/// A place among so many, counted round and round; `None` if there are none.
pub(super) fn place(number: u64, count: usize) -> Option<usize> {
    usize::try_from(number.checked_rem(count as u64)?).ok()
}
