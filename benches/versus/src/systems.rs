//! What is measured: fastn, what lies below it, and its peers.

use std::path::{Path, PathBuf};

use versus_measure::Durability::{self, Full, None, Normal, On};
use versus_measure::Store::{self, Memory, Postgres, Sqlite};

use crate::cases::Case;

/// A system, the program that measures it, and the cases it has.
#[derive(Clone, Copy, Debug)]
pub struct System {
    pub name: &'static str,
    /// A program of its own beside this one; this one if there is none.
    program: Option<&'static str>,
    /// Where it can keep runs.
    stores: &'static [Store],
    /// Names of cases, with the durabilities they are measured at; empty for all there are.
    cases: &'static [(&'static str, &'static [Durability])],
}

/// All systems.
pub const ALL: &[System] = &[
    System { name: "fastn", program: Option::None, stores: &[Sqlite, Memory, Postgres], cases: &[] },
    System { name: "raw", program: Option::None, stores: &[Sqlite, Memory, Postgres], cases: RAW },
    System { name: "raw-2", program: Option::None, stores: &[Postgres], cases: RAW_2 },
    System { name: "dagx", program: Some("versus-dagx"), stores: &[Memory], cases: DAGX },
    System { name: "durare", program: Some("versus-durare"), stores: &[Sqlite, Postgres], cases: DURARE },
    System { name: "duroxide", program: Some("versus-duroxide"), stores: &[Sqlite], cases: DUROXIDE },
    System { name: "dbos", program: Some("versus-dbos"), stores: &[Postgres], cases: DBOS },
    System { name: "duroxide-pg", program: Some("versus-duroxide-pg"), stores: &[Postgres], cases: DUROXIDE_PG },
    System { name: "graphile_worker", program: Some("versus-graphile_worker"), stores: &[Postgres], cases: GRAPHILE },
];

/// Nothing lies below a store in memory, so there `raw` has only what needs no store.
const RAW: &[(&str, &[Durability])] = &[
    ("dag-chain", &[None]),
    ("dag-independent", &[None]),
    ("dag-layered", &[None]),
    ("chain10-100", &[Full, Normal]),
    ("chain10-1000", &[Full, Normal, On]),
    ("chain10-10000", &[Full, Normal, On]),
    ("jobs", &[Full, On]),
    ("seq", &[Full, Normal, On]),
    ("slope", &[Full]),
    ("wide", &[Full]),
    ("start", &[Full]),
    ("recover", &[Full]),
    ("parked-100000", &[Full]),
    ("parked-1000000", &[Full]),
    ("timers", &[Full]),
];

/// `raw` with two connections that write.
const RAW_2: &[(&str, &[Durability])] = &[("chain10-1000", &[On]), ("chain10-10000", &[On]), ("jobs", &[On])];

const DAGX: &[(&str, &[Durability])] =
    &[("dag-chain", &[None]), ("dag-independent", &[None]), ("dag-layered", &[None])];

const DURARE: &[(&str, &[Durability])] = &[
    ("chain10-100", &[Full, Normal]),
    ("chain10-1000", &[Full, Normal, On]),
    ("chain10-10000", &[Full, Normal, On]),
    ("jobs", &[On]),
    ("seq", &[Full, Normal, On]),
    ("parked-100000", &[Full]),
];

/// Its SQLite provider sets its own pragmas, which come out as NORMAL. An orchestration has at most 1,024 events, which
/// leaves no room for `seq`.
const DUROXIDE: &[(&str, &[Durability])] = &[("chain10-100", &[Normal]), ("chain10-1000", &[Normal])];

const DBOS: &[(&str, &[Durability])] =
    &[("chain10-1000", &[On]), ("chain10-10000", &[On]), ("jobs", &[On]), ("seq", &[On])];

/// 10,000 runs of ten steps take longer than a measurement may.
const DUROXIDE_PG: &[(&str, &[Durability])] = &[("chain10-1000", &[On]), ("jobs", &[On])];

/// A queue: a job knows no steps.
const GRAPHILE: &[(&str, &[Durability])] = &[("jobs", &[On])];

impl System {
    pub fn has(&self, case: &Case) -> bool {
        let listed = |(name, at): &(&str, &[Durability])| *name == case.name && at.contains(&case.durability);
        self.stores.contains(&case.store) && (self.cases.is_empty() || self.cases.iter().any(listed))
    }

    /// The program that measures it, if it was built.
    pub fn program(&self, own: &Path) -> Option<PathBuf> {
        match self.program {
            Option::None => Some(own.to_owned()),
            Some(name) => Some(own.with_file_name(name)).filter(|path| path.exists()),
        }
    }
}
