//! The rule by which every store admits a turn.

use fastn_core::{Error, ErrorKind, Result};

use crate::{RunStatus, Then, Turn, Withdraw};

/// Where a run stands: what decides whether a turn may be added to it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Standing {
    /// The sequence number of its next record.
    pub(crate) next: u64,
    /// Whether the lease of the batch holds it. A run that has ended is not held.
    pub(crate) held: bool,
}

/// What is to be done with a turn that is no error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is new and follows what is there.
    Add,
    /// It was written before.
    Known,
}

impl Standing {
    /// Judges a turn and, if it is to be added, moves on to where the run stands after it.
    ///
    /// A turn without records at the present end cannot be told from its repetition and need not be: what it says is
    /// next is the same both times.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) as [`Store::commit`](crate::Store::commit) says.
    pub(crate) fn admit(&mut self, turn: &Turn) -> Result<Verdict> {
        let wrong = |why: &'static str| {
            Error::new(ErrorKind::Invalid, "commit turn")
                .with("run", turn.run.0)
                .with("first", turn.first)
                .with("count", turn.count)
                .with("next", self.next)
                .caused_by(why)
        };
        let end =
            turn.first.checked_add(u64::from(turn.count)).ok_or_else(|| wrong("its sequence numbers overflow"))?;
        if end < self.next || (end == self.next && turn.count > 0) {
            return Ok(Verdict::Known);
        }
        if !self.held {
            return Err(wrong("the lease does not hold the run"));
        }
        if turn.first != self.next {
            return Err(wrong("its records do not follow those that are there"));
        }
        if let Then::End(status) = turn.then {
            if !status.is_final() || turn.count == 0 {
                return Err(wrong("a run ends with a record, in a status in which it has ended"));
            }
            self.held = false;
        }
        self.next = end;
        Ok(Verdict::Add)
    }
}

/// Makes sure that who takes a run back ends it.
///
/// # Errors
/// [`Invalid`](ErrorKind::Invalid) as [`Queues::withdraw`](crate::Queues::withdraw) says.
pub(crate) fn check_withdraw(ask: &Withdraw) -> Result<()> {
    if ask.status.is_final() && ask.count > 0 {
        return Ok(());
    }
    let why = "a run ends with a record, in a status in which it has ended";
    Err(Error::new(ErrorKind::Invalid, "withdraw run").with("run", ask.run.run).caused_by(why))
}

/// How a run stands that nothing can be said of, because there is none.
pub(crate) fn no_such_run(turn: &Turn) -> Error {
    Error::new(ErrorKind::Invalid, "commit turn").with("run", turn.run.0).caused_by("there is no such run")
}

/// The status of a run after a turn.
pub(crate) const fn status_after(then: Then) -> RunStatus {
    match then {
        Then::Run => RunStatus::Running,
        Then::Wait(_) => RunStatus::Waiting,
        Then::End(status) => status,
    }
}

/// The error of a batch under a lease that has ended.
pub(crate) fn fenced(op: &'static str, token: u64) -> Error {
    Error::new(ErrorKind::Fenced, op).with("token", token)
}

/// The error of a batch that has turns and no lease.
pub(crate) fn no_lease() -> Error {
    Error::new(ErrorKind::Invalid, "commit turn").caused_by("turns are written under a lease, and the batch has none")
}

/// The error of every call after close.
pub(crate) fn closed() -> Error {
    Error::new(ErrorKind::Closed, "use store")
}
