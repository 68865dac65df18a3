//! Runs a seed, and makes what it finds small.

use fastn_core::Result;

use super::deed::{Deed, Timed, deeds};
use super::scene::play;
use super::subject::{Difference, Subject};
use crate::dice::Dice;

/// How many shorter scripts are tried at most.
const TRIES: u32 = 2_000;

/// Does what the seed says to all stores at once and compares every answer with the memory store's.
///
/// # Errors
/// The first difference that was found, made small; also if a store cannot be opened.
///
/// # Cancel safety
/// Safe.
pub async fn run(seed: u64, stores: &[Subject]) -> std::result::Result<(), Box<Difference>> {
    let deeds = deeds(&mut Dice::new(seed));
    let unopened = |error: fastn_core::Error| {
        let found = error.chain().join(": ");
        let (script, expected) = (vec!["open".to_owned()], "a fresh store".to_owned());
        Box::new(Difference { seed, store: "one of the stores".to_owned(), script, found, expected })
    };
    match play(seed, &deeds, stores).await.map_err(unopened)? {
        None => Ok(()),
        Some(difference) => Err(Box::new(shrink(deeds, difference, stores).await.map_err(unopened)?)),
    }
}

/// Leaves out what can be left out while the stores still differ.
async fn shrink(mut deeds: Vec<Timed>, mut smallest: Difference, stores: &[Subject]) -> Result<Difference> {
    // What came after the difference says nothing.
    deeds.truncate(smallest.script.len());
    let mut tries = 0;
    let mut size = deeds.len();
    while size > 0 && tries < TRIES {
        let mut from = 0;
        let mut smaller = false;
        while from < deeds.len() && tries < TRIES {
            tries += 1;
            let mut fewer = deeds.clone();
            fewer.drain(from..from.saturating_add(size).min(deeds.len()));
            if let Some(difference) = play(smallest.seed, &fewer, stores).await? {
                (deeds, smallest, smaller) = (fewer, difference, true);
            } else {
                from = from.saturating_add(size);
            }
        }
        // At the last size again as long as it helps.
        size = if size == 1 && smaller { 1 } else { size / 2 };
    }
    for place in 0..deeds.len() {
        while let Some(difference) = without_a_write(&mut deeds, place, smallest.seed, stores).await? {
            smallest = difference;
        }
    }
    Ok(smallest)
}

/// Leaves a write out of a commit, if there is one without which the stores still differ.
async fn without_a_write(
    deeds: &mut Vec<Timed>,
    place: usize,
    seed: u64,
    stores: &[Subject],
) -> Result<Option<Difference>> {
    let Some(Timed { deed: Deed::Commit { writes, .. }, .. }) = deeds.get(place) else { return Ok(None) };
    for left_out in 0..writes.len() {
        let mut fewer = deeds.clone();
        if let Some(Timed { deed: Deed::Commit { writes, .. }, .. }) = fewer.get_mut(place) {
            writes.remove(left_out);
        }
        if let Some(difference) = play(seed, &fewer, stores).await? {
            *deeds = fewer;
            return Ok(Some(difference));
        }
    }
    Ok(None)
}
