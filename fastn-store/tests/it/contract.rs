//! The contract, on every store.

use std::sync::Arc;

use fastn_core::{ContentType, ErrorKind, Event, Outcome, Payload, Record, TenantId, Timestamp, WorkflowName};
use fastn_store::{Batch, ClaimAsk, MemoryStore, NewRun, RunNo, RunQuery, RunStatus, Store, Then, Write, Written};

use crate::support::{
    acquire, at, claim, commit, create, definition, fails, finished, key, new_run, record, turn, turn_of,
};

type AnyStore = Arc<dyn Store>;

macro_rules! on_every_store {
    ($($case:ident),* $(,)?) => {
        mod memory {
            $(
                #[tokio::test]
                async fn $case() {
                    super::$case(std::sync::Arc::new(super::MemoryStore::new())).await;
                }
            )*
        }

        #[cfg(feature = "sqlite")]
        mod sqlite {
            $(
                #[tokio::test]
                async fn $case() {
                    let folder = tempfile::tempdir().unwrap();
                    let options = fastn_store::SqliteOptions::default();
                    let store = fastn_store::SqliteStore::open(folder.path().join("runs.db"), options).await.unwrap();
                    super::$case(std::sync::Arc::new(store)).await;
                }
            )*
        }
    };
}

on_every_store![
    a_new_run_is_created_once,
    a_run_that_exists_is_shown_to_whoever_creates_it_again,
    records_come_back_in_order_without_gaps,
    a_turn_that_is_committed_again_changes_nothing,
    a_gap_is_refused_with_its_whole_batch,
    turns_of_runs_that_are_not_held_are_refused,
    a_bad_batch_does_not_harm_those_beside_it,
    a_released_lease_writes_nothing,
    an_expired_lease_is_fenced_once_another_claims,
    a_renewed_lease_is_no_less_in_force,
    only_served_runs_are_claimed_oldest_first,
    claims_page_through_all_runs,
    runs_created_without_a_lease_can_be_claimed,
    a_released_run_is_claimed_with_its_records,
    a_waiting_run_says_until_when,
    an_end_is_final,
    lists_are_filtered_and_paged,
    tenants_do_not_see_each_other,
    hostile_values_come_back_unchanged,
    old_runs_are_pruned,
    a_closed_store_says_so,
];

async fn a_new_run_is_created_once(store: AnyStore) {
    let lease = acquire(&*store, "a", 0).await.unwrap();
    let first = create(&*store, Some(&lease), new_run("t", "1", "w")).await;
    let second = create(&*store, Some(&lease), new_run("t", "2", "w")).await;
    assert!(first < second);
    let plan = store.plan(&key("t", "1").tenant, &definition("w")).await.unwrap();
    assert_eq!(plan.as_deref(), Some("the plan of w"));
    assert_eq!(store.plan(&key("other", "1").tenant, &definition("w")).await.unwrap(), None);
    let history = store.read(&key("t", "1")).await.unwrap().unwrap();
    assert_eq!(
        (history.run.no, history.run.status, history.run.holder),
        (first, RunStatus::Pending, Some(lease.token))
    );
    assert_eq!((history.run.created_at, history.run.finished_at, history.run.wake_at), (at(1), None, None));
    assert_eq!((history.run.key.clone(), history.run.definition.clone()), (key("t", "1"), definition("w")));
    assert_eq!((history.input.clone(), history.records.len()), (Payload::json("\"1\""), 0));
    assert_eq!(history.outcome(), None);
    assert_eq!(store.read(&key("t", "3")).await.unwrap(), None);
}

async fn a_run_that_exists_is_shown_to_whoever_creates_it_again(store: AnyStore) {
    let lease = acquire(&*store, "a", 0).await.unwrap();
    let no = create(&*store, Some(&lease), new_run("t", "1", "w")).await;
    commit(&*store, &lease, vec![turn(no, 0, 2, Then::Run)]).await.unwrap();
    let other = NewRun { input: Payload::json("[]"), definition: definition("other"), ..new_run("t", "1", "w") };
    let writes =
        vec![Write::Create(other), Write::Create(new_run("t", "2", "w")), Write::Create(new_run("t", "2", "w"))];
    let written = store.commit(Batch { lease: Some(lease.token), now: at(2), writes }).await.unwrap();
    let Written::Exists(existing) = &written[0] else { panic!("{written:?}") };
    assert_eq!((existing.no, existing.status), (no, RunStatus::Running));
    assert_eq!((&existing.definition, &existing.input), (&definition("w"), &Payload::json("\"1\"")));
    let (Written::Created(second), Written::Exists(same)) = (&written[1], &written[2]) else { panic!("{written:?}") };
    assert_eq!((same.no, same.status), (*second, RunStatus::Pending));
}

async fn records_come_back_in_order_without_gaps(store: AnyStore) {
    let lease = acquire(&*store, "a", 0).await.unwrap();
    let one = create(&*store, Some(&lease), new_run("t", "1", "w")).await;
    let two = create(&*store, Some(&lease), new_run("t", "2", "w")).await;
    for first in (0..30).step_by(3) {
        let turns =
            vec![turn(one, first, 2, Then::Run), turn(two, first, 3, Then::Run), turn(one, first + 2, 1, Then::Run)];
        assert_eq!(commit(&*store, &lease, turns).await.unwrap(), vec![Written::Turned; 3]);
    }
    let expected: Vec<Record> = (0..30).map(record).collect();
    for name in ["1", "2"] {
        let history = store.read(&key("t", name)).await.unwrap().unwrap();
        assert_eq!((history.records, history.run.status), (expected.clone(), RunStatus::Running));
    }
}

async fn a_turn_that_is_committed_again_changes_nothing(store: AnyStore) {
    let lease = acquire(&*store, "a", 0).await.unwrap();
    let no = create(&*store, Some(&lease), new_run("t", "1", "w")).await;
    let begin = turn(no, 0, 2, Then::Wait(at(9)));
    let end = turn(no, 2, 2, Then::End(RunStatus::Succeeded));
    for repeated in [vec![begin.clone()], vec![begin.clone(), end.clone()]] {
        commit(&*store, &lease, repeated.clone()).await.unwrap();
        let before = store.read(&key("t", "1")).await.unwrap().unwrap();
        assert_eq!(commit(&*store, &lease, repeated.clone()).await.unwrap(), vec![Written::Turned; repeated.len()]);
        assert_eq!(store.read(&key("t", "1")).await.unwrap().unwrap(), before);
    }
    // Under the next lease too, which does not hold the run.
    store.release(&lease).await.unwrap();
    let next = acquire(&*store, "b", 1).await.unwrap();
    assert_eq!(commit(&*store, &next, vec![end]).await.unwrap(), vec![Written::Turned]);
    assert_eq!(store.read(&key("t", "1")).await.unwrap().unwrap().records.len(), 4);
}

async fn a_gap_is_refused_with_its_whole_batch(store: AnyStore) {
    let lease = acquire(&*store, "a", 0).await.unwrap();
    let one = create(&*store, Some(&lease), new_run("t", "1", "w")).await;
    let two = create(&*store, Some(&lease), new_run("t", "2", "w")).await;
    commit(&*store, &lease, vec![turn(one, 0, 2, Then::Run)]).await.unwrap();
    let bad = [
        ("a gap", turn(one, 3, 1, Then::Run)),
        ("an overlap", turn(one, 1, 2, Then::Run)),
        ("an overflow", turn_of(one, u64::MAX, &[record(0)], Then::Run)),
        ("an end that is none", turn(one, 2, 1, Then::End(RunStatus::Running))),
        ("an end without a record", turn(one, 2, 0, Then::End(RunStatus::Failed))),
        ("a run that is not", turn(RunNo(999), 0, 1, Then::Run)),
        ("a number that cannot be", turn(RunNo(u64::MAX), 0, 1, Then::Run)),
    ];
    for (what, bad) in bad {
        let new = Write::Create(new_run("t", "3", "w"));
        let writes = vec![new, Write::Turn(turn(two, 0, 1, Then::Run)), Write::Turn(bad)];
        let result = store.commit(Batch { lease: Some(lease.token), now: at(2), writes }).await;
        assert_eq!(result.expect_err(what).kind(), ErrorKind::Invalid, "{what}");
        assert_eq!(store.read(&key("t", "3")).await.unwrap(), None, "{what}");
        assert_eq!(store.read(&key("t", "2")).await.unwrap().unwrap().records, [], "{what}");
    }
    commit(&*store, &lease, vec![turn(one, 2, 1, Then::Run), turn(two, 0, 1, Then::Run)]).await.unwrap();
    assert_eq!(store.read(&key("t", "1")).await.unwrap().unwrap().records.len(), 3);
}

async fn turns_of_runs_that_are_not_held_are_refused(store: AnyStore) {
    let free = create(&*store, None, new_run("t", "1", "w")).await;
    let lease = acquire(&*store, "a", 0).await.unwrap();
    fails(commit(&*store, &lease, vec![turn(free, 0, 1, Then::Run)]).await, ErrorKind::Invalid);
    let unleased = Batch { lease: None, now: at(1), writes: vec![Write::Turn(turn(free, 0, 1, Then::Run))] };
    fails(store.commit(unleased).await, ErrorKind::Invalid);
    let held = create(&*store, Some(&lease), new_run("t", "2", "w")).await;
    commit(&*store, &lease, vec![turn(held, 0, 1, Then::End(RunStatus::Failed))]).await.unwrap();
    fails(commit(&*store, &lease, vec![turn(held, 1, 1, Then::Run)]).await, ErrorKind::Invalid);
    let twice = vec![turn(held, 1, 1, Then::End(RunStatus::Failed)), turn(held, 2, 1, Then::Run)];
    fails(commit(&*store, &lease, twice).await, ErrorKind::Invalid);
}

async fn a_bad_batch_does_not_harm_those_beside_it(store: AnyStore) {
    let lease = acquire(&*store, "a", 0).await.unwrap();
    let mut runs = Vec::new();
    for name in 0..20 {
        runs.push(create(&*store, Some(&lease), new_run("t", &name.to_string(), "w")).await);
    }
    let commits: Vec<_> = runs
        .iter()
        .enumerate()
        .map(|(i, no)| {
            let (store, lease, turn) = (Arc::clone(&store), lease.clone(), turn(*no, (i % 2) as u64, 1, Then::Run));
            tokio::spawn(async move { commit(&*store, &lease, vec![turn]).await })
        })
        .collect();
    for (i, result) in commits.into_iter().enumerate() {
        assert_eq!(result.await.unwrap().is_ok(), i % 2 == 0);
        let history = store.read(&key("t", &i.to_string())).await.unwrap().unwrap();
        assert_eq!(history.records.len(), 1 - i % 2);
    }
}

async fn a_released_lease_writes_nothing(store: AnyStore) {
    let lease = acquire(&*store, "a", 0).await.unwrap();
    let no = create(&*store, Some(&lease), new_run("t", "1", "w")).await;
    store.release(&lease).await.unwrap();
    store.release(&lease).await.unwrap();
    fails(commit(&*store, &lease, vec![turn(no, 0, 1, Then::Run)]).await, ErrorKind::Fenced);
    let next = acquire(&*store, "b", 1).await.unwrap();
    assert!(next.token > lease.token);
    assert_eq!(claim(&*store, &next, 1, &["w"], 10).await.unwrap(), [no]);
    fails(commit(&*store, &lease, vec![turn(no, 0, 1, Then::Run)]).await, ErrorKind::Fenced);
    let batch = Batch { lease: Some(lease.token), now: at(1), writes: vec![Write::Create(new_run("t", "2", "w"))] };
    fails(store.commit(batch).await, ErrorKind::Fenced);
    fails(claim(&*store, &lease, 1, &["w"], 10).await, ErrorKind::Fenced);
    fails(store.renew(&lease, at(99)).await, ErrorKind::Fenced);
    store.release(&lease).await.unwrap();
    commit(&*store, &next, vec![turn(no, 0, 1, Then::Run)]).await.unwrap();
    assert_eq!(store.read(&key("t", "2")).await.unwrap(), None);
}

async fn an_expired_lease_is_fenced_once_another_claims(store: AnyStore) {
    let lease = acquire(&*store, "a", 0).await.unwrap();
    let no = create(&*store, Some(&lease), new_run("t", "1", "w")).await;
    commit(&*store, &lease, vec![turn(no, 0, 3, Then::Run)]).await.unwrap();
    let next = acquire(&*store, "b", 60).await.unwrap();
    assert_eq!(claim(&*store, &next, 60, &["w"], 10).await.unwrap(), [no]);
    fails(commit(&*store, &lease, vec![turn(no, 3, 1, Then::Run)]).await, ErrorKind::Fenced);
    commit(&*store, &next, vec![turn(no, 3, 1, Then::Run)]).await.unwrap();
    assert_eq!(store.read(&key("t", "1")).await.unwrap().unwrap().records.len(), 4);
}

async fn a_renewed_lease_is_no_less_in_force(store: AnyStore) {
    let lease = acquire(&*store, "a", 0).await.unwrap();
    let no = create(&*store, Some(&lease), new_run("t", "1", "w")).await;
    store.renew(&lease, at(100)).await.unwrap();
    if let Ok(other) = acquire(&*store, "b", 60).await {
        assert_eq!(claim(&*store, &other, 60, &["w"], 10).await.unwrap(), []);
    }
    commit(&*store, &lease, vec![turn(no, 0, 1, Then::Run)]).await.unwrap();
}

async fn only_served_runs_are_claimed_oldest_first(store: AnyStore) {
    let mut runs = Vec::new();
    for (name, workflow) in [("1", "a"), ("2", "b"), ("3", "a"), ("4", "c"), ("5", "b")] {
        runs.push(create(&*store, None, new_run(&format!("tenant {name}"), name, workflow)).await);
    }
    let lease = acquire(&*store, "x", 0).await.unwrap();
    assert_eq!(claim(&*store, &lease, 0, &[], 10).await.unwrap(), []);
    assert_eq!(claim(&*store, &lease, 0, &["a", "b"], 0).await.unwrap(), []);
    assert_eq!(claim(&*store, &lease, 0, &["a", "b"], 2).await.unwrap(), runs[0..2]);
    assert_eq!(claim(&*store, &lease, 0, &["a"], 10).await.unwrap(), runs[2..3]);
    assert_eq!(claim(&*store, &lease, 0, &["a"], 10).await.unwrap(), []);
    assert_eq!(claim(&*store, &lease, 0, &["a", "b", "c"], 10).await.unwrap(), runs[3..5]);
    let mut other_shape = definition("c");
    other_shape.shape.0[0] ^= 1;
    create(&*store, None, new_run("t", "6", "c")).await;
    let ask = ClaimAsk { lease: lease.token, now: at(0), serves: vec![other_shape], limit: 10 };
    assert_eq!(store.claim(ask).await.unwrap(), []);
}

async fn claims_page_through_all_runs(store: AnyStore) {
    let names: Vec<String> = (0..1_000).map(|n| n.to_string()).collect();
    let writes =
        names.iter().map(|name| Write::Create(new_run("t", name, if name.ends_with('7') { "no" } else { "w" })));
    store.commit(Batch { lease: None, now: at(0), writes: writes.collect() }).await.unwrap();
    let lease = acquire(&*store, "x", 0).await.unwrap();
    create(&*store, Some(&lease), new_run("t", "mine", "w")).await;
    let mut claimed = Vec::new();
    loop {
        let page = claim(&*store, &lease, 0, &["w"], 64).await.unwrap();
        if page.is_empty() {
            break;
        }
        claimed.extend(page);
    }
    assert_eq!(claimed.len(), 900);
    assert!(claimed.is_sorted());
    let later = create(&*store, None, new_run("t", "later", "w")).await;
    assert_eq!(claim(&*store, &lease, 0, &["w"], 64).await.unwrap(), [later]);
}

async fn runs_created_without_a_lease_can_be_claimed(store: AnyStore) {
    let no = create(&*store, None, new_run("t", "1", "w")).await;
    assert_eq!(store.read(&key("t", "1")).await.unwrap().unwrap().run.holder, None);
    let lease = acquire(&*store, "a", 0).await.unwrap();
    let ask = ClaimAsk { lease: lease.token, now: at(0), serves: vec![definition("w")], limit: 1 };
    let claimed = store.claim(ask).await.unwrap();
    assert_eq!((claimed.len(), claimed[0].no, claimed[0].history.run.holder), (1, no, Some(lease.token)));
    assert_eq!(claimed[0].history, store.read(&key("t", "1")).await.unwrap().unwrap());
    commit(&*store, &lease, vec![turn(no, 0, 1, Then::Run)]).await.unwrap();
}

async fn a_released_run_is_claimed_with_its_records(store: AnyStore) {
    let lease = acquire(&*store, "a", 0).await.unwrap();
    let running = create(&*store, Some(&lease), new_run("t", "1", "w")).await;
    let waiting = create(&*store, Some(&lease), new_run("t", "2", "w")).await;
    let ended = create(&*store, Some(&lease), new_run("t", "3", "w")).await;
    let end = turn(ended, 0, 1, Then::End(RunStatus::Cancelled));
    commit(&*store, &lease, vec![turn(running, 0, 2, Then::Run), turn(waiting, 0, 1, Then::Wait(at(50))), end])
        .await
        .unwrap();
    commit(&*store, &lease, vec![turn(running, 2, 2, Then::Run)]).await.unwrap();
    store.release(&lease).await.unwrap();
    let next = acquire(&*store, "b", 1).await.unwrap();
    let ask = ClaimAsk { lease: next.token, now: at(1), serves: vec![definition("w")], limit: 10 };
    let claimed = store.claim(ask).await.unwrap();
    assert_eq!(claimed.iter().map(|claimed| claimed.no).collect::<Vec<_>>(), [running, waiting]);
    assert_eq!(claimed[0].history.records, (0..4).map(record).collect::<Vec<_>>());
    assert_eq!((claimed[1].history.run.status, claimed[1].history.run.wake_at), (RunStatus::Waiting, Some(at(50))));
    commit(&*store, &next, vec![turn(running, 4, 1, Then::Run), turn(waiting, 1, 1, Then::Run)]).await.unwrap();
}

async fn a_waiting_run_says_until_when(store: AnyStore) {
    let lease = acquire(&*store, "a", 0).await.unwrap();
    let no = create(&*store, Some(&lease), new_run("t", "1", "w")).await;
    let mut first = 0;
    let mut check = async |then, count, status, wake_at: Option<Timestamp>| {
        commit(&*store, &lease, vec![turn(no, first, count, then)]).await.unwrap();
        first += count;
        let run = store.read(&key("t", "1")).await.unwrap().unwrap().run;
        assert_eq!((run.status, run.wake_at, run.holder), (status, wake_at, Some(lease.token)));
    };
    check(Then::Wait(at(10)), 1, RunStatus::Waiting, Some(at(10))).await;
    check(Then::Wait(at(20)), 1, RunStatus::Waiting, Some(at(20))).await;
    check(Then::Run, 1, RunStatus::Running, None).await;
    // A turn may say what is next without anything to record.
    check(Then::Wait(Timestamp::MAX), 0, RunStatus::Waiting, Some(Timestamp::MAX)).await;
    check(Then::Run, 0, RunStatus::Running, None).await;
}

async fn an_end_is_final(store: AnyStore) {
    let lease = acquire(&*store, "a", 0).await.unwrap();
    for status in RunStatus::ALL.iter().copied().filter(|status| status.is_final()) {
        let no = create(&*store, Some(&lease), new_run("t", status.as_str(), "w")).await;
        commit(&*store, &lease, vec![turn(no, 0, 1, Then::Wait(at(7)))]).await.unwrap();
        commit(&*store, &lease, vec![turn(no, 1, 2, Then::End(status))]).await.unwrap();
        let history = store.read(&key("t", status.as_str())).await.unwrap().unwrap();
        assert_eq!((history.run.status, history.run.holder), (status, None));
        assert_eq!((history.run.finished_at, history.run.wake_at), (Some(at(5)), None));
        assert_eq!(history.records, [record(0), record(1), finished(status)]);
        assert!(history.outcome().is_some());
    }
    store.release(&lease).await.unwrap();
    let next = acquire(&*store, "b", 0).await.unwrap();
    assert_eq!(claim(&*store, &next, 0, &["w"], 10).await.unwrap(), []);
}

async fn lists_are_filtered_and_paged(store: AnyStore) {
    let lease = acquire(&*store, "a", 0).await.unwrap();
    let mut runs = Vec::new();
    for n in 0..12 {
        let (tenant, workflow) = (["x", "y"][n % 2], ["a", "b", "c"][n % 3]);
        runs.push(create(&*store, Some(&lease), new_run(tenant, &n.to_string(), workflow)).await);
    }
    let ends = runs[..4].iter().map(|no| turn(*no, 0, 1, Then::End(RunStatus::Failed)));
    let waits = runs[4..6].iter().map(|no| turn(*no, 0, 1, Then::Wait(at(9))));
    commit(&*store, &lease, ends.chain(waits).collect()).await.unwrap();
    let check = async |query: RunQuery, expected: &[usize]| {
        let mut found = Vec::new();
        let mut query = query;
        loop {
            let page = store.list(query.clone()).await.unwrap();
            assert!(query.limit == 0 || page.runs.len() <= query.limit as usize);
            found.extend(page.runs.iter().map(|run| run.no));
            match page.next {
                Some(next) => query.before = Some(next),
                None => break,
            }
        }
        assert_eq!(found, expected.iter().map(|i| runs[*i]).collect::<Vec<_>>(), "{query:?}");
    };
    let tenant = TenantId::new("x").ok();
    let workflow = WorkflowName::new("a").ok();
    let all = [11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0];
    for limit in [0, 1, 5, 12, 100, u32::MAX] {
        check(RunQuery { limit, ..RunQuery::default() }, &all).await;
        check(RunQuery { limit, tenant: tenant.clone(), ..RunQuery::default() }, &[10, 8, 6, 4, 2, 0]).await;
        check(RunQuery { limit, workflow: workflow.clone(), ..RunQuery::default() }, &[9, 6, 3, 0]).await;
        let both = RunQuery { limit, tenant: tenant.clone(), workflow: workflow.clone(), ..RunQuery::default() };
        check(both, &[6, 0]).await;
        let status = vec![RunStatus::Waiting];
        check(RunQuery { limit, status, ..RunQuery::default() }, &[5, 4]).await;
        let status = vec![RunStatus::Failed, RunStatus::Waiting];
        check(RunQuery { limit, status, ..RunQuery::default() }, &[5, 4, 3, 2, 1, 0]).await;
        check(RunQuery { limit, status: vec![RunStatus::Stuck], ..RunQuery::default() }, &[]).await;
        check(RunQuery { limit, before: Some(runs[2]), ..RunQuery::default() }, &[1, 0]).await;
        check(RunQuery { limit, before: Some(RunNo(u64::MAX)), ..RunQuery::default() }, &all).await;
    }
}

async fn tenants_do_not_see_each_other(store: AnyStore) {
    let lease = acquire(&*store, "a", 0).await.unwrap();
    let one = create(&*store, Some(&lease), new_run("x", "same", "w")).await;
    assert_eq!(store.read(&key("y", "same")).await.unwrap(), None);
    let two = create(&*store, Some(&lease), new_run("y", "same", "w")).await;
    assert_ne!(one, two);
    commit(&*store, &lease, vec![turn(one, 0, 2, Then::Run)]).await.unwrap();
    assert_eq!(store.read(&key("x", "same")).await.unwrap().unwrap().records.len(), 2);
    assert_eq!(store.read(&key("y", "same")).await.unwrap().unwrap().records.len(), 0);
}

async fn hostile_values_come_back_unchanged(store: AnyStore) {
    let planes: String =
        (0..=16_u32).flat_map(|plane| [plane << 16 | 0x41, plane << 16 | 0xFFFD]).filter_map(char::from_u32).collect();
    let inputs = [
        Payload::json(""),
        Payload::json("\"\\u0000\""),
        Payload::json("\0 not json '; DROP TABLE journal; --"),
        Payload::json(format!("\"{planes}\"")),
        Payload::new(ContentType::Bytes, (0..=255).collect::<Vec<u8>>()),
        Payload::new(ContentType::from("x/\u{0}y\u{10FFFF}"), "z"),
        Payload::new(ContentType::from(""), ""),
        Payload::json(vec![b'7'; 8 << 20]),
    ];
    let lease = acquire(&*store, "Jürgen's 'executor' \u{1F600}", 0).await.unwrap();
    for (i, input) in inputs.iter().enumerate() {
        let name = i.to_string();
        let new = NewRun {
            created_at: Timestamp::from_micros(i64::MIN),
            input: input.clone(),
            ..new_run(&planes, &name, "Prüfung ''\";")
        };
        let no = create(&*store, Some(&lease), new).await;
        let outcome = Outcome::Succeeded(input.clone());
        let records = [record(0), Record { time: Timestamp::MAX, event: Event::Finished { outcome } }];
        let end = turn_of(no, 0, &records, Then::End(RunStatus::Succeeded));
        commit(&*store, &lease, vec![end]).await.unwrap();
        let history = store.read(&key(&planes, &name)).await.unwrap().unwrap();
        assert_eq!(history.run.created_at, Timestamp::from_micros(i64::MIN));
        assert!(history.input == *input && history.records == records, "value {i}");
    }
}

async fn old_runs_are_pruned(store: AnyStore) {
    let lease = acquire(&*store, "a", 0).await.unwrap();
    let mut runs = Vec::new();
    for n in 0..6 {
        runs.push(create(&*store, Some(&lease), new_run("t", &n.to_string(), "w")).await);
    }
    for (n, no) in runs.iter().enumerate().take(5) {
        let writes = vec![Write::Turn(turn(*no, 0, 1, Then::End(RunStatus::Failed)))];
        store.commit(Batch { lease: Some(lease.token), now: at(100 - n as i64), writes }).await.unwrap();
    }
    assert_eq!(store.prune(at(96), 10).await.unwrap(), 0);
    assert_eq!(store.prune(at(100), 3).await.unwrap(), 3);
    let left = store.list(RunQuery::default()).await.unwrap().runs;
    assert_eq!(left.iter().map(|run| run.no).collect::<Vec<_>>(), [runs[5], runs[1], runs[0]]);
    assert_eq!(store.read(&key("t", "4")).await.unwrap(), None);
    assert_eq!(store.prune(at(1_000), 10).await.unwrap(), 2);
    assert_eq!(store.prune(at(1_000), 10).await.unwrap(), 0);
    // The last number was freed and must not come back.
    commit(&*store, &lease, vec![turn(runs[5], 0, 1, Then::End(RunStatus::Failed))]).await.unwrap();
    assert_eq!(store.prune(at(1_000), 10).await.unwrap(), 1);
    assert!(create(&*store, Some(&lease), new_run("t", "5", "w")).await > runs[5]);
    assert_eq!(store.read(&key("t", "5")).await.unwrap().unwrap().records, []);
}

async fn a_closed_store_says_so(store: AnyStore) {
    let lease = acquire(&*store, "a", 0).await.unwrap();
    store.close().await.unwrap();
    fails(acquire(&*store, "a", 0).await, ErrorKind::Closed);
    fails(store.renew(&lease, at(9)).await, ErrorKind::Closed);
    fails(store.release(&lease).await, ErrorKind::Closed);
    fails(commit(&*store, &lease, vec![]).await, ErrorKind::Closed);
    fails(claim(&*store, &lease, 0, &["w"], 1).await, ErrorKind::Closed);
    fails(store.read(&key("t", "1")).await, ErrorKind::Closed);
    fails(store.list(RunQuery::default()).await, ErrorKind::Closed);
    fails(store.prune(at(9), 1).await, ErrorKind::Closed);
    fails(store.close().await, ErrorKind::Closed);
}

#[tokio::test]
async fn two_claimers_of_a_memory_store_never_share_a_run() {
    let store = MemoryStore::new();
    let one = acquire(&store, "one", 0).await.unwrap();
    let two = acquire(&store, "two", 0).await.unwrap();
    let mut runs = Vec::new();
    for n in 0..10 {
        runs.push(create(&store, None, new_run("t", &n.to_string(), "w")).await);
    }
    assert_eq!(claim(&store, &one, 1, &["w"], 4).await.unwrap(), runs[..4]);
    assert_eq!(claim(&store, &two, 1, &["w"], 100).await.unwrap(), runs[4..]);
    assert_eq!(claim(&store, &one, 1, &["w"], 100).await.unwrap(), []);
    fails(commit(&store, &two, vec![turn(runs[0], 0, 1, Then::Run)]).await, ErrorKind::Invalid);
    commit(&store, &one, vec![turn(runs[0], 0, 1, Then::Run)]).await.unwrap();
    // The first stays away for too long, the second takes what it had.
    store.renew(&two, at(100)).await.unwrap();
    assert_eq!(claim(&store, &two, 60, &["w"], 100).await.unwrap(), runs[..4]);
    fails(commit(&store, &one, vec![turn(runs[0], 1, 1, Then::Run)]).await, ErrorKind::Fenced);
    commit(&store, &two, vec![turn(runs[0], 1, 1, Then::Run)]).await.unwrap();
}
