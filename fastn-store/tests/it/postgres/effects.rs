//! Transactional steps.

use std::time::Duration;

use fastn_core::{Attempt, RunId, StepCx, StepError, StepInfo, TenantId, Version, WorkflowName};
use fastn_store::PostgresStore;
use fastn_store::Store;
use tokio::task::JoinSet;

use crate::support::acquire;

fn cx(node: &str) -> StepCx {
    let workflow = WorkflowName::new("w").unwrap();
    let info =
        StepInfo::new(TenantId::default(), RunId::named("one"), workflow, Version(1), node.to_owned(), Attempt(1));
    StepCx::detached(info)
}

async fn with_table(schema: &str) -> PostgresStore {
    let store = super::open(&fastn_store::PostgresOptions::default().schema(schema)).await;
    super::sql(&format!("CREATE TABLE {schema}.charges (step text, n bigint)"));
    store
}

async fn charge(store: &PostgresStore, schema: &str, step: &str, n: i64) -> Result<i64, StepError> {
    let insert = format!("INSERT INTO {schema}.charges VALUES ($1, $2)");
    let name = step.to_owned();
    store
        .once(&cx(step), |transaction| {
            Box::pin(async move {
                transaction.execute(&insert, &[&name, &n]).await?;
                transaction.execute("SELECT pg_sleep(0.002)", &[]).await?;
                Ok(n)
            })
        })
        .await
}

#[tokio::test]
async fn what_a_step_did_is_not_done_again_and_its_result_is_given() {
    let store = with_table("effects_again").await;
    assert_eq!(charge(&store, "effects_again", "a", 1).await.unwrap(), 1);
    assert_eq!(charge(&store, "effects_again", "a", 2).await.unwrap(), 1, "the result of the first");
    assert_eq!(charge(&store, "effects_again", "b", 3).await.unwrap(), 3);
    assert_eq!(super::sql("SELECT count(*), sum(n) FROM effects_again.charges"), "2|4");
}

#[tokio::test]
async fn what_failed_leaves_nothing() {
    let store = with_table("effects_failed").await;
    let failed = store
        .once::<i64, _>(&cx("a"), |transaction| {
            Box::pin(async move {
                transaction.execute("INSERT INTO effects_failed.charges VALUES ('a', 1)", &[]).await?;
                Err(StepError::new("the card was refused"))
            })
        })
        .await;
    assert!(failed.is_err());
    assert_eq!(super::sql("SELECT count(*) FROM effects_failed.charges"), "0");
    assert_eq!(charge(&store, "effects_failed", "a", 2).await.unwrap(), 2, "the next attempt does it");
}

#[tokio::test]
async fn of_many_who_do_the_same_at_once_one_does_it() {
    let store = std::sync::Arc::new(with_table("effects_race").await);
    let mut racing = JoinSet::new();
    for n in 0..7 {
        let store = store.clone();
        racing.spawn(async move { charge(&store, "effects_race", "a", n).await.map_err(StepError::into_failure) });
    }
    let mut results = Vec::new();
    while let Some(result) = racing.join_next().await {
        results.push(result.unwrap().unwrap());
    }
    assert!(results.iter().all(|n| *n == results[0]), "{results:?}");
    assert_eq!(super::sql("SELECT count(*), min(n) FROM effects_race.charges"), format!("1|{}", results[0]));
}

#[tokio::test]
async fn a_step_that_is_dropped_anywhere_is_done_once_when_it_is_tried_again() {
    let store = with_table("effects_dropped").await;
    for round in 0..40_u64 {
        let step = format!("step {round}");
        for attempt in 0..3_u64 {
            let span = Duration::from_micros(round * 150 + attempt * 50);
            let _ = tokio::time::timeout(span, charge(&store, "effects_dropped", &step, 1)).await;
        }
        assert_eq!(charge(&store, "effects_dropped", &step, 1).await.unwrap(), 1);
    }
    assert_eq!(super::sql("SELECT count(*), count(DISTINCT step) FROM effects_dropped.charges"), "40|40");
}

/// An executor that was stopped in the middle of a step and has lost its runs meanwhile.
#[tokio::test]
async fn a_step_under_a_lease_that_was_lost_leaves_nothing() {
    let schema = "effects_fenced";
    let store = with_table(schema).await;
    let lease = acquire(&store, "a", 0).await.unwrap();
    let under = |node: &str, token| {
        let mut info = cx(node).info().clone();
        info.fence = Some(token);
        StepCx::detached(info)
    };
    for (node, token, is_kept) in [("a", lease.token, true), ("b", lease.token, false), ("c", 1 << 40, true)] {
        let insert = format!("INSERT INTO {schema}.charges VALUES ($1, 1)");
        let end = format!("UPDATE {schema}.flow_leases SET ended = true WHERE token = {token}");
        let done = store
            .once(&under(node, token), |transaction| {
                Box::pin(async move {
                    transaction.execute(&insert, &[&node]).await?;
                    if node == "b" {
                        super::sql(&end);
                    }
                    Ok(1)
                })
            })
            .await;
        assert_eq!(done.is_ok(), is_kept, "{node}: {done:?}");
    }
    // The last is of somebody else's lease: of another database, in which this one cannot look.
    assert_eq!(super::sql(&format!("SELECT string_agg(step, ' ' ORDER BY step) FROM {schema}.charges")), "a c");
}

/// An executor that was stopped in the middle of a step, or has left the network, ends no transaction of its own. Who takes its
/// runs over waits for none of them, also where transactions see what was there when they began.
#[tokio::test]
async fn a_step_of_an_executor_that_is_gone_keeps_nobody_waiting_and_leaves_nothing() {
    let server = fastn_testkit::server::PrivatePostgres::shared().unwrap();
    for (database, level) in [("gone_committed", "read committed"), ("gone_serial", "serializable")] {
        let url = server.database(database).unwrap();
        let said = format!("ALTER DATABASE {database} SET default_transaction_isolation = '{level}'");
        server.sql("postgres", &said).unwrap();
        let options = fastn_store::PostgresOptions::default().lease_clock(fastn_store::LeaseClock::Caller);
        let open = || async { std::sync::Arc::new(PostgresStore::open(&url, options.clone()).await.unwrap()) };
        let (store, other) = (open().await, open().await);
        server.sql(database, "CREATE TABLE charges (step text, n bigint)").unwrap();
        let lease = acquire(&*store, "a", 0).await.unwrap();
        let under = |token| {
            let mut info = cx("a").info().clone();
            info.fence = Some(token);
            StepCx::detached(info)
        };
        let (inside, goes_on) =
            (std::sync::Arc::new(tokio::sync::Notify::new()), std::sync::Arc::new(tokio::sync::Notify::new()));
        let step = {
            let (store, cx, inside, goes_on) = (store.clone(), under(lease.token), inside.clone(), goes_on.clone());
            tokio::spawn(async move {
                let charge = store.once(&cx, |transaction| {
                    Box::pin(async move {
                        transaction.execute("INSERT INTO charges VALUES ('gone', 1)", &[]).await?;
                        inside.notify_one();
                        goes_on.notified().await;
                        Ok(1)
                    })
                });
                charge.await.map_err(StepError::into_failure)
            })
        };
        inside.notified().await;
        let next = acquire(&*other, "b", 100).await.unwrap();
        crate::support::claim(&*other, &next, 100, &["w"], 10).await.unwrap();
        let cx = under(next.token);
        let charge = other.once(&cx, |transaction| {
            Box::pin(async move {
                transaction.execute("INSERT INTO charges VALUES ('next', 2)", &[]).await?;
                Ok(2)
            })
        });
        let done = tokio::time::timeout(Duration::from_secs(20), charge).await.expect("nobody is waited for");
        assert_eq!(done.unwrap(), 2, "{level}");
        goes_on.notify_one();
        step.await.unwrap().unwrap_err();
        assert_eq!(server.sql(database, "SELECT string_agg(step, ' ') FROM charges").unwrap(), "next");
    }
}

/// Steps may take as long as they like, and as many at once as there are connections.
#[tokio::test]
async fn steps_in_their_transactions_keep_nobody_from_renewing() {
    let options = fastn_store::PostgresOptions::default().schema("effects_busy").connections(2);
    let store = std::sync::Arc::new(super::open(&options.patience(Duration::from_secs(2))).await);
    let lease = acquire(&*store, "a", 0).await.unwrap();
    let (inside, open) =
        (std::sync::Arc::new(tokio::sync::Semaphore::new(0)), std::sync::Arc::new(tokio::sync::Semaphore::new(0)));
    let mut steps = JoinSet::new();
    for n in 0..2 {
        let (store, inside, open) = (store.clone(), inside.clone(), open.clone());
        steps.spawn(async move {
            let work =
                |transaction: &tokio_postgres::Transaction<'_>| -> fastn_core::BoxFuture<'_, Result<i64, StepError>> {
                    let _ = transaction;
                    Box::pin(async move {
                        inside.add_permits(1);
                        let _held = open.acquire().await;
                        Ok(n)
                    })
                };
            store.once(&cx(&n.to_string()), |transaction| work(transaction)).await
        });
    }
    let _all = inside.acquire_many(2).await.unwrap();
    store.renew(&lease, fastn_testkit::sample::at(20)).await.unwrap();
    open.add_permits(2);
    while let Some(done) = steps.join_next().await {
        done.unwrap().unwrap();
    }
}
