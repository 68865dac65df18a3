//! How long runs are kept, on the stores that keep them for a time.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use fastn_core::{BoxFuture, TenantId, Timestamp, WorkflowName};
use fastn_store::{
    AdmitAsk, Batch, Join, Lease, LeaseAsk, Message, NewRun, Once, PostgresOptions, PostgresStore, Retention, Rule,
    RunKey, RunNo, RunStatus, Sent, SqliteOptions, SqliteStore, Store, Suspects, Then, WhenTaken, Write, Written,
};
use fastn_testkit::sample::lease_ask;

use crate::support::{key, new_run, open_queue, turn, waiting};

const DAY: Duration = Duration::from_secs(86_400);

/// Yesterday at noon, since no day is retired by Postgres before it is over.
fn yesterday() -> Timestamp {
    let days = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs() / 86_400;
    Timestamp::from_micros(i64::try_from((days - 1) * 86_400 + 43_200).unwrap() * 1_000_000)
}

/// A store that deletes what is no longer kept when it is asked to: how many runs there were.
struct Subject {
    store: Arc<dyn Store>,
    keep_up: Box<dyn Fn() -> BoxFuture<'static, u64>>,
    lease: Lease,
}

impl Subject {
    async fn of(store: Arc<dyn Store>, keep_up: impl Fn() -> BoxFuture<'static, u64> + 'static) -> Self {
        let now = Timestamp::from(SystemTime::now());
        let lease = store.acquire(LeaseAsk { now, ttl: DAY, ..lease_ask("a", 0).unwrap() }).await.unwrap();
        Self { store, keep_up: Box::new(keep_up), lease }
    }

    async fn create(&self, new: NewRun) -> RunNo {
        let new = NewRun { created_at: yesterday(), ..new };
        let writes = vec![Write::Create(new.into())];
        let batch = Batch { lease: Some(self.lease.token), now: yesterday(), writes };
        match self.store.commit(batch).await.unwrap().as_slice() {
            [Written::Created(no)] => *no,
            other => panic!("{other:?}"),
        }
    }

    /// A run that has ended so long after yesterday at noon.
    async fn ended(&self, (tenant, workflow, name): (&str, &str, &str), status: RunStatus, after: Duration) {
        let no = self.create(new_run(tenant, name, workflow)).await;
        self.end(no, status, after).await;
    }

    async fn end(&self, no: RunNo, status: RunStatus, after: Duration) {
        let writes = vec![Write::Turn(turn(no, 0, 1, Then::End(status)))];
        let batch = Batch { lease: Some(self.lease.token), now: yesterday().plus(after), writes };
        self.store.commit(batch).await.unwrap();
    }

    async fn has(&self, key: &RunKey) -> bool {
        self.store.read(key).await.unwrap().is_some()
    }
}

/// On a file in this folder.
async fn on_sqlite(folder: &Path, retention: Option<Retention>) -> Subject {
    let options = SqliteOptions::default();
    let options = if let Some(retention) = retention { options.retention(retention) } else { options };
    let store = Arc::new(SqliteStore::open(folder.join("runs.db"), options).await.unwrap());
    let upkeep = store.clone();
    let keep_up = move || -> BoxFuture<'static, u64> {
        let store = upkeep.clone();
        Box::pin(async move { store.keep_up().await.unwrap() })
    };
    Subject::of(store, keep_up).await
}

/// Does a test on each.
async fn on_both(schema: &str, retention: Option<Retention>, test: impl AsyncFn(Subject)) {
    let folder = tempfile::tempdir().unwrap();
    test(on_sqlite(folder.path(), retention.clone()).await).await;
    let options = PostgresOptions::default().schema(schema);
    let options = if let Some(retention) = retention { options.retention(retention) } else { options };
    let store = Arc::new(PostgresStore::open(&crate::postgres::url(), options).await.unwrap());
    let upkeep = store.clone();
    let keep_up = move || -> BoxFuture<'static, u64> {
        let store = upkeep.clone();
        Box::pin(async move { store.keep_up().await.unwrap().runs })
    };
    test(Subject::of(store, keep_up).await).await;
}

#[tokio::test]
async fn nothing_of_the_last_thirty_days_goes_by_default() {
    on_both("kept_by_default", None, async |at| {
        at.ended(("t", "w", "1"), RunStatus::Succeeded, Duration::ZERO).await;
        assert_eq!((at.keep_up)().await, 0);
        assert!(at.has(&key("t", "1")).await);
    })
    .await;
}

#[tokio::test]
async fn what_has_not_ended_stays_and_the_first_rule_that_fits_counts() {
    let tenant = |tenant: &str, keep| Rule { tenant: TenantId::new(tenant).ok(), keep, ..Rule::default() };
    let workflow = |name: &str, keep| Rule { workflow: WorkflowName::new(name).ok(), keep, ..Rule::default() };
    let failed = Rule { status: Some(RunStatus::Failed), keep: Some(100 * DAY), ..Rule::default() };
    let brief = Rule { status: Some(RunStatus::Succeeded), ..tenant("dear", Some(Duration::ZERO)) };
    // The second would keep all of the tenant's for ever, and the third all that failed.
    let retention =
        Retention::of(Duration::ZERO).rule(brief).rule(tenant("dear", None)).rule(failed).rule(workflow("long", None));
    on_both("kept_by_rules", Some(retention), async |at| {
        let (went, stays) = (
            [("t", "w", "1"), ("dear", "w", "2"), ("dear", "long", "3")],
            [
                (("dear", "w", "4"), RunStatus::Cancelled),
                (("t", "w", "5"), RunStatus::Failed),
                (("t", "long", "6"), RunStatus::Succeeded),
            ],
        );
        for run in went {
            at.ended(run, RunStatus::Succeeded, Duration::ZERO).await;
        }
        for (run, status) in stays {
            at.ended(run, status, Duration::ZERO).await;
        }
        let open = at.create(new_run("t", "open", "w")).await;
        // So that most of the day goes.
        for n in 0..9 {
            at.ended(("t", "w", &format!("other {n}")), RunStatus::Succeeded, Duration::ZERO).await;
        }
        assert_eq!((at.keep_up)().await, 12);
        for (tenant, _, name) in went {
            assert!(!at.has(&key(tenant, name)).await, "{name} is gone");
        }
        for ((tenant, _, name), _) in stays {
            assert!(at.has(&key(tenant, name)).await, "{name} stays");
        }
        assert_eq!((at.keep_up)().await, 0);
        at.end(open, RunStatus::Failed, Duration::ZERO).await;
        assert!(at.has(&key("t", "open")).await, "it went on");
    })
    .await;
}

/// On Postgres runs of queues are of the day on which they came, which is never over in a test: see `postgres/upkeep.rs`.
#[tokio::test]
async fn on_sqlite_a_run_goes_with_all_that_it_has_and_its_id_can_be_used_again() {
    let folder = tempfile::tempdir().unwrap();
    let at = on_sqlite(folder.path(), Some(Retention::of(Duration::ZERO))).await;
    let mut item = waiting("1", None);
    item.queue = open_queue(&*at.store).await;
    let join = Join { item: [7; 16], most: 1, bytes: 1_000 };
    item.once = Some(Once { id: [1; 16], taken: WhenTaken::Join(join) });
    let enqueue = || Batch { lease: None, now: yesterday(), writes: vec![Write::Enqueue(item.clone().into())] };
    let created = at.store.commit(enqueue()).await.unwrap();
    let [Written::Created(no)] = created.as_slice() else { panic!("{created:?}") };
    assert!(matches!(at.store.commit(enqueue()).await.unwrap().as_slice(), [Written::Joined(_)]), "it is known");
    let message = Message { id: [1; 16], run: key("t", "1"), body: vec![1].into(), sent_at: yesterday() };
    assert_eq!(at.store.send(vec![message.clone()]).await.unwrap(), [Sent::Accepted]);
    let (queue, serves) = (item.queue.clone(), vec![item.new.definition.clone()]);
    let (lease, now, suspects) = (at.lease.token, yesterday(), Suspects::default());
    let ask = AdmitAsk { lease, now, queue, serves, limit: 9, suspects };
    assert_eq!(at.store.admit(ask).await.unwrap().runs.len(), 1);
    at.end(*no, RunStatus::Succeeded, Duration::ZERO).await;
    assert_eq!((at.keep_up)().await, 1);
    assert!(!at.has(&key("t", "1")).await);
    let created = at.store.commit(enqueue()).await.unwrap();
    assert!(matches!(created.as_slice(), [Written::Created(_)]), "neither its id nor the item is known: {created:?}");
    assert_eq!(at.store.send(vec![message]).await.unwrap(), [Sent::Accepted], "it is a message of another run");
}

/// Commits get between.
#[tokio::test]
async fn on_sqlite_a_few_are_deleted_at_a_time() {
    const RUNS: usize = 1_500;
    let folder = tempfile::tempdir().unwrap();
    let options = SqliteOptions::default().retention(Retention::of(Duration::ZERO));
    let store = Arc::new(SqliteStore::open(folder.path().join("runs.db"), options).await.unwrap());
    let at = Subject::of(store.clone(), || Box::pin(async { 0 })).await;
    let mut ended = Vec::new();
    for n in 0..RUNS {
        ended.push(at.create(new_run("t", &n.to_string(), "w")).await);
    }
    let writes = ended.iter().map(|no| Write::Turn(turn(*no, 0, 1, Then::End(RunStatus::Succeeded)))).collect();
    let batch = Batch { lease: Some(at.lease.token), now: yesterday(), writes };
    store.commit(batch).await.unwrap();
    let (retiring, mut between) = (store.clone(), 0);
    let retiring = tokio::spawn(async move { retiring.keep_up().await.unwrap() });
    while !retiring.is_finished() {
        at.create(new_run("t", &format!("new {between}"), "w")).await;
        between += 1;
    }
    assert_eq!(retiring.await.unwrap(), RUNS as u64);
    assert!(between >= 4, "{between} commits came between");
    assert!(at.has(&key("t", "new 0")).await && !at.has(&key("t", "0")).await);
}
