//! Runs that are cancelled by an engine that cannot run them.

use std::sync::Arc;

use fastn::core::Event;
use fastn::prelude::*;
use fastn::runtime::Queue;
use fastn::store::Store;
use fastn_testkit::FaultStore;

use crate::world::{Log, Res, StepFuture, builder, memory, noted, on_every_store};

/// Two steps, of which the second does not end, and whoever is to be undone notes that.
fn versioned(log: &Log, version: u32) -> Workflow<u64, u64> {
    let (noting, holding) = (log.clone(), log.clone());
    let undo = move |_: u64| {
        noting.note("undo");
        async { Res::Ok(()) }
    };
    let hold = move |_: u64| -> StepFuture {
        let log = holding.clone();
        Box::pin(async move {
            log.note("held");
            std::future::pending().await
        })
    };
    workflow("work")
        .version(version)
        .define(|flow, n| {
            let n = flow.step("first", noted(log, "first").undo(undo), n);
            flow.step("hold", hold, n)
        })
        .unwrap()
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let began = std::time::Instant::now();
    while !holds().await {
        assert!(began.elapsed() < secs(20), "{what} did not come");
        tokio::task::yield_now().await;
    }
}

/// What one engine has started, and cannot run, another one cancels that knows nothing of it.
async fn check(store: Arc<dyn Store>) {
    let log = Log::default();
    let old = versioned(&log, 1);
    let queue = || Queue::new("q").concurrency(1);
    let first = builder().store(store.clone()).queue(queue()).serve(&old).open().await.unwrap();
    first.queues().pause("q").await.unwrap();
    let (one, two) = (first.start(&old, 1).queue("q").await.unwrap(), first.start(&old, 2).queue("q").await.unwrap());
    let (one, two) = (one.id(), two.id());
    first.shutdown().await.unwrap();

    let new = workflow("work").version(2).define(|flow, n| flow.step("do", noted(&log, "new"), n)).unwrap();
    let second = builder().store(store).queue(queue()).serve(&new).open().await.unwrap();
    let counts = second.queues().counts("q", 0).await.unwrap();
    assert_eq!((counts.waiting, counts.running), (2, 0));
    let run = second.runs().handle::<u64>(&TenantId::default(), one);
    let waiting = tokio::spawn(async move { run.output().await });
    assert!(second.runs().cancel(&TenantId::default(), one, "not needed").await.unwrap());
    let told = waiting.await.unwrap().unwrap_err();
    assert!(told.kind() == ErrorKind::Cancelled && format!("{told:?}").contains("not needed"), "{told:?}");
    assert!(!second.runs().cancel(&TenantId::default(), one, "again").await.unwrap());
    assert!(second.runs().cancel(&TenantId::default(), two, "this too").await.unwrap());
    let found = second.runs().inspect(&TenantId::default(), two).await.unwrap();
    assert!(matches!(found.outcome, Some(Outcome::Cancelled(_))), "{found:?}");
    assert!(matches!(&found.history.records[0].event, Event::CancelRequested { reason, .. } if reason == "this too"));
    second.queues().resume("q").await.unwrap();
    assert_eq!(second.start(&new, 7).queue("q").await.unwrap().output().await.unwrap(), 7);
    let counts = second.queues().counts("q", 0).await.unwrap();
    assert_eq!((counts.waiting, counts.running), (0, 0));
    second.shutdown().await.unwrap();
    assert_eq!(log.take(), ["new"]);
}

#[tokio::test]
async fn a_run_that_nobody_serves_is_cancelled_before_it_begins() {
    on_every_store("withdrawn", check).await;
}

#[tokio::test]
async fn a_run_whose_tags_nobody_has_is_cancelled_too() {
    on_every_store("withdrawn_tags", check_tags).await;
}

async fn check_tags(store: Arc<dyn Store>) {
    let log = Log::default();
    let flow = workflow("w").requires("gpu").define(|flow, n| flow.step("do", noted(&log, "do"), n)).unwrap();
    let plain = builder().store(store.clone()).serve(&flow).open().await.unwrap();
    let run = plain.start(&flow, 7).await.unwrap();
    let stranger = builder().store(store).open().await.unwrap();
    assert!(stranger.runs().cancel(run.tenant(), run.id(), "no").await.unwrap());
    assert_eq!(run.output().await.unwrap_err().kind(), ErrorKind::Cancelled);
    assert_eq!(log.count("do"), 0);
}

/// What it has done only its own program can undo. Until that is there, whoever looks sees what it waits for.
#[tokio::test]
async fn a_run_that_was_begun_is_cancelled_when_somebody_serves_it_and_says_so_until_then() {
    on_every_store("withdrawn_begun", check_begun).await;
}

async fn check_begun(store: Arc<dyn Store>) {
    let log = Log::default();
    let old = versioned(&log, 1);
    let queue = || Queue::new("q").concurrency(1);
    let first = builder().store(store.clone()).queue(queue()).serve(&old).grace(millis(1)).open().await.unwrap();
    let run = first.start(&old, 1).queue("q").await.unwrap();
    until("the step", async || log.count("held") == 1).await;
    let (tenant, id) = (run.tenant().clone(), run.id());
    drop(run);
    first.shutdown().await.unwrap();

    let second = builder().store(store.clone()).queue(queue()).open().await.unwrap();
    let inspect = async |engine: &Engine| engine.runs().inspect(&tenant, id).await.unwrap();
    assert_eq!(inspect(&second).await.cancelling, None);
    assert!(second.runs().cancel(&tenant, id, "not needed").await.unwrap());
    let found = inspect(&second).await;
    assert_eq!((found.outcome, found.cancelling.as_deref()), (None, Some("not needed")));
    let why = "work v1, which this engine does not serve; its cancellation waits for an executor that serves it";
    assert_eq!(found.waits_for.as_deref(), Some(why));
    assert_eq!(log.count("undo"), 0);

    second.shutdown().await.unwrap();
    let third = builder().store(store).queue(queue()).serve(&old).open().await.unwrap();
    let run = third.runs().handle::<u64>(&tenant, id);
    assert_eq!(run.output().await.unwrap_err().kind(), ErrorKind::Cancelled);
    assert_eq!((log.count("undo"), inspect(&third).await.cancelling), (1, None));
}

#[tokio::test]
async fn a_withdrawal_whose_answer_was_lost_is_known() {
    let (store, log) = (memory(), Log::default());
    let flow = workflow("w").requires("gpu").define(|flow, n| flow.step("do", noted(&log, "do"), n)).unwrap();
    let lossy = FaultStore::new(store, |_, _| None);
    let plain = builder().store(Arc::new(lossy.clone()) as Arc<dyn Store>).serve(&flow).open().await.unwrap();
    let run = plain.start(&flow, 1).await.unwrap();
    lossy.lose_withdrawals(2);
    assert!(run.cancel("not needed").await.unwrap());
    assert_eq!(run.output().await.unwrap_err().kind(), ErrorKind::Cancelled);
    assert!(!run.cancel("again").await.unwrap());
}
