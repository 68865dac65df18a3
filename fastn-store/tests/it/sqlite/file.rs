//! Which files are opened, and what is said of those that are not.

use std::path::Path;

use fastn_core::{ErrorKind, QueueName, Result};
use fastn_store::{AdmitAsk, Queues, SqliteOptions, SqliteStore, Store, Suspects};
use fastn_testkit::sample;

use super::{behind, open};
use crate::support::{acquire, create, fails, key, new_run, open_queue, waiting};

async fn try_open(path: &Path) -> Result<SqliteStore> {
    SqliteStore::open(path, SqliteOptions::default()).await
}

/// Checks that a file is refused in these words, and left alone.
async fn check_refused(path: &Path, kind: ErrorKind, says: &str) {
    let before = std::fs::read(path).ok();
    let said = fails(try_open(path).await, kind);
    assert!(said.contains(says), "{said}");
    assert!(said.contains(&path.display().to_string()), "{said}");
    assert!(std::fs::read(path).ok() == before, "the refused file was changed");
}

#[tokio::test]
async fn paths_that_cannot_be_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    check_refused(folder.path(), ErrorKind::Invalid, "a folder, not a file").await;
    check_refused(&folder.path().join("none/runs.db"), ErrorKind::NotFound, "no such folder").await;
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);

    let path = folder.path().join("runs.db");
    open(&path).await.close().await.unwrap();
    let mut permissions = std::fs::metadata(&path).unwrap().permissions();
    permissions.set_readonly(true);
    std::fs::set_permissions(&path, permissions).unwrap();
    check_refused(&path, ErrorKind::Invalid, "read-only").await;
}

#[tokio::test]
async fn files_that_are_not_ours_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);

    std::fs::write(path("text"), "dear diary, ".repeat(1_000)).unwrap();
    check_refused(&path("text"), ErrorKind::Corrupt, "not a database").await;

    behind(&path("tables")).execute_batch("CREATE TABLE diary (page TEXT)").unwrap();
    check_refused(&path("tables"), ErrorKind::Corrupt, "belongs to another program").await;

    behind(&path("marked")).execute_batch("PRAGMA application_id = 77; CREATE TABLE x (y)").unwrap();
    check_refused(&path("marked"), ErrorKind::Corrupt, "application_id is 77").await;

    behind(&path("claimed")).execute_batch("PRAGMA application_id = 77").unwrap();
    check_refused(&path("claimed"), ErrorKind::Corrupt, "application_id is 77").await;

    // Nobody's file is anybody's.
    std::fs::write(path("empty"), "").unwrap();
    open(&path("empty")).await.close().await.unwrap();
    open(&path("empty")).await.close().await.unwrap();
}

#[tokio::test]
async fn schemas_that_this_build_does_not_know_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs.db");
    open(&path).await.close().await.unwrap();
    let original = std::fs::read(&path).unwrap();

    let newer = "INSERT INTO migrations (version, name, checksum) VALUES (999, 'later', x'00')";
    behind(&path).execute_batch(newer).unwrap();
    check_refused(&path, ErrorKind::Unsupported, "database version 999, this build version 8").await;

    std::fs::write(&path, &original).unwrap();
    behind(&path).execute_batch("UPDATE migrations SET checksum = x'00' WHERE version = 1").unwrap();
    check_refused(&path, ErrorKind::Corrupt, "migration 1 (runs) is not the one that was applied").await;
}

/// It may have been opened before, and stood by since.
#[tokio::test]
async fn what_a_newer_build_has_changed_since_is_neither_taken_over_nor_admitted_from() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs.db");
    let store = open(&path).await;
    open_queue(&store).await;
    let lease = acquire(&store, "a", 0).await.unwrap();
    let enqueue = fastn_store::Write::Enqueue(waiting("1", None).into());
    let batch = fastn_store::Batch { lease: None, now: lease.until, writes: vec![enqueue] };
    store.commit(batch).await.unwrap();
    let newer = "INSERT INTO migrations (version, name, checksum) VALUES (999, 'later', x'00')";
    behind(&path).execute_batch(newer).unwrap();
    let ask = AdmitAsk {
        lease: lease.token,
        now: lease.until,
        queue: QueueName::new("jobs").unwrap(),
        serves: vec![sample::definition("w").unwrap()],
        limit: 9,
        suspects: Suspects::default(),
    };
    let said = fails(store.admit(ask.clone()).await, ErrorKind::Unsupported);
    assert!(said.contains("a newer fastn has changed the database since"), "{said}");
    store.release(&lease).await.unwrap();
    fails(acquire(&store, "a", 1).await, ErrorKind::Unsupported);
    behind(&path).execute_batch("DELETE FROM migrations WHERE version = 999").unwrap();
    let lease = acquire(&store, "a", 1).await.unwrap();
    assert_eq!(store.admit(AdmitAsk { lease: lease.token, ..ask }).await.unwrap().runs.len(), 1);
}

#[tokio::test]
async fn a_full_disk_is_an_error_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs.db");
    let options = SqliteOptions::default().max_bytes(450_000);
    let store = SqliteStore::open(&path, options).await.unwrap();
    let lease = acquire(&store, "a", 0).await.unwrap();
    let mut acknowledged = 0;
    let error = loop {
        let new = new_run("t", &acknowledged.to_string(), &"w".repeat(200));
        let new = fastn_store::NewRun { input: fastn_core::Payload::json(vec![b'1'; 5_000]), ..new };
        let writes = vec![fastn_store::Write::Create(new.into())];
        let batch = fastn_store::Batch { lease: Some(lease.token), now: lease.until, writes };
        match store.commit(batch).await {
            Ok(_) => acknowledged += 1,
            Err(error) => break error,
        }
        assert!(acknowledged < 1_000, "the limit does not limit");
    };
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    assert!(error.chain().join(" ").contains("full"), "{error:?}");
    assert!(acknowledged > 10);
    let seen = async |store: &SqliteStore| {
        for n in 0..acknowledged + 2 {
            let found = store.read(&key("t", &n.to_string())).await.unwrap();
            assert_eq!(found.is_some(), n < acknowledged, "run {n} of {acknowledged}");
        }
    };
    seen(&store).await;
    store.close().await.unwrap();
    // With room again, all goes on.
    let store = open(&path).await;
    seen(&store).await;
    let lease = acquire(&store, "b", 1).await.unwrap();
    create(&store, Some(&lease), new_run("t", "more", "w")).await;
}

#[tokio::test]
async fn a_store_that_is_reopened_has_everything() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs.db");
    let store = open(&path).await;
    let lease = acquire(&store, "a", 0).await.unwrap();
    let no = create(&store, Some(&lease), new_run("t", "1", "w")).await;
    crate::support::commit(&store, &lease, vec![crate::support::turn(no, 0, 3, fastn_store::Then::Run)]).await.unwrap();
    // Another store of the same file, without a lease, sees it meanwhile.
    let before = open(&path).await.read(&key("t", "1")).await.unwrap().unwrap();
    assert_eq!((before.records.len(), before.run.holder), (3, Some(lease.token)));
    drop(store);
    let after = open(&path).await.read(&key("t", "1")).await.unwrap().unwrap();
    assert_eq!((after.records, after.run.holder), (before.records, None));
    assert!(!path.with_extension("db-wal").exists(), "a closed store is one file and its lock");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_may_open_a_new_database_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs.db");
    let opening: Vec<_> = (0..8)
        .map(|n| {
            let path = path.clone();
            tokio::spawn(async move {
                let store = open(&path).await;
                create(&store, None, new_run("t", &n.to_string(), "w")).await;
            })
        })
        .collect();
    for opened in opening {
        opened.await.unwrap();
    }
    let page = open(&path).await.list(fastn_store::RunQuery::default()).await.unwrap();
    assert_eq!(page.runs.len(), 8);
}
