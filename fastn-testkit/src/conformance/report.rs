//! What came out of a suite, for programs to look at.

use std::fmt;

/// What a case found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// The store does what it promises.
    Passed,
    /// It does not: this is what was found, and where.
    Failed(String),
    /// The case was not tried, for this reason.
    Ignored(String),
}

/// A case and what it found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CaseReport {
    /// The store, by the name it has in the suite.
    pub backend: String,
    /// The case: what every store promises, as a sentence.
    pub case: &'static str,
    /// What it found.
    pub verdict: Verdict,
}

/// What came out of a suite. It prints as one line per case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// Every case of every store.
    pub cases: Vec<CaseReport>,
}

impl Report {
    /// The names of the cases that failed.
    pub fn failed(&self) -> Vec<&'static str> {
        self.named(|verdict| matches!(verdict, Verdict::Failed(_)))
    }

    /// The names of the cases that were not tried.
    pub fn ignored(&self) -> Vec<&'static str> {
        self.named(|verdict| matches!(verdict, Verdict::Ignored(_)))
    }

    fn named(&self, wanted: impl Fn(&Verdict) -> bool) -> Vec<&'static str> {
        self.cases.iter().filter(|case| wanted(&case.verdict)).map(|case| case.case).collect()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for CaseReport { backend, case, verdict } in &self.cases {
            match verdict {
                Verdict::Passed => writeln!(f, "{backend}::{case}: passed")?,
                Verdict::Failed(why) => writeln!(f, "{backend}::{case}: FAILED\n  {why}")?,
                Verdict::Ignored(why) => writeln!(f, "{backend}::{case}: ignored, {why}")?,
            }
        }
        Ok(())
    }
}
