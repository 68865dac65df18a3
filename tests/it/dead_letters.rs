//! Runs that failed for good: listed, counted, retried and dismissed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use fastn::core::{EntryKind, EntryName};
use fastn::prelude::*;
use fastn::runtime::{EventQuery, LetterQuery, LetterRetry, StoreSource};
use fastn::store::{EntryKey, Expect, Message, Put, RunKey};
use fastn_testkit::ManualClock;
use fastn_testkit::server::PrivatePostgres;

use crate::world::{Log, Res, builder, memory, noted};

/// What goes wrong: cards are declined until the bank is well, and for some nothing can be undone.
#[derive(Clone, Default)]
struct Bank {
    well: Arc<AtomicBool>,
    log: Log,
}

/// 1 is declined, and 2 too after which it cannot be undone; 3 is tried three times.
fn order(bank: &Bank, version: u32) -> Workflow<u64, u64> {
    let (well, log) = (bank.well.clone(), bank.log.clone());
    let charge = move |n: u64| {
        let well = well.load(Ordering::SeqCst);
        log.note(format!("charge {n}"));
        async move {
            match n {
                _ if well => Ok(n),
                1 | 2 => Err(StepError::permanent("no money").of_kind("card_declined")),
                3 => Err(StepError::new("the bank is away")),
                _ => Res::Ok(n),
            }
        }
    };
    async fn undo(n: u64) -> Res<()> {
        if n == 2 { Err(StepError::permanent("lost")) } else { Ok(()) }
    }
    let at_once = Retry::fixed(millis(0)).attempts(3);
    workflow("order")
        .version(version)
        .define(|flow, n| {
            let held = flow.step("reserve", noted(&bank.log, "reserve").undo(undo), n);
            flow.step("charge", charge.retry(at_once), held)
        })
        .unwrap()
}

async fn open(store: impl Into<StoreSource>, clock: &Arc<ManualClock>, flows: &[&Workflow<u64, u64>]) -> Engine {
    let builder = builder().store(store).clock(clock.clone());
    flows.iter().fold(builder, |builder, flow| builder.serve(flow)).open().await.unwrap()
}

fn tenant(name: &str) -> TenantId {
    TenantId::new(name).unwrap()
}

/// The keys of the letters of a query, page by page.
async fn listed(engine: &Engine, query: &LetterQuery) -> Vec<u64> {
    let (mut found, mut query) = (Vec::new(), LetterQuery { limit: 2, ..query.clone() });
    let counted = engine.dead_letters().count(query.clone()).await.unwrap();
    loop {
        let page = engine.dead_letters().list(query.clone()).await.unwrap();
        assert!(page.letters.len() <= 2);
        found.extend(page.letters.iter().map(|letter| letter.input.decode::<u64>().unwrap()));
        query.before = page.next;
        if page.next.is_none() {
            assert_eq!(found.len() as u64, counted);
            return found;
        }
    }
}

async fn all(store: impl Into<StoreSource>) {
    let clock = Arc::new(ManualClock::at(Timestamp::from_millis(1_800_000_000_000)));
    let (bank, other) = (Bank::default(), Bank::default());
    let (first, second) = (order(&bank, 1), order(&other, 2));
    let engine = open(store, &clock, &[&first, &second]).await;
    let letters = engine.dead_letters();
    let any = LetterQuery::default();
    let (ours, theirs) = (TenantId::default(), tenant("theirs"));

    let run = |flow, n: u64, tenant: &TenantId| engine.start(flow, n).key(&format!("order {n}")).tenant(tenant.clone());
    let id = |n: u64| RunId::named(&format!("order {n}"));
    for (flow, n, tenant) in [(&first, 1, &ours), (&first, 0, &ours), (&first, 2, &theirs), (&second, 3, &ours)] {
        run(flow, n, tenant).await.unwrap().outcome().await.unwrap();
        clock.advance(secs(60));
    }
    assert_eq!(listed(&engine, &any).await, [3, 2, 1], "the newest first, and none that succeeded");

    // What is asked for.
    let kind = |kind: FailureKind| LetterQuery { kind: Some(kind), ..any.clone() };
    let at = |minutes: i64| Some(Timestamp::from_millis(1_800_000_000_000 + minutes * 60_000));
    let queries = [
        (LetterQuery { tenant: Some(theirs.clone()), ..any.clone() }, vec![2]),
        (LetterQuery { workflow: Some("order".parse().unwrap()), ..any.clone() }, vec![3, 2, 1]),
        (LetterQuery { workflow: Some("another".parse().unwrap()), ..any.clone() }, vec![]),
        (LetterQuery { version: Some(Version(2)), ..any.clone() }, vec![3]),
        (kind("card_declined".into()), vec![1]),
        (kind(FailureKind::COMPENSATION), vec![2]),
        (LetterQuery { ended_from: at(2), ..any.clone() }, vec![3, 2]),
        (LetterQuery { ended_from: at(1), ended_before: at(3), ..any.clone() }, vec![2]),
        (LetterQuery { ended_before: at(0), ..any.clone() }, vec![]),
    ];
    for (query, expected) in queries {
        assert_eq!(listed(&engine, &query).await, expected, "{query:?}");
    }

    // What is told of each.
    let told = |letter: fastn::runtime::DeadLetter| {
        (letter.run.status, letter.failure.kind, letter.step.unwrap_or_default(), letter.attempts)
    };
    let declined = FailureKind::from("card_declined");
    let letter = letters.get(&ours, id(1)).await.unwrap();
    assert_eq!(told(letter), (RunStatus::Failed, declined, "charge".to_owned(), 1));
    let letter = letters.get(&theirs, id(2)).await.unwrap();
    assert_eq!(told(letter), (RunStatus::Stuck, FailureKind::COMPENSATION, "charge".to_owned(), 1));
    let letter = letters.get(&ours, id(3)).await.unwrap();
    assert_eq!(told(letter), (RunStatus::Failed, FailureKind::ERROR, "charge".to_owned(), 3));
    assert_eq!(letters.get(&ours, id(0)).await.unwrap_err().kind(), ErrorKind::Invalid, "it succeeded");
    assert_eq!(letters.get(&ours, id(9)).await.unwrap_err().kind(), ErrorKind::NotFound);

    // Once more, and as often as it is asked for it is one run.
    let (once, twice) = (LetterRetry::default(), LetterRetry { number: 2, ..LetterRetry::default() });
    let early = letters.retry(&ours, id(1), twice).await.unwrap_err();
    assert_eq!(early.kind(), ErrorKind::Invalid, "the first comes first");
    let again = letters.retry(&ours, id(1), once).await.unwrap();
    assert!(matches!(outcome(&engine, &ours, again).await, Outcome::Failed(_)), "the bank is not well yet");
    assert_eq!(letters.retry(&ours, id(1), once).await.unwrap(), again);
    assert_eq!(bank.log.count("charge 1"), 2);
    bank.well.store(true, Ordering::SeqCst);
    let (a, b) = tokio::join!(letters.retry(&ours, id(1), twice), letters.retry(&ours, id(1), twice));
    let (a, b) = (a.unwrap(), b.unwrap());
    assert_eq!(a, b, "two who ask at once get one run");
    assert!(matches!(outcome(&engine, &ours, a).await, Outcome::Succeeded(_)));
    assert_eq!(bank.log.count("charge 1"), 3);
    let letter = letters.get(&ours, id(1)).await.unwrap();
    assert_eq!((letter.retries, letter.retried.map(|retried| retried.run)), (2, Some(a)));

    // The retry that failed is a letter of its own; that it was retried takes the first out of those that are open.
    let open = LetterQuery { open: true, ..any.clone() };
    assert_eq!(listed(&engine, &any).await, [1, 3, 2, 1]);
    assert_eq!(listed(&engine, &open).await, [1, 3, 2]);

    // Dismissed.
    assert!(letters.dismiss(&ours, again, "ann", "paid by other means").await.unwrap());
    assert!(!letters.dismiss(&ours, again, "bob", "no").await.unwrap(), "the first reason stands");
    let dismissed = letters.get(&ours, again).await.unwrap().dismissed.unwrap();
    assert_eq!((&*dismissed.by, &*dismissed.why, dismissed.at), ("ann", "paid by other means", at(4).unwrap()));
    let refused = letters.dismiss(&ours, id(0), "ann", "").await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Invalid, "it succeeded");
    let refused = letters.dismiss(&ours, id(2), "ann", &"why ".repeat(2_000)).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::TooLarge);

    // All that are left, in pages.
    assert_eq!(letters.count(open.clone()).await.unwrap(), 2);
    other.well.store(true, Ordering::SeqCst);
    let page = letters.retry_all(LetterQuery { limit: 1, ..any.clone() }).await.unwrap();
    let [(letter, run)] = page.started.as_slice() else { panic!("{page:?}") };
    assert_eq!((letter.run, page.refused.len()), (id(3), 0));
    assert!(matches!(outcome(&engine, &ours, *run).await, Outcome::Succeeded(_)));
    let page = letters.retry_all(LetterQuery { limit: 1, before: page.next, ..any.clone() }).await.unwrap();
    let [(letter, run)] = page.started.as_slice() else { panic!("{page:?}") };
    assert_eq!((&letter.tenant, letter.run), (&theirs, id(2)));
    assert!(matches!(outcome(&engine, &theirs, *run).await, Outcome::Succeeded(_)));
    assert_eq!(letters.count(open.clone()).await.unwrap(), 0);
    assert!(letters.retry_all(any.clone()).await.unwrap().started.is_empty(), "nothing is retried twice by itself");
    assert_eq!(letters.count(any).await.unwrap(), 4, "they stay letters");
    engine.shutdown().await.unwrap();
}

async fn outcome(engine: &Engine, tenant: &TenantId, run: RunId) -> Outcome {
    engine.runs().handle::<u64>(tenant, run).outcome().await.unwrap()
}

#[tokio::test]
async fn letters_are_listed_retried_and_dismissed_in_memory() {
    all(memory()).await;
}

#[tokio::test]
async fn letters_are_listed_retried_and_dismissed_on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    all(format!("sqlite:{}", folder.path().join("runs.db").display())).await;
}

#[tokio::test]
async fn letters_are_listed_retried_and_dismissed_on_postgres() {
    all(PrivatePostgres::shared().unwrap().database("letters").unwrap()).await;
}

/// What was repaired in a new version is retried with it, and what nobody serves is left, and said.
#[tokio::test]
async fn a_letter_is_retried_with_a_version_that_is_served() {
    let (clock, bank, store) = (Arc::new(ManualClock::at(Timestamp::EPOCH)), Bank::default(), memory());
    let (old, new, newer) = (order(&bank, 1), order(&bank, 2), order(&bank, 3));
    let engine = open(store.clone(), &clock, &[&old]).await;
    for n in [1, 3] {
        engine.start(&old, n).key(&format!("order {n}")).await.unwrap().outcome().await.unwrap();
    }
    engine.shutdown().await.unwrap();
    bank.well.store(true, Ordering::SeqCst);

    let (ours, one, three) = (TenantId::default(), RunId::named("order 1"), RunId::named("order 3"));
    let engine = open(store.clone(), &clock, &[]).await;
    let all = engine.dead_letters().retry_all(LetterQuery::default()).await.unwrap();
    let kinds: Vec<_> = all.refused.iter().map(|(letter, error)| (letter.run, error.kind())).collect();
    assert_eq!(kinds, [(three, ErrorKind::NotFound), (one, ErrorKind::NotFound)]);
    assert!(all.started.is_empty() && all.next.is_none());
    assert_eq!(engine.dead_letters().count(LetterQuery { open: true, ..LetterQuery::default() }).await.unwrap(), 2);
    engine.shutdown().await.unwrap();

    let engine = open(store, &clock, &[&new, &newer]).await;
    let letters = engine.dead_letters();
    let version = async |run| engine.runs().inspect(&ours, run).await.unwrap().history.run.definition.version.0;
    let run = letters.retry(&ours, one, LetterRetry::default()).await.unwrap();
    assert_eq!(version(run).await, 3, "the newest");
    let run = letters.retry(&ours, three, LetterRetry { version: Some(Version(2)), ..LetterRetry::default() }).await;
    assert_eq!(version(run.unwrap()).await, 2);
    let wrong = LetterRetry { number: 2, version: Some(Version(7)) };
    assert_eq!(letters.retry(&ours, three, wrong).await.unwrap_err().kind(), ErrorKind::NotFound);
    engine.shutdown().await.unwrap();
}

#[tokio::test]
async fn letters_of_a_query_are_dismissed_and_those_that_were_cancelled_are_none() {
    let (clock, bank) = (Arc::new(ManualClock::at(Timestamp::EPOCH)), Bank::default());
    let flow = order(&bank, 1);
    let sleeps = workflow("sleeps").define(|flow, n| flow.sleep("rest", hours(1), n)).unwrap();
    let engine = open(memory(), &clock, &[&flow, &sleeps]).await;
    let cancelled = engine.start(&sleeps, 1).await.unwrap();
    cancelled.cancel("no").await.unwrap();
    assert!(matches!(cancelled.outcome().await.unwrap(), Outcome::Cancelled(_)));
    for n in [1, 2, 3] {
        engine.start(&flow, n).key(&format!("order {n}")).await.unwrap().outcome().await.unwrap();
    }
    let letters = engine.dead_letters();
    assert_eq!(listed(&engine, &LetterQuery::default()).await, [3, 2, 1]);
    let query = LetterQuery { kind: Some("card_declined".into()), ..LetterQuery::default() };
    let done = letters.dismiss_all(query, "ann", "known").await.unwrap();
    assert_eq!((done.dismissed.len(), done.next), (1, None));
    let done = letters.dismiss_all(LetterQuery::default(), "bob", "all others").await.unwrap();
    assert_eq!(done.dismissed.len(), 2);
    let reasons = letters.list(LetterQuery::default()).await.unwrap().letters;
    let reasons: Vec<_> = reasons.into_iter().map(|letter| letter.dismissed.unwrap().by).collect();
    assert_eq!(reasons, ["bob", "bob", "ann"]);
    engine.shutdown().await.unwrap();
    let late = letters.dismiss(&TenantId::default(), RunId::named("order 1"), "ann", "late").await.unwrap_err();
    assert_eq!(late.kind(), ErrorKind::Closed);
}

const PAID: Signal<u64> = Signal::new("paid");
const NONSENSE: Signal<u64> = Signal::new("nonsense");

/// The sender serves another workflow, so it cannot know what runs of this one wait for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_told_to_a_run_is_kept_and_told_again_or_dismissed() {
    let url = PrivatePostgres::shared().unwrap().database("dead_events").unwrap();
    let flow = workflow("order").define(|flow, n: Out<'_, u64>| flow.wait("payment", PAID, n)).unwrap();
    let other = workflow("other").define(|flow, n| flow.step("step", async |n: u64| Res::Ok(n), n)).unwrap();
    let holder = builder().store(url.as_str()).serve(&flow).open().await.unwrap();
    let sender = builder().store(url.as_str()).serve(&other).open().await.unwrap();
    let run = holder.start(&flow, 7).await.unwrap();
    let strange = sender.runs().handle::<u64>(run.tenant(), run.id());
    assert_eq!(strange.signal(NONSENSE, &1).await.unwrap(), Delivery::Told);
    let store = fastn::store::open(&url).await.unwrap();
    let key = RunKey { tenant: run.tenant().clone(), run: run.id() };
    let message =
        |id, body: &'static str| Message { id, run: key.clone(), body: body.into(), sent_at: Timestamp::EPOCH };
    store.send(vec![message([9; 16], "{nonsense")]).await.unwrap();

    let letters = sender.dead_letters();
    while letters.count_events(EventQuery::default()).await.unwrap() < 2 {
        tokio::task::yield_now().await;
    }
    let of = |signal: &str| EventQuery { signal: Some(signal.to_owned()), ..EventQuery::default() };
    let [event] = letters.events(of("nonsense")).await.unwrap().events.try_into().unwrap();
    assert_eq!(
        (event.run, event.attempts, event.signal.clone()),
        (run.id(), 1, Some(("nonsense".into(), Payload::json("1"))))
    );
    assert_eq!(event.reason, "no node of order v1 waits for `nonsense`");
    let all = letters.events(EventQuery::default()).await.unwrap().events;
    let broken = all.iter().find(|event| event.id == [9; 16]).unwrap();
    assert_eq!((broken.text.as_str(), &broken.signal), ("{nonsense", &None));

    // What a program of before has not understood is understood by this one.
    let kept = concat!(
        r#"{"format":1,"id":"07070707-0707-0707-0707-070707070707","run":"RUN","#,
        r#""text":"{\"v\":1,\"kind\":\"signal\",\"name\":\"paid\",\"value\":5}","#,
        r#""reason":"it was not understood","attempts":1,"sent_at":1,"failed_at":2}"#
    );
    let name = format!("{}/07070707-0707-0707-0707-070707070707", run.id());
    let (kind, name) = (EntryKind::new("dead-event").unwrap(), EntryName::new(name).unwrap());
    let entry = EntryKey { kind, tenant: run.tenant().clone(), name };
    let value = Some(kept.replace("RUN", &run.id().to_string()).into());
    store.put(Put { key: entry, value, expect: Expect::Absent }).await.unwrap();

    let pages = EventQuery { limit: 2, ..EventQuery::default() };
    let page = letters.events(pages.clone()).await.unwrap();
    let rest = letters.events(EventQuery { after: page.next.clone(), ..pages }).await.unwrap();
    assert_eq!((page.events.len(), rest.events.len(), rest.next), (2, 1, None));

    let again = holder.dead_letters().retry_events(EventQuery::default()).await.unwrap();
    assert_eq!((again.told.len(), again.refused.len()), (1, 2));
    assert!(again.refused.iter().all(|(_, error)| error.kind() == ErrorKind::Invalid), "{again:?}");
    assert_eq!(run.output().await.unwrap(), 5);
    let [event] = letters.events(of("nonsense")).await.unwrap().events.try_into().unwrap();
    assert_eq!(event.attempts, 2);
    assert!(letters.dismiss_event(&event.tenant, event.run, event.id, "ann", "a typing error").await.unwrap());
    assert!(!letters.dismiss_event(&event.tenant, event.run, event.id, "ann", "a typing error").await.unwrap());
    let gone = letters.retry_event(&event.tenant, event.run, event.id).await.unwrap_err();
    assert_eq!(gone.kind(), ErrorKind::NotFound);
    assert_eq!(letters.count_events(EventQuery::default()).await.unwrap(), 1);
    holder.shutdown().await.unwrap();
    sender.shutdown().await.unwrap();
    store.close().await.unwrap();
}

#[tokio::test]
async fn a_run_that_has_the_id_of_one_that_was_deleted_is_a_letter_of_its_own() {
    let clock = Arc::new(ManualClock::at(Timestamp::from_millis(1_800_000_000_000)));
    let (bank, store) = (Bank::default(), memory());
    let flow = order(&bank, 1);
    let engine = open(store.clone(), &clock, &[&flow]).await;
    let (letters, ours) = (engine.dead_letters(), TenantId::default());
    let fail = async || engine.start(&flow, 1).key("order 1").await.unwrap().outcome().await.unwrap();
    fail().await;
    let id = RunId::named("order 1");
    let once = letters.retry(&ours, id, LetterRetry::default()).await.unwrap();
    let open = LetterQuery { open: true, ..LetterQuery::default() };
    engine.runs().handle::<u64>(&ours, once).outcome().await.unwrap();
    assert_eq!(listed(&engine, &open).await.len(), 1, "the retry has failed as well, and the first was retried");

    clock.advance(days(1));
    assert_eq!(store.prune(Timestamp::MAX, 10).await.unwrap(), 2);
    fail().await;
    assert_eq!(listed(&engine, &open).await, [1]);
    let letter = letters.get(&ours, id).await.unwrap();
    assert_eq!((letter.retries, letter.retried), (0, None));
    let retried = letters.retry_all(LetterQuery::default()).await.unwrap();
    assert_eq!(retried.started.len(), 1);
    assert_ne!(retried.started[0].1, once, "it is a run of its own");
}
