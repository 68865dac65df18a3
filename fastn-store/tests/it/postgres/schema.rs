//! The tables, and who may use them.

use fastn_core::ErrorKind;
use fastn_store::{PostgresOptions, PostgresStore, Store};
use fastn_testkit::server::PrivatePostgres;
use tokio::task::JoinSet;

use crate::support::{acquire, create, fails, key, new_run};

#[tokio::test]
async fn many_may_open_a_new_database_at_once() {
    let options = super::fresh("crowd");
    let url = super::url();
    let mut opening = JoinSet::new();
    for _ in 0..10 {
        let (url, options) = (url.clone(), options.clone().connections(2));
        opening.spawn(async move { PostgresStore::open(&url, options).await });
    }
    let mut opened = 0;
    while let Some(store) = opening.join_next().await {
        let store = store.unwrap().unwrap();
        acquire(&store, "a", 0).await.unwrap();
        opened += 1;
    }
    assert_eq!(opened, 10);
}

#[tokio::test]
async fn programs_of_one_version_step_go_on_beside_each_other_and_of_two_do_not() {
    let options = PostgresOptions::default().schema("steps");
    let store = super::open(&options).await;
    let lease = acquire(&store, "a", 0).await.unwrap();
    create(&store, Some(&lease), new_run("t", "1", "w")).await;
    store.close().await.unwrap();
    let newest: i32 = super::sql("SELECT max(version) FROM steps.migrations").parse().unwrap();
    let insert = |version: i32, serves: i32| {
        super::sql(&format!(
            "INSERT INTO steps.migrations (version, name, serves, checksum) VALUES ({version}, 'later', {serves}, '')"
        ))
    };
    insert(newest + 1, newest);
    let store = super::open(&options).await;
    assert!(store.read(&key("t", "1")).await.unwrap().is_some(), "a step behind is near enough");
    store.close().await.unwrap();
    insert(newest + 2, newest + 1);
    let said = fails(PostgresStore::open(&super::url(), options.clone()).await, ErrorKind::Unsupported);
    assert!(said.contains("this build knows"), "{said}");
    super::sql(&format!(
        "DELETE FROM steps.migrations WHERE version > {newest}; UPDATE steps.migrations SET checksum = '' WHERE version = 1"
    ));
    fails(PostgresStore::open(&super::url(), options).await, ErrorKind::Corrupt);
}

/// A program of version 5 knows nothing of version 6, and goes on beside it by what it calls.
#[tokio::test]
async fn what_programs_of_the_version_before_call_is_still_there() {
    let options = PostgresOptions::default().schema("calls");
    let store = super::open(&options).await;
    let lease = acquire(&store, "old", 0).await.unwrap();
    create(&store, None, new_run("t", "1", "w")).await;
    let survey = format!("SELECT string_agg(holder::text, ' ') FROM calls.survey_1({}, NULL)", lease.token);
    assert_eq!(super::sql(&survey), "0");
    let shape = "decode(repeat('07', 32), 'hex')";
    let served = format!("ARRAY['w'], ARRAY[1::bigint], ARRAY[{shape}]");
    let claim = format!(
        "SELECT string_agg(concat_ws(' ', e.run_no = claimed, died), ', ')
         FROM calls.claim_1({}, ARRAY[0::bigint], {served}, '{{}}', 10), calls.flow_executions e",
        lease.token
    );
    assert_eq!(super::sql(&claim), "t 0");
    assert_eq!(store.read(&key("t", "1")).await.unwrap().unwrap().run.holder, Some(lease.token));
}

/// A role that owns its schema, and may do nothing else in the database.
#[tokio::test]
async fn a_schema_that_was_given_is_enough() {
    let server = PrivatePostgres::shared().unwrap();
    let url = server.database("modest").unwrap();
    let sql = "CREATE ROLE modest LOGIN PASSWORD 'modest'; REVOKE CREATE ON DATABASE modest FROM PUBLIC;
               CREATE SCHEMA given AUTHORIZATION modest";
    server.sql("modest", sql).unwrap();
    let (_, place) = url.split_once('@').unwrap();
    let url = format!("postgres://modest:modest@{place}");
    let open = async |schema: &str| PostgresStore::open(&url, PostgresOptions::default().schema(schema)).await;
    let store = open("given").await.unwrap();
    let lease = acquire(&store, "a", 0).await.unwrap();
    create(&store, Some(&lease), new_run("t", "1", "w")).await;
    store.keep_up().await.unwrap();
    fails(open("taken").await.map(drop), ErrorKind::Invalid);
}

#[tokio::test]
async fn schemas_are_strangers_to_each_other() {
    let (one, two) = (super::open(&super::fresh("one")).await, super::open(&super::fresh("two")).await);
    let lease = acquire(&one, "a", 0).await.unwrap();
    create(&one, Some(&lease), new_run("t", "1", "w")).await;
    assert!(two.read(&key("t", "1")).await.unwrap().is_none());
    assert_eq!(one.read(&key("t", "1")).await.unwrap().unwrap().run.key, key("t", "1"));
}

/// A statement that was prepared on a table that has changed since is no error that stays.
#[tokio::test]
async fn a_table_that_changes_under_prepared_statements_is_a_retry() {
    let options = PostgresOptions::default().schema("changes").connections(2);
    let store = super::open(&options).await;
    let lease = acquire(&store, "a", 0).await.unwrap();
    create(&store, Some(&lease), new_run("t", "1", "w")).await;
    super::sql(
        "ALTER TABLE changes.flow_executions ADD COLUMN later integer; ALTER TABLE changes.flow_tenants ADD COLUMN later integer",
    );
    for n in 2..6 {
        create(&store, Some(&lease), new_run("t", &n.to_string(), "w")).await;
    }
    assert_eq!(store.list(fastn_store::RunQuery::default()).await.unwrap().runs.len(), 5);
}
