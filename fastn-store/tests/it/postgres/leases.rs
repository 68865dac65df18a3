//! Many executors.

use std::time::Duration;

use fastn_core::{ErrorKind, Timestamp};
use fastn_store::{LeaseAsk, RunStatus, Store, Then};

use crate::support::{acquire, claim, commit, create, fails, key, new_run, turn};

/// Whatever the executors' own clocks say, leases end by the server's.
#[tokio::test]
async fn leases_end_by_the_servers_clock_however_wrong_that_of_an_executor_is() {
    let options = super::fresh("skew");
    let (one, two) = (super::open(&options).await, super::open(&options).await);
    let hour = 3_600_000_000;
    let ask = |executor: &str, now: i64| LeaseAsk {
        executor: fastn_core::ExecutorId::new(executor).unwrap(),
        now: Timestamp::from_micros(now),
        ttl: Duration::from_millis(600),
    };
    // One is an hour behind, the other an hour ahead.
    let behind = one.acquire(ask("behind", 0)).await.unwrap();
    let ahead = two.acquire(ask("ahead", 2 * hour)).await.unwrap();
    let no = create(&one, Some(&behind), new_run("t", "1", "w")).await;
    assert_eq!(claim(&two, &ahead, 7_200, &["w"], 10).await.unwrap(), [], "it lives");
    one.renew(&behind, Timestamp::from_micros(1)).await.unwrap();
    assert_eq!(claim(&two, &ahead, 7_200, &["w"], 10).await.unwrap(), [], "it still lives");
    commit(&one, &behind, vec![turn(no, 0, 1, Then::Run)]).await.unwrap();
    // It stays away for longer than it asked for; the other does not.
    let deadline = std::time::Instant::now() + Duration::from_secs(10);
    let claimed = loop {
        two.renew(&ahead, Timestamp::from_micros(0)).await.unwrap();
        let claimed = claim(&two, &ahead, 7_200, &["w"], 10).await.unwrap();
        if !claimed.is_empty() || std::time::Instant::now() > deadline {
            break claimed;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(claimed, [no]);
    fails(commit(&one, &behind, vec![turn(no, 1, 1, Then::Run)]).await, ErrorKind::Fenced);
    fails(one.renew(&behind, Timestamp::from_micros(5)).await, ErrorKind::Fenced);
    commit(&two, &ahead, vec![turn(no, 1, 1, Then::End(RunStatus::Succeeded))]).await.unwrap();
    assert_eq!(one.read(&key("t", "1")).await.unwrap().unwrap().records.len(), 2);
}

/// What an executor has in its journal goes over with its runs, also when it never came to clear it.
#[tokio::test]
async fn the_runs_of_a_dead_executor_go_to_the_others_in_equal_shares() {
    let options = super::fresh("shares").lease_clock(fastn_store::LeaseClock::Caller);
    let dead = super::open(&options).await;
    let lease = acquire(&dead, "dead", 0).await.unwrap();
    for n in 0..90_u64 {
        let no = create(&dead, Some(&lease), new_run("t", &n.to_string(), "w")).await;
        commit(&dead, &lease, vec![turn(no, 0, n % 4, Then::Run)]).await.unwrap();
    }
    drop(dead);
    let stores = [super::open(&options).await, super::open(&options).await, super::open(&options).await];
    let mut leases = Vec::new();
    for store in &stores {
        leases.push(acquire(store, "alive", 100).await.unwrap());
    }
    let mut shares = Vec::new();
    for (store, lease) in stores.iter().zip(&leases) {
        shares.push(claim(store, lease, 100, &["w"], 512).await.unwrap().len());
    }
    assert_eq!(shares, [30, 20, 16], "a third of what there is when each asks, and not too few");
    for (store, lease) in stores.iter().zip(&leases) {
        while !claim(store, lease, 100, &["w"], 512).await.unwrap().is_empty() {}
    }
    for n in 0..90_u64 {
        let history = stores[0].read(&key("t", &n.to_string())).await.unwrap().unwrap();
        assert_eq!(history.records.len() as u64, n % 4, "run {n}");
        assert!(leases.iter().any(|lease| history.run.holder == Some(lease.token)), "run {n} is held");
    }
    assert_eq!(super::sql(&format!("SELECT count(*) FROM {}.flow_leases WHERE ended", schema_of(&options))), "0");
}

fn schema_of(options: &fastn_store::PostgresOptions) -> String {
    let shown = format!("{options:?}");
    let (_, after) = shown.split_once("schema: \"").unwrap();
    after.split_once('"').unwrap().0.to_owned()
}
