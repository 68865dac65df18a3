//! What hosts do in transactions: their own, and those of steps.

use std::sync::Arc;
use std::time::Duration;

use fastn_core::{Attempt, ErrorKind, RunId, StepCx, StepError, StepInfo, TenantId, Version, WorkflowName};
use fastn_store::{
    Enqueue, HostTransaction, Once, Queues, RunStatus, SqliteOptions, SqliteStore, Store, Then, WhenTaken, Written,
};
use fastn_testkit::sample::at;
use rusqlite::{Connection, TransactionBehavior};
use tokio::task::JoinSet;

use crate::support::{acquire, admit, claim, commit, create, fails, key, new_run, open_queue, turn, waiting};

fn cx(node: &str) -> StepCx {
    let workflow = WorkflowName::new("w").unwrap();
    let info =
        StepInfo::new(TenantId::default(), RunId::named("one"), workflow, Version(1), node.to_owned(), Attempt(1));
    StepCx::detached(info)
}

#[tokio::test]
async fn a_run_is_started_with_the_hosts_transaction_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs.db");
    let store = SqliteStore::open(&path, SqliteOptions::default()).await.unwrap();
    let lease = acquire(&store, "a", 0).await.unwrap();
    let mut host = Connection::open(&path).unwrap();
    host.execute_batch("CREATE TABLE orders (name TEXT)").unwrap();
    for (name, commits) in [("kept", true), ("dropped", false)] {
        let transaction = host.transaction_with_behavior(TransactionBehavior::Immediate).unwrap();
        transaction.execute("INSERT INTO orders VALUES (?1)", [name]).unwrap();
        let new = new_run("t", name, "w");
        assert!(matches!((&transaction).create(&new).await.unwrap(), Written::Created(_)));
        let Written::Exists(existing) = (&transaction).create(&new).await.unwrap() else { panic!("it exists") };
        assert_eq!((existing.input, existing.status), (new.input.clone(), RunStatus::Pending));
        if commits {
            transaction.commit().unwrap()
        } else {
            transaction.rollback().unwrap()
        }
        assert_eq!(store.read(&key("t", name)).await.unwrap().is_some(), commits);
    }
    assert_eq!(claim(&store, &lease, 0, &["w"], 10).await.unwrap().len(), 1, "the executor goes on with it");
    let other = Connection::open(folder.path().join("other.db")).unwrap();
    let transaction = other.unchecked_transaction().unwrap();
    fails((&transaction).create(&new_run("t", "1", "w")).await, ErrorKind::Unsupported);
}

#[tokio::test]
async fn a_run_of_a_queue_waits_with_the_hosts_transaction_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs.db");
    let store = SqliteStore::open(&path, SqliteOptions::default()).await.unwrap();
    let lease = acquire(&store, "a", 0).await.unwrap();
    let queue = open_queue(&store).await;
    let mut host = Connection::open(&path).unwrap();
    let stay = Once { id: [7; 16], taken: WhenTaken::Stay };
    for (name, commits) in [("dropped", false), ("kept", true)] {
        let transaction = host.transaction_with_behavior(TransactionBehavior::Immediate).unwrap();
        let new = waiting(name, Some(stay));
        assert!(matches!((&transaction).enqueue(&new).await.unwrap(), Written::Created(_)));
        assert!(matches!((&transaction).enqueue(&new).await.unwrap(), Written::Exists(_)));
        let other = (&transaction).enqueue(&waiting("other", Some(stay))).await.unwrap();
        let Written::Taken(taken) = other else { panic!("{other:?}") };
        assert_eq!(taken.key, key("t", name));
        // Here the transaction has all of the database, and a run can be pushed back as well.
        let pushed = Once { taken: WhenTaken::PushBack(Duration::from_secs(60)), ..stay };
        let late = Enqueue { delay: Duration::from_secs(10), ..waiting("late", Some(pushed)) };
        assert!(matches!((&transaction).enqueue(&late).await.unwrap(), Written::Taken(_)));
        assert_eq!(store.counts(&queue, 0).await.unwrap().waiting, 0);
        if commits {
            transaction.commit().unwrap()
        } else {
            transaction.rollback().unwrap()
        }
        assert_eq!(store.counts(&queue, 0).await.unwrap().waiting, u64::from(commits));
    }
    let created_at = waiting("kept", None).new.created_at;
    let second = created_at.as_micros() / 1_000_000;
    assert_eq!(admit(&store, &lease, second + 9).await, [], "it was pushed back");
    assert_eq!(admit(&store, &lease, second + 10).await, [key("t", "kept")]);
}

#[tokio::test]
async fn a_transactional_step_is_done_once_whoever_does_it_and_whenever_it_is_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs.db");
    let store = Arc::new(SqliteStore::open(&path, SqliteOptions::default()).await.unwrap());
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE charges (step TEXT, n INTEGER)").unwrap();
    let charge = |step: String, n: i64| {
        let store = store.clone();
        async move {
            let name = step.clone();
            let work = move |transaction: &rusqlite::Transaction<'_>| {
                transaction.execute("INSERT INTO charges VALUES (?1, ?2)", (&name, n))?;
                Ok(n)
            };
            store.once(&cx(&step), work).await.map_err(StepError::into_failure)
        }
    };
    let mut racing = JoinSet::new();
    for n in 0..7 {
        racing.spawn(charge("race".to_owned(), n));
    }
    let results: Vec<i64> = racing.join_all().await.into_iter().map(Result::unwrap).collect();
    assert!(results.iter().all(|n| *n == results[0]), "{results:?}");
    for round in 0..20_u64 {
        let step = format!("step {round}");
        let _ = tokio::time::timeout(Duration::from_micros(round * 20), charge(step.clone(), 1)).await;
        assert_eq!(charge(step, 1).await.unwrap(), 1);
    }
    let refused = store
        .once::<i64, _>(&cx("refused"), |transaction| {
            transaction.execute("INSERT INTO charges VALUES ('refused', 1)", [])?;
            Err(StepError::new("the card was refused"))
        })
        .await;
    assert!(refused.is_err());
    let panicked = store.once::<i64, _>(&cx("panicked"), |_| panic!("oh")).await;
    assert!(panicked.unwrap_err().into_failure().message.contains("panicked"));
    let (rows, steps): (i64, i64) = Connection::open(&path)
        .unwrap()
        .query_row("SELECT count(*), count(DISTINCT step) FROM charges", [], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap();
    assert_eq!((rows, steps), (21, 21));
}

/// A run that is deleted takes along what its steps did, and nothing of others: the same id may be started again.
#[tokio::test]
async fn a_run_that_is_started_again_after_it_was_pruned_does_its_steps_again() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path().join("runs.db"), SqliteOptions::default()).await.unwrap();
    let lease = acquire(&store, "a", 0).await.unwrap();
    let step = |name: &'static str, result: i64| {
        let (tenant, workflow) = (TenantId::new("t").unwrap(), WorkflowName::new("w").unwrap());
        let info = StepInfo::new(tenant, RunId::named(name), workflow, Version(1), "a".to_owned(), Attempt(1));
        let (store, cx) = (&store, StepCx::detached(info));
        async move { store.once(&cx, move |_| Ok(result)).await.unwrap() }
    };
    for name in ["ended", "open"] {
        create(&store, Some(&lease), new_run("t", name, "w")).await;
        assert_eq!(step(name, 1).await, 1);
        assert_eq!(step(name, 2).await, 1, "{name}: it is remembered");
    }
    let no = store.read(&key("t", "ended")).await.unwrap().unwrap().run.no;
    commit(&store, &lease, vec![turn(no, 0, 1, Then::End(RunStatus::Succeeded))]).await.unwrap();
    assert_eq!(step("ended", 2).await, 1, "as long as its run is there");
    assert_eq!(store.prune(at(1_000), 10).await.unwrap(), 1);
    create(&store, Some(&lease), new_run("t", "ended", "w")).await;
    assert_eq!(step("ended", 2).await, 2);
    assert_eq!(step("open", 2).await, 1);
}
