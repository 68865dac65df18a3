//! Several commits of one lease on their way at once.

use std::time::Duration;

use fastn_core::ErrorKind;
use fastn_store::{Lease, PostgresStore, RunNo, RunStatus, Store, Then, Written};
use fastn_testkit::sample::at;
use fastn_testkit::server::Cut;

use super::rival::Rival;
use crate::support::{acquire, commit, create, fails, key, new_run, turn};

/// A run that waits, and somebody who holds its row: whoever ends it has to wait.
async fn held_up(store: &PostgresStore, lease: &Lease, schema: &str) -> (RunNo, Rival) {
    let late = create(store, Some(lease), new_run("t", "late", "w")).await;
    commit(store, lease, vec![turn(late, 0, 1, Then::Wait(at(100)))]).await.unwrap();
    let hold = format!("SELECT 1 FROM {schema}.flow_open WHERE run_no = {} FOR UPDATE", late.0);
    (late, Rival::that_does(&hold).await)
}

async fn records(store: &PostgresStore, name: &str) -> usize {
    store.read(&key("t", name)).await.unwrap().unwrap().records.len()
}

#[tokio::test]
async fn a_commit_does_not_wait_for_one_about_other_runs() {
    let (schema, options) = super::named("flights");
    let store = super::open(&options).await;
    let lease = acquire(&store, "a", 0).await.unwrap();
    let one = create(&store, Some(&lease), new_run("t", "1", "w")).await;
    let two = create(&store, Some(&lease), new_run("t", "2", "w")).await;
    let (late, rival) = held_up(&store, &lease, &schema).await;
    let end = turn(late, 1, 1, Then::End(RunStatus::Succeeded));
    let slow = commit(&store, &lease, vec![turn(one, 0, 1, Then::Run), end]);
    let beside = async {
        rival.is_in_the_way().await;
        // They would never end if they waited.
        for n in 0..3 {
            commit(&store, &lease, vec![turn(two, n, 1, Then::Run)]).await.unwrap();
        }
        assert_eq!((records(&store, "1").await, records(&store, "2").await), (0, 3));
        rival.gives_up().await;
    };
    let (slow, ()) = tokio::join!(slow, beside);
    assert_eq!(slow.unwrap(), [Written::Turned, Written::Turned]);
    assert_eq!(records(&store, "1").await, 1);
}

#[tokio::test]
async fn a_commit_waits_for_the_one_before_it_about_the_same_run() {
    let (schema, options) = super::named("flights");
    let store = super::open(&options).await;
    let lease = acquire(&store, "a", 0).await.unwrap();
    let one = create(&store, Some(&lease), new_run("t", "1", "w")).await;
    let (late, rival) = held_up(&store, &lease, &schema).await;
    let end = turn(late, 1, 1, Then::End(RunStatus::Succeeded));
    let slow = commit(&store, &lease, vec![turn(one, 0, 2, Then::Run), end]);
    // Without the two records before it, it would be refused.
    let next = async {
        rival.is_in_the_way().await;
        tokio::join!(commit(&store, &lease, vec![turn(one, 2, 1, Then::Run)]), rival.gives_up()).0
    };
    let (slow, next) = tokio::join!(slow, next);
    assert!(slow.is_ok() && next.is_ok(), "{slow:?}, {next:?}");
    assert_eq!(records(&store, "1").await, 3);
}

#[tokio::test]
async fn a_lease_is_given_back_when_nothing_of_it_is_on_its_way() {
    let (schema, options) = super::named("flights");
    let store = super::open(&options).await;
    let lease = acquire(&store, "a", 0).await.unwrap();
    let one = create(&store, Some(&lease), new_run("t", "1", "w")).await;
    let (late, rival) = held_up(&store, &lease, &schema).await;
    let end = turn(late, 1, 1, Then::End(RunStatus::Succeeded));
    let slow = commit(&store, &lease, vec![turn(one, 0, 2, Then::Run), end]);
    let back = async {
        rival.is_in_the_way().await;
        tokio::join!(store.release(&lease), rival.gives_up()).0
    };
    let (slow, back) = tokio::join!(slow, back);
    assert!(slow.is_ok() && back.is_ok(), "what came first is kept: {slow:?}, {back:?}");
    fails(commit(&store, &lease, vec![turn(one, 2, 1, Then::Run)]).await, ErrorKind::Fenced);
}

/// Writes a run's turns one by one. Some are given up before their answer is there, and all that went wrong are said again.
async fn live(store: &PostgresStore, lease: &Lease, run: (u64, RunNo), turns: u64) {
    for round in 0..turns {
        let turn = || vec![turn(run.1, round, 1, Then::Run)];
        if (round + run.0).is_multiple_of(3) {
            let span = Duration::from_micros(((round * 7 + run.0) % 20) * 150);
            let _ = tokio::time::timeout(span, commit(store, lease, turn())).await;
        }
        loop {
            match commit(store, lease, turn()).await {
                Ok(written) => break assert_eq!(written, [Written::Turned]),
                Err(error) => assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}"),
            }
        }
    }
}

/// Many at once, given up half-way, cut off, and now and then the journal is cleared: nothing is lost and nothing is there
/// twice, and whoever reads it all from the database goes on from there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_becomes_of_commits_on_their_way_nothing_is_lost() {
    let (schema, options) = super::named("flights");
    let options = options.journal_budget(1_500).connections(4);
    let (proxy, store) = super::answers::behind_a_proxy(options.clone()).await;
    let lease = acquire(&store, "a", 0).await.unwrap();
    let mut runs = Vec::new();
    for n in 0..8 {
        runs.push((n, create(&store, Some(&lease), new_run("t", &n.to_string(), "w")).await));
    }
    let lives = async {
        let [a, b, c, d, e, f, g, h] = runs.as_slice() else { panic!("eight") };
        let live = |run: &(u64, RunNo)| live(&store, &lease, *run, 60);
        tokio::join!(live(a), live(b), live(c), live(d), live(e), live(f), live(g), live(h));
    };
    let cuts = async {
        // Connecting takes far longer than a commit.
        for cut in [Cut::Answer, Cut::Request].into_iter().cycle().take(24) {
            let before = proxy.cuts();
            proxy.cut(cut, super::answers::LONG);
            while proxy.cuts() == before {
                tokio::task::yield_now().await;
            }
        }
        std::future::pending().await
    };
    tokio::select! {
        () = lives => {}
        () = cuts => {}
    }
    assert!(proxy.cuts() > 0, "nothing was cut");
    let other = super::open(&options).await;
    for (n, run) in &runs {
        assert_eq!(records(&other, &n.to_string()).await, 60);
        // Another store under the same lease knows nothing but what the database says.
        commit(&other, &lease, vec![turn(*run, 60, 1, Then::End(RunStatus::Succeeded))]).await.unwrap();
        assert_eq!(records(&other, &n.to_string()).await, 61);
    }
    let open = super::sql(&format!("SELECT count(*) FROM {schema}.flow_open"));
    assert_eq!(open, "0", "whatever was opened has ended");
}
