//! A batch on its way to the server, and its answers.

use deadpool_postgres::Client;
use fastn_core::{Error, ErrorKind, Result};

use super::commit::{commit, commit_unheld, creations};
use super::create::NewRows;
use super::enqueue::{self, EnqueueRows};
use super::read;
use super::store::PostgresStore;
use crate::{Batch, Then, Write, Written};

impl PostgresStore {
    /// Hangs out what a batch has done.
    pub(super) fn tell_of(&self, batch: &Batch) {
        let ends = |write: &Write| matches!(write, Write::Turn(turn) if matches!(turn.then, Then::End(_)));
        if batch.lease.is_none() {
            self.board().tell_runs();
        }
        if batch.writes.iter().any(ends) {
            self.board().tell_ends();
        }
    }

    pub(super) async fn write(&self, client: &Client, batch: &Batch) -> Result<Vec<Written>> {
        let (numbers, partitions) = self.made_with();
        let creations = creations(batch);
        let new = NewRows::of(client, numbers, partitions.days(), &creations).await?;
        let queued = EnqueueRows::of(batch, self.lease_clock());
        let mut done = match batch.lease {
            None => commit_unheld(client, batch, &new, &queued).await?,
            Some(token) => {
                let lane = self.lane(client, "commit", token).await?;
                let written = commit(&lane, client, batch, (&new, &queued), self.journal_budget()).await;
                self.heed(token, written)?
            }
        };
        if done.there.is_empty() {
            numbers.has_plans(&new.plan_definition);
        }
        if done.queued.values().any(|queued| queued.is_news()) {
            self.board().tell_queues();
        }
        let mut created = (0..creations.len()).filter_map(|place| new.run_no(place));
        let mut written = Vec::with_capacity(batch.writes.len());
        let mut places = 0..;
        for write in &batch.writes {
            written.push(match write {
                Write::Turn(_) => Written::Turned,
                Write::Enqueue(run) => {
                    let lost = || Error::new(ErrorKind::Internal, "commit").caused_by("the database forgot a run");
                    let queued = places.next().and_then(|place: usize| done.queued.remove(&place)).ok_or_else(lost)?;
                    enqueue::answer(client, run, queued).await?
                }
                Write::Create(run) => match created.next() {
                    Some(no) if !done.there.contains(&no) => Written::Created(no),
                    _ => Written::Exists(Box::new(read::existing(client, &run.key).await?.ok_or_else(|| {
                        // It ended and was deleted since.
                        Error::new(ErrorKind::Unavailable, "commit").with("run", run.key.run)
                    })?)),
                },
            });
        }
        Ok(written)
    }
}
