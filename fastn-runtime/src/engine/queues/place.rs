//! How a run is to wait.

use std::time::Duration;

use fastn_core::{Error, ErrorKind, QueueKey, QueueName, Result, RunId};
use fastn_store::{DefinitionKey, Join, NewRun, Once, WhenTaken};

use super::batching::Batching;
use super::queue::name;

/// What becomes of a run that is started while another one of its key, in its queue and of its tenant, has not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Singleton {
    /// The other one is attached to; this one is not started.
    Attach,
    /// This one is not started: [`AlreadyExists`](ErrorKind::AlreadyExists).
    CancelNewest,
    /// The other one is cancelled, and this one is started when it has ended.
    CancelInProgress,
}

/// What a start says of a queue.
#[derive(Clone, Debug, Default)]
pub(in crate::engine) struct Place {
    pub(in crate::engine) queue: Option<String>,
    pub(in crate::engine) key: Option<QueueKey>,
    pub(in crate::engine) priority: i16,
    pub(in crate::engine) delay: Duration,
    pub(in crate::engine) cost: Option<u32>,
    pub(in crate::engine) only: Vec<Only>,
    /// Whether anything was said.
    pub(in crate::engine) said: bool,
}

/// That there is to be one run at a time.
#[derive(Clone, Debug)]
pub(in crate::engine) enum Only {
    Deduplicate(String),
    Debounce {
        id: String,
        span: Duration,
        most: Duration,
    },
    Singleton(Singleton),
    /// The run is an item, known by this id if it has one.
    Gather {
        batching: Batching,
        id: Option<String>,
    },
}

impl Place {
    /// The queue in which the run is to wait; `None` if it is not to.
    ///
    /// # Errors
    /// `Invalid` if what was said makes no sense together.
    pub(in crate::engine) fn check(&self) -> Result<Option<QueueName>> {
        let wrong = |why: &'static str| Err(Error::new(ErrorKind::Invalid, "start run").caused_by(why));
        match &self.queue {
            None if self.said => wrong("what is said about a queue needs one: `.queue(name)`"),
            None => Ok(None),
            Some(_) if self.only.len() > 1 => {
                wrong("a run is deduplicated, debounced or a singleton, one of these at most")
            }
            Some(_) if self.only.iter().any(|only| matches!(only, Only::Debounce { .. })) && !self.delay.is_zero() => {
                wrong("a run that is debounced waits for that span; no other delay can be said")
            }
            Some(queue) => {
                self.batching().map_or(Ok(()), Batching::check)?;
                name(queue).map(Some)
            }
        }
    }

    /// How the run is gathered with others, if it is an item.
    pub(in crate::engine) fn batching(&self) -> Option<&Batching> {
        self.only.iter().find_map(|only| if let Only::Gather { batching, .. } = only { Some(batching) } else { None })
    }

    /// How long the run waits at least.
    pub(super) fn delay(&self) -> Duration {
        match self.only.first() {
            Some(Only::Debounce { span, .. }) => *span,
            Some(Only::Gather { batching, .. }) => batching.within,
            _ => self.delay,
        }
    }

    /// The place that it takes. What is said by different words are different places. A list is of at most so many bytes.
    pub(super) fn once(&self, key: &QueueKey, new: &NewRun, payload: usize) -> Option<Once> {
        let DefinitionKey { workflow, version, shape } = &new.definition;
        let (text, taken) = match self.only.first()? {
            Only::Gather { batching, id } => {
                let id = id.as_ref().map(|id| RunId::named(&format!("item {workflow}\n{id}")));
                // Without a name it is known by the run that it would be, which was drawn.
                let item = *id.unwrap_or(new.key.run).as_bytes();
                let bytes = batching.bytes.min(u64::try_from(payload).unwrap_or(u64::MAX));
                let taken = WhenTaken::Join(Join { item, most: batching.most, bytes });
                (format!("gather {workflow}\n{version}\n{shape}\n{key}"), taken)
            }
            Only::Deduplicate(id) => (format!("deduplicate {id}"), WhenTaken::Stay),
            Only::Debounce { id, most, .. } => (format!("debounce {id}"), WhenTaken::PushBack(*most)),
            Only::Singleton(_) => (format!("singleton {key}"), WhenTaken::Stay),
        };
        Some(Once { id: *RunId::named(&text).as_bytes(), taken })
    }

    /// What becomes of it if its place is taken.
    pub(super) fn when_taken(&self) -> Singleton {
        match self.only.first() {
            Some(Only::Singleton(singleton)) => *singleton,
            _ => Singleton::Attach,
        }
    }
}
