//! A case's store, with short words for what cases do to it.

use std::sync::Arc;

use fastn_core::{Error, ErrorKind, Result};
use fastn_store::{
    Batch, ClaimAsk, Claimed, History, Lease, NewRun, RunNo, RunQuery, Store, Suspects, Then, Turn, Write, Written,
};

use super::capability::Capability;
use crate::sample::{at, definition, key, lease_ask, new_run, turn};

/// A store that is put through a case. Clones mean the same store.
#[derive(Clone)]
pub(super) struct Trial {
    pub(super) store: Arc<dyn Store>,
    /// What the store was said to lack.
    pub(super) lacks: Arc<[Capability]>,
}

impl Trial {
    /// Takes a lease of ten seconds.
    pub(super) async fn acquire(&self, executor: &str, now: i64) -> Result<Lease> {
        self.store.acquire(lease_ask(executor, now)?).await
    }

    /// Creates a run that nobody holds.
    pub(super) async fn free(&self, tenant: &str, name: &str, workflow: &str) -> Result<RunNo> {
        self.create(None, new_run(tenant, name, workflow)?).await
    }

    /// Creates a run of tenant `t` and workflow `w` that the lease holds.
    pub(super) async fn held(&self, lease: &Lease, name: &str) -> Result<RunNo> {
        self.create(Some(lease), new_run("t", name, "w")?).await
    }

    pub(super) async fn create(&self, lease: Option<&Lease>, new: NewRun) -> Result<RunNo> {
        let batch =
            Batch { lease: lease.map(|lease| lease.token), now: at(1), writes: vec![Write::Create(new.into())] };
        match self.store.commit(batch).await?.as_slice() {
            [Written::Created(no)] => Ok(*no),
            other => Err(Error::new(ErrorKind::Internal, "create run").caused_by(format!("the answer was {other:?}"))),
        }
    }

    /// Commits turns.
    pub(super) async fn commit(&self, lease: &Lease, turns: Vec<Turn>) -> Result<Vec<Written>> {
        self.write(Some(lease), turns.into_iter().map(Write::Turn).collect()).await
    }

    /// Commits one turn of numbered records.
    pub(super) async fn turn(&self, lease: &Lease, run: RunNo, first: u64, count: u64, then: Then) -> Result<()> {
        match self.commit(lease, vec![turn(run, first, count, then)?]).await?.as_slice() {
            [Written::Turned] => Ok(()),
            other => Err(Error::new(ErrorKind::Internal, "commit turn").caused_by(format!("the answer was {other:?}"))),
        }
    }

    /// Commits writes at second 5.
    pub(super) async fn write(&self, lease: Option<&Lease>, writes: Vec<Write>) -> Result<Vec<Written>> {
        self.store.commit(Batch { lease: lease.map(|lease| lease.token), now: at(5), writes }).await
    }

    /// Claims runs of these workflows.
    pub(super) async fn claim(&self, lease: &Lease, now: i64, serves: &[&str], limit: u32) -> Result<Vec<Claimed>> {
        self.claim_with(lease, now, serves, limit, Suspects::default()).await
    }

    /// Claims runs of these workflows, and so many of those that are begun one by one.
    pub(super) async fn claim_with(
        &self,
        lease: &Lease,
        now: i64,
        serves: &[&str],
        limit: u32,
        suspects: Suspects,
    ) -> Result<Vec<Claimed>> {
        let serves = serves.iter().map(|workflow| definition(workflow)).collect::<Result<_>>()?;
        self.store.claim(ClaimAsk { lease: lease.token, now: at(now), serves, limit, suspects }).await
    }

    /// The numbers of the runs that are claimed.
    pub(super) async fn claim_nos(&self, lease: &Lease, now: i64, serves: &[&str], limit: u32) -> Result<Vec<RunNo>> {
        let mut claimed: Vec<RunNo> = Vec::new();
        // A store may give less than what was asked for, to leave some for others, as long as asking again gives more.
        loop {
            let left = limit.saturating_sub(u32::try_from(claimed.len()).unwrap_or(u32::MAX));
            let more = self.claim(lease, now, serves, left).await?;
            if more.is_empty() {
                return Ok(claimed);
            }
            claimed.extend(more.into_iter().map(|claim| claim.no));
        }
    }

    /// A run that must be there.
    pub(super) async fn history(&self, tenant: &str, name: &str) -> Result<History> {
        let history = self.store.read(&key(tenant, name)?).await?;
        history.ok_or_else(|| Error::new(ErrorKind::NotFound, "read run").with("tenant", tenant).with("name", name))
    }

    /// How many records a run of tenant `t` has.
    pub(super) async fn count(&self, name: &str) -> Result<usize> {
        Ok(self.history("t", name).await?.records.len())
    }

    /// Whether there is such a run of tenant `t`.
    pub(super) async fn exists(&self, name: &str) -> Result<bool> {
        Ok(self.store.read(&key("t", name)?).await?.is_some())
    }

    /// The numbers of all runs that the query is about, page by page.
    pub(super) async fn list(&self, mut query: RunQuery) -> Result<Vec<RunNo>> {
        let mut found = Vec::new();
        // A store that turns in circles must not hold up the suite.
        for _ in 0..1_000 {
            let page = self.store.list(query.clone()).await?;
            let most = if query.limit == 0 { 100 } else { query.limit };
            if page.runs.len() as u64 > u64::from(most) {
                return Err(Error::new(ErrorKind::Internal, "list runs")
                    .with("asked", most)
                    .with("got", page.runs.len()));
            }
            found.extend(page.runs.iter().map(|run| run.no));
            match page.next {
                Some(next) => query.before = Some(next),
                None => return Ok(found),
            }
        }
        Err(Error::new(ErrorKind::Internal, "list runs").caused_by("there is no last page"))
    }
}
