//! What becomes of a write.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};

use fastn_core::{Error, Result};
use fastn_store::Written;

/// What became of a group.
#[derive(Debug)]
pub(super) struct Fate {
    results: OnceLock<Results>,
    /// Whom to wake when it is known. `None` from then on: nobody waits for what nobody will tell.
    waiting: Mutex<Option<Vec<Waker>>>,
}

impl Default for Fate {
    fn default() -> Self {
        Self { results: OnceLock::new(), waiting: Mutex::new(Some(Vec::new())) }
    }
}

/// What became of a group as a whole, or of those of its writes that were not simply turned, in their order.
pub(super) type Results = std::result::Result<Notes, Arc<Error>>;

/// What became of writes that were not simply turned, by place.
pub(super) type Notes = Vec<(usize, std::result::Result<Written, Arc<Error>>)>;

impl Fate {
    fn waiting(&self) -> MutexGuard<'_, Option<Vec<Waker>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first to say it is believed.
    pub(super) fn decide(&self, results: Results) {
        let _ = self.results.set(results);
        let waiting = self.waiting().take();
        waiting.into_iter().flatten().for_each(Waker::wake);
    }

    fn of(&self, place: usize) -> Option<Result<Written>> {
        Some(match self.results.get()? {
            Ok(results) => match results.binary_search_by_key(&place, |(place, _)| *place) {
                Ok(found) => match results.get(found) {
                    Some((_, Err(error))) => Err(shared(error)),
                    Some((_, Ok(written))) => Ok(written.clone()),
                    None => Ok(Written::Turned),
                },
                Err(_) => Ok(Written::Turned),
            },
            Err(error) => Err(shared(error)),
        })
    }
}

/// A write on its way.
#[derive(Clone, Debug)]
#[must_use = "the write is durable only when the ticket says so"]
pub(crate) struct Ticket {
    pub(super) fate: Arc<Fate>,
    pub(super) place: usize,
}

impl Ticket {
    /// Of something that was not queued.
    pub(crate) fn failed(error: Arc<Error>) -> Self {
        let fate = Arc::new(Fate::default());
        fate.decide(Err(error));
        Self { fate, place: 0 }
    }

    /// Whether the write is known to be durable.
    pub(crate) fn is_durable(&self) -> bool {
        matches!(self.fate.of(self.place), Some(Ok(_)))
    }

    /// Why the write will never be durable, if that is known.
    pub(crate) fn failure(&self) -> Option<Error> {
        self.fate.of(self.place).and_then(Result::err)
    }

    /// Completes when the write is durable, or will never be.
    pub(crate) const fn durable(self) -> Durable {
        Durable { ticket: self, seat: None }
    }
}

/// Waits until a write is durable.
pub(crate) struct Durable {
    ticket: Ticket,
    /// Where its waker is among those that wait.
    seat: Option<usize>,
}

impl Future for Durable {
    type Output = Result<Written>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<Written>> {
        let Self { ticket: Ticket { fate, place }, seat } = &mut *self;
        loop {
            if let Some(result) = fate.of(*place) {
                return Poll::Ready(result);
            }
            // Where nobody can wait any more it was decided meanwhile.
            let mut waiting = fate.waiting();
            let Some(waiting) = &mut *waiting else { continue };
            match seat.and_then(|seat| waiting.get_mut(seat)) {
                Some(waker) => waker.clone_from(cx.waker()),
                None => {
                    *seat = Some(waiting.len());
                    waiting.push(cx.waker().clone());
                }
            }
            return Poll::Pending;
        }
    }
}

/// An error that many are told of.
fn shared(error: &Arc<Error>) -> Error {
    Error::new(error.kind(), "commit").caused_by(SharedError(error.clone()))
}

#[derive(Debug)]
struct SharedError(Arc<Error>);

impl std::fmt::Display for SharedError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for SharedError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source()
    }
}
