//! What was done through a store its own reads do not miss.

use fastn_store::{ClaimAsk, Mailbox, Message, RunQuery, RunStatus, Store, Suspects, Then};
use fastn_testkit::sample::{at, definition};
use fastn_testkit::server::PrivateRedis;

use super::{behind, end, ended, kept, metered, patient};
use crate::support::{acquire, commit, create, key, new_run, turn};

async fn count(store: &dyn Store) -> usize {
    store.list(RunQuery::default()).await.unwrap().runs.len()
}

#[tokio::test]
async fn a_list_has_what_was_written_here_and_may_miss_for_a_while_what_others_wrote() {
    let (store, _) = metered();
    let cache = patient(&PrivateRedis::shared().unwrap().url(0));
    let (cached, reader) = (behind(&cache, &store).await, behind(&cache, &store).await);
    create(&*store, None, new_run("t", "first", "work")).await;
    assert_eq!(count(&*reader).await, 1);
    kept(&cache, 1).await;
    create(&*store, None, new_run("t", "second", "work")).await;
    assert_eq!((count(&*reader).await, count(&*cached).await), (1, 1), "there is no cache that this could be about");
    create(&*cached, None, new_run("t", "third", "work")).await;
    assert_eq!((count(&*reader).await, count(&*cached).await), (1, 3));
}

/// A run of an id that an older one had, which is in the cache.
async fn reborn(how: impl AsyncFn(&dyn Store, &dyn Store)) {
    let (store, _) = metered();
    let old = ended(&*store, "t", "daily", RunStatus::Failed).await;
    let cache = patient(&PrivateRedis::shared().unwrap().url(0));
    let (cached, reader) = (behind(&cache, &store).await, behind(&cache, &store).await);
    let status = async |store: &dyn Store| {
        let found = store.summaries(std::slice::from_ref(&old.key)).await.unwrap();
        let read = store.read(&old.key).await.unwrap().map(|history| history.run.status);
        assert_eq!(found[0].as_ref().map(|run| run.status), read);
        read
    };
    assert_eq!(status(&*cached).await, Some(RunStatus::Failed));
    kept(&cache, 2).await;
    how(&*cached, &*store).await;
    assert_eq!(status(&*reader).await, Some(RunStatus::Failed), "there is no cache that this could be about");
    let truth = status(&*store).await;
    assert_ne!(truth, Some(RunStatus::Failed));
    assert_eq!(status(&*cached).await, truth);
}

#[tokio::test]
async fn a_run_that_was_deleted_here_is_gone() {
    reborn(async |cached, _| {
        assert_eq!(cached.prune(at(1_000), 10).await.unwrap(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_run_that_others_deleted_and_that_is_created_here_again_is_the_new_one() {
    reborn(async |cached, store| {
        store.prune(at(1_000), 10).await.unwrap();
        create(cached, None, new_run("t", "daily", "work")).await;
    })
    .await;
}

#[tokio::test]
async fn a_run_that_is_found_to_be_there_again_is_the_new_one() {
    reborn(async |cached, store| {
        store.prune(at(1_000), 10).await.unwrap();
        create(store, None, new_run("t", "daily", "work")).await;
        let new = new_run("t", "daily", "work").into();
        let writes = vec![fastn_store::Write::Create(new)];
        cached.commit(fastn_store::Batch { lease: None, now: at(1), writes }).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_run_that_is_claimed_here_is_the_new_one() {
    reborn(async |cached, store| {
        store.prune(at(1_000), 10).await.unwrap();
        create(store, None, new_run("t", "daily", "work")).await;
        let lease = acquire(cached, "here", 1).await.unwrap();
        let serves = vec![definition("work").unwrap()];
        let ask = ClaimAsk { lease: lease.token, now: at(1), serves, limit: 10, suspects: Suspects::default() };
        assert_eq!(cached.claim(ask).await.unwrap().len(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_run_that_is_told_something_here_is_the_new_one() {
    reborn(async |cached, store| {
        store.prune(at(1_000), 10).await.unwrap();
        create(store, None, new_run("t", "daily", "work")).await;
        let message = Message { id: [1; 16], run: key("t", "daily"), body: "hear".into(), sent_at: at(1) };
        Mailbox::send(cached, vec![message]).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_run_is_followed_to_its_end_through_the_cache() {
    let (store, _) = metered();
    let cached = behind(&patient(&PrivateRedis::shared().unwrap().url(0)), &store).await;
    let lease = acquire(&*cached, "here", 1).await.unwrap();
    let no = create(&*cached, Some(&lease), new_run("t", "run", "work")).await;
    let status = async || cached.summaries(&[key("t", "run")]).await.unwrap()[0].as_ref().unwrap().status;
    assert_eq!(status().await, RunStatus::Running);
    commit(&*cached, &lease, vec![turn(no, 0, 2, Then::Wait(at(9)))]).await.unwrap();
    assert_eq!(status().await, RunStatus::Waiting);
    commit(&*cached, &lease, vec![turn(no, 2, 1, Then::End(RunStatus::Cancelled))]).await.unwrap();
    assert_eq!(status().await, RunStatus::Cancelled);
    assert_eq!(count(&*cached).await, 1);
    let other = create(&*cached, Some(&lease), new_run("t", "other", "work")).await;
    end(&*cached, &lease, other, RunStatus::Stuck).await;
    let stuck = RunQuery { status: vec![RunStatus::Stuck], ..RunQuery::default() };
    assert_eq!(cached.list(stuck).await.unwrap().runs.len(), 1);
}
