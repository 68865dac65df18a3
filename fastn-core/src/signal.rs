//! Signals as typed constants.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::{Deserialize, Serialize};

/// Which of a signal's values the nodes that wait for it are given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Take {
    /// Every value is given to one node: the first to the one that has waited longest, the next to the next. A value for
    /// which nobody waits yet is kept.
    #[default]
    Each,
    /// The first value is given to all of them, now and later. Others mean nothing.
    First,
}

impl Take {
    /// It in a word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Each => "each",
            Self::First => "first",
        }
    }
}

/// What a node waits for: the name of a signal, and which of its values it takes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SignalRef {
    /// The signal.
    pub name: Cow<'static, str>,
    /// Which of its values.
    #[serde(default)]
    pub take: Take,
}

impl fmt::Display for SignalRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.take {
            Take::Each => f.write_str(&self.name),
            Take::First => write!(f, "the first {}", self.name),
        }
    }
}

/// Something that is told to a run from outside, with a value of type `T`: a constant by which flows wait for it and hosts send
/// it, so that both mean the same.
///
/// ```
/// # use fastn_core::Signal;
/// pub const PAID: Signal<u64> = Signal::new("paid");
/// pub const DECIDED: Signal<bool> = Signal::new("decided").first();
/// assert_eq!(PAID.to_string(), "paid");
/// ```
pub struct Signal<T> {
    name: &'static str,
    take: Take,
    types: PhantomData<fn(T) -> T>,
}

impl<T> Signal<T> {
    /// The signal of this name. Every value that is sent is given to one node that waits for it, in the order in which they
    /// began to wait; values come in the order in which the run was told them.
    pub const fn new(name: &'static str) -> Self {
        Self { name, take: Take::Each, types: PhantomData }
    }

    /// Only the first value counts, and it is given to every node that waits for the signal.
    #[must_use]
    pub const fn first(self) -> Self {
        Self { take: Take::First, ..self }
    }

    /// What a node of a plan waits for.
    pub const fn to_wait_for(&self) -> SignalRef {
        SignalRef { name: Cow::Borrowed(self.name), take: self.take }
    }

    /// Its name.
    pub const fn name(&self) -> &'static str {
        self.name
    }
}

impl<T> Clone for Signal<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Signal<T> {}

impl<T> fmt::Display for Signal<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl<T> fmt::Debug for Signal<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signal({self})")
    }
}
