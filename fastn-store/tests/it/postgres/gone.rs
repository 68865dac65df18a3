//! A server that goes back in time: a standby was promoted that had not heard of everything.

use fastn_core::ErrorKind;
use fastn_store::{LeaseClock, RunStatus, Store, Then};

use crate::support::{acquire, claim, commit, create, fails, key, new_run, turn};

/// Takes back what was committed last under a lease.
fn go_back(schema: &str, token: u64, commits: u64) {
    super::sql(&format!(
        "DELETE FROM {schema}.flow_journal WHERE token = {token} AND seq > (
             SELECT max(seq) - {commits} FROM {schema}.flow_journal WHERE token = {token})"
    ));
}

#[tokio::test]
async fn whoever_was_acknowledged_what_is_there_no_more_writes_nothing_and_its_runs_go_on_from_what_is_there() {
    for budget in [8 << 20, 300] {
        let (schema, options) = super::named("gone");
        let options = options.lease_clock(LeaseClock::Caller).journal_budget(budget);
        let (store, other) = (super::open(&options).await, super::open(&options).await);
        let lease = acquire(&store, "a", 0).await.unwrap();
        let (first, second) = (
            create(&store, Some(&lease), new_run("t", "1", "w")).await,
            create(&store, Some(&lease), new_run("t", "2", "w")).await,
        );
        for seq in 0..5 {
            commit(&store, &lease, vec![turn(first, seq, 1, Then::Run)]).await.unwrap();
        }
        go_back(&schema, lease.token, 1);
        let said = fails(commit(&store, &lease, vec![turn(second, 0, 1, Then::Run)]).await, ErrorKind::Fenced);
        assert!(said.contains("has lost what it acknowledged"), "{said}");
        fails(commit(&store, &lease, vec![turn(first, 5, 1, Then::Run)]).await, ErrorKind::Fenced);
        fails(store.renew(&lease, lease.until).await, ErrorKind::Fenced);
        // Nobody has died over them, and nothing is waited for.
        let next = acquire(&other, "b", 1).await.unwrap();
        let mut claimed = claim(&other, &next, 1, &["w"], 10).await.unwrap();
        claimed.sort_unstable();
        assert_eq!(claimed, [first, second]);
        let (first, second) = (other.read(&key("t", "1")).await.unwrap(), other.read(&key("t", "2")).await.unwrap());
        let (first, second) = (first.unwrap(), second.unwrap());
        assert_eq!((first.records.len(), second.records.len()), (4, 0), "{budget}");
        commit(&other, &next, vec![turn(first.run.no, 4, 1, Then::End(RunStatus::Succeeded))]).await.unwrap();
        assert_eq!(other.read(&key("t", "1")).await.unwrap().unwrap().records.len(), 5);
    }
}

#[tokio::test]
async fn whoever_misses_nothing_goes_on() {
    let (schema, options) = super::named("all_there");
    let store = super::open(&options).await;
    let lease = acquire(&store, "a", 0).await.unwrap();
    let no = create(&store, Some(&lease), new_run("t", "1", "w")).await;
    for seq in 0..5 {
        commit(&store, &lease, vec![turn(no, seq, 1, Then::Run)]).await.unwrap();
        // Another session is no other server.
        super::sql(&format!("SELECT 1 FROM {schema}.flow_leases"));
    }
    assert_eq!(store.read(&key("t", "1")).await.unwrap().unwrap().records.len(), 5);
}
