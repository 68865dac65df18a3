//! What is measured: fastn, what lies below it, and its peers.

use std::path::{Path, PathBuf};

use versus_measure::Durability::{self, Full, None, Normal};

use crate::cases::Case;

/// A system, the program that measures it, and the cases it has.
#[derive(Clone, Copy, Debug)]
pub struct System {
    pub name: &'static str,
    /// A program of its own beside this one; this one if there is none.
    program: Option<&'static str>,
    /// Names of cases, with the durabilities they are measured at; empty for all there are.
    cases: &'static [(&'static str, &'static [Durability])],
}

/// All systems. dbos, duroxide-pg and graphile_worker belong here together with the cases on Postgres.
pub const ALL: &[System] = &[
    System { name: "fastn", program: Option::None, cases: &[] },
    System { name: "raw", program: Option::None, cases: RAW },
    System { name: "dagx", program: Some("versus-dagx"), cases: DAGX },
    System { name: "durare", program: Some("versus-durare"), cases: DURARE },
    System { name: "duroxide", program: Some("versus-duroxide"), cases: DUROXIDE },
];

/// Nothing lies below a store in memory, so there `raw` has only what needs no store.
const RAW: &[(&str, &[Durability])] = &[
    ("dag-chain", &[None]),
    ("dag-independent", &[None]),
    ("dag-layered", &[None]),
    ("chain10-100", &[Full, Normal]),
    ("chain10-1000", &[Full, Normal]),
    ("chain10-10000", &[Full, Normal]),
    ("jobs", &[Full]),
    ("seq", &[Full, Normal]),
    ("slope", &[Full]),
    ("wide", &[Full]),
    ("start", &[Full]),
    ("recover", &[Full]),
    ("parked-100000", &[Full]),
    ("parked-1000000", &[Full]),
    ("timers", &[Full]),
];

const DAGX: &[(&str, &[Durability])] =
    &[("dag-chain", &[None]), ("dag-independent", &[None]), ("dag-layered", &[None])];

const DURARE: &[(&str, &[Durability])] = &[
    ("chain10-100", &[Full, Normal]),
    ("chain10-1000", &[Full, Normal]),
    ("chain10-10000", &[Full, Normal]),
    ("seq", &[Full, Normal]),
    ("parked-100000", &[Full]),
];

/// Its SQLite provider sets its own pragmas, which come out as NORMAL. An orchestration has at most 1,024 events, which
/// leaves no room for `seq`.
const DUROXIDE: &[(&str, &[Durability])] = &[("chain10-100", &[Normal]), ("chain10-1000", &[Normal])];

impl System {
    pub fn has(&self, case: &Case) -> bool {
        let listed = |(name, at): &(&str, &[Durability])| *name == case.name && at.contains(&case.durability);
        self.cases.is_empty() || self.cases.iter().any(listed)
    }

    /// The program that measures it, if it was built.
    pub fn program(&self, own: &Path) -> Option<PathBuf> {
        match self.program {
            Option::None => Some(own.to_owned()),
            Some(name) => Some(own.with_file_name(name)).filter(|path| path.exists()),
        }
    }
}
