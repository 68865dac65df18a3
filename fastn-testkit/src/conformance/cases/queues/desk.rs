//! Short words for what these cases do.

use std::time::Duration;

use fastn_core::{EntryKind, EntryName, Error, ErrorKind, QueueKey, QueueName, Result, TenantId};
use fastn_store::{
    AdmitAsk, Admitted, Batch, Enqueue, EntryKey, Expect, Lease, Put, QUEUE, QueueRules, RunNo, RunStatus, Suspects,
    Then, Write, Written,
};

use crate::conformance::trial::Trial;
use crate::sample::{at, definition, new_run};

pub(in crate::conformance::cases) fn queue() -> Result<QueueName> {
    QueueName::new("q").map_err(invalid)
}

fn invalid(why: impl Into<fastn_core::BoxError>) -> Error {
    Error::new(ErrorKind::Invalid, "make a queue").caused_by(why)
}

/// A run of tenant `t` and workflow `w` that is to wait, of this key.
pub(in crate::conformance::cases) fn waiting(name: &str, key: &str) -> Result<Enqueue> {
    Ok(Enqueue {
        new: new_run("t", name, "w")?,
        queue: queue()?,
        key: QueueKey::of(key),
        priority: 0,
        ageing: Duration::from_secs(60),
        delay: Duration::ZERO,
        cost: 1,
        once: None,
    })
}

impl Trial {
    /// Says what the queue allows.
    pub(in crate::conformance::cases) async fn rule(&self, change: impl FnOnce(&mut QueueRules)) -> Result<()> {
        let mut rules = QueueRules::default();
        change(&mut rules);
        let kind = EntryKind::new(QUEUE).map_err(invalid)?;
        let name = EntryName::new(queue()?.as_str()).map_err(invalid)?;
        let key = EntryKey { kind, tenant: TenantId::default(), name };
        self.store.put(Put { key, value: Some(rules.encode()?), expect: Expect::Any }).await.map(drop)
    }

    /// Enqueues a run at this second.
    pub(in crate::conformance::cases) async fn enqueue(&self, now: i64, new: Enqueue) -> Result<Written> {
        let batch = Batch { lease: None, now: at(now), writes: vec![Write::Enqueue(new.into())] };
        let mut written = self.store.commit(batch).await?;
        let missing = || Error::new(ErrorKind::Internal, "enqueue run").caused_by("there is no answer");
        written.pop().ok_or_else(missing)
    }

    /// Enqueues a run of this key.
    pub(in crate::conformance::cases) async fn line_up(&self, name: &str, key: &str) -> Result<RunNo> {
        self.line_up_as(0, waiting(name, key)?).await
    }

    pub(in crate::conformance::cases) async fn line_up_as(&self, now: i64, new: Enqueue) -> Result<RunNo> {
        match self.enqueue(now, new).await? {
            Written::Created(no) => Ok(no),
            other => Err(Error::new(ErrorKind::Internal, "enqueue run").caused_by(format!("the answer was {other:?}"))),
        }
    }

    pub(in crate::conformance::cases) async fn admit(&self, lease: &Lease, now: i64, limit: u32) -> Result<Admitted> {
        self.admit_with(lease, now, limit, Suspects::default()).await
    }

    pub(in crate::conformance::cases) async fn admit_with(
        &self,
        lease: &Lease,
        now: i64,
        limit: u32,
        suspects: Suspects,
    ) -> Result<Admitted> {
        let (lease, now, queue, serves) = (lease.token, at(now), queue()?, vec![definition("w")?]);
        self.store.admit(AdmitAsk { lease, now, queue, serves, limit, suspects }).await
    }

    /// The numbers of the runs that are admitted.
    pub(in crate::conformance::cases) async fn admit_nos(&self, lease: &Lease, now: i64) -> Result<Vec<RunNo>> {
        Ok(self.admit(lease, now, 100).await?.runs.into_iter().map(|claim| claim.no).collect())
    }

    /// Ends a run that has done nothing yet.
    pub(in crate::conformance::cases) async fn finish(&self, lease: &Lease, run: RunNo) -> Result<()> {
        self.turn(lease, run, 0, 1, Then::End(RunStatus::Succeeded)).await
    }
}
