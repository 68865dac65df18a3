//! Writes that a store does not take, although it takes those beside them.

use std::collections::BTreeMap;

use fastn_core::ErrorKind;
use fastn_store::{RunKey, RunNo};

use super::executor::Process;

/// A write, however often and with whatever others it is asked for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Asked {
    Run(RunKey),
    Turn(RunNo, u64),
}

/// What is refused under which lease, for what reason and to whom.
#[derive(Debug, Default)]
pub(super) struct Refusals(BTreeMap<(Option<u64>, Asked), (ErrorKind, Process)>);

impl Refusals {
    /// From now on a write is refused, for the first reason that is given.
    pub(super) fn add(&mut self, lease: Option<u64>, asked: Asked, kind: ErrorKind, process: Process) {
        self.0.entry((lease, asked)).or_insert((kind, process));
    }

    /// Why a write is refused, if it is.
    pub(super) fn of(&self, lease: Option<u64>, asked: Asked) -> Option<ErrorKind> {
        self.0.get(&(lease, asked)).map(|(kind, _)| *kind)
    }

    /// Whether turns of a run are refused under a lease: who has it knows more of the run than is recorded, and gives it up.
    pub(super) fn concern(&self, lease: u64, run: RunNo) -> bool {
        let turns = (Some(lease), Asked::Turn(run, 0))..=(Some(lease), Asked::Turn(run, u64::MAX));
        self.0.range(turns).next().is_some()
    }

    /// Those who could not write a turn. They hold runs with which they do not go on.
    pub(super) fn sufferers(&self) -> Vec<Process> {
        let turns = self.0.iter().filter(|((_, asked), _)| matches!(asked, Asked::Turn(..)));
        let mut processes: Vec<Process> = turns.map(|(_, (_, process))| *process).collect();
        processes.sort_unstable();
        processes.dedup();
        processes
    }
}
