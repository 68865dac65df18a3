//! Steps whose outcome a person says.

use std::sync::Arc;
use std::time::Instant;

use fastn::core::{By, Decision, TenantId, Timestamp};
use fastn::prelude::*;
use fastn::runtime::machine::Doing;
use fastn::runtime::{AuditQuery, Deed};
use fastn::store::Store;
use fastn_testkit::ManualClock;
use tokio::sync::Semaphore;

use crate::hazards::{settled, soon};
use crate::world::{Log, Res, StepFuture, builder, fails, noted, on_every_store};

fn ann() -> By {
    By::new("ann", "the bank says so")
}

fn gave(value: u64) -> Decision {
    Decision::Gave(Payload::encode(&value).unwrap())
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !holds().await {
        assert!(began.elapsed() < secs(20), "{what} did not come");
        tokio::task::yield_now().await;
    }
}

/// Notes that it begins, and ends when it is let.
fn gate(log: &Log, open: &Arc<Semaphore>) -> impl Fn(u64) -> StepFuture + Clone + Send + Sync + 'static {
    let (log, open) = (log.clone(), open.clone());
    move |n| {
        let (log, open) = (log.clone(), open.clone());
        Box::pin(async move {
            log.note("charge");
            // Closed is open.
            let _ = open.acquire().await;
            Ok(n)
        })
    }
}

/// A charge that must not be made twice, and that can be given back.
fn charging(log: &Log, open: &Arc<Semaphore>) -> Workflow<u64, u64> {
    let noting = log.clone();
    let undo = move |n: u64| {
        noting.note(format!("give {n} back"));
        async { Res::Ok(()) }
    };
    workflow("pay")
        .define(|flow, n| {
            let charge = gate(log, open).durability(Durability::AtMostOnce).undo(undo);
            let paid = flow.step("charge", charge, n);
            flow.step("ship", noted(log, "ship"), paid)
        })
        .unwrap()
}

async fn check_held(store: Arc<dyn Store>) {
    for (round, decision) in [
        gave(700),
        Decision::Failed(Failure::new(FailureKind::ERROR, "it did not happen").permanent()),
        Decision::Again,
    ]
    .into_iter()
    .enumerate()
    {
        let (log, open) = (Log::default(), Arc::new(Semaphore::new(0)));
        let flow = charging(&log, &open);
        let key = format!("order {round}");
        let first = builder().store(store.clone()).serve(&flow).grace(millis(1)).open().await.unwrap();
        first.start(&flow, 7).key(&key).await.unwrap();
        until("the charge", async || log.count("charge") == 1).await;
        first.shutdown().await.unwrap();

        let second = builder().store(store.clone()).serve(&flow).open().await.unwrap();
        let (tenant, id) = (TenantId::default(), RunId::named(&key));
        let listed = async || {
            let page = second.runs().list(RunQuery::default()).await.unwrap();
            page.runs.iter().any(|run| run.key.run == id && run.is_held())
        };
        until("the doubt", listed).await;
        settled().await;
        assert_eq!(log.take(), ["charge"], "it is not made again by itself");
        let explained = second.runs().explain(&tenant, id).await.unwrap();
        assert!(matches!(explained.activities[0].doing, Doing::Doubt { .. }), "{explained}");
        assert!(explained.to_string().contains("charge: the executor died during attempt 1"), "{explained}");

        let nothing = second.runs().decide(&tenant, id, "ship", gave(1), ann()).await.unwrap_err();
        assert_eq!(nothing.kind(), ErrorKind::NotFound, "{nothing:?}");
        let nobody = second.runs().decide(&tenant, id, "charge", gave(1), "no name".into()).await.unwrap_err();
        assert_eq!(nobody.kind(), ErrorKind::Invalid);
        open.close();
        assert!(second.runs().decide(&tenant, id, "charge", decision.clone(), ann()).await.unwrap());
        let ended = soon("the run", second.runs().handle::<u64>(&tenant, id).output()).await;
        match decision {
            Decision::Gave(_) => assert_eq!((ended.unwrap(), log.take()), (700, vec!["ship".to_owned()])),
            Decision::Failed(_) => {
                let error = format!("{:?}", ended.unwrap_err());
                assert!(error.contains("it did not happen") && log.take().is_empty(), "{error}");
            }
            _ => assert_eq!((ended.unwrap(), log.take()), (7, vec!["charge".to_owned(), "ship".to_owned()])),
        }
        let page = second.runs().audit(AuditQuery { run: Some(id), ..AuditQuery::default() }).await.unwrap();
        let deed = Deed::Decide { step: "charge".to_owned(), decision: decision.as_str().to_owned() };
        assert_eq!((page.entries.len(), &page.entries[0].deed), (1, &deed), "what was refused before was not begun");
        second.shutdown().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_step_that_may_happen_once_holds_until_a_person_says_what_became_of_it() {
    on_every_store("deciding_held", check_held).await;
}

/// Whatever it does, and whoever has the run.
async fn check_skipped(store: Arc<dyn Store>) {
    let (log, open) = (Log::default(), Arc::new(Semaphore::new(0)));
    let flow = workflow("w")
        .define(|flow, n| {
            let slow = flow.step("slow", gate(&log, &open), n);
            let rested = flow.sleep("rest", days(3), n);
            let told = flow.wait("told", Signal::<u64>::new("go"), n);
            let tried = flow.step("try", fails.retry(Retry::fixed(days(1)).attempts(9)), n);
            flow.join("all", (slow, rested, told, tried))
        })
        .unwrap();
    let clock = Arc::new(ManualClock::at(Timestamp::EPOCH));
    let engine = builder().store(store.clone()).clock(clock.clone()).serve(&flow).open().await.unwrap();
    let run = engine.start(&flow, 7).await.unwrap();
    let (tenant, id) = (run.tenant().clone(), run.id());
    until("all that waits", async || {
        let activities = engine.runs().explain(&tenant, id).await.unwrap().activities;
        activities.len() == 4 && activities.iter().any(|activity| matches!(activity.doing, Doing::Retry { .. }))
    })
    .await;
    let runs = engine.runs();
    assert!(runs.skip(&tenant, id, "rest", ann()).await.unwrap(), "it passes on what it was given");
    assert!(runs.decide(&tenant, id, "told", gave(1), ann()).await.unwrap());
    assert!(runs.decide(&tenant, id, "try", gave(2), ann()).await.unwrap());
    // One that is under way: what it gives is not heeded.
    assert!(runs.decide(&tenant, id, "slow", gave(3), ann()).await.unwrap());
    assert_eq!(soon("the run", run.output()).await.unwrap(), (3, 7, 1, 2));
    open.close();
    settled().await;
    engine.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_step_is_skipped_whatever_it_is_doing() {
    on_every_store("deciding_skipped", check_skipped).await;
}

/// The order goes through the store.
async fn check_elsewhere(store: Arc<dyn Store>) {
    let (log, open) = (Log::default(), Arc::new(Semaphore::new(0)));
    let flow = workflow("w")
        .define(|flow, n| {
            let slow = flow.step("slow", gate(&log, &open), n);
            flow.step("last", noted(&log, "last"), slow)
        })
        .unwrap();
    let first = builder().store(store.clone()).serve(&flow).open().await.unwrap();
    let run = first.start(&flow, 7).await.unwrap();
    until("the step", async || log.count("charge") == 1).await;
    // It serves nothing, and goes by the plan in the store.
    let other = builder().store(store.clone()).open().await.unwrap();
    let (tenant, id) = (run.tenant().clone(), run.id());
    assert!(other.runs().decide(&tenant, id, "slow", gave(9), ann()).await.unwrap());
    assert_eq!(soon("the run", run.output()).await.unwrap(), 9);
    assert_eq!(log.take(), ["charge", "last"]);
    let late = other.runs().decide(&tenant, id, "slow", gave(9), ann()).await.unwrap_err();
    assert_eq!(late.kind(), ErrorKind::NotFound, "it has ended");
    open.close();
    other.shutdown().await.unwrap();
    first.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_step_of_a_run_that_another_has_is_decided_about() {
    on_every_store("deciding_elsewhere", check_elsewhere).await;
}
