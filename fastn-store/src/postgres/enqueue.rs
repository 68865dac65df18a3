//! New runs of queues, as they are handed to the server.

use std::time::Duration;

use fastn_core::{ContentType, Error, ErrorKind, Result, RunId, Timestamp};
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::days::range_of;
use super::numbers::stored;
use super::options::LeaseClock;
use super::read;
use crate::queue::{item_of, push_back, rank};
use crate::{Batch, Enqueue, RunKey, RunNo, Taken, Write, Written};

/// Runs that are to wait, a column each.
#[derive(Debug, Default)]
pub(super) struct EnqueueRows<'a> {
    now: Option<i64>,
    tenant: Vec<&'a str>,
    run: Vec<Uuid>,
    from: Vec<Option<i64>>,
    to: Vec<Option<i64>>,
    workflow: Vec<&'a str>,
    version: Vec<i64>,
    shape: Vec<&'a [u8]>,
    plan: Vec<Option<&'a str>>,
    at: Vec<i64>,
    content: Vec<Option<&'a [u8]>>,
    input: Vec<&'a [u8]>,
    queue: Vec<&'a str>,
    key: Vec<&'a str>,
    delay: Vec<i64>,
    /// How much earlier they go than by when they came.
    advance: Vec<i64>,
    cost: Vec<i64>,
    once: Vec<Option<Uuid>>,
    push: Vec<Option<i64>>,
    item: Vec<Option<Uuid>>,
    most: Vec<Option<i64>>,
    bytes: Vec<Option<i64>>,
}

/// Where a run is to wait, in numbers.
pub(super) struct Place {
    pub(super) delay: i64,
    /// How much earlier it goes than by when it came.
    pub(super) advance: i64,
    pub(super) cost: i64,
    pub(super) once: Option<Uuid>,
    pub(super) push: Option<i64>,
    pub(super) item: Option<Uuid>,
    pub(super) most: Option<i64>,
    pub(super) bytes: Option<i64>,
}

impl Place {
    pub(super) fn of(new: &Enqueue) -> Self {
        let join = item_of(new).map(|(_, join)| join);
        Self {
            delay: micros(new.delay),
            advance: rank(Timestamp::EPOCH, new.priority, new.ageing).saturating_neg(),
            cost: i64::from(new.cost),
            once: new.once.map(|once| Uuid::from_bytes(once.id)),
            push: push_back(new).map(micros),
            item: join.map(|join| Uuid::from_bytes(join.item)),
            most: join.map(|join| i64::from(join.most)),
            bytes: join.map(|join| stored(join.bytes)),
        }
    }
}

/// What became of a run that was to wait, or an item.
#[derive(Clone, Copy, Debug)]
pub(super) enum Queued {
    Created(RunNo),
    /// There is one of its id.
    Exists,
    /// This one has its place.
    Taken(RunNo),
    /// The item is in this one.
    Joined {
        run: RunId,
        ready: bool,
    },
}

/// The runs of a batch that are to wait.
pub(super) fn enqueued(batch: &Batch) -> impl Iterator<Item = &Enqueue> {
    batch.writes.iter().filter_map(|write| if let Write::Enqueue(new) = write { Some(&**new) } else { None })
}

impl<'a> EnqueueRows<'a> {
    pub(super) fn of(batch: &'a Batch, clock: LeaseClock) -> Self {
        let now = match clock {
            LeaseClock::Server => None,
            LeaseClock::Caller => Some(batch.now.as_micros()),
        };
        let mut rows = Self { now, ..Self::default() };
        for enqueue in enqueued(batch) {
            let (new, place) = (&enqueue.new, Place::of(enqueue));
            let (from, to) = range_of(new.key.run).unzip();
            rows.tenant.push(new.key.tenant.as_str());
            rows.run.push(Uuid::from_bytes(*new.key.run.as_bytes()));
            rows.from.push(from);
            rows.to.push(to);
            rows.workflow.push(new.definition.workflow.as_str());
            rows.version.push(i64::from(new.definition.version.0));
            rows.shape.push(&new.definition.shape.0[..]);
            rows.plan.push(new.plan.as_deref());
            rows.at.push(new.created_at.as_micros());
            let content = Some(new.input.content()).filter(|content| **content != ContentType::Json);
            rows.content.push(content.map(|content| content.as_str().as_bytes()));
            rows.input.push(&new.input.bytes()[..]);
            rows.queue.push(enqueue.queue.as_str());
            rows.key.push(enqueue.key.as_str());
            rows.delay.push(place.delay);
            rows.advance.push(place.advance);
            rows.cost.push(place.cost);
            rows.once.push(place.once);
            rows.push.push(place.push);
            rows.item.push(place.item);
            rows.most.push(place.most);
            rows.bytes.push(place.bytes);
        }
        rows
    }

    pub(super) fn is_empty(&self) -> bool {
        self.run.is_empty()
    }

    /// What `enqueue_2` is called with.
    pub(super) fn values(&self) -> [&(dyn ToSql + Sync); 22] {
        [
            &self.now,
            &self.tenant,
            &self.run,
            &self.from,
            &self.to,
            &self.workflow,
            &self.version,
            &self.shape,
            &self.plan,
            &self.at,
            &self.content,
            &self.input,
            &self.queue,
            &self.key,
            &self.delay,
            &self.advance,
            &self.cost,
            &self.once,
            &self.push,
            &self.item,
            &self.most,
            &self.bytes,
        ]
    }
}

/// A span that a time can be moved by: at most some thousand years.
fn micros(span: Duration) -> i64 {
    i64::try_from(span.as_micros()).unwrap_or(i64::MAX).min(1 << 60)
}

impl Queued {
    /// Whether there may be more to admit, now or later.
    pub(super) const fn is_news(self) -> bool {
        !matches!(self, Self::Joined { ready: false, .. })
    }
}

/// What became of a run that was to wait, or an item.
///
/// # Errors
/// [`Unavailable`](ErrorKind::Unavailable) if what was there instead has ended and was deleted since.
pub(super) async fn answer(client: &deadpool_postgres::Client, new: &Enqueue, queued: Queued) -> Result<Written> {
    let gone = || Error::new(ErrorKind::Unavailable, "enqueue run").with("run", new.new.key.run);
    Ok(match queued {
        Queued::Created(no) => Written::Created(no),
        Queued::Exists => Written::Exists(Box::new(read::existing(client, &new.new.key).await?.ok_or_else(gone)?)),
        Queued::Taken(no) => {
            let (key, run) = read::existing_no(client, no).await?.ok_or_else(gone)?;
            Written::Taken(Box::new(Taken { key, run }))
        }
        Queued::Joined { run, .. } => Written::Joined(Box::new(RunKey { tenant: new.new.key.tenant.clone(), run })),
    })
}
