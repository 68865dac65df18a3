//! Steps that misbehave: each becomes a failure that says what happened, and the engine goes on.

use std::collections::BTreeMap;
use std::time::Duration;

use fastn::prelude::*;

use crate::world::{Log, Res, builder, fails, failure_of, memory, noted};

/// Runs a flow to its failure, and then another flow on the same engine to see that it still works.
async fn check(flow: &Workflow<u64, u64>, kind: &str, says: &str) -> Failure {
    let log = Log::default();
    let fine = workflow("fine").define(|flow, n| flow.step("fine", noted(&log, "fine"), n)).unwrap();
    let engine = builder().store(memory()).max_payload(1_000).serve(flow).serve(&fine).open().await.unwrap();
    let (status, failure) = failure_of(&engine.start(flow, 1).await.unwrap()).await;
    assert_eq!(status, RunStatus::Failed);
    assert_eq!(failure.kind.as_str(), kind, "{failure}");
    assert!(failure.message.contains(says), "{failure}");
    assert_eq!(engine.start(&fine, 7).await.unwrap().output().await.unwrap(), 7);
    engine.shutdown().await.unwrap();
    failure
}

#[tokio::test]
async fn an_error_is_recorded_with_its_chain_and_its_node() {
    async fn ask(_: u64) -> Res<u64> {
        Err(Error::new(ErrorKind::Unavailable, "ask the bank").caused_by("connection reset"))?
    }
    let flow = workflow("w").define(|flow, n| flow.step("ask", ask, n)).unwrap();
    let failure = check(&flow, "error", "ask the bank: unavailable").await;
    assert_eq!(failure.node.as_deref(), Some("ask"));
    assert_eq!(failure.chain, ["connection reset"]);
}

#[tokio::test]
async fn a_panic_is_a_failure() {
    async fn boom(n: u64) -> Res<u64> {
        if n == 1 { panic!("it was {n}") } else { Ok(n) }
    }
    let flow = workflow("w").define(|flow, n| flow.step("boom", boom, n)).unwrap();
    check(&flow, "panic", "panicked: it was 1").await;
}

#[tokio::test]
async fn a_panic_with_a_deadline_is_a_failure_too() {
    async fn boom(_: u64) -> Res<u64> {
        tokio::task::yield_now().await;
        panic!("late")
    }
    let flow = workflow("w").define(|flow, n| flow.step("boom", boom.within(secs(60)), n)).unwrap();
    check(&flow, "panic", "panicked: late").await;
}

#[tokio::test]
async fn a_value_that_json_cannot_hold_is_a_failure_and_is_not_retried() {
    // JSON has no objects whose keys are lists.
    type Odd = BTreeMap<Vec<u8>, u8>;
    let log = Log::default();
    let note = log.clone();
    let odd = move |_: u64| {
        note.note("odd");
        async { Res::Ok(Odd::from([(vec![1], 1)])) }
    };
    async fn never(_: Odd) -> Res<u64> {
        Ok(0)
    }
    let flow = workflow("w")
        .define(|flow, n| {
            let odd = flow.step("odd", odd.retry(5), n);
            flow.step("never", never, odd)
        })
        .unwrap();
    check(&flow, "invalid", "the output of `odd` is a `BTreeMap<Vec<u8>, u8>` that JSON cannot hold").await;
    assert_eq!(log.count("odd"), 1);
}

#[tokio::test]
async fn a_value_that_is_too_large_is_a_failure_and_is_not_retried() {
    async fn large(_: u64) -> Res<String> {
        Ok("x".repeat(2_000))
    }
    async fn len(text: String) -> Res<u64> {
        Ok(text.len() as u64)
    }
    let flow = workflow("w")
        .define(|flow, n| {
            let text = flow.step("large", large.retry(5), n);
            flow.step("len", len, text)
        })
        .unwrap();
    check(&flow, "too_large", "gave 2002 bytes, and 1000 are allowed").await;
}

#[tokio::test]
async fn a_step_past_its_deadline_is_cut_off() {
    let flow = workflow("w")
        .define(|flow, n| {
            let forever = |n: u64| async move {
                std::future::pending::<()>().await;
                Res::Ok(n)
            };
            flow.step("forever", forever.within(millis(20)), n)
        })
        .unwrap();
    check(&flow, "timeout", "took longer than 20ms").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_step_that_blocks_its_thread_past_its_deadline_is_not_waited_for() {
    let (release, gate) = std::sync::mpsc::channel::<()>();
    let gate = std::sync::Mutex::new(gate);
    let gate = std::sync::Arc::new(gate);
    let blocks = move |n: u64| {
        let gate = gate.clone();
        async move {
            // Blocks the thread, not the task, until the test is over.
            let _ = gate.lock().unwrap().recv_timeout(Duration::from_secs(30));
            Res::Ok(n)
        }
    };
    let flow = workflow("w").define(|flow, n| flow.step("blocks", blocks.within(millis(20)), n)).unwrap();
    let engine = builder().store(memory()).serve(&flow).open().await.unwrap();
    let (_, failure) = failure_of(&engine.start(&flow, 1).await.unwrap()).await;
    assert_eq!(failure.kind, FailureKind::TIMEOUT);
    release.send(()).unwrap();
    engine.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_deadline_of_the_whole_step_bounds_its_retries() {
    let flow = workflow("w")
        .define(|flow, n| flow.step("fails", fails.retry(Retry::fixed(secs(3600))).deadline(secs(60)), n))
        .unwrap();
    check(&flow, "error", "no").await;
}

#[tokio::test]
async fn an_input_of_the_wrong_type_is_a_failure_that_names_it() {
    // What a document or another program would do: the same workflow, but not the same types.
    async fn double(n: u64) -> Res<u64> {
        Ok(n * 2)
    }
    let flow: Workflow<u64, u64> = workflow("w").define(|flow, n| flow.step("double", double.retry(9), n)).unwrap();
    let liar: Workflow<String, u64> = Workflow::assume(flow.definition().clone());
    let engine = builder().store(memory()).serve(&flow).open().await.unwrap();
    let (_, failure) = failure_of(&engine.start(&liar, "seven".to_owned()).await.unwrap()).await;
    assert_eq!(failure.kind, FailureKind::INVALID);
    assert!(failure.message.contains("u64"), "{failure}");
    engine.shutdown().await.unwrap();
}

#[tokio::test]
async fn an_output_of_the_wrong_type_is_an_error_at_the_handle() {
    let log = Log::default();
    let flow: Workflow<u64, u64> = workflow("w").define(|flow, n| flow.step("a", noted(&log, "a"), n)).unwrap();
    let liar: Workflow<u64, String> = Workflow::assume(flow.definition().clone());
    let engine = builder().store(memory()).serve(&flow).open().await.unwrap();
    let error = engine.start(&liar, 1).await.unwrap().output().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
}

#[tokio::test]
async fn another_function_takes_over_when_a_step_failed() {
    async fn instead(failure: Failure, n: u64) -> Res<u64> {
        assert_eq!(failure.message, "no");
        Ok(n + 100)
    }
    let flow = workflow("w").define(|flow, n| flow.step("a", fails.on_error(instead), n)).unwrap();
    let engine = builder().store(memory()).serve(&flow).open().await.unwrap();
    assert_eq!(engine.start(&flow, 1).await.unwrap().output().await.unwrap(), 101);
}
