//! Schedules: each due time has one run, whatever happens around it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use fastn::core::BoxFuture;
use fastn::prelude::*;
use fastn::runtime::{CatchUp, Clock, Overlap, Queue, Schedule, ScheduleInfo, SystemClock};
use fastn::schedule::Calendar;
use fastn::store::{LeaseClock, PostgresOptions, PostgresStore, SqliteOptions, SqliteStore, Store};
use fastn_testkit::server::PrivatePostgres;
use fastn_testkit::{FaultStore, ManualClock, MeterStore};
use tokio::sync::{Semaphore, mpsc};

use crate::world::{Res, builder, memory, on_every_store_in_its_own_time};

/// Thursday, 1 January 2026, 0:00 in UTC.
const NEW_YEAR: i64 = 1_767_225_600;

pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis((NEW_YEAR + seconds) * 1_000)
}

fn hour(count: i64) -> Timestamp {
    at(count * 3_600)
}

/// A workflow that is given its due time, and what tells how it goes.
struct Scene {
    clock: ManualClock,
    flow: Workflow<Timestamp, Timestamp>,
    /// The due times of runs whose step was called, in order.
    called: mpsc::UnboundedReceiver<Timestamp>,
    /// Steps end when they may.
    may_end: Arc<Semaphore>,
    tenant: TenantId,
}

impl Scene {
    /// Steps end at once.
    fn new() -> Self {
        Self::held(Semaphore::MAX_PERMITS)
    }

    /// So many steps end.
    fn held(permits: usize) -> Self {
        let (tell, called) = mpsc::unbounded_channel();
        let may_end = Arc::new(Semaphore::new(permits));
        let gate = may_end.clone();
        let work = move |due: Timestamp| {
            let (tell, gate) = (tell.clone(), gate.clone());
            async move {
                tell.send(due).unwrap();
                gate.acquire().await.unwrap().forget();
                Res::Ok(due)
            }
        };
        let flow = workflow("work").define(|flow, due| flow.step("work", work, due)).unwrap();
        Self { clock: ManualClock::at(at(0)), flow, called, may_end, tenant: TenantId::default() }
    }

    async fn engine(&self, store: &Arc<dyn Store>) -> Engine {
        builder().store(store.clone()).clock(Arc::new(self.clock.clone())).serve(&self.flow).open().await.unwrap()
    }

    fn schedule(&self, cron: &str) -> Schedule {
        Schedule::with_due_time("s", &self.flow, Calendar::cron(cron).unwrap()).unwrap()
    }

    /// The due times of the next so many runs whose step is called.
    async fn next(&mut self, count: usize) -> Vec<Timestamp> {
        let mut due = Vec::new();
        while due.len() < count {
            let next = tokio::time::timeout(Duration::from_secs(20), self.called.recv()).await;
            due.push(next.unwrap_or_else(|_| panic!("after {due:?} nothing came")).unwrap());
        }
        due
    }

    /// The schedule, once it is as wanted.
    async fn info(&self, engine: &Engine, wanted: impl Fn(&ScheduleInfo) -> bool) -> ScheduleInfo {
        let look = async {
            loop {
                let info = engine.schedules().get(&self.tenant, "s").await.unwrap().unwrap();
                if wanted(&info) {
                    return info;
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), look).await.expect("it never was as wanted")
    }

    /// How many runs there are.
    async fn runs(&self, store: &Arc<dyn Store>) -> usize {
        store.list(RunQuery { limit: u32::MAX, ..RunQuery::default() }).await.unwrap().runs.len()
    }

    /// Lets every task go on that can.
    async fn settle(&self) {
        for _ in 0..500 {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn a_run_is_started_when_it_is_due_and_not_before() {
    let (mut scene, store) = (Scene::new(), memory());
    let engine = scene.engine(&store).await;
    engine.schedules().put(&scene.schedule("0 * * * *")).await.unwrap();
    scene.settle().await;
    scene.clock.advance(Duration::from_millis(3_599_999));
    scene.settle().await;
    assert_eq!(scene.runs(&store).await, 0, "an instant too early");
    scene.clock.advance(Duration::from_millis(1));
    assert_eq!(scene.next(1).await, [hour(1)]);
    let info = scene.info(&engine, |info| info.fired_up_to == hour(1)).await;
    assert_eq!(info.next, Some(hour(2)));
    scene.clock.advance(Duration::from_secs(3_600));
    assert_eq!(scene.next(1).await, [hour(2)]);
    engine.shutdown().await.unwrap();
    assert_eq!(scene.runs(&store).await, 2);
}

#[tokio::test]
async fn of_many_engines_one_fires_and_the_others_leave_it_to_it() {
    const ENGINES: usize = 6;
    let (mut scene, meter) = (Scene::new(), MeterStore::new(memory()));
    let store: Arc<dyn Store> = Arc::new(meter.clone());
    let mut engines = Vec::new();
    for _ in 0..ENGINES {
        engines.push(scene.engine(&store).await);
    }
    engines[0].schedules().put(&scene.schedule("* * * * *")).await.unwrap();
    // So that all know of it.
    scene.clock.advance(secs(6));
    scene.settle().await;
    let mut puts = Vec::new();
    for minute in 1..=9 {
        meter.take();
        scene.clock.advance(at(minute * 60).since(scene.clock.now()));
        assert_eq!(scene.next(1).await, [at(minute * 60)]);
        scene.info(&engines[0], |info| info.fired_up_to == at(minute * 60)).await;
        // The others look whether it was done.
        scene.settle().await;
        scene.clock.advance(secs(1));
        scene.settle().await;
        puts.push(meter.take().puts);
        if minute == 6 {
            // Whoever has fired so far may be among these: one of the others goes on.
            for engine in engines.drain(..ENGINES - 1) {
                engine.shutdown().await.unwrap();
            }
            engines.push(scene.engine(&store).await);
            scene.clock.advance(secs(6));
            scene.settle().await;
        }
    }
    assert!(puts[2..6].iter().all(|puts| *puts == 1), "{puts:?}");
    assert_eq!(scene.runs(&store).await, 9);
}

#[tokio::test]
async fn a_schedule_that_another_engine_made_is_found_and_one_that_it_deletes_is_no_more() {
    let (mut scene, store) = (Scene::new(), memory());
    let maker = scene.engine(&store).await;
    // Only the other engine serves what is due.
    let other = workflow("other")
        .define(|flow, n: Out<'_, u64>| flow.step("s", |n: u64| async move { Res::Ok(n) }, n))
        .unwrap();
    let bystander =
        builder().store(store.clone()).clock(Arc::new(scene.clock.clone())).serve(&other).open().await.unwrap();
    bystander.schedules().put(&scene.schedule("*/10 * * * *")).await.unwrap();
    for count in 1..=3 {
        // In small steps, so that it looks before the time comes.
        for _ in 0..60 {
            scene.clock.advance(Duration::from_secs(10));
            scene.settle().await;
        }
        assert_eq!(scene.next(1).await, [at(count * 600)]);
    }
    assert!(bystander.schedules().delete(&scene.tenant, "s").await.unwrap());
    assert!(!bystander.schedules().delete(&scene.tenant, "s").await.unwrap());
    for _ in 0..120 {
        scene.clock.advance(Duration::from_secs(10));
        scene.settle().await;
    }
    assert_eq!(scene.runs(&store).await, 3);
    maker.shutdown().await.unwrap();
    bystander.shutdown().await.unwrap();
}

/// Misses due times while no engine is there, and tells which are fired when one is.
async fn check_catch_up(store: Arc<dyn Store>, catch_up: CatchUp, cron: &str, away: i64, expected: &[Timestamp]) {
    let mut scene = Scene::new();
    let engine = scene.engine(&store).await;
    let schedule = scene.schedule(cron).catch_up(catch_up).overlap(Overlap::Allow);
    engine.schedules().put(&schedule).await.unwrap();
    engine.shutdown().await.unwrap();
    scene.clock.set(at(away));
    let engine = scene.engine(&store).await;
    // Runs are started one after the other, but their steps may be called in another order.
    let mut fired = scene.next(expected.len()).await;
    fired.sort();
    assert_eq!(fired, expected, "{catch_up:?}");
    if let Some(last) = expected.last() {
        scene.info(&engine, |info| info.fired_up_to == *last).await;
    }
    scene.settle().await;
    assert_eq!(scene.runs(&store).await, expected.len(), "{catch_up:?}");
    // Once more, and nothing is fired again.
    engine.shutdown().await.unwrap();
    let engine = scene.engine(&store).await;
    scene.settle().await;
    assert_eq!(scene.runs(&store).await, expected.len(), "{catch_up:?}");
    engine.shutdown().await.unwrap();
}

#[tokio::test]
async fn missed_due_times_are_caught_up_on_as_was_said() {
    let all = |within, most| CatchUp::All { within: Duration::from_secs(within), most };
    let cases: [(&str, CatchUp, &[i64]); 7] = [
        ("skip", CatchUp::Skip, &[]),
        ("latest", CatchUp::Latest, &[5]),
        ("all", all(86_400, 100), &[1, 2, 3, 4, 5]),
        ("two", all(86_400, 2), &[4, 5]),
        ("two_hours", all(2 * 3_600, 100), &[4, 5]),
        ("none", all(86_400, 0), &[]),
        ("a_minute", all(60, 100), &[]),
    ];
    for (name, catch_up, expected) in cases {
        let expected: Vec<_> = expected.iter().copied().map(hour).collect();
        on_every_store_in_its_own_time(&format!("catch_up_{name}"), async |store| {
            // Half past five: five hours were missed.
            check_catch_up(store, catch_up, "0 * * * *", 5 * 3_600 + 1_800, &expected).await;
        })
        .await;
    }
}

#[tokio::test]
async fn what_is_due_just_now_is_not_missed() {
    let five_past_five = 5 * 3_600 + 5;
    check_catch_up(memory(), CatchUp::Skip, "0 * * * *", five_past_five, &[hour(5)]).await;
    check_catch_up(memory(), CatchUp::Latest, "0 * * * *", five_past_five, &[hour(5)]).await;
    let all = CatchUp::All { within: Duration::from_secs(86_400), most: 2 };
    check_catch_up(memory(), all, "0 * * * *", five_past_five, &[3, 4, 5].map(hour)).await;
    let seconds: Vec<_> = (91..=100).map(at).collect();
    check_catch_up(memory(), CatchUp::Skip, "* * * * * *", 100, &seconds).await;
    // A year of seconds is soon passed over.
    let year = 365 * 86_400;
    let seconds: Vec<_> = (year - 9..=year).map(at).collect();
    check_catch_up(memory(), CatchUp::Latest, "* * * * * *", year, &seconds).await;
    let all = CatchUp::All { within: Duration::from_secs(400 * 86_400), most: 20 };
    let seconds: Vec<_> = (year - 29..=year).map(at).collect();
    check_catch_up(memory(), all, "* * * * * *", year, &seconds).await;
}

#[tokio::test]
async fn a_clock_that_jumps_back_fires_nothing_again() {
    let (mut scene, store) = (Scene::new(), memory());
    let engine = scene.engine(&store).await;
    engine.schedules().put(&scene.schedule("0 * * * *")).await.unwrap();
    scene.settle().await;
    scene.clock.set(hour(1));
    assert_eq!(scene.next(1).await, [hour(1)]);
    scene.info(&engine, |info| info.fired_up_to == hour(1)).await;
    for back in [at(3_599), at(0), at(-100_000), hour(1)] {
        scene.clock.set(back);
        scene.settle().await;
    }
    // A day forward is a day missed.
    scene.clock.set(at(25 * 3_600 + 60));
    assert_eq!(scene.next(1).await, [hour(25)]);
    scene.info(&engine, |info| info.fired_up_to == hour(25)).await;
    scene.clock.set(hour(2));
    scene.settle().await;
    assert_eq!(scene.runs(&store).await, 2);
    // Whoever wants to go on from there says so.
    engine.schedules().pause(&scene.tenant, "s").await.unwrap();
    engine.schedules().resume(&scene.tenant, "s").await.unwrap();
    scene.settle().await;
    scene.clock.set(hour(3));
    assert_eq!(scene.next(1).await, [hour(3)]);
    engine.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_due_time_is_passed_over_while_its_run_is_under_way() {
    on_every_store_in_its_own_time("overlap_skip", check_overlap_skip).await;
}

async fn check_overlap_skip(store: Arc<dyn Store>) {
    let mut scene = Scene::held(0);
    let engine = scene.engine(&store).await;
    engine.schedules().put(&scene.schedule("0 * * * *").overlap(Overlap::Skip)).await.unwrap();
    scene.settle().await;
    scene.clock.set(hour(1));
    assert_eq!(scene.next(1).await, [hour(1)]);
    for count in 2..=3 {
        scene.info(&engine, |info| info.fired_up_to == hour(count - 1)).await;
        scene.clock.set(hour(count));
        scene.info(&engine, |info| info.skipped == count as u64 - 1).await;
    }
    let run = scene.info(&engine, |_| true).await.open[0];
    scene.may_end.add_permits(1);
    engine.runs().handle::<Timestamp>(&scene.tenant, run).output().await.unwrap();
    scene.may_end.add_permits(1);
    scene.clock.set(hour(4));
    assert_eq!(scene.next(1).await, [hour(4)]);
    engine.shutdown().await.unwrap();
    assert_eq!(scene.runs(&store).await, 2);
}

#[tokio::test]
async fn runs_may_be_under_way_beside_each_other() {
    on_every_store_in_its_own_time("overlap_allow", check_overlap_allow).await;
}

async fn check_overlap_allow(store: Arc<dyn Store>) {
    let mut scene = Scene::held(0);
    let engine = scene.engine(&store).await;
    engine.schedules().put(&scene.schedule("0 * * * *").overlap(Overlap::Allow)).await.unwrap();
    scene.settle().await;
    for count in 1..=3 {
        scene.clock.set(hour(count));
        assert_eq!(scene.next(1).await, [hour(count)]);
        scene.info(&engine, |info| info.fired_up_to == hour(count)).await;
    }
    scene.may_end.add_permits(3);
    engine.shutdown().await.unwrap();
    assert_eq!(scene.runs(&store).await, 3);
}

#[tokio::test]
async fn runs_of_a_schedule_wait_in_its_queue() {
    on_every_store_in_its_own_time("scheduled_queue", check_queue).await;
}

async fn check_queue(store: Arc<dyn Store>) {
    let mut scene = Scene::held(0);
    let clock = Arc::new(scene.clock.clone());
    let queue = Queue::new("q").concurrency(1);
    let engine = builder().store(store.clone()).clock(clock).queue(queue).serve(&scene.flow).open().await.unwrap();
    let schedule = scene.schedule("0 * * * *").overlap(Overlap::Allow).queue("q".parse().unwrap()).priority(5);
    engine.schedules().put(&schedule).await.unwrap();
    assert_eq!(engine.schedules().get(&scene.tenant, "s").await.unwrap().unwrap().schedule, schedule);
    scene.settle().await;
    scene.clock.set(hour(1));
    assert_eq!(scene.next(1).await, [hour(1)]);
    scene.clock.set(hour(2));
    scene.info(&engine, |info| info.fired_up_to == hour(2)).await;
    engine.schedules().trigger(&scene.tenant, "s").await.unwrap();
    scene.settle().await;
    assert!(scene.called.is_empty(), "there is one place");
    let counts = engine.queues().counts("q", 0).await.unwrap();
    assert_eq!((counts.waiting, counts.running), (2, 1));
    scene.may_end.add_permits(3);
    assert_eq!(scene.next(2).await.len(), 2);
    engine.shutdown().await.unwrap();
    assert_eq!(scene.runs(&store).await, 3);
}

#[tokio::test]
async fn one_due_time_waits_for_the_run_under_way() {
    on_every_store_in_its_own_time("overlap_buffer", check_overlap_buffer).await;
}

async fn check_overlap_buffer(store: Arc<dyn Store>) {
    let mut scene = Scene::held(0);
    let engine = scene.engine(&store).await;
    engine.schedules().put(&scene.schedule("0 * * * *").overlap(Overlap::BufferOne)).await.unwrap();
    scene.settle().await;
    scene.clock.set(hour(1));
    assert_eq!(scene.next(1).await, [hour(1)]);
    scene.info(&engine, |info| info.fired_up_to == hour(1)).await;
    scene.clock.set(hour(2));
    scene.info(&engine, |info| info.buffered == Some(hour(2))).await;
    scene.clock.set(hour(3));
    scene.info(&engine, |info| info.skipped == 1 && info.buffered == Some(hour(2))).await;
    // The clock stands still: it is the end of the run that starts the next.
    scene.may_end.add_permits(1);
    assert_eq!(scene.next(1).await, [hour(2)]);
    let info = scene.info(&engine, |info| info.buffered.is_none()).await;
    assert_eq!(info.fired_up_to, hour(3));
    scene.may_end.add_permits(10);
    scene.clock.set(hour(4));
    assert_eq!(scene.next(1).await, [hour(4)]);
    engine.shutdown().await.unwrap();
    assert_eq!(scene.runs(&store).await, 3);
}

#[tokio::test]
async fn a_run_under_way_is_cancelled_for_the_next() {
    on_every_store_in_its_own_time("overlap_cancel", check_overlap_cancel).await;
}

async fn check_overlap_cancel(store: Arc<dyn Store>) {
    let mut scene = Scene::held(0);
    let engine = scene.engine(&store).await;
    engine.schedules().put(&scene.schedule("0 * * * *").overlap(Overlap::CancelRunning)).await.unwrap();
    scene.settle().await;
    scene.clock.set(hour(1));
    assert_eq!(scene.next(1).await, [hour(1)]);
    let first = scene.info(&engine, |info| info.fired_up_to == hour(1)).await.open[0];
    scene.clock.set(hour(2));
    assert_eq!(scene.next(1).await, [hour(2)]);
    let outcome = engine.runs().handle::<Timestamp>(&scene.tenant, first).outcome().await.unwrap();
    assert!(matches!(outcome, Outcome::Cancelled(_)), "{outcome}");
    scene.may_end.add_permits(10);
    engine.shutdown().await.unwrap();
}

#[tokio::test]
async fn nothing_is_fired_while_paused_and_nothing_of_it_later() {
    let (mut scene, store) = (Scene::new(), memory());
    let engine = scene.engine(&store).await;
    let schedules = engine.schedules();
    let all = CatchUp::All { within: Duration::from_secs(86_400), most: 100 };
    let schedule = scene.schedule("0 * * * *").catch_up(all).paused(true);
    schedules.put(&schedule).await.unwrap();
    scene.clock.set(hour(2));
    scene.settle().await;
    // Put again, as a program does when it begins: a pause is not for it to end.
    schedules.put(&schedule.clone().paused(false)).await.unwrap();
    scene.settle().await;
    assert_eq!(scene.runs(&store).await, 0);
    schedules.resume(&scene.tenant, "s").await.unwrap();
    scene.clock.set(hour(3));
    assert_eq!(scene.next(1).await, [hour(3)]);
    scene.info(&engine, |info| info.fired_up_to == hour(3)).await;
    schedules.pause(&scene.tenant, "s").await.unwrap();
    scene.clock.set(hour(5));
    scene.settle().await;
    assert_eq!(scene.runs(&store).await, 1);
    assert_eq!(schedules.pause(&scene.tenant, "none").await.unwrap_err().kind(), ErrorKind::NotFound);
    engine.shutdown().await.unwrap();
}

#[tokio::test]
async fn putting_a_schedule_again_forgets_nothing_unless_its_calendar_is_another() {
    let (mut scene, store) = (Scene::new(), memory());
    let engine = scene.engine(&store).await;
    let all = CatchUp::All { within: Duration::from_secs(86_400), most: 100 };
    let schedule = scene.schedule("0 * * * *").catch_up(all).overlap(Overlap::Allow);
    engine.schedules().put(&schedule).await.unwrap();
    engine.shutdown().await.unwrap();
    scene.clock.set(at(2 * 3_600 + 1_800));
    let engine = scene.engine(&store).await;
    engine.schedules().put(&schedule).await.unwrap();
    let mut fired = scene.next(2).await;
    fired.sort();
    assert_eq!(fired, [hour(1), hour(2)]);
    scene.info(&engine, |info| info.fired_up_to == hour(2)).await;
    let before = store.latest(&fastn::core::EntryKind::new("schedule").unwrap()).await.unwrap();
    engine.schedules().put(&schedule).await.unwrap();
    let after = store.latest(&fastn::core::EntryKind::new("schedule").unwrap()).await.unwrap();
    assert_eq!(before, after, "the same again changes nothing");
    let mut other = schedule;
    other.calendar = Calendar::cron("15 * * * *").unwrap();
    engine.schedules().put(&other).await.unwrap();
    let info = scene.info(&engine, |_| true).await;
    assert_eq!((info.fired_up_to, info.next), (at(9_000), Some(at(3 * 3_600 + 900))));
    engine.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_run_is_started_by_hand() {
    let (mut scene, store) = (Scene::held(0), memory());
    let engine = scene.engine(&store).await;
    engine.schedules().put(&scene.schedule("0 * * * *").paused(true)).await.unwrap();
    scene.clock.set(at(60));
    let run = engine.schedules().trigger(&scene.tenant, "s").await.unwrap();
    assert_eq!(scene.next(1).await, [at(60)]);
    // It counts as under way.
    engine.schedules().resume(&scene.tenant, "s").await.unwrap();
    scene.clock.set(hour(1));
    scene.info(&engine, |info| info.skipped == 1).await;
    scene.may_end.add_permits(10);
    assert_eq!(engine.runs().handle::<Timestamp>(&scene.tenant, run).output().await.unwrap(), at(60));
    let missing = engine.schedules().trigger(&scene.tenant, "none").await.unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::NotFound);
    engine.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_backfill_starts_what_has_no_run() {
    let (mut scene, store) = (Scene::new(), memory());
    let engine = scene.engine(&store).await;
    let schedules = engine.schedules();
    schedules.put(&scene.schedule("0 * * * *").overlap(Overlap::Allow)).await.unwrap();
    scene.settle().await;
    scene.clock.set(hour(1));
    assert_eq!(scene.next(1).await, [hour(1)]);
    let (from, to) = (hour(-3), hour(4));
    let due = schedules.due_between(&scene.tenant, "s", from, to).await.unwrap();
    assert_eq!(due, [-3, -2, -1, 0, 1, 2, 3].map(hour));
    // What is to come will come.
    let done = schedules.backfill(&scene.tenant, "s", from, to).await.unwrap();
    assert_eq!((done.started.len(), done.existed), (4, 1));
    let mut fired = scene.next(4).await;
    fired.sort();
    assert_eq!(fired, [-3, -2, -1, 0].map(hour));
    let done = schedules.backfill(&scene.tenant, "s", from, to).await.unwrap();
    assert_eq!((done.started.len(), done.existed), (0, 5));
    let many = schedules.due_between(&scene.tenant, "s", from, hour(20_000)).await.unwrap_err();
    assert_eq!(many.kind(), ErrorKind::TooLarge);
    assert_eq!(schedules.upcoming(&scene.tenant, "s", 2).await.unwrap(), [2, 3].map(hour));
    engine.shutdown().await.unwrap();
    assert_eq!(scene.runs(&store).await, 5);
}

#[tokio::test]
async fn a_deleted_schedule_and_one_of_the_same_name_have_runs_of_their_own() {
    let (mut scene, store) = (Scene::new(), memory());
    let engine = scene.engine(&store).await;
    for _ in 0..2 {
        engine.schedules().put(&scene.schedule("0 * * * *").overlap(Overlap::Allow)).await.unwrap();
        let done = engine.schedules().backfill(&scene.tenant, "s", hour(-2), hour(0)).await.unwrap();
        assert_eq!((done.started.len(), done.existed), (2, 0));
        scene.next(2).await;
        assert!(engine.schedules().delete(&scene.tenant, "s").await.unwrap());
    }
    engine.shutdown().await.unwrap();
    assert_eq!(scene.runs(&store).await, 4);
}

#[tokio::test]
async fn jitter_starts_runs_later_and_always_as_late() {
    let (mut scene, store) = (Scene::new(), memory());
    let engine = scene.engine(&store).await;
    let jitter = Duration::from_secs(1_800);
    let schedule = scene.schedule("0 * * * *").jitter(jitter).overlap(Overlap::Allow);
    engine.schedules().put(&schedule).await.unwrap();
    let mut delays = BTreeSet::new();
    for count in 1..=5 {
        let ready = scene.info(&engine, |info| info.fired_up_to >= hour(count - 1) || count == 1).await.next.unwrap();
        assert!(ready >= hour(count) && ready < hour(count).plus(jitter), "{ready}");
        delays.insert(ready.since(hour(count)));
        scene.clock.set(Timestamp::from_micros(ready.as_micros() - 1));
        scene.settle().await;
        assert_eq!(scene.runs(&store).await as i64, count - 1);
        scene.clock.set(ready);
        assert_eq!(scene.next(1).await, [hour(count)]);
        scene.info(&engine, |info| info.fired_up_to == hour(count)).await;
    }
    assert!(delays.len() > 3, "{delays:?}");
    engine.shutdown().await.unwrap();
}

#[tokio::test]
async fn whoever_dies_between_a_start_and_the_note_of_it_is_followed_by_one_that_does_not_start_again() {
    for lost in [false, true] {
        let (mut scene, inner) = (Scene::new(), memory());
        let faulty = FaultStore::new(inner.clone(), |_, _| None);
        let store: Arc<dyn Store> = Arc::new(faulty.clone());
        let engine = scene.engine(&store).await;
        engine.schedules().put(&scene.schedule("0 * * * *")).await.unwrap();
        scene.settle().await;
        if lost {
            faulty.lose_puts(1)
        } else {
            faulty.refuse_puts(1_000)
        }
        scene.clock.set(hour(1));
        assert_eq!(scene.next(1).await, [hour(1)]);
        scene.settle().await;
        // Dropped as in a crash.
        drop(engine);
        faulty.refuse_puts(0);
        let engine = scene.engine(&inner).await;
        scene.info(&engine, |info| info.fired_up_to == hour(1)).await;
        scene.settle().await;
        assert_eq!(scene.runs(&inner).await, 1);
        scene.clock.set(hour(2));
        assert_eq!(scene.next(1).await, [hour(2)]);
        engine.shutdown().await.unwrap();
        assert_eq!(scene.runs(&inner).await, 2);
    }
}

#[tokio::test]
async fn each_due_time_has_one_run_whoever_dies_and_however_clocks_jump() {
    const SPAN: i64 = 4_000;
    // The clock of the second is always so much ahead.
    const AHEAD: i64 = 5;
    let store = memory();
    let (scene, ahead) = (Scene::new(), Scene { clock: ManualClock::at(at(AHEAD)), ..Scene::new() });
    let scenes = [&scene, &ahead];
    let mut engines = [scene.engine(&store).await, ahead.engine(&store).await];
    let all = CatchUp::All { within: Duration::from_secs(86_400), most: 1_000 };
    let schedule = scene.schedule("* * * * * *").catch_up(all).overlap(Overlap::Allow);
    engines[0].schedules().put(&schedule).await.unwrap();
    let (mut seed, mut now, mut furthest) = (7_u64, 0_i64, 0_i64);
    while furthest < SPAN {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let dice = (seed >> 33) as i64;
        match dice % 10 {
            // One dies, and another takes its place.
            0 => {
                let place = usize::from(dice % 20 == 0);
                engines[place] = scenes[place].engine(&store).await;
            }
            // A clock jumps back, or forward by minutes.
            1 => now = (furthest - 500).max(now - dice % 200),
            2 => now += dice % 300,
            _ => now += dice % 12,
        }
        for (scene, ahead) in scenes.iter().zip([0, AHEAD]) {
            scene.clock.advance(Duration::from_secs(1));
            scene.clock.set(at(now + ahead));
        }
        furthest = furthest.max(now);
        let done = async {
            loop {
                for (engine, scene) in engines.iter_mut().zip(scenes) {
                    // One whose lease ran out while the clock jumped has halted.
                    let asked = engine.schedules().pause(&scene.tenant, "none").await;
                    if asked.unwrap_err().kind() == ErrorKind::Closed {
                        *engine = scene.engine(&store).await;
                    }
                }
                let info = engines[0].schedules().get(&scene.tenant, "s").await.unwrap().unwrap();
                if info.fired_up_to == at(furthest + AHEAD) {
                    return;
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), done).await.expect("something that was due was not fired");
    }
    for engine in engines {
        let _ = engine.shutdown().await;
    }
    let mut fired = BTreeSet::new();
    for run in store.list(RunQuery { limit: u32::MAX, ..RunQuery::default() }).await.unwrap().runs {
        let due: Timestamp = store.read(&run.key).await.unwrap().unwrap().input.decode().unwrap();
        assert!(fired.insert(due), "{due} was fired twice");
    }
    assert_eq!(fired, (1..=furthest + AHEAD).map(at).collect::<BTreeSet<_>>());
}

#[tokio::test]
async fn nights_in_which_clocks_are_set_have_the_runs_that_they_should() {
    // The night of each zone in 2026, and when half past two is due around it.
    let nights = [
        ("Europe/Berlin", "30 2 * * *", 1_774_738_800, vec![3_600 * 2, 3_600 * 25 + 1_800]),
        ("Europe/Berlin", "30 2 * * *", 1_792_879_200, vec![3_600 * 2 + 1_800, 3_600 * 27 + 1_800]),
        ("America/New_York", "30 2 * * *", 1_772_946_000, vec![3_600 * 2, 3_600 * 25 + 1_800]),
        ("America/New_York", "30 1 * * *", 1_793_505_600, vec![3_600 + 1_800, 3_600 * 26 + 1_800]),
        ("Australia/Lord_Howe", "15 2 * * *", 1_791_034_200, vec![7_200 + 1_800 - 1_800, 86_400 + 6_300]),
    ];
    for (zone, cron, midnight, expected) in nights {
        let (mut scene, store) = (Scene::new(), memory());
        scene.clock.set(Timestamp::from_millis(midnight * 1_000));
        let engine = scene.engine(&store).await;
        let schedule = scene.schedule(cron).zone(zone.parse().unwrap());
        engine.schedules().put(&schedule).await.unwrap();
        scene.settle().await;
        for minutes in 1..=(30 * 60 / 15) {
            scene.clock.set(Timestamp::from_millis((midnight + minutes * 900) * 1_000));
            scene.settle().await;
        }
        let expected: Vec<_> =
            expected.into_iter().map(|after| Timestamp::from_millis((midnight + after) * 1_000)).collect();
        assert_eq!(scene.next(expected.len()).await, expected, "{cron} in {zone}");
        engine.shutdown().await.unwrap();
        assert_eq!(scene.runs(&store).await, expected.len(), "{cron} in {zone}");
    }
}

#[tokio::test]
async fn schedules_are_listed_by_tenant_and_name() {
    let (scene, store) = (Scene::new(), memory());
    let engine = scene.engine(&store).await;
    let schedules = engine.schedules();
    let never = Calendar::cron("0 0 31 2 *").unwrap();
    for (tenant, name) in [("b", "1"), ("a", "2"), ("a", "1"), ("b", "2")] {
        let schedule = Schedule::with_due_time(name, &scene.flow, never.clone()).unwrap();
        schedules.put(&schedule.tenant(TenantId::new(tenant).unwrap())).await.unwrap();
    }
    let shown = |found: &[ScheduleInfo]| {
        let names = found.iter().map(|info| format!("{}{}", info.schedule.tenant, info.schedule.name));
        names.collect::<Vec<_>>().join(" ")
    };
    let all = schedules.list(None, None, 0).await.unwrap();
    assert_eq!(shown(&all), "a1 a2 b1 b2");
    assert_eq!(shown(&schedules.list(None, Some(&all[1]), 1).await.unwrap()), "b1");
    assert_eq!(shown(&schedules.list(Some(&TenantId::new("b").unwrap()), None, 0).await.unwrap()), "b1 b2");
    assert!(all.iter().all(|info| info.next.is_none()));
    assert!(schedules.get(&TenantId::new("c").unwrap(), "1").await.unwrap().is_none());
    engine.shutdown().await.unwrap();
}

#[tokio::test]
async fn what_goes_beyond_its_limit_is_refused() {
    let (scene, store) = (Scene::new(), memory());
    let engine = scene.engine(&store).await;
    let schedule = scene.schedule("@daily");
    let refused = [
        schedule.clone().jitter(Duration::from_secs(3_601)),
        schedule.clone().catch_up(CatchUp::All { within: Duration::from_secs(1), most: 1_001 }),
    ];
    for schedule in refused {
        assert_eq!(engine.schedules().put(&schedule).await.unwrap_err().kind(), ErrorKind::Invalid);
    }
    let text = workflow("text")
        .define(|flow, text: Out<'_, String>| flow.step("s", |text: String| async move { Res::Ok(text) }, text))
        .unwrap();
    let large = Schedule::new("large", &text, &"x".repeat(5 << 20), Calendar::cron("@daily").unwrap()).unwrap();
    assert_eq!(engine.schedules().put(&large).await.unwrap_err().kind(), ErrorKind::TooLarge);
    assert!(Schedule::with_due_time("", &scene.flow, Calendar::cron("@daily").unwrap()).is_err());
    engine.shutdown().await.unwrap();
    assert_eq!(engine.schedules().put(&schedule).await.unwrap_err().kind(), ErrorKind::Closed);
    let ephemeral = builder().serve(&scene.flow).open().await.unwrap();
    assert_eq!(ephemeral.schedules().put(&schedule).await.unwrap_err().kind(), ErrorKind::Unsupported);
}

#[tokio::test]
async fn schedules_outlive_their_process_in_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs.db");
    let mut scene = Scene::new();
    let all = CatchUp::All { within: Duration::from_secs(86_400), most: 100 };
    for day in 0..3 {
        let store = Arc::new(SqliteStore::open(&path, SqliteOptions::default()).await.unwrap()) as Arc<dyn Store>;
        scene.clock.set(at(day * 43_200));
        let engine = scene.engine(&store).await;
        engine.schedules().put(&scene.schedule("0 */6 * * *").catch_up(all).overlap(Overlap::Allow)).await.unwrap();
        let mut fired = scene.next(if day == 0 { 0 } else { 2 }).await;
        fired.sort();
        assert_eq!(fired, if day == 0 { vec![] } else { vec![hour(day * 12 - 6), hour(day * 12)] });
        scene.info(&engine, |info| info.fired_up_to == hour(day * 12)).await;
        engine.shutdown().await.unwrap();
        assert_eq!(scene.runs(&store).await as i64, day * 2);
        store.close().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_due_time_has_one_run_on_postgres_whichever_executor_fires_it() {
    const EXECUTORS: usize = 3;
    const SPAN: i64 = 60;
    let server = PrivatePostgres::shared().unwrap();
    let schema = concat!("schedules_", env!("CARGO_CRATE_NAME"));
    let scene = Scene::new();
    let (mut stores, mut engines) = (Vec::new(), Vec::new());
    for _ in 0..EXECUTORS {
        // The test's time is its own.
        let options = PostgresOptions::default().schema(schema).lease_clock(LeaseClock::Caller);
        let store = Arc::new(PostgresStore::open(&server.url("postgres"), options).await.unwrap()) as Arc<dyn Store>;
        let clock = Arc::new(scene.clock.clone());
        let engine = builder().store(store.clone()).clock(clock).lease(hours(1)).serve(&scene.flow).open();
        engines.push(engine.await.unwrap());
        stores.push(store);
    }
    let all = CatchUp::All { within: Duration::from_secs(86_400), most: 1_000 };
    let schedule = scene.schedule("* * * * * *").catch_up(all).overlap(Overlap::Allow);
    // Every program puts its schedules when it begins.
    let put = engines.iter().map(|engine| {
        let (schedules, schedule) = (engine.schedules(), schedule.clone());
        tokio::spawn(async move { schedules.put(&schedule).await })
    });
    for put in put.collect::<Vec<_>>() {
        put.await.unwrap().unwrap();
    }
    for second in (5..=SPAN).step_by(5) {
        scene.clock.set(at(second));
        scene.info(&engines[0], |info| info.fired_up_to == at(second)).await;
    }
    let mut fired = BTreeSet::new();
    for run in stores[0].list(RunQuery { limit: u32::MAX, ..RunQuery::default() }).await.unwrap().runs {
        let due: Timestamp = stores[0].read(&run.key).await.unwrap().unwrap().input.decode().unwrap();
        assert!(fired.insert(due), "{due} was fired twice");
    }
    assert_eq!(fired, (1..=SPAN).map(at).collect::<BTreeSet<_>>());
    for (engine, store) in engines.iter().zip(stores) {
        engine.shutdown().await.unwrap();
        store.close().await.unwrap();
    }
}

#[tokio::test]
async fn a_pause_that_comes_while_a_run_is_started_is_not_lost() {
    let (mut scene, inner) = (Scene::new(), memory());
    let host = builder().store(inner.clone()).clock(Arc::new(scene.clock.clone())).open().await.unwrap();
    let (schedules, tenant) = (host.schedules(), scene.tenant.clone());
    // Between the moment at which the schedule was found to be due and the one at which that it was fired is written.
    let pause_at_start = move |_, batch: &fastn::store::Batch| {
        if batch.writes.iter().any(|write| matches!(write, fastn::store::Write::Create(_))) {
            let pause = std::pin::pin!(schedules.pause(&tenant, "s"));
            let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
            assert!(pause.poll(&mut cx).is_ready(), "a memory store answers at once");
        }
        None
    };
    let store = Arc::new(FaultStore::new(inner.clone(), pause_at_start)) as Arc<dyn Store>;
    let engine = scene.engine(&store).await;
    engine.schedules().put(&scene.schedule("*/5 * * * * *")).await.unwrap();
    scene.settle().await;
    // Not so far that a lease ends.
    scene.clock.set(at(5));
    assert_eq!(scene.next(1).await, [at(5)]);
    scene.info(&engine, |info| info.schedule.paused).await;
    scene.clock.set(at(10));
    scene.settle().await;
    assert!(scene.info(&engine, |_| true).await.schedule.paused);
    assert_eq!(scene.runs(&inner).await, 1);
    engine.shutdown().await.unwrap();
    host.shutdown().await.unwrap();
}

/// A machine's clock whose calendar is wrong.
#[derive(Debug, Default)]
struct WrongClock {
    /// By so many seconds.
    by: AtomicI64,
}

impl Clock for WrongClock {
    fn now(&self) -> Timestamp {
        let by = self.by.load(Ordering::SeqCst) * 1_000_000;
        Timestamp::from_micros(SystemClock.now().as_micros() + by)
    }

    fn uptime(&self) -> Duration {
        SystemClock.uptime()
    }

    fn sleep(&self, span: Duration) -> BoxFuture<'static, ()> {
        SystemClock.sleep(span)
    }
}

/// A schedule that is due each second, with two executors of which the calendar of one is wrong, from the beginning or from
/// the middle on; and then with that one alone.
async fn check_wrong_clock(name: &str, at_first: i64, later: i64) {
    let server = PrivatePostgres::shared().unwrap();
    let url = server.url("postgres");
    let open = async || {
        let options = PostgresOptions::default().schema(format!("wrong_clock_{name}_{}", env!("CARGO_CRATE_NAME")));
        Arc::new(PostgresStore::open(&url, options).await.unwrap()) as Arc<dyn Store>
    };
    let mut scene = Scene::new();
    let wrong = Arc::new(WrongClock { by: AtomicI64::new(at_first) });
    let (right, other) = (open().await, open().await);
    let engine = async |store: &Arc<dyn Store>, clock: Arc<dyn Clock>| {
        builder().store(store.clone()).clock(clock).serve(&scene.flow).open().await.unwrap()
    };
    let good = engine(&right, Arc::new(SystemClock)).await;
    let bad = engine(&other, wrong.clone()).await;
    // It is put by the one whose calendar is wrong.
    bad.schedules().put(&scene.schedule("* * * * * *").overlap(Overlap::Allow)).await.unwrap();
    let mut fired = Vec::new();
    for part in 0..3 {
        match part {
            0 => {}
            1 => wrong.by.store(later, Ordering::SeqCst),
            _ => good.shutdown().await.unwrap(),
        }
        for due in scene.next(3).await {
            let now = SystemClock.now();
            assert!(due <= now, "{due} was fired at {now}, {name}");
            assert!(now.since(due) < Duration::from_secs(15), "{due} was fired at {now}, {name}");
            fired.push(due);
        }
    }
    fired.sort();
    let whole: Vec<_> = (0..9).map(|n| fired[0].plus(Duration::from_secs(n))).collect();
    assert_eq!(fired, whole, "each second has its run, {name}");
    let info = bad.schedules().get(&scene.tenant, "s").await.unwrap().unwrap();
    assert!(info.fired_up_to <= SystemClock.now(), "{name}");
    bad.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_is_wrong_or_jumps_on_one_executor_neither_fires_early_nor_passes_anything_over() {
    tokio::join!(
        check_wrong_clock("ahead", 2 * 3_600, 2 * 3_600),
        check_wrong_clock("behind", -2 * 3_600, -2 * 3_600),
        check_wrong_clock("jumps_ahead", 0, 3_600),
        check_wrong_clock("jumps_back", 40, -366 * 86_400),
        check_wrong_clock("jumps_by_a_year", 0, 366 * 86_400),
    );
}
