//! Runs that are paused, and who did what to which.

use std::sync::Arc;
use std::time::Instant;

use fastn::core::{By, Event, RunId, TenantId, Timestamp};
use fastn::prelude::*;
use fastn::runtime::{AuditQuery, Deed, Queue, RunFilter, Steering};
use fastn::store::{SqliteOptions, SqliteStore, Store};
use fastn_testkit::ManualClock;
use tokio::sync::Semaphore;

use crate::copies::Copy;
use crate::hazards::{settled, soon};
use crate::world::{Log, Res, StepFuture, builder, memory, noted, on_every_store};

/// In which file the copy runs its run.
const BUSY: &str = "FASTN_TEST_PAUSED";

const GO: Signal<u64> = Signal::new("go");

fn ann(why: &str) -> By {
    By::new("ann", why)
}

/// Notes that it begins, and ends when it is let.
fn gate(log: &Log, open: &Arc<Semaphore>) -> impl Fn(u64) -> StepFuture + Clone + Send + Sync + 'static {
    let (log, open) = (log.clone(), open.clone());
    move |n| {
        let (log, open) = (log.clone(), open.clone());
        Box::pin(async move {
            log.note("gate");
            // Closed is open.
            let _ = open.acquire().await;
            Ok(n)
        })
    }
}

/// A gate and a step behind it.
fn gated(log: &Log, open: &Arc<Semaphore>) -> Workflow<u64, u64> {
    workflow("gated")
        .define(|flow, n| {
            let n = flow.step("gate", gate(log, open), n);
            flow.step("last", noted(log, "last"), n)
        })
        .unwrap()
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !holds().await {
        assert!(began.elapsed() < secs(20), "{what} did not come");
        tokio::task::yield_now().await;
    }
}

/// Whether a run is listed as one that is paused.
async fn is_listed(engine: &Engine, run: RunId) -> bool {
    let page = engine.runs().list(RunQuery::default()).await.unwrap();
    page.runs.iter().any(|found| found.key.run == run && found.is_paused())
}

async fn check_anywhere(store: Arc<dyn Store>) {
    let (log, open) = (Log::default(), Arc::new(Semaphore::new(0)));
    let flow = gated(&log, &open);
    let first = builder().store(store.clone()).serve(&flow).open().await.unwrap();
    let other = builder().store(store.clone()).open().await.unwrap();
    let run = first.start(&flow, 7).await.unwrap();
    until("the step", async || log.count("gate") == 1).await;
    let (tenant, id) = (run.tenant().clone(), run.id());
    // Whoever has it, and whoever has not.
    assert!(other.runs().pause(&tenant, id, ann("stocktaking")).await.unwrap());
    until("the pause", async || first.runs().inspect(&tenant, id).await.unwrap().paused.is_some()).await;
    assert!(!run.pause(ann("once more")).await.unwrap(), "it is paused");
    open.add_permits(1);
    until("the result", async || is_listed(&first, id).await).await;
    settled().await;
    assert_eq!(log.take(), ["gate"], "what was under way is recorded, and nothing begins");
    let explained = other.runs().explain(&tenant, id).await.unwrap();
    assert_eq!(explained.paused.as_ref().map(|paused| &paused.by), Some(&ann("stocktaking")));
    assert!(explained.next.is_none(), "{explained}");
    let told = explained.to_string();
    assert!(told.contains("it is paused since") && told.contains("by ann: stocktaking"), "{told}");

    // It stays so, whoever has it next. On SQLite that would be who stands by.
    other.shutdown().await.unwrap();
    first.shutdown().await.unwrap();
    let third = builder().store(store.clone()).serve(&flow).open().await.unwrap();
    until("the takeover", async || third.runs().explain(&tenant, id).await.unwrap().held == fastn::runtime::Held::Here)
        .await;
    settled().await;
    assert_eq!(log.take(), [""; 0]);
    assert!(is_listed(&third, id).await);
    assert!(third.runs().resume(&tenant, id, By::new("bob", "done")).await.unwrap());
    assert_eq!(soon("the run", third.runs().handle::<u64>(&tenant, id).output()).await.unwrap(), 7);
    assert_eq!(log.take(), ["last"]);
    assert!(!third.runs().resume(&tenant, id, ann("again")).await.unwrap(), "it has ended");
    assert!(!third.runs().pause(&tenant, id, ann("again")).await.unwrap(), "it has ended");

    // All of it is in the run, and in the list over all runs.
    let history = third.runs().inspect(&tenant, id).await.unwrap().history;
    let steered: Vec<_> = history
        .records
        .iter()
        .filter_map(|record| match &record.event {
            Event::Paused { by, .. } => Some(format!("paused {by}")),
            Event::Resumed { by, .. } => Some(format!("resumed {by}")),
            _ => None,
        })
        .collect();
    assert_eq!(steered, ["paused by ann: stocktaking", "resumed by bob: done"]);
    let page = third.runs().audit(AuditQuery { run: Some(id), ..AuditQuery::default() }).await.unwrap();
    let mut listed: Vec<_> = page.entries.iter().map(|entry| format!("{} {}", entry.deed, entry.by)).collect();
    listed.sort();
    let mut expected = [
        "pause by ann: again",
        "pause by ann: once more",
        "pause by ann: stocktaking",
        "resume by ann: again",
        "resume by bob: done",
    ];
    expected.sort_unstable();
    assert_eq!(listed, expected);
    let vain = |reason: &str| page.entries.iter().find(|entry| entry.by.reason == reason).unwrap().in_vain.is_some();
    assert!(vain("once more") && vain("again") && !vain("stocktaking") && !vain("done"), "{page:?}");
    third.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_is_paused_and_goes_on_from_anywhere_and_it_is_told_who_did_that_and_why() {
    on_every_store("pausing", check_anywhere).await;
}

/// What was told while nobody had the run counts before anything of it begins.
async fn check_down(store: Arc<dyn Store>) {
    let (log, open) = (Log::default(), Arc::new(Semaphore::new(0)));
    let flow = gated(&log, &open);
    let first = builder().store(store.clone()).serve(&flow).grace(millis(1)).open().await.unwrap();
    let run = first.start(&flow, 7).await.unwrap();
    until("the step", async || log.count("gate") == 1).await;
    let (tenant, id) = (run.tenant().clone(), run.id());
    drop(run);
    first.shutdown().await.unwrap();
    log.take();

    let other = builder().store(store.clone()).open().await.unwrap();
    assert!(other.runs().pause(&tenant, id, ann("stocktaking")).await.unwrap());
    let explained = other.runs().explain(&tenant, id).await.unwrap();
    assert_eq!(explained.pausing, Some(ann("stocktaking")), "nobody has recorded it yet");
    assert!(explained.to_string().contains("it is to be paused by ann: stocktaking"), "{explained}");
    let second = builder().store(store.clone()).serve(&flow).open().await.unwrap();
    // On SQLite whoever stands by has the lease.
    other.shutdown().await.unwrap();
    until("the pause", async || is_listed(&second, id).await).await;
    settled().await;
    assert_eq!(log.take(), [""; 0], "it begins nothing before it hears of the pause");
    let pausing = async || second.runs().explain(&tenant, id).await.unwrap().pausing;
    until("the acknowledgement", async || pausing().await.is_none()).await;
    open.close();
    assert!(second.runs().resume(&tenant, id, ann("done")).await.unwrap());
    assert_eq!(soon("the run", second.runs().handle::<u64>(&tenant, id).output()).await.unwrap(), 7);
    assert_eq!(log.take(), ["gate", "last"]);
    second.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_is_paused_while_its_executor_is_down_begins_nothing_when_it_is_taken_over() {
    on_every_store("pausing_down", check_down).await;
}

/// One that waits in a queue has not begun, and does not when it is its turn.
async fn check_queued(store: Arc<dyn Store>) {
    let log = Log::default();
    let flow = workflow("w").define(|flow, n| flow.step("do", noted(&log, "do"), n)).unwrap();
    let queue = || Queue::new("q").concurrency(1);
    let engine = builder().store(store).queue(queue()).serve(&flow).open().await.unwrap();
    engine.queues().pause("q").await.unwrap();
    let run = engine.start(&flow, 7).queue("q").await.unwrap();
    assert!(run.pause(ann("not yet")).await.unwrap());
    engine.queues().resume("q").await.unwrap();
    until("the pause", async || is_listed(&engine, run.id()).await).await;
    settled().await;
    assert_eq!(log.count("do"), 0);
    let next = engine.start(&flow, 8).queue("q").await.unwrap();
    assert_eq!(next.status().await.unwrap(), RunStatus::Pending, "it has its place");
    assert!(run.resume(ann("now")).await.unwrap());
    assert_eq!(soon("the run", run.output()).await.unwrap(), 7);
    assert_eq!(soon("the next", next.output()).await.unwrap(), 8);
    engine.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_waits_in_a_queue_is_paused_before_it_begins() {
    on_every_store("pausing_queued", check_queued).await;
}

#[tokio::test]
async fn timers_of_a_paused_run_do_not_go_off_and_its_signals_are_kept() {
    on_every_store("pausing_timers", async |store: Arc<dyn Store>| {
        let log = Log::default();
        let flow = workflow("w")
            .deadline(days(2))
            .define(|flow, n| {
                let rested = flow.sleep("rest", hours(1), n);
                let told = flow.wait("told", GO, n);
                let rested = flow.step("rested", noted(&log, "rested"), rested);
                let told = flow.step("after", noted(&log, "told"), told);
                flow.join("both", (rested, told))
            })
            .unwrap();
        let clock = ManualClock::at(Timestamp::EPOCH);
        let engine = builder().store(store).clock(Arc::new(clock.clone())).serve(&flow).open().await.unwrap();
        let run = engine.start(&flow, 7).await.unwrap();
        until("the waits", async || engine.runs().explain(run.tenant(), run.id()).await.unwrap().activities.len() == 2)
            .await;
        assert!(run.pause(ann("wait")).await.unwrap());
        until("the pause", async || is_listed(&engine, run.id()).await).await;
        clock.advance(days(1));
        assert_eq!(run.signal(GO, &5).by(ann("by phone")).await.unwrap(), Delivery::Told);
        settled().await;
        assert_eq!(log.take(), [""; 0]);
        assert!(run.resume(ann("go")).await.unwrap());
        assert_eq!(soon("the run", run.output()).await.unwrap(), (7, 5));
        let query = AuditQuery { deed: Some("signal".to_owned()), ..AuditQuery::default() };
        let page = engine.runs().audit(query).await.unwrap();
        assert_eq!(page.entries[0].deed, Deed::Signal { signal: "go".to_owned() }, "{page:?}");
        engine.shutdown().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn cancelling_a_paused_run_undoes_what_it_did() {
    on_every_store("pausing_cancelled", async |store: Arc<dyn Store>| {
        let (log, open) = (Log::default(), Arc::new(Semaphore::new(0)));
        let noting = log.clone();
        let undo = move |_: u64| {
            noting.note("undo");
            async { Res::Ok(()) }
        };
        let flow = workflow("w")
            .define(|flow, n| {
                let n = flow.step("gate", gate(&log, &open).undo(undo), n);
                flow.step("last", noted(&log, "last"), n)
            })
            .unwrap();
        let engine = builder().store(store).serve(&flow).open().await.unwrap();
        let run = engine.start(&flow, 7).await.unwrap();
        until("the step", async || log.count("gate") == 1).await;
        assert!(run.pause(ann("wait")).await.unwrap());
        open.add_permits(1);
        until("the result", async || is_listed(&engine, run.id()).await).await;
        assert!(run.cancel(By::new("bob", "enough")).await.unwrap());
        assert_eq!(soon("the run", run.output()).await.unwrap_err().kind(), ErrorKind::Cancelled);
        assert_eq!(log.take(), ["gate", "undo"]);
        let query = AuditQuery { actor: Some("bob".to_owned()), ..AuditQuery::default() };
        assert_eq!(engine.runs().audit(query).await.unwrap().entries.len(), 1);
        engine.shutdown().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn the_audit_is_paged_from_the_newest_on_and_goes_with_its_time() {
    on_every_store("audit", async |store: Arc<dyn Store>| {
        let flow = workflow("w").define(|flow, n: Out<'_, u64>| flow.wait("told", GO, n)).unwrap();
        let clock = ManualClock::at(Timestamp::from_millis(1_800_000_000_000));
        let engine = builder().store(store).keep_audit(hours(1)).clock(Arc::new(clock.clone())).serve(&flow);
        let engine = engine.open().await.unwrap();
        let (a, b) = (TenantId::new("a").unwrap(), TenantId::new("b").unwrap());
        let mut runs = Vec::new();
        for (n, tenant) in [(0, &a), (1, &a), (2, &b), (3, &a)] {
            let run = engine.start(&flow, n).tenant(tenant.clone()).await.unwrap();
            clock.advance(minutes(1));
            run.cancel(ann(&n.to_string())).await.unwrap();
            runs.push(run);
        }
        runs[0].cancel("of the program's own").await.unwrap();
        let (mut query, mut reasons) = (AuditQuery { limit: 1, ..AuditQuery::default() }, Vec::new());
        loop {
            let page = engine.runs().audit(query.clone()).await.unwrap();
            reasons.extend(page.entries.into_iter().map(|entry| entry.by.reason));
            query.after = page.next;
            if query.after.is_none() {
                break;
            }
        }
        assert_eq!(reasons, ["3", "1", "0", "2"], "what is nobody's is not listed");
        let of = async |query: AuditQuery| {
            let page = engine.runs().audit(query).await.unwrap();
            page.entries.into_iter().map(|entry| entry.by.reason).collect::<Vec<_>>()
        };
        let minute = |n: i64| Timestamp::from_millis(1_800_000_000_000 + n * 60_000);
        let between = AuditQuery { from: Some(minute(2)), before: Some(minute(4)), ..AuditQuery::default() };
        assert_eq!(of(between.clone()).await, ["1", "2"]);
        assert_eq!(of(AuditQuery { tenant: Some(a.clone()), ..between }).await, ["1"]);
        clock.advance(minutes(59));
        engine.runs().cancel(&a, runs[0].id(), ann("late")).await.unwrap();
        assert_eq!(of(AuditQuery { tenant: Some(a), ..AuditQuery::default() }).await, ["late", "3"]);
        engine.shutdown().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn nobody_steers_without_a_name_and_what_came_to_nothing_says_so() {
    let flow = workflow("w").define(|flow, n: Out<'_, u64>| flow.wait("told", GO, n)).unwrap();
    let engine = builder().store(memory()).serve(&flow).open().await.unwrap();
    let run = engine.start(&flow, 7).await.unwrap();
    for (by, kind) in [
        (By::from("no name"), ErrorKind::Invalid),
        (By::new("x".repeat(257), ""), ErrorKind::TooLarge),
        (By::new("ann", "x".repeat(4_097)), ErrorKind::TooLarge),
    ] {
        assert_eq!(run.pause(by).await.unwrap_err().kind(), kind);
    }
    let nobody = engine.runs().pause(&TenantId::default(), RunId::named("nobody"), ann("no")).await.unwrap_err();
    assert_eq!(nobody.kind(), ErrorKind::NotFound);
    let page = engine.runs().audit(AuditQuery::default()).await.unwrap();
    assert!(page.entries[0].in_vain.as_ref().is_some_and(|why| why.contains("not found")), "{page:?}");
    assert!(engine.runs().inspect(run.tenant(), run.id()).await.unwrap().paused.is_none());
}

#[tokio::test]
async fn many_runs_are_looked_at_first_and_then_steered_page_by_page() {
    on_every_store("pausing_many", async |store: Arc<dyn Store>| {
        let flow = workflow("w").define(|flow, n: Out<'_, u64>| flow.wait("told", GO, n)).unwrap();
        let other = workflow("other").define(|flow, n: Out<'_, u64>| flow.wait("told", GO, n)).unwrap();
        let engine = builder().store(store).serve(&flow).serve(&other).open().await.unwrap();
        let mut ids = Vec::new();
        for n in 0..7 {
            ids.push(engine.start(&flow, n).await.unwrap().id());
        }
        let stranger = engine.start(&other, 0).await.unwrap();
        engine.runs().cancel(&TenantId::default(), ids[3], "one that has ended").await.unwrap();
        let filter = RunFilter { workflow: Some("w".parse().unwrap()), limit: 4, ..RunFilter::default() };
        let runs = engine.runs();
        assert_eq!(runs.matching(&filter).await.unwrap().runs, 6);
        assert_eq!(
            runs.steer_all(&filter, Steering::Pause, "no name".into()).await.unwrap_err().kind(),
            ErrorKind::Invalid
        );
        let first = runs.steer_all(&filter, Steering::Pause, ann("stocktaking")).await.unwrap();
        assert_eq!((first.done.len(), first.in_vain.len(), first.refused.len()), (4, 0, 0));
        let rest = RunFilter { before: first.next, ..filter.clone() };
        let rest = runs.steer_all(&rest, Steering::Pause, ann("stocktaking")).await.unwrap();
        assert_eq!((rest.done.len(), rest.next), (2, None));
        let paused = async |paused| {
            let filter = RunFilter { paused: Some(paused), ..filter.clone() };
            engine.runs().matching(&filter).await.unwrap().runs
        };
        until("the pauses", async || paused(true).await == 6).await;
        let again = runs.steer_all(&filter, Steering::Pause, ann("again")).await.unwrap();
        assert_eq!((again.done.len(), again.in_vain.len()), (0, 4));
        let all = RunFilter { limit: 100, ..filter.clone() };
        assert_eq!(runs.steer_all(&all, Steering::Resume, ann("go")).await.unwrap().done.len(), 6);
        assert_eq!(runs.steer_all(&all, Steering::Cancel, ann("enough")).await.unwrap().done.len(), 6);
        until("the ends", async || engine.runs().matching(&filter).await.unwrap().runs == 0).await;
        assert_eq!(stranger.status().await.unwrap(), RunStatus::Waiting);
        engine.shutdown().await.unwrap();
    })
    .await;
}

/// Not a test of its own: what the copy does. Without the variable it has nothing to do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[allow(clippy::print_stdout, reason = "its parent listens")]
async fn busy() {
    let Ok(path) = std::env::var(BUSY) else { return };
    let tick = |n: u64| async move {
        println!("\ntick {n}");
        tokio::time::sleep(millis(5)).await;
        Res::Ok(n + 1)
    };
    let flow = workflow("ticks")
        .define(|flow, n| flow.repeat("loop", 1_000_000, |_: &u64| true, n, |flow, n| flow.step("tick", tick, n)))
        .unwrap();
    let store = SqliteStore::open(path, SqliteOptions::default()).await.unwrap();
    let engine = builder().store(Arc::new(store) as Arc<dyn Store>).serve(&flow).open().await.unwrap();
    engine.start(&flow, 0).key("ticks").await.unwrap().outcome().await.unwrap();
}

/// The two share nothing but the file.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_of_another_process_is_paused_and_goes_on_within_moments() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs.db");
    let mut copy = Copy::begin("pausing::busy", BUSY, path.to_str().unwrap());
    copy.until("tick 3");
    let store = SqliteStore::open(&path, SqliteOptions::default()).await.unwrap();
    let engine = builder().store(Arc::new(store) as Arc<dyn Store>).open().await.unwrap();
    let (tenant, id) = (TenantId::default(), RunId::named("ticks"));
    let ticks = async || engine.runs().inspect(&tenant, id).await.unwrap().history.records.len();
    for round in 0..3 {
        let began = Instant::now();
        assert!(engine.runs().pause(&tenant, id, ann("wait")).await.unwrap());
        until("the pause", async || is_listed(&engine, id).await).await;
        assert!(began.elapsed() < secs(3), "{:?}, and nothing is polled for", began.elapsed());
        let before = ticks().await;
        tokio::time::sleep(millis(30)).await;
        assert_eq!(ticks().await, before, "round {round}");
        assert!(engine.runs().resume(&tenant, id, ann("go")).await.unwrap());
        until("the next tick", async || ticks().await > before + 2).await;
    }
    copy.kill();
}
