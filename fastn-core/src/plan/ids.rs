//! By what nodes, scopes, functions and whole plans are known.

use std::fmt;

/// The number of a node in its plan.
///
/// Numbers follow from the names alone, not from the order of declaration: two plans of one shape number their nodes
/// alike, so a journal written by one build can be read by the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeIx(pub u32);

/// The number of a scope in its plan; 0 is the whole workflow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ScopeIx(pub u32);

/// The number of a node's functions in its [`Definition`](crate::Definition).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkIx(pub u32);

/// A BLAKE3 hash over a canonical description of a plan.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PlanHash(pub [u8; 32]);

impl fmt::Display for PlanHash {
    /// The first 16 hexadecimal digits: enough for people to tell plans apart.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().take(8).try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for PlanHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
