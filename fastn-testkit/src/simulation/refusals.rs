//! Writes that a store does not take, although it takes those beside them.

use std::collections::BTreeMap;

use fastn_core::ErrorKind;
use fastn_store::{Batch, RunKey, RunNo, Write};

use super::executor::Process;
use super::world::World;

/// A write, however often and with whatever others it is asked for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Asked {
    Run(RunKey),
    Turn(RunNo, u64),
}

/// What is refused under which lease, for what reason and to whom.
#[derive(Debug, Default)]
pub(super) struct Refusals(BTreeMap<(Option<u64>, Asked), (ErrorKind, Process)>);

impl Refusals {
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

/// Why a batch is refused as a whole, if it holds a write that is not taken. Asked for by itself, it is refused again. What
/// the store has already, it takes once more.
pub(super) fn refused(world: &World, process: Process, batch: &Batch) -> Option<ErrorKind> {
    if world.is_calm() {
        return None;
    }
    let mut kinds = Vec::new();
    for write in &batch.writes {
        let asked = match write {
            Write::Create(new) if !world.truth().runs.contains_key(&new.key) => Asked::Run(new.key.clone()),
            Write::Turn(turn) if !world.truth().has(turn) => Asked::Turn(turn.run, turn.first),
            _ => continue,
        };
        let kind = world.strikes(world.weather().refuses_writes).then(|| match world.dice().below(3) {
            0 => ErrorKind::Invalid,
            1 => ErrorKind::TooLarge,
            _ => ErrorKind::Locked,
        });
        let refusals = &mut world.truth().refusals.0;
        let key = (batch.lease, asked);
        if let Some(kind) = kind {
            refusals.entry(key.clone()).or_insert((kind, process));
        }
        kinds.extend(refusals.get(&key).map(|(kind, _)| *kind));
    }
    let (bad, all) = (kinds.len(), batch.writes.len());
    if bad > 0 {
        world.tell(|| format!("store refuses {bad} of {all} writes"));
    }
    kinds.first().copied()
}
