//! Whether the store takes what it is asked to write.

use fastn_core::ErrorKind;
use fastn_store::{Batch, Write};

use super::executor::Process;
use super::refusals::Asked;
use super::world::World;

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
        let refusals = &mut world.truth().refusals;
        if let Some(kind) = kind {
            refusals.add(batch.lease, asked.clone(), kind, process);
        }
        kinds.extend(refusals.of(batch.lease, asked));
    }
    let (bad, all) = (kinds.len(), batch.writes.len());
    if bad > 0 {
        world.tell(|| format!("store refuses {bad} of {all} writes"));
    }
    kinds.first().copied()
}
