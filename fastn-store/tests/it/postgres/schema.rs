//! The tables, and who may use them.

use fastn_core::{EntryKind, EntryName, ErrorKind, TenantId};
use fastn_store::{
    Batch, EntryKey, Expect, Join, Once, PostgresOptions, PostgresStore, Put, Queues, Repository, RunQuery, Scan,
    Store, WhenTaken, Write, Written,
};
use fastn_testkit::sample::at;
use fastn_testkit::server::PrivatePostgres;
use tokio::task::JoinSet;

use crate::support::{acquire, create, fails, key, new_run, waiting};

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

/// A program of version 6 knows nothing of items: what it admits gathers no more all the same, and what it deletes is gone.
#[tokio::test]
async fn items_are_safe_beside_programs_that_know_of_none() {
    let store = super::open(&PostgresOptions::default().schema("beside_items")).await;
    let queue = crate::support::open_queue(&store).await;
    let add = async |name: &str, item: u8| {
        let join = Join { item: [item; 16], most: 9, bytes: 1_000 };
        let new = waiting(name, Some(Once { id: [1; 16], taken: WhenTaken::Join(join) }));
        let batch = Batch { lease: None, now: at(1), writes: vec![Write::Enqueue(new.into())] };
        store.commit(batch).await.unwrap().pop().unwrap()
    };
    let input = async |name: &str| {
        let history = store.read(&key("t", name)).await.unwrap().unwrap();
        String::from_utf8(history.input.bytes().to_vec()).unwrap()
    };
    for (name, item) in [("a", 1), ("b", 2)] {
        add(name, item).await;
    }
    assert_eq!(input("a").await, r#"["a","b"]"#);
    super::sql("UPDATE beside_items.flow_queued SET state = 2 WHERE state = 1");
    let kept = super::sql("SELECT convert_from(input, 'UTF8') FROM beside_items.flow_executions");
    assert_eq!((kept.as_str(), input("a").await.as_str()), (r#"["a","b"]"#, r#"["a","b"]"#));
    assert!(matches!(add("c", 3).await, Written::Created(_)), "the other was admitted");
    assert_eq!(input("a").await, r#"["a","b"]"#);
    // Withdrawn.
    assert!(matches!(add("d", 4).await, Written::Joined(_)));
    super::sql("DELETE FROM beside_items.flow_queued WHERE state < 2");
    assert_eq!(input("c").await, r#"["c","d"]"#);
    // Pruned, with its items left behind.
    super::sql("DELETE FROM beside_items.flow_executions; DELETE FROM beside_items.flow_keys");
    assert!(matches!(add("e", 4).await, Written::Created(_)), "an item whose run is gone is known no more");
    assert_eq!(input("e").await, r#"["e"]"#);
    // What it enqueues itself waits as before.
    let enqueue =
        "SELECT outcome FROM beside_items.enqueue_1(NULL, ARRAY['t'], ARRAY[gen_random_uuid()], ARRAY[NULL::bigint],
        ARRAY[NULL::bigint], ARRAY['w'], ARRAY[1::bigint], ARRAY['\\x07'::bytea], ARRAY[NULL], ARRAY[1::bigint],
        ARRAY[NULL::bytea], ARRAY['7'::bytea], ARRAY['jobs'], ARRAY['key'], ARRAY[0::bigint], ARRAY[0::bigint],
        ARRAY[1::bigint], ARRAY[NULL::uuid], ARRAY[NULL::bigint])";
    assert_eq!(super::sql(enqueue), "0");
    assert_eq!(store.counts(&queue, 0).await.unwrap().waiting, 2);
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

/// What was prepared says `text`, and is not given that any more.
#[tokio::test]
async fn a_column_that_changes_its_type_under_prepared_statements_is_one_retry() {
    let options = PostgresOptions::default().schema("types").connections(2);
    let store = super::open(&options).await;
    let lease = acquire(&store, "a", 0).await.unwrap();
    create(&store, Some(&lease), new_run("t", "1", "w")).await;
    let (tenant, kind) = (TenantId::new("t").unwrap(), EntryKind::new("k").unwrap());
    let entry = EntryKey { kind: kind.clone(), tenant, name: EntryName::new("n").unwrap() };
    let put = Put { key: entry.clone(), value: Some("1".into()), expect: Expect::Any };
    store.put(put).await.unwrap();
    let (scan, run) = (Scan { kind, tenant: None, after: None, limit: 10 }, key("t", "1"));
    let look = async || -> fastn_core::Result<()> {
        assert_eq!(store.list(RunQuery::default()).await?.runs.len(), 1);
        assert_eq!(store.scan(scan.clone()).await?.len(), 1);
        assert!(store.get(&entry).await?.is_some() && store.read(&run).await?.is_some());
        Ok(())
    };
    // Both connections have prepared everything.
    for _ in 0..2 {
        let (one, other) = tokio::join!(look(), look());
        one.and(other).unwrap();
    }
    super::sql(
        "ALTER TABLE types.entries ALTER COLUMN tenant TYPE varchar(256), ALTER COLUMN name TYPE varchar(256);
         ALTER TABLE types.flow_tenants ALTER COLUMN tenant TYPE varchar(256);
         ALTER TABLE types.flow_definitions ALTER COLUMN workflow TYPE varchar(256)",
    );
    let refused = look().await.expect_err("what was prepared has become stale");
    assert_eq!(refused.kind(), ErrorKind::Unavailable, "{refused:?}");
    for _ in 0..2 {
        let (one, other) = tokio::join!(look(), look());
        one.and(other).expect("everything is prepared anew");
    }
    store.close().await.unwrap();
}
