//! The journal, and what is moved out of it.

use fastn_core::ErrorKind;
use fastn_store::{Batch, RunStatus, Store, Then, Write, Written};
use fastn_testkit::sample::at;

use super::{behind, open, open_tiny};
use crate::support::{acquire, claim, commit, create, fails, key, new_run, record, turn};

#[tokio::test]
async fn the_journal_stays_within_its_budget_and_histories_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs.db");
    let store = open_tiny(&path).await;
    let lease = acquire(&store, "a", 0).await.unwrap();
    let idle = create(&store, Some(&lease), new_run("t", "idle", "w")).await;
    let busy = create(&store, Some(&lease), new_run("t", "busy", "w")).await;
    let other = create(&store, Some(&lease), new_run("t", "other", "w")).await;
    commit(&store, &lease, vec![turn(idle, 0, 2, Then::Wait(lease.until))]).await.unwrap();
    let looks = behind(&path);
    for n in 0..200 {
        commit(&store, &lease, vec![turn(busy, n, 1, Then::Run), turn(other, n, 1, Then::Run)]).await.unwrap();
        let kept: i64 =
            looks.query_row("SELECT coalesce(sum(length(entries)), 0) FROM journal", [], |row| row.get(0)).unwrap();
        assert!(kept <= 500, "{kept} bytes");
    }
    // The run that waited was forgotten by the writer meanwhile.
    commit(&store, &lease, vec![turn(idle, 2, 1, Then::Run)]).await.unwrap();
    commit(&store, &lease, vec![turn(busy, 200, 1, Then::End(RunStatus::Succeeded))]).await.unwrap();
    for (name, count) in [("idle", 3), ("other", 200)] {
        let records = store.read(&key("t", name)).await.unwrap().unwrap().records;
        assert_eq!(records, (0..count).map(record).collect::<Vec<_>>());
    }
    assert_eq!(store.read(&key("t", "busy")).await.unwrap().unwrap().records.len(), 201);
    drop(store);
    let store = open(&path).await;
    let lease = acquire(&store, "b", 0).await.unwrap();
    assert_eq!(claim(&store, &lease, 0, &["w"], 9).await.unwrap(), [idle, other]);
    commit(&store, &lease, vec![turn(idle, 3, 1, Then::Run), turn(other, 200, 1, Then::Run)]).await.unwrap();
    assert_eq!(store.read(&key("t", "other")).await.unwrap().unwrap().records.len(), 201);
}

#[tokio::test]
async fn a_long_run_is_moved_out_of_the_journal_piece_by_piece() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs.db");
    let store = open(&path).await;
    let lease = acquire(&store, "a", 0).await.unwrap();
    let long = create(&store, Some(&lease), new_run("t", "long", "w")).await;
    let other = create(&store, Some(&lease), new_run("t", "other", "w")).await;
    // Each turn has some hundred kilobytes; one is larger than what is remembered of a run.
    let many = |n: u64| if n == 7 { 60_000 } else { 6_000 };
    let (looks, mut next) = (behind(&path), 0);
    for n in 0..20 {
        commit(&store, &lease, vec![turn(long, next, many(n), Then::Run), turn(other, n, 1, Then::Run)]).await.unwrap();
        next += many(n);
        let read = store.read(&key("t", "long")).await.unwrap().unwrap().records;
        assert_eq!(read.len() as u64, next, "after turn {n}");
    }
    let pieces: i64 = looks.query_row("SELECT count(*) FROM flow_history", [], |row| row.get(0)).unwrap();
    assert!(pieces > 2, "{pieces} pieces");
    drop((store, looks));
    let store = open(&path).await;
    let lease = acquire(&store, "b", 0).await.unwrap();
    assert_eq!(claim(&store, &lease, 0, &["w"], 9).await.unwrap(), [long, other]);
    commit(&store, &lease, vec![turn(long, next, 1, Then::End(RunStatus::Succeeded))]).await.unwrap();
    let read = store.read(&key("t", "long")).await.unwrap().unwrap().records;
    assert_eq!(read.len() as u64, next + 1);
    assert!(read.iter().zip(0..next).all(|(read, n)| *read == record(n)));
}

#[tokio::test]
async fn one_damaged_run_does_not_keep_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs.db");
    let store = open_tiny(&path).await;
    let lease = acquire(&store, "a", 0).await.unwrap();
    let mut runs = Vec::new();
    for n in 0..5 {
        let no = create(&store, Some(&lease), new_run("t", &n.to_string(), "w")).await;
        commit(&store, &lease, vec![turn(no, 0, 40, Then::Run)]).await.unwrap();
        runs.push(no);
    }
    store.release(&lease).await.unwrap();
    let damage = "UPDATE flow_history SET records = x'ff' WHERE run_no = ?1";
    behind(&path).execute(damage, [i64::try_from(runs[1].0).unwrap()]).unwrap();
    let gap = "UPDATE flow_history SET first_seq = 7 WHERE run_no = ?1";
    behind(&path).execute(gap, [i64::try_from(runs[2].0).unwrap()]).unwrap();
    let lease = acquire(&store, "b", 0).await.unwrap();
    assert_eq!(claim(&store, &lease, 0, &["w"], 3).await.unwrap(), [runs[0], runs[3], runs[4]]);
    fails(store.read(&key("t", "1")).await, ErrorKind::Corrupt);
    fails(store.read(&key("t", "2")).await, ErrorKind::Corrupt);
    store.read(&key("t", "0")).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_damaged_journal_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs.db");
    let store = open(&path).await;
    let lease = acquire(&store, "a", 0).await.unwrap();
    let no = create(&store, Some(&lease), new_run("t", "1", "w")).await;
    commit(&store, &lease, vec![turn(no, 0, 2, Then::Run)]).await.unwrap();
    store.release(&lease).await.unwrap();
    for damage in ["x'84'", "x'ff'", "x'83010203'", "x'8401634142430101'", "substr(entries, 1, length(entries) - 1)"] {
        let looks = behind(&path);
        let entries: Vec<u8> = looks.query_row("SELECT entries FROM journal", [], |row| row.get(0)).unwrap();
        looks.execute_batch(&format!("UPDATE journal SET entries = {damage}")).unwrap();
        fails(acquire(&store, "b", 0).await, ErrorKind::Corrupt);
        fails(store.read(&key("t", "1")).await, ErrorKind::Corrupt);
        looks.execute("UPDATE journal SET entries = ?1", [entries]).unwrap();
    }
    let lease = acquire(&store, "b", 0).await.unwrap();
    assert_eq!(claim(&store, &lease, 0, &["w"], 3).await.unwrap(), [no]);
}

#[tokio::test]
async fn runs_that_wait_are_read_without_the_journal() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs.db");
    let store = open(&path).await;
    let lease = acquire(&store, "a", 0).await.unwrap();
    let mut waiting = Vec::new();
    for n in 0..1_000 {
        let no = create(&store, Some(&lease), new_run("t", &n.to_string(), "w")).await;
        commit(&store, &lease, vec![turn(no, 0, 1, Then::Run)]).await.unwrap();
        waiting.push(turn(no, 1, 2, Then::Wait(lease.until)));
    }
    commit(&store, &lease, waiting).await.unwrap();
    for n in 0..1_000 {
        assert_eq!(store.read(&key("t", &n.to_string())).await.unwrap().unwrap().records.len(), 3);
    }
    // What a journal holds, every reader of an unfinished run reads: it must not be asked for a run that waits.
    behind(&path).execute("UPDATE journal SET entries = x'ff'", []).unwrap();
    assert_eq!(store.read(&key("t", "7")).await.unwrap().unwrap().records.len(), 3);
}

/// What a transaction that failed has made known is not known.
#[tokio::test]
async fn a_workflow_whose_first_run_could_not_be_written_is_known_by_its_next_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs.db");
    let store = open(&path).await;
    let beside = behind(&path);
    beside
        .execute_batch(
            "CREATE TRIGGER refuses BEFORE INSERT ON flow_executions WHEN new.input = CAST('\"bad\"' AS BLOB)
             BEGIN SELECT RAISE(ABORT, 'no'); END",
        )
        .unwrap();
    let new =
        |name: &str| Batch { lease: None, now: at(1), writes: vec![Write::Create(new_run("t", name, "w").into())] };
    assert!(store.commit(new("bad")).await.is_err());
    assert!(matches!(store.commit(new("good")).await.unwrap().as_slice(), [Written::Created(_)]));
    let history = store.read(&key("t", "good")).await.unwrap().unwrap();
    assert_eq!(history.run.definition, fastn_testkit::sample::definition("w").unwrap());
    // For those who look with other programs as well.
    let named: i64 = beside
        .query_row("SELECT count(*) FROM flow_executions JOIN flow_definitions USING (def_no)", [], |row| row.get(0))
        .unwrap();
    assert_eq!(named, 1);
}
