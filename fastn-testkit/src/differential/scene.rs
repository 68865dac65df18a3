//! All stores, with the same things done to them.

use std::sync::atomic::{AtomicU64, Ordering};

use fastn_core::{Payload, Result};
use fastn_store::NewRun;

use super::deed::{Deed, Draft, Timed};
use super::hand::{Hand, Settled, place};
use super::subject::{Difference, Subject};
use crate::sample::new_run;

/// The number of the next stores to be opened. Stores of one number are meant to be the same, so no two scenes of this
/// process may share one.
static NUMBERS: AtomicU64 = AtomicU64::new(0);

/// A run as far as the doer knows.
struct Run {
    new: NewRun,
    /// The sequence number of its next record.
    next: u64,
}

struct Scene {
    reference: Hand,
    others: Vec<Hand>,
    runs: Vec<Run>,
}

/// Does this to fresh stores.
///
/// # Errors
/// If a store cannot be opened.
pub(super) async fn play(seed: u64, deeds: &[Timed], subjects: &[Subject]) -> Result<Option<Difference>> {
    let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
    let mut others = Vec::with_capacity(subjects.len());
    for subject in subjects {
        others.push(Hand::open(subject, number).await?);
    }
    let reference = Hand::open(&Subject::reference(), number).await?;
    let mut scene = Scene { reference, others, runs: Vec::new() };
    // In the end everything is read, opened again, and read.
    let end = [Deed::Look, Deed::Reopen, Deed::Look].map(|deed| Timed { now: 1_000, deed });
    for (count, Timed { now, deed }) in deeds.iter().chain(&end).enumerate() {
        if let Some((store, found, expected)) = scene.apply(deed, *now).await? {
            let script = deeds
                .iter()
                .chain(&end)
                .take(count.saturating_add(1))
                .map(|Timed { now, deed }| format!("at {now} s: {deed:?}"));
            return Ok(Some(Difference { seed, store, script: script.collect(), found, expected }));
        }
    }
    Ok(None)
}

impl Scene {
    /// Does it to all; gives the name of a store that answers differently, its answer, and the one it should have given.
    async fn apply(&mut self, deed: &Deed, now: i64) -> Result<Option<(String, String, String)>> {
        let drafts: &[Draft] = if let Deed::Commit { writes, .. } = deed { writes } else { &[] };
        let mut nexts: Vec<u64> = self.runs.iter().map(|run| run.next).collect();
        let settled =
            drafts.iter().filter_map(|draft| settle(draft, &mut nexts).transpose()).collect::<Result<Vec<_>>>()?;
        let runs: Vec<NewRun> = self.runs.iter().map(|run| run.new.clone()).collect();
        let expected = self.reference.apply(deed, &settled, &runs, now).await;
        for other in &mut self.others {
            let found = other.apply(deed, &settled, &runs, now).await;
            if found != expected {
                return Ok(Some((other.name().to_owned(), found, expected)));
            }
        }
        if !expected.starts_with("error") {
            self.runs.iter_mut().zip(nexts).for_each(|(run, next)| run.next = next);
            let answers = expected.split("; ").skip(1);
            for (write, answer) in settled.into_iter().zip(answers) {
                if let (Settled::Create { new }, true) = (write, answer.starts_with("created")) {
                    self.runs.push(Run { new, next: 0 });
                }
            }
        }
        Ok(None)
    }
}

/// Settles which run is meant, and where in it. `None` if there are no runs.
fn settle(draft: &Draft, nexts: &mut [u64]) -> Result<Option<Settled>> {
    match draft {
        Draft::Create { tenant, name, workflow, input } => {
            let new = new_run(tenant, &name.to_string(), workflow)?;
            Ok(Some(Settled::Create { new: NewRun { input: Payload::json(*input), ..new } }))
        }
        Draft::Turn { run, shift, count, then } => {
            let Some(place) = place(*run, nexts.len()) else { return Ok(None) };
            let Some(next) = nexts.get_mut(place) else { return Ok(None) };
            let first = next.saturating_add_signed(*shift);
            *next = first.saturating_add(*count).max(*next);
            Ok(Some(Settled::Turn { place, first, count: *count, then: *then }))
        }
    }
}
