//! One executor at a time.

use fastn_core::ErrorKind;
use fastn_store::{Store, Then};
use fastn_testkit::sample::{TTL, at};

use super::open;
use crate::support::{acquire, claim, commit, create, fails, key, new_run, turn};

#[tokio::test]
async fn a_second_executor_learns_who_is_the_first() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs.db");
    let (one, two) = (open(&path).await, open(&path).await);
    let lease = acquire(&one, "shop-1", 0).await.unwrap();
    let said = fails(acquire(&two, "shop-2", 1).await, ErrorKind::Locked);
    assert!(said.contains(&format!("shop-1 (process {})", std::process::id())), "{said}");
    let said = fails(acquire(&one, "shop-3", 1).await, ErrorKind::Locked);
    assert!(said.contains("shop-1 (this process)"), "{said}");
    one.release(&lease).await.unwrap();
    let next = acquire(&two, "shop-2", 1).await.unwrap();
    assert!(next.token > lease.token);
    drop(two);
    assert!(acquire(&one, "shop-1", 2).await.unwrap().token > next.token);
}

#[tokio::test]
async fn runs_can_be_created_beside_the_executor_and_are_claimed_by_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs.db");
    let (executor, other) = (open(&path).await, open(&path).await);
    let lease = acquire(&executor, "a", 0).await.unwrap();
    for n in 0..5 {
        let mine = create(&executor, Some(&lease), new_run("t", &format!("mine {n}"), "w")).await;
        let theirs = create(&other, None, new_run("t", &format!("theirs {n}"), &format!("w{n}"))).await;
        assert_eq!(claim(&executor, &lease, 0, &[&format!("w{n}"), "w"], 9).await.unwrap(), [theirs]);
        commit(&executor, &lease, vec![turn(mine, 0, 1, Then::Run), turn(theirs, 0, 2, Then::Run)]).await.unwrap();
        let seen = other.read(&key("t", &format!("theirs {n}"))).await.unwrap().unwrap();
        assert_eq!((seen.records.len(), seen.run.holder), (2, Some(lease.token)));
    }
}

/// It lives and has the lock, and has not been heard of for longer than its lease.
#[tokio::test]
async fn who_is_stalled_is_taken_over_from_and_finds_itself_fenced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs.db");
    let (stalled, other, third) = (open(&path).await, open(&path).await, open(&path).await);
    let old = acquire(&stalled, "stalled", 0).await.unwrap();
    let no = create(&stalled, Some(&old), new_run("t", "1", "w")).await;
    commit(&stalled, &old, vec![turn(no, 0, 2, Then::Run)]).await.unwrap();
    let said = fails(acquire(&other, "other", TTL).await, ErrorKind::Locked);
    assert!(said.contains("stalled (process"), "{said}");
    let new = acquire(&other, "other", TTL + 1).await.unwrap();
    assert_eq!(claim(&other, &new, TTL + 1, &["w"], 9).await.unwrap(), [no]);
    fails(commit(&stalled, &old, vec![turn(no, 2, 1, Then::Run)]).await, ErrorKind::Fenced);
    fails(stalled.renew(&old, at(9 * TTL)).await, ErrorKind::Fenced);
    // It has the lock still, or gives it up to take it: neither gets it the lease of another that lives.
    for store in [&stalled, &third, &stalled] {
        let said = fails(acquire(store, "again", TTL + 2).await, ErrorKind::Locked);
        assert!(said.contains("other"), "{said}");
    }
    other.renew(&new, at(3 * TTL)).await.unwrap();
    commit(&other, &new, vec![turn(no, 2, 2, Then::Run)]).await.unwrap();
    let said = fails(acquire(&third, "third", 3 * TTL).await, ErrorKind::Locked);
    assert!(said.contains("other (process"), "the lock has come to who has the lease: {said}");
    other.release(&new).await.unwrap();
    let last = acquire(&stalled, "again", 2 * TTL).await.unwrap();
    assert_eq!(claim(&stalled, &last, 2 * TTL, &["w"], 9).await.unwrap(), [no]);
    assert_eq!(third.read(&key("t", "1")).await.unwrap().unwrap().records.len(), 4);
}

#[tokio::test]
async fn a_zombie_is_fenced_even_where_locks_do_not_lock() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs.db");
    let (zombie, successor) = (open(&path).await, open(&path).await);
    let old = acquire(&zombie, "zombie", 0).await.unwrap();
    let no = create(&zombie, Some(&old), new_run("t", "1", "w")).await;
    commit(&zombie, &old, vec![turn(no, 0, 2, Then::Run)]).await.unwrap();
    // Without its file the lock keeps nobody out, as on a file system whose locks do nothing.
    std::fs::remove_file(folder.path().join("runs.db.lock")).unwrap();
    let new = acquire(&successor, "successor", 0).await.unwrap();
    assert_eq!(claim(&successor, &new, 0, &["w"], 9).await.unwrap(), [no]);
    fails(zombie.renew(&old, old.until).await, ErrorKind::Fenced);
    fails(claim(&zombie, &old, 0, &["w"], 9).await, ErrorKind::Fenced);
    fails(commit(&zombie, &old, vec![turn(no, 2, 1, Then::Run)]).await, ErrorKind::Fenced);
    zombie.release(&old).await.unwrap();
    commit(&successor, &new, vec![turn(no, 2, 2, Then::Run)]).await.unwrap();
    assert_eq!(successor.read(&key("t", "1")).await.unwrap().unwrap().records.len(), 4);
}

#[tokio::test]
async fn one_that_was_superseded_may_apply_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs.db");
    let (zombie, successor) = (open(&path).await, open(&path).await);
    let old = acquire(&zombie, "zombie", 0).await.unwrap();
    std::fs::remove_file(folder.path().join("runs.db.lock")).unwrap();
    let new = acquire(&successor, "successor", 0).await.unwrap();
    fails(zombie.renew(&old, old.until).await, ErrorKind::Fenced);
    let said = fails(acquire(&zombie, "zombie", 0).await, ErrorKind::Locked);
    assert!(said.contains("successor"), "{said}");
    successor.release(&new).await.unwrap();
    assert!(acquire(&zombie, "zombie", 0).await.unwrap().token > new.token);
}

#[cfg(unix)]
#[tokio::test]
async fn links_to_a_database_share_its_lock() {
    let folder = tempfile::tempdir().unwrap();
    let (path, link) = (folder.path().join("runs.db"), folder.path().join("link.db"));
    let one = open(&path).await;
    std::os::unix::fs::symlink(&path, &link).unwrap();
    acquire(&one, "one", 0).await.unwrap();
    fails(acquire(&open(&link).await, "two", 0).await, ErrorKind::Locked);
}
