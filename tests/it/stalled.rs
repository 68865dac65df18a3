//! A process that is stopped for longer than its lease and goes on: what it still has to write is refused.

use std::sync::Arc;

use fastn::core::Event;
use fastn::prelude::*;
use fastn::store::{History, RunKey, Store};
use fastn_testkit::FaultStore;
use fastn_testkit::server::PrivatePostgres;
use tokio::sync::Semaphore;

use crate::copies::Copy;
use crate::killed::histories;
use crate::world::{Res, builder};

/// Set for the copy of this program that is to be stopped: the URL of its store.
const STALLED: &str = "FASTN_TEST_STALLED";

const RUNS: u64 = 8;

/// What the stopped process adds to what it is given, so that its results are told from the other's.
const OF_STALLED: u64 = 1_000;

/// A run whose second step waits at a gate, and gives what it was given and `more`.
#[allow(clippy::print_stdout, reason = "its parent listens")]
fn gated(more: u64, gate: impl Fn(u64) -> Arc<Semaphore> + Clone + Send + Sync + 'static) -> Workflow<u64, u64> {
    let held = move |n: u64| {
        let gate = gate(n);
        async move {
            println!("\nholds");
            // Closed is open.
            let _ = gate.acquire().await;
            Res::Ok(n + more)
        }
    };
    let same = |n: u64| async move { Res::Ok(n) };
    workflow("gated")
        .define(|flow, n| {
            let first = flow.step("first", same, n);
            let held = flow.step("held", held, first);
            flow.step("last", same, held)
        })
        .unwrap()
}

fn name(n: u64) -> String {
    format!("run {n}")
}

async fn engine(store: Arc<dyn Store>, flow: &Workflow<u64, u64>) -> Engine {
    builder().store(store).lease(secs(1)).serve(flow).open().await.unwrap()
}

/// Not a test of its own: what the copy does. Without the variable it has nothing to do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn victim() {
    let Ok(url) = std::env::var(STALLED) else { return };
    let gate = Arc::new(Semaphore::new(0));
    let held = gate.clone();
    let flow = gated(OF_STALLED, move |_| held.clone());
    let store = FaultStore::new(fastn::store::open(&url).await.unwrap(), |_, batch| {
        println!("\ncommits under {}", batch.lease.unwrap_or_default());
        None
    });
    let engine = engine(Arc::new(store.clone()), &flow).await;
    for n in 0..RUNS {
        engine.start(&flow, n).key(&name(n)).await.unwrap();
    }
    // What it hears first of the loss of its lease is that a commit is refused.
    store.hold_renewals();
    println!("\nready");
    tokio::task::spawn_blocking(|| std::io::stdin().read_line(&mut String::new())).await.unwrap().unwrap();
    gate.close();
    for n in (0..RUNS).step_by(2) {
        let run = engine.runs().handle::<u64>(&TenantId::default(), RunId::named(&name(n)));
        println!("\ntold {}", run.output().await.unwrap());
    }
    store.let_renewals();
    engine.start(&flow, OF_STALLED).key("later").await.unwrap().output().await.unwrap();
    println!("\nback");
    std::future::pending::<()>().await;
}

/// What its step gave, as often as that is recorded.
fn held(run: &History, plan: &fastn::core::Plan) -> Vec<u64> {
    let of = |event: &Event| match event {
        Event::Succeeded { at, output, .. } if plan.path_at(at) == "held" => Some(output.decode().unwrap()),
        _ => None,
    };
    run.records.iter().filter_map(|record| of(&record.event)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_was_stopped_for_longer_than_its_lease_commits_nothing() {
    let server = PrivatePostgres::shared().unwrap();
    let url = server.database("stalled").unwrap();
    let mut copy = Copy::begin("stalled::victim", STALLED, &url);
    let before = copy.until("ready");
    let lease = before.iter().rfind(|line| line.starts_with("commits under")).unwrap().clone();
    copy.signal("-STOP");

    // Every other run goes on to its end here, and the rest is held once more: nothing of them is over.
    let (open, shut) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    open.close();
    let gates = [open, shut.clone()];
    let flow = gated(0, move |n| gates[usize::try_from(n % 2).unwrap()].clone());
    let store = fastn::store::open(&url).await.unwrap();
    let engine = engine(store.clone(), &flow).await;
    let handle = |n: u64| engine.runs().handle::<u64>(&TenantId::default(), RunId::named(&name(n)));
    for n in (0..RUNS).step_by(2) {
        assert_eq!(handle(n).output().await.unwrap(), n);
    }
    copy.tell("go");
    copy.signal("-CONT");
    let after = tokio::task::spawn_blocking(move || (copy.until("back"), copy)).await.unwrap();
    assert!(after.0.contains(&lease), "it tried to write under {lease}: {:#?}", after.0);
    let told: Vec<_> = after.0.iter().filter_map(|line| line.strip_prefix("told ")?.parse::<u64>().ok()).collect();
    assert_eq!(told, (0..RUNS).step_by(2).collect::<Vec<_>>(), "it learns what the other has recorded");
    let token = lease.rsplit(' ').next().unwrap();
    let written = server.sql("stalled", &format!("SELECT count(*) FROM fastn.flow_journal WHERE token = {token}"));
    assert_eq!(written.unwrap(), "0", "under the lease that it had");

    let read = async |n: u64| {
        let key = RunKey { tenant: TenantId::default(), run: RunId::named(&name(n)) };
        store.read(&key).await.unwrap().unwrap()
    };
    for n in 0..RUNS {
        let recorded = held(&read(n).await, flow.plan());
        let expected: &[u64] = if n % 2 == 0 { &[n] } else { &[] };
        assert_eq!(recorded, expected, "of run {n}");
    }
    shut.close();
    for n in 0..RUNS {
        assert_eq!(handle(n).output().await.unwrap(), n);
    }
    drop(after);
    engine.shutdown().await.unwrap();
    let all = tokio::task::spawn_blocking(move || histories(&url)).await.unwrap();
    assert_eq!(all.len() as u64, RUNS + 1);
    for run in all.iter().filter(|run| run.run.key.run != RunId::named("later")) {
        let recorded = held(run, flow.plan());
        assert!(recorded.len() == 1 && recorded[0] < OF_STALLED, "{recorded:?} of {}", run.run.key.run);
        let ends = run.records.iter().filter(|record| matches!(record.event, Event::Finished { .. })).count();
        assert_eq!(ends, 1, "of {}", run.run.key.run);
    }
}
