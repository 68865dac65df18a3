//! What upkeep and pruning take away, and what they leave.

use std::time::{Duration, SystemTime};

use fastn_core::{Attempt, RunId, StepCx, StepError, StepInfo, TenantId, Timestamp, Version, WorkflowName};
use fastn_store::{
    Batch, Lease, Mailbox, Message, NewRun, PostgresOptions, PostgresStore, Retention, RunNo, RunStatus, Store, Then,
    Write, Written,
};
use fastn_testkit::sample::at;

use crate::support::{acquire, commit, key, new_run, turn};

/// Yesterday at noon is always over.
fn yesterday() -> Timestamp {
    let days = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs() / 86_400;
    Timestamp::from_micros(i64::try_from((days - 1) * 86_400 + 43_200).unwrap() * 1_000_000)
}

async fn open(schema: &str, keep: Duration) -> (PostgresStore, Lease) {
    let store = super::open(&PostgresOptions::default().schema(schema).retention(Retention::of(keep))).await;
    let lease = acquire(&store, "a", 0).await.unwrap();
    (store, lease)
}

async fn begin(store: &PostgresStore, lease: &Lease, name: &str) -> RunNo {
    let new = NewRun { created_at: yesterday(), ..new_run("t", name, "w") };
    let writes = vec![Write::Create(new.into())];
    match store.commit(Batch { lease: Some(lease.token), now: at(1), writes }).await.unwrap().as_slice() {
        [Written::Created(no)] => *no,
        other => panic!("{other:?}"),
    }
}

async fn end(store: &PostgresStore, lease: &Lease, no: RunNo) {
    commit(store, lease, vec![turn(no, 0, 1, Then::End(RunStatus::Succeeded))]).await.unwrap();
}

/// Does the one step of a run: what it gave, which is `result` if it was done now.
async fn step(store: &PostgresStore, name: &str, result: i64) -> i64 {
    let (tenant, workflow) = (TenantId::new("t").unwrap(), WorkflowName::new("w").unwrap());
    let info = StepInfo::new(tenant, RunId::named(name), workflow, Version(1), "a".to_owned(), Attempt(1));
    let work = |_: &tokio_postgres::Transaction<'_>| -> fastn_core::BoxFuture<'_, Result<i64, StepError>> {
        Box::pin(async move { Ok(result) })
    };
    store.once(&StepCx::detached(info), |transaction| work(transaction)).await.unwrap()
}

/// However old it is.
fn ages(schema: &str) {
    super::sql(&format!("UPDATE {schema}.flow_effects SET made_at = now() - interval '1 year'"));
}

#[tokio::test]
async fn what_a_step_did_is_remembered_for_as_long_as_its_run_is_kept() {
    let schema = "upkeep_effects";
    let (store, lease) = open(schema, Duration::from_secs(30 * 86_400)).await;
    for name in ["goes on", "ended", "elsewhere"] {
        assert_eq!(step(&store, name, 1).await, 1);
    }
    begin(&store, &lease, "goes on").await;
    let ended = begin(&store, &lease, "ended").await;
    end(&store, &lease, ended).await;
    ages(schema);
    store.keep_up().await.unwrap();
    for name in ["goes on", "ended", "elsewhere"] {
        assert_eq!(step(&store, name, 2).await, 1, "{name}: an executor that was stopped may do it again");
    }
}

#[tokio::test]
async fn a_run_that_is_started_again_after_its_day_was_retired_does_its_steps_again() {
    let (store, lease) = open("upkeep_retired", Duration::ZERO).await;
    for name in ["ended", "open"] {
        assert_eq!(step(&store, name, 1).await, 1);
    }
    for n in 0..3 {
        let no = begin(&store, &lease, &format!("other {n}")).await;
        end(&store, &lease, no).await;
    }
    let open = begin(&store, &lease, "open").await;
    let no = begin(&store, &lease, "ended").await;
    end(&store, &lease, no).await;
    assert_eq!(store.keep_up().await.unwrap().runs, 4);
    begin(&store, &lease, "ended").await;
    assert_eq!(step(&store, "ended", 2).await, 2);
    assert_eq!(step(&store, "open", 2).await, 1);
    end(&store, &lease, open).await;
}

#[tokio::test]
async fn a_run_that_is_started_again_after_it_was_pruned_does_its_steps_again() {
    let (store, lease) = open("upkeep_pruned", Duration::ZERO).await;
    for name in ["ended", "open"] {
        assert_eq!(step(&store, name, 1).await, 1);
    }
    begin(&store, &lease, "open").await;
    let no = begin(&store, &lease, "ended").await;
    end(&store, &lease, no).await;
    assert_eq!(store.prune(at(1_000), 10).await.unwrap(), 1);
    begin(&store, &lease, "ended").await;
    assert_eq!(step(&store, "ended", 2).await, 2);
    assert_eq!(step(&store, "open", 2).await, 1);
}

/// Whoever retired its day died after the run had lost its key, and somebody started another of its id since.
#[tokio::test]
async fn a_run_that_goes_takes_nothing_from_another_of_its_id() {
    for is_pruned in [true, false] {
        let schema = if is_pruned { "upkeep_other_pruned" } else { "upkeep_other_retired" };
        let (store, lease) = open(schema, Duration::ZERO).await;
        let first = begin(&store, &lease, "one").await;
        end(&store, &lease, first).await;
        super::sql(&format!("DELETE FROM {schema}.flow_keys"));
        let new =
            NewRun { created_at: Timestamp::from_micros(yesterday().as_micros() * 2), ..new_run("t", "one", "w") };
        let batch = Batch { lease: Some(lease.token), now: at(1), writes: vec![Write::Create(new.into())] };
        let made = store.commit(batch).await.unwrap();
        let [Written::Created(second)] = made.as_slice() else { panic!("{made:?}") };
        assert_eq!(step(&store, "one", 1).await, 1);
        if is_pruned {
            assert_eq!(store.prune(at(1_000), 10).await.unwrap(), 1);
        } else {
            assert_eq!(store.keep_up().await.unwrap().runs, 1);
        }
        assert_eq!(store.read(&key("t", "one")).await.unwrap().unwrap().run.no, *second);
        assert_eq!(step(&store, "one", 2).await, 1, "exactly once");
    }
}

#[tokio::test]
async fn messages_of_runs_that_ended_are_emptied_and_those_of_others_are_not() {
    let schema = "upkeep_messages";
    let (store, lease) = open(schema, Duration::from_secs(30 * 86_400)).await;
    let (live, ended) = (begin(&store, &lease, "live").await, begin(&store, &lease, "ended").await);
    // More than are looked at at a time.
    let messages = |name: &str, most: u128| -> Vec<Message> {
        (0..most)
            .map(|n| Message { id: n.to_be_bytes(), run: key("t", name), body: vec![1].into(), sent_at: at(1) })
            .collect()
    };
    store.send(messages("live", 1_100)).await.unwrap();
    store.send(messages("ended", 3)).await.unwrap();
    end(&store, &lease, ended).await;
    // As one is left that was sent just when its run ended and was deleted.
    super::sql(&format!(
        "INSERT INTO {schema}.flow_messages (run_no, id, sent_at, body) VALUES (1, '00000000-0000-4000-8000-000000000001', 1, '1')"
    ));
    store.keep_up().await.unwrap();
    let left = super::sql(&format!(
        "SELECT string_agg(t, ' ') FROM (SELECT run_no || ':' || count(*) || ':' || count(body) AS t
             FROM {schema}.flow_messages GROUP BY run_no ORDER BY run_no) m"
    ));
    assert_eq!(left, format!("{}:1100:1100 {}:3:0", live.0, ended.0));
}
