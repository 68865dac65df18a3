//! Old days are dropped.

use std::time::{Duration, SystemTime};

use fastn_core::{TenantId, Timestamp};
use fastn_store::{
    Batch, Lease, NewRun, PostgresOptions, PostgresStore, Retention, Retired, Rule, RunNo, RunStatus, Store, Then,
    Turn, Write, Written,
};

use crate::support::{acquire, key, new_run, turn};

const DAY: Duration = Duration::from_secs(86_400);

/// Yesterday at noon is always over, and there is always a place for it.
fn yesterday() -> Timestamp {
    let days = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs() / 86_400;
    Timestamp::from_micros(i64::try_from((days - 1) * 86_400 + 43_200).unwrap() * 1_000_000)
}

async fn begin(store: &PostgresStore, lease: &Lease, tenant: &str, name: &str) -> RunNo {
    let new = NewRun { created_at: yesterday(), ..new_run(tenant, name, "w") };
    let batch = Batch { lease: Some(lease.token), now: yesterday(), writes: vec![Write::Create(new.into())] };
    match store.commit(batch).await.unwrap().as_slice() {
        [Written::Created(no)] => *no,
        other => panic!("{other:?}"),
    }
}

async fn end(store: &PostgresStore, lease: &Lease, no: RunNo, status: RunStatus) {
    let turn: Turn = turn(no, 0, 1, Then::End(status));
    let batch = Batch { lease: Some(lease.token), now: yesterday(), writes: vec![Write::Turn(turn)] };
    store.commit(batch).await.unwrap();
}

fn partitions(schema: &str) -> u64 {
    super::sql(&format!("SELECT count(*) FROM pg_inherits WHERE inhparent = '{schema}.flow_executions'::regclass"))
        .parse()
        .unwrap()
}

#[tokio::test]
async fn a_day_of_which_nothing_is_kept_is_dropped() {
    let options = PostgresOptions::default().schema("retire_all").retention(Retention::of(Duration::ZERO));
    let store = super::open(&options).await;
    let lease = acquire(&store, "a", 0).await.unwrap();
    for n in 0..50 {
        let no = begin(&store, &lease, "t", &n.to_string()).await;
        end(&store, &lease, no, RunStatus::Succeeded).await;
    }
    let days = partitions("retire_all");
    assert_eq!(store.keep_up().await.unwrap(), Retired { runs: 50, ..retired(1, 0) });
    assert_eq!(partitions("retire_all"), days - 1);
    assert!(store.read(&key("t", "1")).await.unwrap().is_none());
    assert_eq!(super::sql("SELECT count(*) FROM retire_all.flow_keys"), "0", "the ids can be used again");
    assert_eq!(store.keep_up().await.unwrap(), retired(0, 0));
    // There is a place for what comes late all the same.
    begin(&store, &lease, "t", "1").await;
}

#[tokio::test]
async fn what_has_not_ended_is_never_touched_and_others_are_kept_as_the_rules_say() {
    let rule =
        |tenant: &str| Rule { tenant: Some(TenantId::new(tenant).unwrap()), keep: Some(100 * DAY), ..Rule::default() };
    let failed = Rule { status: Some(RunStatus::Failed), keep: None, ..Rule::default() };
    let retention = Retention::of(Duration::ZERO).rule(failed).rule(rule("dear"));
    let store = super::open(&PostgresOptions::default().schema("retire_some").retention(retention)).await;
    let lease = acquire(&store, "a", 0).await.unwrap();
    for n in 0..40 {
        let no = begin(&store, &lease, "t", &n.to_string()).await;
        end(&store, &lease, no, RunStatus::Succeeded).await;
    }
    let open = begin(&store, &lease, "t", "open").await;
    let no = begin(&store, &lease, "dear", "kept").await;
    end(&store, &lease, no, RunStatus::Succeeded).await;
    let no = begin(&store, &lease, "t", "failed").await;
    end(&store, &lease, no, RunStatus::Failed).await;
    assert_eq!(store.keep_up().await.unwrap(), Retired { runs: 40, ..retired(0, 1) });
    assert!(store.read(&key("t", "7")).await.unwrap().is_none());
    for (tenant, name) in [("t", "open"), ("dear", "kept"), ("t", "failed")] {
        assert!(store.read(&key(tenant, name)).await.unwrap().is_some(), "{name}");
    }
    end(&store, &lease, open, RunStatus::Succeeded).await;
    assert_eq!(store.keep_up().await.unwrap(), retired(0, 0), "one of three is not worth it");
    assert_eq!(store.read(&key("t", "open")).await.unwrap().unwrap().run.status, RunStatus::Succeeded);
}

/// Most of the day stays, and yet nothing of it is kept for ever.
#[tokio::test]
async fn a_run_goes_a_week_after_its_time_however_many_others_stay() {
    let dear = Rule { tenant: Some(TenantId::new("dear").unwrap()), keep: None, ..Rule::default() };
    let retention = Retention::of(Duration::ZERO).rule(dear);
    let store = super::open(&PostgresOptions::default().schema("retire_late").retention(retention)).await;
    let lease = acquire(&store, "a", 0).await.unwrap();
    for n in 0..10 {
        let no = begin(&store, &lease, "dear", &n.to_string()).await;
        end(&store, &lease, no, RunStatus::Succeeded).await;
    }
    let open = begin(&store, &lease, "t", "open").await;
    let no = begin(&store, &lease, "t", "over").await;
    end(&store, &lease, no, RunStatus::Succeeded).await;
    let ages = |days: u32| {
        let ended = format!("(extract(epoch FROM now() - interval '{days} days') * 1000000)::bigint");
        super::sql(&format!("UPDATE retire_late.flow_history SET finished_at = {ended} WHERE status IS NOT NULL"));
        super::sql("DELETE FROM retire_late.flow_looked");
    };
    ages(6);
    assert_eq!(store.keep_up().await.unwrap(), retired(0, 0), "most of the day stays");
    ages(8);
    assert_eq!(store.keep_up().await.unwrap(), Retired { runs: 1, ..retired(0, 1) });
    assert!(store.read(&key("t", "over")).await.unwrap().is_none());
    assert!(store.read(&key("dear", "7")).await.unwrap().is_some());
    end(&store, &lease, open, RunStatus::Succeeded).await;
}

/// Thirty days, unless the host says otherwise.
#[tokio::test]
async fn yesterday_is_kept_by_default() {
    let store = super::open(&PostgresOptions::default().schema("retire_none")).await;
    let lease = acquire(&store, "a", 0).await.unwrap();
    let no = begin(&store, &lease, "t", "1").await;
    end(&store, &lease, no, RunStatus::Succeeded).await;
    assert_eq!(store.keep_up().await.unwrap(), retired(0, 0));
    assert!(store.read(&key("t", "1")).await.unwrap().is_some());
}

fn retired(dropped: u64, thinned: u64) -> Retired {
    Retired { dropped, thinned, ..Retired::default() }
}
