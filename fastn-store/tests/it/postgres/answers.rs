//! Answers that never come.

use fastn_core::ErrorKind;
use fastn_store::{Batch, PostgresOptions, PostgresStore, RunStatus, Store, Then, Write, Written};
use fastn_testkit::sample::at;
use fastn_testkit::server::{Cut, Proxy};

use crate::support::{acquire, commit, create, fails, key, new_run, turn};

/// More than a commit of nothing, less than one with a turn in it: statements beside commits are shorter.
pub(super) const LONG: u64 = 400;

pub(super) async fn behind_a_proxy(options: PostgresOptions) -> (Proxy, PostgresStore) {
    let url = super::url();
    let (before, after) = url.rsplit_once(':').unwrap();
    let (port, database) = after.split_once('/').unwrap();
    let proxy = Proxy::before(port.parse().unwrap()).await.unwrap();
    let url = format!("{before}:{}/{database}?sslmode=disable", proxy.address().port());
    (proxy, PostgresStore::open(&url, options).await.unwrap())
}

/// Loses the answer to a commit, or the commit, and says the same once more.
async fn check(cut: Cut) {
    let (proxy, store) = behind_a_proxy(super::fresh("answers")).await;
    let lease = acquire(&store, "a", 0).await.unwrap();
    let no = create(&store, Some(&lease), new_run("t", "1", "w")).await;
    commit(&store, &lease, vec![turn(no, 0, 2, Then::Run)]).await.unwrap();
    for round in 1..=5 {
        proxy.cut(cut, LONG);
        let said = fails(commit(&store, &lease, vec![turn(no, round * 2, 2, Then::Run)]).await, ErrorKind::Unavailable);
        assert_eq!(proxy.cuts(), round, "{said}");
        // Once more, as whoever does not know says it.
        assert_eq!(commit(&store, &lease, vec![turn(no, round * 2, 2, Then::Run)]).await.unwrap(), [Written::Turned]);
        let history = store.read(&key("t", "1")).await.unwrap().unwrap();
        assert_eq!(history.records.len() as u64, (round + 1) * 2, "none is missing and none is there twice");
    }
    proxy.cut(cut, LONG);
    let end = || vec![turn(no, 12, 1, Then::End(RunStatus::Succeeded))];
    fails(commit(&store, &lease, end()).await, ErrorKind::Unavailable);
    assert_eq!(commit(&store, &lease, end()).await.unwrap(), [Written::Turned]);
    let history = store.read(&key("t", "1")).await.unwrap().unwrap();
    assert_eq!((history.records.len(), history.run.status), (13, RunStatus::Succeeded));
}

#[tokio::test]
async fn a_commit_whose_answer_is_lost_is_there_once() {
    check(Cut::Answer).await;
}

#[tokio::test]
async fn a_commit_that_never_arrives_is_made_the_next_time() {
    check(Cut::Request).await;
}

#[tokio::test]
async fn a_run_whose_creation_was_not_heard_of_exists() {
    let (proxy, store) = behind_a_proxy(super::fresh("creations")).await;
    let lease = acquire(&store, "a", 0).await.unwrap();
    create(&store, Some(&lease), new_run("t", "0", "w")).await;
    let new = || Batch {
        lease: Some(lease.token),
        now: at(1),
        writes: vec![Write::Create(new_run("t", &"1".repeat(300), "w").into())],
    };
    for (cut, exists) in [(Cut::Answer, true), (Cut::Request, false)] {
        let (proxy, new) = (
            &proxy,
            if exists { new() } else { Batch { writes: vec![Write::Create(new_run("t", "2", "w").into())], ..new() } },
        );
        proxy.cut(cut, LONG);
        fails(store.commit(new.clone()).await, ErrorKind::Unavailable);
        let again = store.commit(new).await.unwrap();
        assert_eq!(matches!(again.as_slice(), [Written::Exists(_)]), exists, "{again:?}");
    }
}

/// A call that is dropped half-way may take effect; the next finds out.
#[tokio::test]
async fn a_commit_that_nobody_waited_for_is_found_out_about() {
    let store = super::open(&super::fresh("dropped")).await;
    let lease = acquire(&store, "a", 0).await.unwrap();
    let no = create(&store, Some(&lease), new_run("t", "1", "w")).await;
    for round in 0..20_u64 {
        let turn = || vec![turn(no, round, 1, Then::Run)];
        // Some are dropped before they are sent, some after.
        let span = std::time::Duration::from_micros(round * 40);
        let _ = tokio::time::timeout(span, commit(&store, &lease, turn())).await;
        assert_eq!(commit(&store, &lease, turn()).await.unwrap(), [Written::Turned]);
    }
    assert_eq!(store.read(&key("t", "1")).await.unwrap().unwrap().records.len(), 20);
}
