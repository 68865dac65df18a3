//! What goes wrong around a run: one opaque error for all crates.

use std::fmt;

/// A source of an [`Error`].
pub type BoxError = Box<dyn std::error::Error + Send + Sync + 'static>;

/// A result whose error is fastn's.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What kind of thing went wrong: what a program branches on.
///
/// The numbers are stable and are what the C ABI returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(u16)]
pub enum ErrorKind {
    /// There is no such run, workflow, connector or file.
    NotFound = 1,
    /// It exists already.
    AlreadyExists = 2,
    /// The same id was used before for something different, or it was changed since the caller looked.
    Conflict = 3,
    /// The lease was lost: another executor owns the runs now, and nothing was written.
    Fenced = 4,
    /// Another live process holds it.
    Locked = 5,
    /// It does not answer or could not be written to just now; trying again may help.
    Unavailable = 6,
    /// A deadline passed.
    TimedOut = 7,
    /// It was cancelled.
    Cancelled = 8,
    /// The caller's input is wrong.
    Invalid = 9,
    /// This backend or build cannot do it, or stored data was written by a newer version.
    Unsupported = 10,
    /// Stored data is damaged or belongs to another program.
    Corrupt = 11,
    /// A size limit was exceeded.
    TooLarge = 12,
    /// The engine or store has been shut down or has halted.
    Closed = 13,
    /// The run itself ended in failure; the failure is the source.
    RunFailed = 14,
    /// A defect in fastn.
    Internal = 15,
}

impl ErrorKind {
    /// Every kind, in the order of their numbers.
    pub const ALL: &'static [Self] = &[
        Self::NotFound,
        Self::AlreadyExists,
        Self::Conflict,
        Self::Fenced,
        Self::Locked,
        Self::Unavailable,
        Self::TimedOut,
        Self::Cancelled,
        Self::Invalid,
        Self::Unsupported,
        Self::Corrupt,
        Self::TooLarge,
        Self::Closed,
        Self::RunFailed,
        Self::Internal,
    ];

    /// The stable number of the kind.
    pub const fn code(self) -> u16 {
        self as u16
    }

    /// Whether the same call may succeed later without any change by the caller.
    pub const fn is_transient(self) -> bool {
        matches!(self, Self::Unavailable | Self::TimedOut)
    }

    /// The kind in words.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotFound => "not found",
            Self::AlreadyExists => "already exists",
            Self::Conflict => "conflict",
            Self::Fenced => "fenced",
            Self::Locked => "locked",
            Self::Unavailable => "unavailable",
            Self::TimedOut => "timed out",
            Self::Cancelled => "cancelled",
            Self::Invalid => "invalid",
            Self::Unsupported => "unsupported",
            Self::Corrupt => "corrupt",
            Self::TooLarge => "too large",
            Self::Closed => "closed",
            Self::RunFailed => "run failed",
            Self::Internal => "internal error",
        }
    }
}

/// What went wrong, while doing what, with what, and because of what.
///
/// `Display` is one line about this layer only; [`source`](std::error::Error::source) has the rest, so a reporter that
/// prints the chain prints nothing twice.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    op: &'static str,
    context: Vec<(&'static str, String)>,
    source: Option<BoxError>,
}

impl Error {
    /// An error of this kind, met while doing `op` (an infinitive: "open store").
    pub fn new(kind: ErrorKind, op: &'static str) -> Self {
        Self(Box::new(Inner { kind, op, context: Vec::new(), source: None }))
    }

    /// Adds what it was about, such as the run or the path.
    #[must_use]
    pub fn with(mut self, key: &'static str, value: impl fmt::Display) -> Self {
        self.0.context.push((key, value.to_string()));
        self
    }

    /// Adds what caused it.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<BoxError>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// The kind, to branch on.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Whether the same call may succeed later.
    pub fn is_transient(&self) -> bool {
        self.0.kind.is_transient()
    }

    /// This error and its sources, one line each.
    pub fn chain(&self) -> Vec<String> {
        chain_of(self)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.op, self.0.kind.as_str())?;
        for (i, (key, value)) in self.0.context.iter().enumerate() {
            write!(f, "{}{key} {value}", if i == 0 { " (" } else { ", " })?;
        }
        if self.0.context.is_empty() { Ok(()) } else { f.write_str(")") }
    }
}

impl fmt::Debug for Error {
    /// The whole chain, as `main` prints it when it returns an error.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")?;
        let mut source = std::error::Error::source(self);
        while let Some(cause) = source {
            write!(f, "\n  because: {cause}")?;
            source = cause.source();
        }
        Ok(())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_ref().map(|source| &**source as _)
    }
}

/// The message of an error and of each of its sources.
pub(crate) fn chain_of(error: &(dyn std::error::Error + 'static)) -> Vec<String> {
    let mut lines = vec![error.to_string()];
    let mut next = error.source();
    // A source that points at itself must not fill the memory.
    while let Some(cause) = next.filter(|_| lines.len() < 32) {
        lines.push(cause.to_string());
        next = cause.source();
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_stable_and_dense() {
        for (i, kind) in ErrorKind::ALL.iter().enumerate() {
            assert_eq!(usize::from(kind.code()), i + 1);
        }
    }

    #[test]
    fn a_chain_prints_nothing_twice() {
        let disk = std::io::Error::other("no space left on device");
        let error = Error::new(ErrorKind::Unavailable, "commit").with("run", "7f3a").caused_by(disk);
        assert_eq!(error.to_string(), "commit: unavailable (run 7f3a)");
        assert_eq!(error.chain(), ["commit: unavailable (run 7f3a)", "no space left on device"]);
    }
}
