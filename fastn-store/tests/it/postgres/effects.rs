//! Transactional steps.

use std::time::Duration;

use fastn_core::{Attempt, RunId, StepCx, StepError, StepInfo, TenantId, Version, WorkflowName};
use fastn_store::PostgresStore;
use tokio::task::JoinSet;

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
