//! All stores, with the same things done to them.

use std::sync::atomic::{AtomicU64, Ordering};

use fastn_core::{Payload, Result};
use fastn_store::NewRun;

use super::by::By;
use super::deed::{Deed, Draft, Timed};
use super::hand::{Hand, Settled};
use super::lines::Line;
use super::place::place;
use super::subject::{Difference, Subject};
use crate::sample::{at, new_run};

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
    kinds: Kinds,
}

/// Which kinds of runs there are.
#[derive(Clone, Copy)]
enum Kinds {
    All,
    OfQueues,
    OfNone,
}

/// Does this to fresh stores.
///
/// # Errors
/// If a store cannot be opened.
pub(super) async fn play(seed: u64, deeds: &[Timed], subjects: &[Subject]) -> Result<Option<Difference>> {
    let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
    let one_lease = subjects.iter().any(|subject| subject.gives_one_lease);
    let mut others = Vec::with_capacity(subjects.len());
    for subject in subjects {
        others.push(Hand::open(subject, number, one_lease).await?);
    }
    let reference = Hand::open(&Subject::reference(), number, one_lease).await?;
    let kinds = match subjects.iter().any(|subject| subject.numbers_apart) {
        false => Kinds::All,
        true if seed.is_multiple_of(2) => Kinds::OfQueues,
        true => Kinds::OfNone,
    };
    let mut scene = Scene { reference, others, runs: Vec::new(), kinds };
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
        let (by, drafts): (By, &[Draft]) =
            if let Deed::Commit { by, writes, .. } = deed { (*by, writes) } else { (By::Nobody, &[]) };
        let mut nexts: Vec<u64> = self.runs.iter().map(|run| run.next).collect();
        let runs: Vec<NewRun> = self.runs.iter().map(|run| run.new.clone()).collect();
        let held = self.reference.held(by, &runs).await?;
        let kinds = self.kinds;
        // Which of two that were created in the same second is the newer one, nobody says.
        let seconds = now.saturating_mul(8)..;
        let settle = |(draft, second)| settle(draft, (kinds, second), &held, &mut nexts).transpose();
        let mut settled = drafts.iter().zip(seconds).filter_map(settle).collect::<Result<Vec<_>>>()?;
        if let Kinds::OfQueues = kinds {
            let mut first = true;
            settled.retain(|write| !matches!(write, Settled::Enqueue { .. }) || std::mem::take(&mut first));
        }
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
                let (Settled::Create { new } | Settled::Enqueue { new, .. }) = write else { continue };
                if answer.starts_with("created") {
                    self.runs.push(Run { new, next: 0 });
                }
            }
        }
        Ok(None)
    }
}

/// Settles which run is meant, and where in it. `None` if there are no runs.
fn settle(draft: &Draft, (kinds, second): (Kinds, i64), held: &[usize], nexts: &mut [u64]) -> Result<Option<Settled>> {
    match draft {
        Draft::Create { tenant, name, workflow, input } => {
            let new = new_run(tenant, &name.to_string(), workflow)?;
            let new = NewRun { input: Payload::json(*input), created_at: at(second), ..new };
            Ok(Some(match kinds {
                Kinds::OfQueues => Settled::Enqueue { new, line: Line::plain() },
                Kinds::All | Kinds::OfNone => Settled::Create { new },
            }))
        }
        Draft::Enqueue { tenant, name, workflow, input, line } => {
            let new = new_run(tenant, &name.to_string(), workflow)?;
            let new = NewRun { input: Payload::json(*input), created_at: at(second), ..new };
            Ok(Some(match kinds {
                Kinds::All | Kinds::OfQueues => Settled::Enqueue { new, line: line.clone() },
                Kinds::OfNone => Settled::Create { new },
            }))
        }
        Draft::Turn { run, strays, shift, count, then } => {
            let own = held.get(place(*run, held.len()).unwrap_or(0)).copied().filter(|_| !strays);
            let Some(place) = own.or_else(|| place(*run, nexts.len())) else { return Ok(None) };
            let Some(next) = nexts.get_mut(place) else { return Ok(None) };
            let first = next.saturating_add_signed(*shift);
            *next = first.saturating_add(*count).max(*next);
            Ok(Some(Settled::Turn { place, first, count: *count, then: *then }))
        }
    }
}
