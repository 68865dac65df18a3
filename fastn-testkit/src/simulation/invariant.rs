//! What is held to be true of every run.

use std::fmt;

/// Something that is true whatever happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Invariant {
    /// What a store acknowledged is read back as it was, and what it refused is not there.
    StoreKeepsItsWord,
    /// Under a lease that was lost nothing is written.
    FencedWritesNothing,
    /// A run is in the hands of one executor at a time.
    OneExecutor,
    /// A run that is created is created once.
    CreatedOnce,
    /// What was recorded of a run stays, in its order and without gaps.
    HistoryIsKept,
    /// What is recorded follows from the plan and from what was recorded before.
    RecordsFollowThePlan,
    /// A recorded result is what the step gave.
    ResultsAreReal,
    /// A step whose result is recorded never runs again.
    RecordedNeverRunsAgain,
    /// A step begins only when the results it follows are recorded, unless those steps chose otherwise.
    SuccessorsWait,
    /// A step gets what the nodes before it gave.
    ArgumentsFit,
    /// No attempt is made twice in one life of a process, as long as it keeps its lease.
    OnceInALife,
    /// An at-most-once step runs once or not at all, and its start is recorded before.
    AtMostOnce,
    /// Retries are made as the policy says, neither more nor fewer, and not too early.
    RetriesAsSaid,
    /// An attempt is cut off when its time is up.
    WithinItsTime,
    /// No more items of a list are in work than may be.
    BoundedConcurrency,
    /// Exactly if a run does not succeed, what was done is undone, last first.
    UndoneInReverse,
    /// Whatever the host was told to have started or cancelled is recorded.
    AcknowledgedIsRecorded,
    /// The host is told the end that is recorded.
    ToldAsRecorded,
    /// A key belongs to one input.
    KeysAreOfOneInput,
    /// Without trouble nobody is told of an error.
    NoErrorWithoutTrouble,
    /// A run that exists comes to its end, and whoever waits for it is told.
    EveryRunEnds,
    /// Nothing goes on for ever without getting anywhere.
    GetsSomewhere,
    /// Folding the journal gives the end that was lived.
    FoldingGivesTheSame,
    /// When an engine has shut down nothing of it is left.
    NothingIsLeft,
    /// No task of the engine panics.
    NoPanic,
}

impl Invariant {
    /// The invariant in a sentence.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::StoreKeepsItsWord => "what a store acknowledged is read back as it was",
            Self::FencedWritesNothing => "under a lease that was lost nothing is written",
            Self::OneExecutor => "a run is in the hands of one executor at a time",
            Self::CreatedOnce => "a run is created once",
            Self::HistoryIsKept => "what was recorded stays, in its order and without gaps",
            Self::RecordsFollowThePlan => "what is recorded follows from the plan and from what was recorded before",
            Self::ResultsAreReal => "a recorded result is what the step gave",
            Self::RecordedNeverRunsAgain => "a step whose result is recorded never runs again",
            Self::SuccessorsWait => "a step begins only when the results it follows are recorded",
            Self::ArgumentsFit => "a step gets what the nodes before it gave",
            Self::OnceInALife => "no attempt is made twice in one life of a process",
            Self::AtMostOnce => "an at-most-once step runs once or not at all",
            Self::RetriesAsSaid => "retries are made as the policy says",
            Self::WithinItsTime => "an attempt is cut off when its time is up",
            Self::BoundedConcurrency => "no more items of a list are in work than may be",
            Self::UndoneInReverse => "exactly if a run does not succeed, what was done is undone, last first",
            Self::AcknowledgedIsRecorded => "what was acknowledged is recorded",
            Self::ToldAsRecorded => "the host is told the end that is recorded",
            Self::KeysAreOfOneInput => "a key belongs to one input",
            Self::NoErrorWithoutTrouble => "without trouble nobody is told of an error",
            Self::EveryRunEnds => "a run that exists comes to its end, and whoever waits for it is told",
            Self::GetsSomewhere => "nothing goes on for ever without getting anywhere",
            Self::FoldingGivesTheSame => "folding the journal gives the end that was lived",
            Self::NothingIsLeft => "when an engine has shut down nothing of it is left",
            Self::NoPanic => "no task of the engine panics",
        }
    }
}

impl fmt::Display for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An invariant that does not hold, and what was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Breach {
    pub(super) invariant: Invariant,
    pub(super) what: String,
}

/// Whether an invariant holds.
pub(super) type Held = Result<(), Breach>;

/// Holds if the condition does.
pub(super) fn hold(condition: bool, invariant: Invariant, what: impl FnOnce() -> String) -> Held {
    if condition { Ok(()) } else { Err(Breach { invariant, what: what() }) }
}
