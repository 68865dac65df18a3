//! Time: sleeps, waits for retries, and runs that leave memory meanwhile.

use std::sync::Arc;
use std::time::Duration;

use fastn::core::Timestamp;
use fastn::prelude::*;
use fastn::runtime::Clock;
use fastn_testkit::ManualClock;

use crate::world::{Log, builder, fails, memory, noted, on_every_store};

const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

fn clock() -> ManualClock {
    ManualClock::at(Timestamp::from_millis(1_800_000_000_000))
}

/// Lets the engine do what it can do at the present time.
async fn until_waiting<O>(run: &RunHandle<O>) {
    while run.status().await.unwrap() != RunStatus::Waiting {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_sleep_of_years_survives_engines_and_costs_no_memory_meanwhile() {
    let (log, store, clock) = (Log::default(), memory(), clock());
    let flow = workflow("patient")
        .define(|flow, n| {
            let before = flow.step("before", noted(&log, "before"), n);
            let rested = flow.sleep("rest", 10 * YEAR, before);
            flow.step("after", noted(&log, "after"), rested)
        })
        .unwrap();
    let open = || builder().store(store.clone()).clock(Arc::new(clock.clone())).serve(&flow).open();

    let engine = open().await.unwrap();
    let run = engine.start(&flow, 7).await.unwrap();
    until_waiting(&run).await;
    let (tenant, id) = (run.tenant().clone(), run.id());
    engine.shutdown().await.unwrap();
    drop((run, engine));

    clock.advance(9 * YEAR);
    let engine = open().await.unwrap();
    let run = engine.runs().handle::<u64>(&tenant, id);
    until_waiting(&run).await;
    assert_eq!(log.take(), ["before"]);
    clock.advance(YEAR);
    assert_eq!(run.output().await.unwrap(), 7);
    assert_eq!(log.take(), ["after"]);
}

#[tokio::test]
async fn runs_that_wait_at_once_wake_in_order() {
    let (log, clock) = (Log::default(), clock());
    let naps = |name: &'static str, nap: Duration| {
        workflow(name)
            .define(|flow, n| {
                let rested = flow.sleep("rest", nap, n);
                flow.step("after", noted(&log, name), rested)
            })
            .unwrap()
    };
    let flows = [naps("c", secs(30)), naps("a", secs(10)), naps("b", secs(20))];
    let builder = builder().store(memory()).clock(Arc::new(clock.clone()));
    let engine = flows.iter().fold(builder, |builder, flow| builder.serve(flow)).open().await.unwrap();
    let mut runs = Vec::new();
    for flow in &flows {
        let run = engine.start(flow, 1).await.unwrap();
        until_waiting(&run).await;
        runs.push(run);
    }
    for second in [9, 10, 20, 30_u64] {
        clock.set(Timestamp::from_millis(1_800_000_000_000 + second as i64 * 1_000));
        if second >= 10 {
            while log.take().is_empty() {
                tokio::task::yield_now().await;
            }
        }
    }
    for run in runs {
        run.output().await.unwrap();
    }
}

#[tokio::test]
async fn a_wait_for_a_retry_is_durable() {
    on_every_store("waiting_backoff", async |store| {
        let (log, store, clock) = (Log::default(), store.clone(), clock());
        let note = log.clone();
        let flaky = move |n: u64| {
            note.note("try");
            let fail = note.count("try") < 2;
            async move { if fail { Err(StepError::new("not yet")) } else { Ok(n) } }
        };
        let flow = workflow("flaky")
            .define(|flow, n| flow.step("flaky", flaky.retry(Retry::fixed(hours(1)).attempts(2)), n))
            .unwrap();
        let open = || builder().store(store.clone()).clock(Arc::new(clock.clone())).serve(&flow).open();
        let engine = open().await.unwrap();
        let run = engine.start(&flow, 7).await.unwrap();
        until_waiting(&run).await;
        let (tenant, id) = (run.tenant().clone(), run.id());
        engine.shutdown().await.unwrap();

        clock.advance(minutes(59));
        let engine = open().await.unwrap();
        let run = engine.runs().handle::<u64>(&tenant, id);
        until_waiting(&run).await;
        assert_eq!(log.count("try"), 1, "an hour is not over yet");
        clock.advance(minutes(1));
        assert_eq!(run.output().await.unwrap(), 7);
        assert_eq!(log.count("try"), 2);
    })
    .await;
}

#[tokio::test]
async fn a_clock_that_is_set_back_delays_but_loses_nothing() {
    let (log, clock) = (Log::default(), clock());
    let flow = workflow("w")
        .define(|flow, n| {
            let rested = flow.sleep("rest", minutes(1), n);
            flow.step("after", noted(&log, "after"), rested)
        })
        .unwrap();
    let engine = builder().store(memory()).clock(Arc::new(clock.clone())).serve(&flow).open().await.unwrap();
    let run = engine.start(&flow, 7).await.unwrap();
    until_waiting(&run).await;
    clock.set(Timestamp::EPOCH);
    assert_eq!(run.status().await.unwrap(), RunStatus::Waiting);
    clock.set(Timestamp::from_millis(1_800_000_060_000));
    assert_eq!(run.output().await.unwrap(), 7);
}

/// A clock as machines have them: who sleeps is woken when the time has passed, and not because the calendar was set.
#[derive(Clone, Debug)]
struct Timers(ManualClock);

impl Clock for Timers {
    fn now(&self) -> Timestamp {
        self.0.now()
    }

    fn uptime(&self) -> Duration {
        self.0.uptime()
    }

    fn sleep(&self, span: Duration) -> fastn::core::BoxFuture<'static, ()> {
        let (clock, end) = (self.0.clone(), self.uptime().saturating_add(span));
        Box::pin(async move {
            while let Some(left) = end.checked_sub(clock.uptime()).filter(|left| !left.is_zero()) {
                clock.sleep(left).await;
            }
        })
    }
}

#[tokio::test]
async fn a_calendar_that_is_set_forward_is_noticed_within_half_a_minute() {
    let (log, clock) = (Log::default(), clock());
    let flow = workflow("patient")
        .define(|flow, n| {
            let rested = flow.sleep("rest", hours(9), n);
            flow.step("after", noted(&log, "after"), rested)
        })
        .unwrap();
    let builder = builder().store(memory()).clock(Arc::new(Timers(clock.clone())));
    let engine = builder.serve(&flow).open().await.unwrap();
    let run = engine.start(&flow, 7).await.unwrap();
    until_waiting(&run).await;
    crate::hazards::settled().await;
    clock.set(clock.now().plus(hours(10)));
    crate::hazards::settled().await;
    assert_eq!(log.count("after"), 0, "nobody is told that it was set");
    clock.advance(secs(30));
    assert_eq!(crate::hazards::soon("the run", run.output()).await.unwrap(), 7);
    engine.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_run_that_waits_can_be_cancelled() {
    let clock = clock();
    let flow = workflow("w")
        .define(|flow, n| {
            let rested = flow.sleep("rest", days(1), n);
            flow.step("fails", fails, rested)
        })
        .unwrap();
    let engine = builder().store(memory()).clock(Arc::new(clock)).serve(&flow).open().await.unwrap();
    let run = engine.start(&flow, 7).await.unwrap();
    until_waiting(&run).await;
    assert!(run.cancel("never mind").await.unwrap());
    assert_eq!(run.output().await.unwrap_err().kind(), ErrorKind::Cancelled);
}

/// In the order in which they are due, whoever has them by then.
#[tokio::test]
async fn a_thousand_timers_go_off_in_order_and_once_in_the_next_engine() {
    on_every_store("timers", async |store| {
        let (log, clock) = (Log::default(), clock());
        let note = log.clone();
        let wake = move |n: u64| {
            note.note(n.to_string());
            async move { Ok::<_, StepError>(n) }
        };
        let flows: Vec<Workflow<u64, u64>> = (0..100)
            .map(|n| {
                let (wake, rest) = (wake.clone(), secs(60 + n));
                workflow(&format!("rests {n}"))
                    .define(|flow, n| {
                        let rested = flow.sleep("rest", rest, n);
                        flow.step("wake", wake, rested)
                    })
                    .unwrap()
            })
            .collect();
        let open = || {
            let builder = builder().store(store.clone()).clock(Arc::new(clock.clone()));
            flows.iter().fold(builder, |builder, flow| builder.serve(flow)).open()
        };
        let engine = open().await.unwrap();
        let mut runs = Vec::new();
        for n in 0..1_000_usize {
            // Not in the order in which they are due.
            let flow = &flows[n * 37 % 100];
            runs.push(engine.start(flow, (n * 37 % 100) as u64).await.unwrap());
        }
        for run in &runs {
            until_waiting(run).await;
        }
        let ids: Vec<_> = runs.iter().map(|run| (run.tenant().clone(), run.id())).collect();
        drop(runs);
        engine.shutdown().await.unwrap();
        let engine = open().await.unwrap();
        let runs: Vec<_> = ids.iter().map(|(tenant, id)| engine.runs().handle::<u64>(tenant, *id)).collect();
        for run in &runs {
            until_waiting(run).await;
        }
        assert!(log.take().is_empty());
        let mut woken = Vec::new();
        for second in 0..100 {
            clock.set(Timestamp::from_millis(1_800_000_000_000 + (60 + second) * 1_000));
            let mut now = Vec::new();
            while now.len() < 10 {
                now.append(&mut log.take());
                tokio::task::yield_now().await;
            }
            woken.append(&mut now);
        }
        for run in &runs {
            run.output().await.unwrap();
        }
        woken.append(&mut log.take());
        let due: Vec<String> = (0..1_000).map(|n| (n / 10).to_string()).collect();
        assert_eq!(woken, due, "each once, and none before its time");
        engine.shutdown().await.unwrap();
    })
    .await;
}
