//! What a case is, and how it says that something is wrong.

use std::fmt;
use std::panic::Location;

use fastn_core::{BoxFuture, Error, ErrorKind, Result};

use super::capability::Capability;
use super::trial::Trial;

/// What a case found: nothing, or a flaw.
pub(super) type Found = std::result::Result<(), Flaw>;

/// The work of a case.
pub(super) type Body = fn(Trial) -> BoxFuture<'static, Found>;

/// One thing that every store promises.
#[derive(Clone, Copy)]
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) needs: &'static [Capability],
    pub(super) body: Body,
}

impl Case {
    /// The same case, for stores with these capabilities only.
    pub(super) const fn needs(self, needs: &'static [Capability]) -> Self {
        Self { needs, ..self }
    }
}

/// A case by the name of its function.
macro_rules! case {
    ($name:ident) => {
        $crate::conformance::case::Case { name: stringify!($name), needs: &[], body: |trial| Box::pin($name(trial)) }
    };
}
pub(super) use case;

/// Why a case failed, and where in it.
#[derive(Debug)]
pub(super) struct Flaw(String);

impl Flaw {
    #[track_caller]
    pub(super) fn new(what: impl fmt::Display) -> Self {
        let place = Location::caller();
        Self(format!("{what}\n  at {}:{}", place.file(), place.line()))
    }
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<Error> for Flaw {
    #[track_caller]
    fn from(error: Error) -> Self {
        Self::new(format_args!("it should have succeeded: {}", error.chain().join(": ")))
    }
}

/// Finds a flaw if the two differ.
#[track_caller]
pub(super) fn same<F: PartialEq<E> + fmt::Debug, E: fmt::Debug>(found: F, expected: E) -> Found {
    if found == expected { Ok(()) } else { Err(Flaw::new(format_args!("found    {found:?}\n  expected {expected:?}"))) }
}

/// Finds a flaw if it is not so.
#[track_caller]
pub(super) fn ensure(holds: bool, what: impl fmt::Display) -> Found {
    if holds { Ok(()) } else { Err(Flaw::new(what)) }
}

/// Finds a flaw unless it failed in this way.
#[track_caller]
pub(super) fn fails<T: fmt::Debug>(result: Result<T>, kind: ErrorKind) -> Found {
    match result {
        Err(error) if error.kind() == kind => Ok(()),
        Err(error) => Err(Flaw::new(format_args!(
            "it should have failed as {}, but did so as {}: {}",
            kind.as_str(),
            error.kind().as_str(),
            error.chain().join(": ")
        ))),
        Ok(answer) => {
            Err(Flaw::new(format_args!("it should have failed as {}, but the answer was {answer:?}", kind.as_str())))
        }
    }
}
