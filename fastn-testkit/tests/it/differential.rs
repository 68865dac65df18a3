//! Stores that differ are told apart by a script of a few lines.

use std::sync::Arc;

use fastn_store::Store;
use fastn_testkit::differential::{Difference, Subject, run};

use crate::broken::{BrokenStore, Flaw};

fn subject(flaw: Flaw) -> Subject {
    Subject::new(format!("{flaw:?}"), move |_| async move { Ok(Arc::new(BrokenStore::new(flaw)) as Arc<dyn Store>) })
}

/// Tries seeds until one tells the store from a memory store.
async fn first_difference(flaw: Flaw) -> Option<Box<Difference>> {
    for seed in 0..1_000 {
        if let Err(difference) = run(seed, &[subject(Flaw::None), subject(flaw)]).await {
            return Some(difference);
        }
    }
    None
}

#[tokio::test]
async fn a_store_without_a_flaw_does_not_differ() {
    assert_eq!(first_difference(Flaw::None).await, None);
}

/// How many deeds more than needed are left where another seed is the first to find a flaw: deeds are taken out one by one.
const CHANCE: usize = 2;

#[tokio::test]
async fn a_store_with_a_flaw_is_told_by_a_short_script() {
    // What shows it, in as few deeds as chance has found so far.
    for (flaw, most) in [
        (Flaw::DropsTheLastRecordOfATurn, 4),
        (Flaw::CommitsHalfABatch, 4),
        (Flaw::CommitsARepeatedTurnAgain, 5),
        (Flaw::AcceptsAGap, 4),
        (Flaw::AnswersInAnotherOrder, 3),
        (Flaw::SwapsRecords, 5),
        (Flaw::ForgetsToFenceCommits, 4),
        (Flaw::ForgetsToFenceClaims, 3),
        (Flaw::ForgetsWhenToWake, 5),
        (Flaw::ForgetsPlans, 3),
        (Flaw::IgnoresTenants, 3),
        (Flaw::ClaimsNewestFirst, 5),
        (Flaw::ListsOldestFirst, 3),
        (Flaw::PrunesTooMuch, 6),
        (Flaw::CutsValuesAtNul, 3),
        (Flaw::RoundsNumbers, 3),
        (Flaw::SwapsWithoutComparing, 3),
        (Flaw::CutsEntriesAtNul, 3),
        (Flaw::ListsTheFirstEntriesForEver, 3),
        (Flaw::LosesEveryThirdMessage, 3),
        (Flaw::TakesARepeatedMessageAgain, 4),
        (Flaw::ForgetsIdsOnceAcknowledged, 7),
        (Flaw::AcceptsMessagesForTheEnded, 8),
        (Flaw::ReceivesWhatOthersHold, 6),
        (Flaw::ReceivesWithoutFencing, 3),
        (Flaw::ReceivesNewestFirst, 4),
        (Flaw::MixesUpSummaries, 4),
        (Flaw::AdmitsOneTooMany, 5),
        (Flaw::AdmitsAnyOfAKey, 5),
        (Flaw::AdmitsAnyToAnExecutor, 5),
        (Flaw::AdmitsAtAnyRate, 6),
        (Flaw::AdmitsAtAnyRateOfAKey, 6),
        (Flaw::AdmitsWithoutTurns, 6),
        (Flaw::AdmitsWhilePaused, 5),
        (Flaw::AdmitsOutOfOrder, 5),
        (Flaw::AdmitsWithoutFencing, 3),
        (Flaw::AdmitsEverySuspect, 6),
        (Flaw::ForgetsWhenToAdmit, 3),
        (Flaw::CreatesWhereAPlaceIsTaken, 4),
        (Flaw::HoldsWhatWaits, 3),
        (Flaw::LosesItems, 3),
        (Flaw::TakesItemsAgain, 4),
        (Flaw::JoinsWhatWasAdmitted, 5),
        (Flaw::CountsNoDeathsOverQueues, 6),
        (Flaw::CountsNoDeaths, 4),
        (Flaw::ExpiresWhatWasRenewed, 6),
        (Flaw::SharesARunBetweenClaimers, 5),
    ] {
        let found = first_difference(flaw).await.unwrap_or_else(|| panic!("{flaw:?} was not found"));
        assert_eq!(found.store, format!("{flaw:?}"));
        assert!(found.script.len() <= most + CHANCE, "{found}");
        assert_eq!(run(found.seed, &[subject(flaw)]).await, Err(found), "a seed says everything");
    }
}
