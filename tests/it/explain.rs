//! Why a run is where it is, for those who ask.

use std::sync::Arc;

use fastn::core::{RunId, TenantId, Timestamp};
use fastn::prelude::*;
use fastn::runtime::Held;
use fastn::store::Store;
use fastn_testkit::ManualClock;

use crate::hazards::settled;
use crate::world::{Log, Res, builder, fails, memory, noted, on_every_store};

const PAID: Signal<u64> = Signal::new("paid");
const CHILD: Child<u64, u64> = Child::new("child");

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(seconds * 1_000)
}

/// Its lines but for the first, which names the run.
async fn lines<O>(engine: &Engine, run: &RunHandle<O>) -> Vec<String> {
    let explained = engine.runs().explain(run.tenant(), run.id()).await.unwrap();
    explained.to_string().lines().skip(1).map(|line| line.trim().to_owned()).collect()
}

#[tokio::test]
async fn whatever_a_run_waits_for_is_told_and_when_it_comes() {
    on_every_store("explain", async |store: Arc<dyn Store>| {
        let log = Log::default();
        let child = workflow("child").define(|flow, n: Out<'_, u64>| flow.sleep("nap", days(2), n)).unwrap();
        let flow = workflow("all")
            .define(|flow, n| {
                let fetched = flow.step("fetch", noted(&log, "fetch"), n);
                let paid = flow.wait("payment", PAID.within(days(3)), fetched);
                let rested = flow.sleep("rest", hours(5), fetched);
                let shipped = flow.run("ship", CHILD, fetched);
                let told = flow.step("tell", fails.retry(Retry::fixed(minutes(7)).attempts(3)), fetched);
                flow.join("joined", (paid, rested, shipped, told))
            })
            .unwrap();
        let clock = ManualClock::at(at(0));
        let builder = builder().store(store).clock(Arc::new(clock.clone()));
        let engine = builder.serve(&flow).serve(&child).open().await.unwrap();
        let run = engine.start(&flow, 7).await.unwrap();
        let mut told = lines(&engine, &run).await;
        while told.len() < 5 || !told.iter().any(|line| line.starts_with("ship waits")) {
            settled().await;
            told = lines(&engine, &run).await;
        }
        let ship = told.iter().position(|line| line.starts_with("ship waits")).unwrap();
        assert!(told.remove(ship).starts_with("ship waits for the end of run "));
        let expected = [
            format!("payment waits for the signal paid, until {}", at(3 * 86_400)),
            format!("rest sleeps until {}", at(5 * 3_600)),
            format!("tell: attempt 2 is due at {}", at(7 * 60)),
            format!("by itself something happens next at {}", at(7 * 60)),
        ];
        assert_eq!(told, expected);
        let explained = engine.runs().explain(run.tenant(), run.id()).await.unwrap();
        assert_eq!((explained.held, explained.next), (Held::Here, Some(at(7 * 60))));
        run.cancel("enough").await.unwrap();
        run.outcome().await.unwrap();
        let explained = engine.runs().explain(run.tenant(), run.id()).await.unwrap().to_string();
        assert!(explained.contains("has ended: cancelled") && explained.lines().count() == 1, "{explained}");
        engine.shutdown().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_step_under_way_and_an_undo_that_is_tried_again_are_told() {
    async fn stuck(_: u64) -> Res<()> {
        Err(StepError::new("not now"))
    }
    let (log, open) = (Log::default(), Arc::new(tokio::sync::Semaphore::new(0)));
    let gate = open.clone();
    let slow = move |n: u64| {
        let gate = gate.clone();
        async move {
            let _open = gate.acquire().await;
            Err::<u64, _>(StepError::permanent(format!("{n} is too much")))
        }
    };
    let flow = workflow("w")
        .define(|flow, n| {
            let held = flow.step("hold", noted(&log, "hold").undo(stuck), n);
            flow.step("pay", slow, held)
        })
        .unwrap();
    let clock = ManualClock::at(at(0));
    let engine = builder().store(memory()).clock(Arc::new(clock.clone())).serve(&flow).open().await.unwrap();
    let run = engine.start(&flow, 7).await.unwrap();
    settled().await;
    assert_eq!(lines(&engine, &run).await, ["pay: attempt 1 is under way"]);
    open.add_permits(1);
    settled().await;
    let told = lines(&engine, &run).await;
    assert_eq!(told[0], "it ends, with 1 to undo, because: pay: 7 is too much (error)", "{told:?}");
    assert!(told[1].starts_with("hold: attempt 2 of its undo is due at ") && told.len() == 3, "{told:?}");
}

#[tokio::test]
async fn whoever_does_not_serve_a_workflow_goes_by_its_plan_and_says_who_has_the_run() {
    let (store, log) = (memory(), Log::default());
    let waits = |log: &Log| {
        workflow("w")
            .define(|flow, n| {
                let fetched = flow.step("fetch", noted(log, "fetch"), n);
                flow.wait("payment", PAID, fetched)
            })
            .unwrap()
    };
    let flow = waits(&log);
    let first = builder().store(store.clone()).serve(&flow).open().await.unwrap();
    let run = first.start(&flow, 7).await.unwrap();
    while run.status().await.unwrap() != RunStatus::Waiting {
        tokio::task::yield_now().await;
    }
    let other = builder().store(store.clone()).open().await.unwrap();
    let explained = other.runs().explain(run.tenant(), run.id()).await.unwrap();
    assert!(matches!(explained.held, Held::Elsewhere(_)), "{explained}");
    assert_eq!((explained.activities.len(), explained.next), (1, None));
    assert!(explained.to_string().contains("payment waits for the signal paid"), "{explained}");
    assert!(explained.waits_for.is_some_and(|why| why.contains("does not serve")));
    first.shutdown().await.unwrap();
    let explained = other.runs().explain(run.tenant(), run.id()).await.unwrap();
    assert!(explained.to_string().contains("nobody has it just now"), "{explained}");
    let nobody = other.runs().explain(&TenantId::default(), RunId::named("nobody")).await.unwrap_err();
    assert_eq!(nobody.kind(), ErrorKind::NotFound);
}
