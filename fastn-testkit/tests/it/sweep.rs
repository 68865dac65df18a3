//! A sweep finds promises that are not kept, and says where.

use std::future::Ready;
use std::sync::Arc;

use fastn_core::{StepError, Workflow};
use fastn_runtime::Engine;
use fastn_store::Store;
use fastn_testkit::Effects;
use fastn_testkit::sweep::{BrokenPromise, CrashSweep};
use fastn_workflow::workflow;

use crate::broken::{BrokenStore, Flaw};

fn step(
    effects: &Effects,
    name: &'static str,
) -> impl Fn(u64) -> Ready<Result<u64, StepError>> + Clone + Send + Sync + use<> {
    let effects = effects.clone();
    move |n| {
        effects.note(name);
        std::future::ready(Ok(n))
    }
}

/// Three steps, of which the second may note another name than its own.
fn three(effects: &Effects, second: &'static str) -> Workflow<u64, u64> {
    workflow("three")
        .define(|flow, n| {
            let a = flow.step("a", step(effects, "a"), n);
            let b = flow.step("b", step(effects, second), a);
            flow.step("c", step(effects, "c"), b)
        })
        .unwrap()
}

fn sweep(flaw: Flaw) -> BrokenPromise {
    let effects = Effects::default();
    let flow = three(&effects, "b");
    let start = |engine: &Engine| engine.start(&flow, 7).key("one");
    let sweep = CrashSweep::new(&effects, |builder| builder.serve(&flow), start);
    *sweep.on(move || async move { Ok(Arc::new(BrokenStore::new(flaw)) as Arc<dyn Store>) }).run().unwrap_err()
}

#[test]
fn a_store_that_acknowledges_early_is_found() {
    let broken = sweep(Flaw::WritesTurnsWithTheNextOnes);
    assert_eq!(broken.what, "`b` ran before the result of `a` was recorded");
    assert!(broken.to_string().starts_with("the process died before call "), "{broken}");
}

#[test]
fn a_store_that_loses_records_is_found() {
    let broken = sweep(Flaw::DropsTheLastRecordOfATurn);
    assert_eq!(broken.deaths, Vec::<String>::new(), "there need be no death: {broken}");
}

#[test]
fn a_store_whose_claims_forget_the_records_is_found() {
    let broken = sweep(Flaw::ClaimsWithoutRecords);
    assert!(broken.to_string().contains("the process died"), "{broken}");
}

#[test]
fn an_effect_of_no_step_is_an_error() {
    let effects = Effects::default();
    let flow = three(&effects, "bb");
    let start = |engine: &Engine| engine.start(&flow, 7).key("one");
    let broken = CrashSweep::new(&effects, |builder| builder.serve(&flow), start).run().unwrap_err();
    assert_eq!(broken.to_string(), "without a death: `bb` was noted, and is the path of no step");
}

#[test]
fn a_step_that_does_its_work_twice_is_found() {
    let effects = Effects::default();
    let flow = three(&effects, "a");
    let start = |engine: &Engine| engine.start(&flow, 7).key("one");
    let broken = CrashSweep::new(&effects, |builder| builder.serve(&flow), start).run().unwrap_err();
    assert_eq!(broken.what, "`a` ran 2 times in a life in which 1 attempts were recorded");
}

#[test]
fn a_start_that_cannot_be_repeated_is_an_error() {
    let effects = Effects::default();
    let flow = three(&effects, "b");
    let start = |engine: &Engine| engine.start(&flow, 7);
    let broken = CrashSweep::new(&effects, |builder| builder.serve(&flow), start).run().unwrap_err();
    assert!(broken.what.contains("starts need a key or an id"), "{broken}");
}
