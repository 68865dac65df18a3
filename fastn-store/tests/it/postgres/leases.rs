//! Many executors.

use std::time::Duration;

use fastn_core::{ErrorKind, ExecutorId, Timestamp};
use fastn_store::{
    ClaimAsk, Lease, LeaseAsk, LeaseClock, Mailbox, News, NewsAsk, PostgresOptions, PostgresStore, RunStatus, Store,
    Then, Written,
};
use fastn_testkit::sample::at;
use fastn_testkit::server::PrivatePostgres;

use super::rival::Rival;

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
    let (schema, options) = super::named("shares");
    let options = options.lease_clock(fastn_store::LeaseClock::Caller);
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
    assert_eq!(super::sql(&format!("SELECT count(*) FROM {schema}.flow_leases WHERE ended")), "0");
}

/// Whoever ends a lease needs its lock, and whoever commits under it waits for that and then sees what was done: also where
/// transactions of the database see only what was there when they began.
#[tokio::test]
async fn a_commit_that_waited_for_the_end_of_its_lease_is_fenced_in_every_isolation_level() {
    let server = PrivatePostgres::shared().unwrap();
    for (database, level) in
        [("committed", "read committed"), ("repeatable", "repeatable read"), ("serial", "serializable")]
    {
        let url = server.database(database).unwrap();
        server
            .sql("postgres", &format!("ALTER DATABASE {database} SET default_transaction_isolation = '{level}'"))
            .unwrap();
        let store = PostgresStore::open(&url, PostgresOptions::default()).await.unwrap();
        let lease = acquire(&store, "a", 0).await.unwrap();
        let no = create(&store, Some(&lease), new_run("t", "1", "w")).await;
        let end = format!(
            "SELECT pg_advisory_xact_lock(hashtext('\"fastn\".lease'), {0});
             UPDATE fastn.flow_leases SET ended = true WHERE token = {0}",
            lease.token
        );
        let rival = Rival::at(&url, &end).await;
        let late = commit(&store, &lease, vec![turn(no, 0, 1, Then::Run)]);
        let ends = async {
            rival.is_in_the_way().await;
            rival.commits().await;
        };
        let (late, ()) = tokio::join!(late, ends);
        fails(late, ErrorKind::Fenced);
        assert_eq!(store.read(&key("t", "1")).await.unwrap().unwrap().records, [], "{level}");
    }
}

/// What is being written under a lease comes before its end.
#[tokio::test]
async fn a_lease_is_not_ended_while_something_is_written_under_it() {
    let (schema, options) = super::named("writing");
    let options = options.lease_clock(LeaseClock::Caller);
    let (store, other) = (super::open(&options).await, super::open(&options).await);
    let lease = acquire(&store, "a", 0).await.unwrap();
    let no = create(&store, Some(&lease), new_run("t", "1", "w")).await;
    commit(&store, &lease, vec![turn(no, 0, 1, Then::Wait(at(100)))]).await.unwrap();
    let taker = acquire(&other, "b", 50).await.unwrap();
    let rival = Rival::that_does(&format!("SELECT 1 FROM {schema}.flow_open WHERE run_no = {} FOR UPDATE", no.0)).await;
    let end = commit(&store, &lease, vec![turn(no, 1, 1, Then::End(RunStatus::Succeeded))]);
    let takes = async {
        rival.is_in_the_way().await;
        // It is long past its end.
        assert_eq!(claim(&other, &taker, 50, &["w"], 10).await.unwrap(), []);
        rival.gives_up().await;
    };
    let (end, ()) = tokio::join!(end, takes);
    end.unwrap();
    assert_eq!(claim(&other, &taker, 50, &["w"], 10).await.unwrap(), [], "it has ended");
    fails(commit(&store, &lease, vec![turn(no, 2, 1, Then::Run)]).await, ErrorKind::Fenced);
}

fn short(executor: &str, millis: u64) -> LeaseAsk {
    let executor = ExecutorId::new(executor).unwrap();
    LeaseAsk { executor, now: at(0), ttl: Duration::from_millis(millis) }
}

/// All were kept from the server: whoever comes back first must not take the runs of those who come back right after.
#[tokio::test]
async fn who_is_late_itself_ends_nobodys_lease() {
    let options = super::fresh("late");
    let (one, two) = (super::open(&options).await, super::open(&options).await);
    let first = one.acquire(short("one", 300)).await.unwrap();
    let second = two.acquire(short("two", 300)).await.unwrap();
    tokio::time::sleep(Duration::from_millis(400)).await;
    one.renew(&first, at(1)).await.unwrap();
    assert_eq!(claim(&one, &first, 1, &["w"], 10).await.unwrap(), []);
    two.renew(&second, at(1)).await.unwrap();
    // Who does not come back is missed the next time.
    let deadline = std::time::Instant::now() + Duration::from_secs(10);
    while !fenced_by_now(&two, &second).await {
        one.renew(&first, at(1)).await.unwrap();
        assert!(std::time::Instant::now() < deadline, "it never ends");
    }
}

/// Whether a lease has ended, without renewing it.
async fn fenced_by_now(store: &PostgresStore, lease: &Lease) -> bool {
    let ask = fastn_store::ReceiveAsk { lease: lease.token, after: None, limit: 1 };
    store.receive(ask).await.is_err_and(|error| error.kind() == ErrorKind::Fenced)
}

/// The server was away for longer than some leases last: nobody could renew.
#[tokio::test]
async fn no_lease_ends_right_after_the_server_came_up() {
    let mut server = PrivatePostgres::start().unwrap();
    let url = server.url("postgres");
    let store = PostgresStore::open(&url, PostgresOptions::default()).await.unwrap();
    let long = store.acquire(short("long", 20_000)).await.unwrap();
    let brief = store.acquire(short("brief", 200)).await.unwrap();
    server.restart().unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let mut said = store.renew(&long, at(1)).await;
    while said.as_ref().is_err_and(fastn_core::Error::is_transient) {
        said = store.renew(&long, at(1)).await;
    }
    said.unwrap();
    store.renew(&brief, at(1)).await.unwrap();
}

/// Whoever gives its lease back lives, however late: nobody has died over its runs.
#[tokio::test]
async fn nobody_has_died_over_the_runs_of_an_executor_that_says_it_lost_its_lease() {
    for lives in [true, false] {
        let options = super::fresh("lives").lease_clock(LeaseClock::Caller);
        let (store, other) = (super::open(&options).await, super::open(&options).await);
        let lease = acquire(&store, "a", 0).await.unwrap();
        create(&store, Some(&lease), new_run("t", "1", "w")).await;
        let taker = acquire(&other, "b", 50).await.unwrap();
        // It finds that the lease has ended, and takes nothing yet.
        assert_eq!(claim(&other, &taker, 50, &["another"], 10).await.unwrap(), []);
        if lives {
            store.release(&lease).await.unwrap();
        }
        let serves = vec![fastn_testkit::sample::definition("w").unwrap()];
        let ask =
            ClaimAsk { lease: taker.token, now: at(50), serves, limit: 10, suspects: fastn_store::Suspects::default() };
        let claimed = other.claim(ask).await.unwrap();
        assert_eq!(claimed.iter().map(|claim| claim.deaths).collect::<Vec<_>>(), [u32::from(!lives)]);
    }
}

/// Damage in one journal is of the runs it is about: they are left alone, with all there is of them, and all others go on.
#[tokio::test]
async fn a_damaged_journal_keeps_no_other_run_from_being_taken_over() {
    let (schema, options) = super::named("damaged");
    let options = options.lease_clock(LeaseClock::Caller);
    let (store, other) = (super::open(&options).await, super::open(&options).await);
    let lease = acquire(&store, "a", 0).await.unwrap();
    let bad = create(&store, Some(&lease), new_run("t", "bad", "w")).await;
    let good = create(&store, Some(&lease), new_run("t", "good", "w")).await;
    for (no, first) in [(bad, 0), (good, 0), (bad, 1), (good, 1)] {
        commit(&store, &lease, vec![turn(no, first, 1, Then::Run)]).await.unwrap();
    }
    super::sql(&format!(
        "UPDATE {schema}.flow_journal SET entries = substring(entries FROM 1 FOR 20)
         WHERE seq = (SELECT max(seq) FROM {schema}.flow_journal WHERE runs @> ARRAY[{}::bigint])",
        bad.0
    ));
    let taker = acquire(&other, "b", 50).await.unwrap();
    assert_eq!(claim(&other, &taker, 50, &["w"], 10).await.unwrap(), [good]);
    assert_eq!(other.read(&key("t", "good")).await.unwrap().unwrap().records.len(), 2);
    fails(other.read(&key("t", "bad")).await, ErrorKind::Corrupt);
    assert_eq!(claim(&other, &taker, 51, &["w"], 10).await.unwrap(), [], "it does not go on from an older state");
    let kept = super::sql(&format!("SELECT length(records) > 40 FROM {schema}.flow_history WHERE run_no = {}", bad.0));
    assert_eq!(kept, "t", "what is left of it is kept");
}

/// Runs that this executor cannot run are no news to it, each time it renews.
#[tokio::test]
async fn what_an_executor_does_not_serve_does_not_wake_it() {
    let store = super::open(&super::fresh("others")).await;
    let lease = store.acquire(short("a", 60_000)).await.unwrap();
    assert_eq!(claim(&store, &lease, 1, &["w"], 10).await.unwrap(), []);
    create(&store, None, new_run("t", "1", "of somebody else")).await;
    let heard = |since| store.news(NewsAsk { since, ends: false });
    let mut news = heard(News::default()).await.unwrap();
    store.renew(&lease, at(1)).await.unwrap();
    // Its own words may come back late.
    while let Ok(more) = tokio::time::timeout(Duration::from_millis(300), heard(news)).await {
        news = more.unwrap();
    }
    store.renew(&lease, at(1)).await.unwrap();
    assert!(tokio::time::timeout(Duration::from_millis(300), heard(news)).await.is_err(), "nothing is for it");
    create(&store, None, new_run("t", "2", "w")).await;
    while let Ok(more) = tokio::time::timeout(Duration::from_millis(300), heard(news)).await {
        news = more.unwrap();
    }
    store.renew(&lease, at(1)).await.unwrap();
    assert!(tokio::time::timeout(Duration::from_millis(300), heard(news)).await.is_ok(), "one of them is");
}

/// Passwords are changed while programs run. No run is to blame for that.
#[tokio::test]
async fn a_server_that_lets_nobody_in_any_more_is_unavailable() {
    let server = PrivatePostgres::shared().unwrap();
    let url = server.database("rotation").unwrap();
    server.sql("rotation", "CREATE ROLE app LOGIN PASSWORD 'old' SUPERUSER").unwrap();
    let (_, place) = url.split_once('@').unwrap();
    let open = async |password: &str| {
        PostgresStore::open(&format!("postgres://app:{password}@{place}"), PostgresOptions::default()).await
    };
    fails(open("wrong").await.map(drop), ErrorKind::Invalid);
    let store = open("old").await.unwrap();
    let lease = acquire(&store, "a", 0).await.unwrap();
    let no = create(&store, Some(&lease), new_run("t", "1", "w")).await;
    let cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = 'app'";
    server.sql("rotation", &format!("ALTER ROLE app PASSWORD 'new'; {cut}")).unwrap();
    let once = || commit(&store, &lease, vec![turn(no, 0, 1, Then::Run)]);
    for _ in 0..9 {
        fails(once().await, ErrorKind::Unavailable);
    }
    server.sql("rotation", "ALTER ROLE app PASSWORD 'old'").unwrap();
    assert_eq!(once().await.unwrap(), [Written::Turned]);
}

/// Telling of ends costs whoever tells, so nobody does when nobody has waited for one for a while.
#[tokio::test]
async fn executors_are_told_when_nobody_waits_for_ends_any_more() {
    let (schema, options) = super::named("ends");
    let store = super::open(&options).await;
    let told = || super::sql(&format!("SELECT pg_try_advisory_lock(hashtext('\"{schema}\".ends'), 0)")) == "f";
    let waits = async || {
        let mut since = News::default();
        loop {
            since = store.news(NewsAsk { since, ends: true }).await.unwrap();
        }
    };
    let is_told = async || {
        while !told() {
            tokio::task::yield_now().await;
        }
    };
    for _ in 0..2 {
        tokio::select! {
            () = waits() => {}
            () = is_told() => {}
        }
        let deadline = std::time::Instant::now() + Duration::from_secs(30);
        while told() {
            assert!(std::time::Instant::now() < deadline, "it is still said that somebody waits");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}
