//! Simulated worlds, and that they find what they are there to find.

use std::sync::Arc;

use fastn_core::{Signal, StepError, Workflow};
use fastn_store::Store;
use fastn_testkit::simulation::{Invariant, Simulation};
use fastn_workflow::{Work as _, workflow};

use crate::broken::{BrokenStore, Flaw};

/// A number that can be set from outside, for longer runs.
fn number(name: &str, usual: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

#[test]
fn whatever_goes_wrong_what_is_promised_is_kept() {
    let (first, worlds) = (number("FASTN_FIRST_WORLD", 0), number("FASTN_WORLDS", 1_000));
    let simulation = Simulation::new().seeds(first..first + worlds);
    let simulated = simulation.run().unwrap_or_else(|broken| panic!("{broken}"));
    println!("{simulated:?}");
    assert!(simulated.lives > worlds * 2 && simulated.runs > worlds, "{simulated:?}");
}

#[test]
fn in_the_worlds_leases_are_lost_and_won_again_and_messages_find_their_runs() {
    let simulation = Simulation::new();
    let (mut came_back, mut stood_still, mut told) = (0, 0, 0);
    for seed in 0..400 {
        let trace = simulation.seed(seed).trace;
        let winners: Vec<&str> = trace.lines().filter_map(|line| line.split_once(" has lease")?.0.get(13..)).collect();
        let mut others = winners.clone();
        others.sort_unstable();
        others.dedup();
        came_back += usize::from(winners.len() > others.len());
        stood_still += trace.matches("is paused").count();
        told += trace.matches("message acknowledged").count();
    }
    assert!(came_back > 3 && stood_still > 10, "{came_back} came back, {stood_still} were held up");
    assert!(told > 3, "{told} messages found their runs");
}

/// How many lines of a trace say all of this.
fn lines(trace: &str, parts: &[&str]) -> usize {
    trace.lines().filter(|line| parts.iter().all(|part| line.contains(part))).count()
}

#[test]
fn in_the_worlds_groups_are_cut_off_by_deaths_overtaken_by_others_and_refused_for_one_of_their_writes() {
    let simulation = Simulation::new();
    let (mut whole, mut nothing, mut overtaken, mut in_part) = (0, 0, 0, 0);
    for seed in 0..400 {
        let trace = simulation.seed(seed).trace;
        whole += lines(&trace, &[" commit there", ", and it dies"]);
        let unsent = lines(&trace, &[" commit there", " not sent, and it dies"]);
        (whole, nothing) = (whole - unsent, nothing + unsent);
        overtaken += lines(&trace, &[" commit there", " refused", ", beside others"]);
        overtaken += lines(&trace, &[" commit there", " answer lost", ", beside others"]);
        let parts = trace.lines().filter_map(|line| line.split_once("store refuses ")?.1.split_once(" of "));
        in_part += parts.filter(|(bad, all)| all.split(' ').next() != Some(bad)).count();
    }
    assert!(whole > 10 && nothing > 10, "{whole} groups are there after a death, {nothing} are not");
    assert!(overtaken > 3, "{overtaken} groups failed beside others");
    assert!(in_part > 5, "{in_part} groups were refused for one of their writes");
}

#[test]
fn it_is_kept_as_well_when_every_run_is_unloaded_after_every_turn() {
    let worlds = number("FASTN_WORLDS", 400);
    Simulation::new().always_suspend().seeds(0..worlds).run().unwrap_or_else(|broken| panic!("{broken}"));
}

#[test]
fn a_seed_is_a_world_to_the_letter() {
    let simulation = Simulation::new();
    for seed in 0..30 {
        let (world, again) = (simulation.seed(seed), simulation.seed(seed));
        assert_eq!(world.trace, again.trace, "seed {seed}");
        assert_eq!(world, again);
    }
    assert_ne!(simulation.seed(0), simulation.seed(1));
}

#[test]
fn a_workflow_of_a_host_is_simulated_with_its_own_steps() {
    async fn reserve(n: u64) -> Result<u64, StepError> {
        Ok(n + 1)
    }
    async fn release(_: u64) -> Result<(), StepError> {
        Ok(())
    }
    async fn charge(n: u64) -> Result<u64, StepError> {
        if n.is_multiple_of(2) { Err(StepError::permanent("no money")) } else { Ok(n) }
    }
    let flow = workflow("shop")
        .define(|flow, n| {
            let hold = flow.step("reserve", reserve.undo(release), n);
            flow.step("charge", charge.retry(3), hold)
        })
        .unwrap();
    let simulated = Simulation::of(&flow, |number| number).seeds(0..100).run().unwrap();
    assert!(simulated.runs > 100, "{simulated:?}");
}

const PAID: Signal<u64> = Signal::new("paid");

fn order() -> Workflow<u64, u64> {
    async fn ship(n: u64) -> Result<u64, StepError> {
        Ok(n)
    }
    workflow("order")
        .define(|flow, n| {
            let paid = flow.wait("payment", PAID, n);
            flow.step("ship", ship, paid)
        })
        .unwrap()
}

#[test]
fn a_workflow_of_a_host_is_told_what_it_waits_for() {
    let simulated = Simulation::of(&order(), |n| n).tell(PAID, |n| n).seeds(0..100).run().unwrap();
    assert!(simulated.runs > 100, "{simulated:?}");
    let never = Simulation::of(&order(), |n| n).seeds(0..1).run().expect_err("nobody pays");
    assert_eq!(never.invariant, Invariant::EveryRunEnds);
}

#[test]
fn in_the_worlds_waits_are_told_of_by_whoever_has_the_run_and_by_others_and_end_in_vain() {
    let (mut told, mut known, mut sent, mut in_vain) = (0, 0, 0, 0);
    for seed in 0..150 {
        let trace = Simulation::new().seed(seed).trace;
        told += trace.matches(": Ok(Told)").count();
        known += trace.matches(": Ok(Known)").count();
        sent += trace.matches(" send there").count();
        in_vain += trace.matches("begins on_error 1 of").count();
    }
    assert!(told > 300 && known > 20, "{told} signals were told, {known} were known");
    assert!(sent > 20 && in_vain > 20, "{sent} were left for others, {in_vain} were taken over from");
}

#[test]
fn what_is_not_understood_is_said_and_not_held_against_the_engine() {
    async fn add(n: u64) -> Result<u64, StepError> {
        Ok(n + 1)
    }
    let flow: Workflow<u64, u64> = workflow("loop")
        .define(|flow, n| flow.repeat("count", 9, |n: &u64| *n < 3, n, |flow, n| flow.step("add", add, n)))
        .unwrap();
    let broken = Simulation::of(&flow, |n| n).seeds(0..1).run().expect_err("a loop");
    assert!(broken.what.contains("count is not known here"), "{broken}");
}

#[track_caller]
fn finds(flaw: Flaw, invariants: &[Invariant]) {
    let simulation = Simulation::new().on(move || Arc::new(BrokenStore::new(flaw)) as Arc<dyn Store>);
    let broken = simulation.seeds(0..3_000).run().expect_err("nothing was found");
    assert!(invariants.contains(&broken.invariant), "{broken}");
    let again = simulation_of(flaw).seed(broken.seed);
    assert_eq!(again.broken.as_ref(), Some(&*broken), "the seed finds it again");
}

fn simulation_of(flaw: Flaw) -> Simulation {
    Simulation::new().on(move || Arc::new(BrokenStore::new(flaw)) as Arc<dyn Store>)
}

macro_rules! teeth {
    ($($test:ident: $flaw:ident => $($invariant:ident),+;)*) => {
        $(#[test] fn $test() { finds(Flaw::$flaw, &[$(Invariant::$invariant),+]); })*
    };
}

teeth! {
    fencing_that_is_forgotten_is_found: ForgetsToFenceCommits =>
        FencedWritesNothing, OneExecutor, OnceInALife, HistoryIsKept, NoErrorWithoutTrouble, EveryRunEnds;
    fencing_that_claims_forget_is_found: ForgetsToFenceClaims => FencedWritesNothing, OneExecutor;
    a_dead_lease_that_is_renewed_is_found: RenewsWhatHasEnded => FencedWritesNothing;
    tokens_that_are_given_again_are_found: GivesTokensAgain => StoreKeepsItsWord;
    a_lease_that_expires_though_renewed_is_found: ExpiresWhatWasRenewed => NoErrorWithoutTrouble, OneExecutor;
    a_record_that_is_dropped_is_found: DropsTheLastRecordOfATurn => StoreKeepsItsWord;
    a_batch_that_is_torn_is_found: TearsBatches => StoreKeepsItsWord;
    a_turn_that_is_lost_is_found: WritesNothingOfLargeBatches => StoreKeepsItsWord;
    an_early_acknowledgement_is_found: WritesTurnsWithTheNextOnes => StoreKeepsItsWord;
    a_turn_that_is_written_twice_is_found: CommitsARepeatedTurnAgain => StoreKeepsItsWord, NoErrorWithoutTrouble;
    answers_in_another_order_are_found: AnswersInAnotherOrder => StoreKeepsItsWord, CreatedOnce;
    records_that_are_swapped_are_found: SwapsRecords => StoreKeepsItsWord;
    a_run_that_is_overwritten_is_found: OverwritesARunOnCreate => CreatedOnce;
    a_run_that_is_created_twice_is_found: CreatesTwiceWhenRaced => CreatedOnce;
    a_run_in_two_hands_is_found: SharesARunBetweenClaimers => OneExecutor;
    claims_without_records_are_found: ClaimsWithoutRecords => StoreKeepsItsWord;
    claims_that_leave_sleepers_are_found: ClaimsNothingThatWaits => EveryRunEnds, OneExecutor;
    a_list_without_end_is_found: ListsTheFirstPageForEver => GetsSomewhere, StoreKeepsItsWord;
    claims_that_are_not_answered_are_found: NeverAnswersClaims => EveryRunEnds;
    an_engine_that_panics_is_found: Panics => NoErrorWithoutTrouble, NoPanic, EveryRunEnds;
}
