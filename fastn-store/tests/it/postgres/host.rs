//! Runs that are started in transactions of the host's own.

use fastn_core::{EntryKind, EntryName, ErrorKind, Payload, RunId, TenantId};
use fastn_store::{
    DefinitionKey, EntryKey, Expect, HostTransaction, InSchema, NewRun, Once, PostgresStore, Put, QUEUE, QueueRules,
    Queues, Repository, RunKey, RunStatus, Store, WhenTaken, Written,
};
use fastn_testkit::sample::definition;
use proptest::prop_oneof;
use proptest::strategy::{Strategy, ValueTree as _};
use tokio_postgres::{Client, NoTls};

use crate::support::{acquire, admit, claim, fails, key, new_run, open_queue, waiting};

async fn connect() -> Client {
    let (client, connection) = tokio_postgres::connect(&super::url(), NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// A store whose executor serves the workflow `w`, and its schema.
async fn served(what: &str) -> (String, PostgresStore, fastn_store::Lease) {
    let schema = format!("host_{what}");
    let store = super::open(&fastn_store::PostgresOptions::default().schema(&schema)).await;
    let lease = acquire(&store, "a", 0).await.unwrap();
    assert_eq!(claim(&store, &lease, 0, &["w"], 10).await.unwrap(), []);
    (schema, store, lease)
}

#[tokio::test]
async fn a_run_is_started_with_the_hosts_transaction_or_not_at_all() {
    let (schema, store, lease) = served("tokio").await;
    let mut client = connect().await;
    client.batch_execute(&format!("CREATE TABLE {schema}.orders (name text)")).await.unwrap();
    for (name, commits) in [("kept", true), ("dropped", false)] {
        let transaction = client.transaction().await.unwrap();
        transaction.execute(&format!("INSERT INTO {schema}.orders VALUES ($1)"), &[&name]).await.unwrap();
        let new = new_run("t", name, "w");
        let created = InSchema { schema: &schema, transaction: &transaction }.create(&new).await.unwrap();
        assert!(matches!(created, Written::Created(_)), "{created:?}");
        let again = InSchema { schema: &schema, transaction: &transaction }.create(&new).await.unwrap();
        let Written::Exists(existing) = again else { panic!("{again:?}") };
        assert_eq!((existing.input, existing.status), (new.input.clone(), RunStatus::Pending));
        assert!(store.read(&key("t", name)).await.unwrap().is_none(), "nobody sees it yet");
        if commits {
            transaction.commit().await.unwrap()
        } else {
            transaction.rollback().await.unwrap()
        }
        assert_eq!(store.read(&key("t", name)).await.unwrap().is_some(), commits);
    }
    assert_eq!(claim(&store, &lease, 0, &["w"], 10).await.unwrap().len(), 1, "the executor goes on with it");
    assert_eq!(super::sql(&format!("SELECT string_agg(name, ' ') FROM {schema}.orders")), "kept");
}

#[tokio::test]
async fn a_start_in_a_transaction_is_news() {
    let (schema, store, lease) = served("news").await;
    let heard = fastn_store::Mailbox::news(&store, fastn_store::NewsAsk::default()).await.unwrap();
    // Everything may have happened once it listens; after that, only what is told.
    let mut heard = heard;
    while let Ok(news) = tokio::time::timeout(
        std::time::Duration::from_millis(300),
        fastn_store::Mailbox::news(&store, fastn_store::NewsAsk { since: heard, ends: false }),
    )
    .await
    {
        heard = news.unwrap();
    }
    super::sql(&format!("SELECT {schema}.start_run('w', '{{\"n\": 1}}')"));
    let news = fastn_store::Mailbox::news(&store, fastn_store::NewsAsk { since: heard, ends: false });
    let news = tokio::time::timeout(std::time::Duration::from_secs(10), news).await.expect("it is told").unwrap();
    assert!(news.runs > heard.runs);
    assert_eq!(claim(&store, &lease, 0, &["w"], 10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn any_language_starts_runs_by_sql() {
    let (schema, store, _) = served("sql").await;
    let id = super::sql(&format!("SELECT {schema}.start_run('w', '{{\"order\": 9007199254740993}}')"));
    let run = RunKey { tenant: TenantId::default(), run: id.parse().unwrap() };
    let history = store.read(&run).await.unwrap().unwrap();
    assert_eq!(history.input, Payload::json("{\"order\": 9007199254740993}"));
    assert_eq!(history.run.definition, DefinitionKey { ..definition("w").unwrap() });
    assert_eq!(history.run.status, RunStatus::Pending);

    let named = RunId::named("order 7");
    let start = |input: &str| format!("SELECT {schema}.start_run('w', '{input}', '{named}', 'shop')");
    assert_eq!(super::sql(&start("[1, 2]")), named.to_string());
    assert_eq!(super::sql(&start("[1,2]")), named.to_string(), "the same once more is the same run");
    let server = fastn_testkit::server::PrivatePostgres::shared().unwrap();
    let said = fails(server.sql("postgres", &start("[2]")), ErrorKind::Invalid);
    assert!(said.contains("was started with something else"), "{said}");
    let said = fails(server.sql("postgres", &format!("SELECT {schema}.start_run('nobody', '1')")), ErrorKind::Invalid);
    assert!(said.contains("no executor has served workflow nobody"), "{said}");
}

/// What texts are made of that may be JSON.
const FRAGMENTS: &[&str] = &[
    "null",
    "-0",
    "9007199254740993",
    "1e400",
    "0.1",
    "\"\"",
    "\"\u{1F600}\"",
    r#""\u0000""#,
    r#""\ud83d""#,
    r#""\"""#,
    "\"'; DROP\"",
    "{}",
    "[]",
    "{\"a\":1,\"a\":2}",
    " ",
    "\n",
    ",",
    ":",
    "[",
    "}",
    "\"",
    "\\",
    "'",
    "\u{feff}",
    "01",
    "NaN",
    "\u{1}",
    "\u{0}",
];

/// One text in three is JSON.
fn texts() -> impl Strategy<Value = String> {
    let few = || proptest::collection::vec(proptest::sample::select(FRAGMENTS), 1..6);
    prop_oneof![
        few().prop_map(|parts| parts.concat()),
        few().prop_map(|parts| format!("[{}]", parts.join(", "))),
        proptest::sample::select(FRAGMENTS).prop_map(|part| format!("{{\"a\" : {part}}}")),
    ]
}

#[tokio::test]
async fn whatever_text_a_run_is_started_with_by_sql_is_refused_or_what_the_run_is_given() {
    let (schema, store, _) = served("texts").await;
    let client = connect().await;
    let start = format!("SELECT {schema}.start_run('w', $1::text::json)::text");
    let start = client.prepare(&start).await.unwrap();
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let (mut taken, mut refused) = (0, 0);
    for _ in 0..400 {
        let text = texts().new_tree(&mut runner).unwrap().current();
        let is_json = serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
        match client.query_one(&start, &[&text]).await {
            Ok(row) => {
                let run = RunKey { tenant: TenantId::default(), run: row.get::<_, String>(0).parse().unwrap() };
                let history = store.read(&run).await.unwrap().unwrap();
                assert_eq!(history.input, Payload::json(text.clone()));
                assert!(is_json, "{text:?} is started with and is no JSON");
                taken += 1;
            }
            Err(error) => {
                // Of class 22, "data exception": what was said is wrong, and not how it is treated.
                let code = error.code().unwrap_or_else(|| panic!("{text:?}: {error}"));
                assert!(code.code().starts_with("22"), "{text:?}: {error}");
                assert!(!is_json, "{text:?} is JSON and is refused: {error:?}");
                refused += 1;
            }
        }
    }
    assert!(taken > 50 && refused > 50, "{taken} taken, {refused} refused");
}

const STAY: Once = Once { id: [7; 16], taken: WhenTaken::Stay };

#[tokio::test]
async fn a_run_of_a_queue_waits_with_the_hosts_transaction_or_not_at_all() {
    let (schema, store, lease) = served("queued").await;
    let queue = open_queue(&store).await;
    let mut client = connect().await;
    for (name, commits) in [("dropped", false), ("kept", true)] {
        let transaction = client.transaction().await.unwrap();
        let within = || InSchema { schema: &schema, transaction: &transaction };
        let new = waiting(name, Some(STAY));
        let created = within().enqueue(&new).await.unwrap();
        assert!(matches!(created, Written::Created(_)), "{created:?}");
        let again = within().enqueue(&new).await.unwrap();
        let Written::Exists(existing) = again else { panic!("{again:?}") };
        assert_eq!((existing.input, existing.status), (new.new.input.clone(), RunStatus::Pending));
        let other = within().enqueue(&waiting("other", Some(STAY))).await.unwrap();
        let Written::Taken(taken) = other else { panic!("{other:?}") };
        assert_eq!((taken.key, taken.run.no), (key("t", name), existing.no));
        // Nobody sees it, and nobody waits.
        assert_eq!(store.counts(&queue, 0).await.unwrap().waiting, 0);
        assert_eq!(admit(&store, &lease, 1).await, []);
        if commits {
            transaction.commit().await.unwrap()
        } else {
            transaction.rollback().await.unwrap()
        }
        assert_eq!(store.counts(&queue, 0).await.unwrap().waiting, u64::from(commits));
    }
    assert_eq!(claim(&store, &lease, 0, &["w"], 10).await.unwrap(), [], "it waits for its turn");
    assert_eq!(admit(&store, &lease, 2).await, [key("t", "kept")]);
}

/// Nobody admits anything from their queue meanwhile, and nobody waits for it for long.
#[tokio::test]
async fn items_and_what_is_pushed_back_come_with_the_hosts_transaction_or_not_at_all() {
    let (schema, store, lease) = served("items").await;
    open_queue(&store).await;
    let mut client = connect().await;
    let minute = std::time::Duration::from_secs(60);
    let item = |name: &str, id: u8| {
        let join = WhenTaken::Join(fastn_store::Join { item: [id; 16], most: 2, bytes: 99 });
        let mut item = waiting(name, Some(Once { taken: join, ..STAY }));
        item.new.input = Payload::json(id.to_string());
        item.delay = minute;
        item
    };
    let push = |name: &str, delay| {
        let mut push = waiting(name, Some(Once { id: [8; 16], taken: WhenTaken::PushBack(minute) }));
        push.delay = delay;
        push.new.input = Payload::json(format!("\"{name}\""));
        push
    };
    let batch = |new| fastn_store::Batch {
        lease: None,
        now: fastn_testkit::sample::at(1),
        writes: vec![fastn_store::Write::Enqueue(std::sync::Arc::new(new))],
    };
    store.commit(batch(push("pushed", minute))).await.unwrap();
    for commits in [false, true] {
        let transaction = client.transaction().await.unwrap();
        let within = || InSchema { schema: &schema, transaction: &transaction };
        let first = within().enqueue(&item("1", 1)).await.unwrap();
        assert!(matches!(first, Written::Created(_)), "{first:?}");
        let second = within().enqueue(&item("2", 2)).await.unwrap();
        assert!(matches!(&second, Written::Joined(run) if **run == key("t", "1")), "{second:?}");
        let pushed = within().enqueue(&push("later", std::time::Duration::ZERO)).await.unwrap();
        assert!(matches!(&pushed, Written::Taken(taken) if taken.key == key("t", "pushed")), "{pushed:?}");
        let mut wrong = item("3", 3);
        wrong.new.input = Payload::json("{");
        fails(within().enqueue(&wrong).await, ErrorKind::Invalid);
        let began = std::time::Instant::now();
        assert_eq!(admit(&store, &lease, 1).await, []);
        assert!(began.elapsed() < std::time::Duration::from_secs(3), "{:?}", began.elapsed());
        if commits {
            transaction.commit().await.unwrap()
        } else {
            transaction.rollback().await.unwrap();
            assert_eq!(admit(&store, &lease, 1).await, [], "nothing has come, and nothing was changed");
        }
    }
    let mut admitted = admit(&store, &lease, 2).await;
    admitted.sort();
    let mut expected = vec![key("t", "1"), key("t", "pushed")];
    expected.sort();
    assert_eq!(admitted, expected);
    let input = async |name| store.read(&key("t", name)).await.unwrap().unwrap().input;
    assert_eq!((input("1").await, input("pushed").await), (Payload::json("[1,2]"), Payload::json("\"later\"")));
}

#[tokio::test]
async fn any_language_enqueues_runs_by_sql() {
    let (schema, store, lease) = served("sql_queued").await;
    let server = fastn_testkit::server::PrivatePostgres::shared().unwrap();
    let start = |with: &str| format!("SELECT {schema}.start_run('w', '{{\"n\": 1}}', {with})");
    let refuse = |with: &str, why: &str| {
        let said = fails(server.sql("postgres", &start(with)), ErrorKind::Invalid);
        assert!(said.contains(why), "{said}");
    };
    refuse("queue => 'jobs'", "there is no queue jobs");
    open_queue(&store).await;
    refuse("priority => 3", "what is said about a queue needs one");
    refuse("queue => 'jobs', key => E'a\\nb'", "a key is at most 256 bytes");
    refuse("queue => 'jobs', key => ' '", "a key is at most 256 bytes");
    refuse("queue => 'jobs', priority => 32768", "a priority has 16 bits");
    refuse("queue => 'jobs', delay => '-1s'", "no delay is negative");
    let said = |with: &str| RunKey { tenant: TenantId::default(), run: super::sql(&start(with)).parse().unwrap() };
    let mut runs = vec![
        said("queue => 'jobs', key => 'acme'"),
        said("queue => 'jobs', priority => 2, cost => 7"),
        said("queue => 'jobs', delay => '1 hour'"),
    ];
    let rows = "SELECT string_agg(concat_ws('/', key, cost, state, round((ready_at - enqueued_at) / 1000000.0),
                    round((ready_at - rank) / 1000000.0)), ' ' ORDER BY run_no)";
    let found = super::sql(&format!("{rows} FROM {schema}.flow_queued"));
    assert_eq!(found, "acme/1/1/0/0 default/7/1/0/120 default/1/0/3600/0");
    let id = RunId::named("order 8");
    let once = |input: &str| format!("SELECT {schema}.start_run('w', '{input}', '{id}', queue => 'jobs')");
    assert_eq!(super::sql(&once("[1, 2]")), super::sql(&once("[1,2]")), "the same once more is the same run");
    let said = fails(server.sql("postgres", &once("[2]")), ErrorKind::Invalid);
    assert!(said.contains("was started with something else"), "{said}");
    runs.truncate(2);
    runs.reverse();
    runs.push(RunKey { tenant: TenantId::default(), run: id });
    assert_eq!(admit(&store, &lease, 0).await, runs, "by priority, then by age, and not before their time");

    // Where the queue finds the key in the input, nothing is made up.
    super::sql(&format!(
        "UPDATE {schema}.entries SET value = convert_to('{{\"v\":1,\"key\":\"/n\"}}', 'UTF8') WHERE kind = 'queue'"
    ));
    refuse("queue => 'jobs'", "finds the key of a run in its input, at /n");
    // A pointer may have any character (RFC 6901, section 3), and texts of Postgres may not.
    let mut rules = QueueRules::default();
    rules.key = Some("/a\0b".to_owned());
    let kind = EntryKind::new(QUEUE).unwrap();
    let place = EntryKey { kind, tenant: TenantId::default(), name: EntryName::new("jobs").unwrap() };
    store.put(Put { key: place, value: Some(rules.encode().unwrap()), expect: Expect::Any }).await.unwrap();
    refuse("queue => 'jobs'", "finds the key of a run in its input, at /a\u{fffd}b");
    super::sql(&start("queue => 'jobs', key => 'acme'"));
    assert_eq!(admit(&store, &lease, 0).await.len(), 1);
}

/// Drawn ids are looked for where their time says, whoever started the run.
#[tokio::test]
async fn a_drawn_id_is_found_from_both_sides() {
    let (schema, store, lease) = served("drawn").await;
    let now = fastn_core::Timestamp::from(std::time::SystemTime::now());
    let new = |random: u8| NewRun {
        key: RunKey { tenant: TenantId::default(), run: RunId::at(now, [random; 10]) },
        created_at: now,
        ..new_run("t", "x", "w")
    };
    let mut client = connect().await;
    crate::support::create(&store, Some(&lease), new(1)).await;
    let transaction = client.transaction().await.unwrap();
    let found = InSchema { schema: &schema, transaction: &transaction }.create(&new(1)).await.unwrap();
    assert!(matches!(found, Written::Exists(_)), "{found:?}");
    let made = InSchema { schema: &schema, transaction: &transaction }.create(&new(2)).await.unwrap();
    assert!(matches!(made, Written::Created(_)), "{made:?}");
    transaction.commit().await.unwrap();
    assert!(store.read(&new(1).key).await.unwrap().is_some());
    assert!(store.read(&new(2).key).await.unwrap().is_some());
    // Somebody else takes the same drawn id, at another time.
    let later = NewRun { created_at: now.plus(std::time::Duration::from_secs(5)), ..new(1) };
    let writes = vec![fastn_store::Write::Create(later.into())];
    let batch = fastn_store::Batch { lease: Some(lease.token), now, writes };
    let written = store.commit(batch).await.unwrap();
    assert!(matches!(written.as_slice(), [Written::Exists(_)]), "{written:?}");
}

#[cfg(feature = "sqlx")]
#[tokio::test]
async fn sqlx_starts_runs_too() {
    use sqlx_core::connection::Connection;
    use sqlx_postgres::PgConnection;

    let (schema, store, lease) = served("sqlx").await;
    let mut connection = PgConnection::connect(&super::url()).await.unwrap();
    for (name, commits) in [("kept", true), ("dropped", false)] {
        let mut transaction = connection.begin().await.unwrap();
        let new = new_run("t", name, "w");
        let created = InSchema { schema: &schema, transaction: &mut *transaction }.create(&new).await.unwrap();
        assert!(matches!(created, Written::Created(_)), "{created:?}");
        let again = InSchema { schema: &schema, transaction: &mut *transaction }.create(&new).await.unwrap();
        assert!(matches!(again, Written::Exists(_)), "{again:?}");
        if commits {
            transaction.commit().await.unwrap()
        } else {
            transaction.rollback().await.unwrap()
        }
        assert_eq!(store.read(&key("t", name)).await.unwrap().is_some(), commits);
    }
    open_queue(&store).await;
    let mut transaction = connection.begin().await.unwrap();
    let mut enqueue = async |new| InSchema { schema: &schema, transaction: &mut *transaction }.enqueue(&new).await;
    let created = enqueue(waiting("queued", Some(STAY))).await.unwrap();
    assert!(matches!(created, Written::Created(_)), "{created:?}");
    let exists = enqueue(waiting("queued", None)).await.unwrap();
    assert!(matches!(exists, Written::Exists(_)), "{exists:?}");
    let taken = enqueue(waiting("other", Some(STAY))).await.unwrap();
    let Written::Taken(taken) = taken else { panic!("{taken:?}") };
    assert_eq!(taken.key, key("t", "queued"));
    let pushed = Once { taken: WhenTaken::PushBack(std::time::Duration::from_secs(60)), ..STAY };
    let pushed = enqueue(waiting("pushed", Some(pushed))).await.unwrap();
    assert!(matches!(&pushed, Written::Taken(taken) if taken.key == key("t", "queued")), "{pushed:?}");
    let join = WhenTaken::Join(fastn_store::Join { item: [1; 16], most: 1, bytes: 99 });
    let item = || waiting("item", Some(Once { id: [9; 16], taken: join }));
    assert!(matches!(enqueue(item()).await.unwrap(), Written::Created(_)));
    assert!(matches!(enqueue(item()).await.unwrap(), Written::Joined(run) if *run == key("t", "item")));
    assert_eq!(admit(&store, &lease, 1).await, []);
    transaction.commit().await.unwrap();
    assert_eq!(admit(&store, &lease, 1).await, [key("t", "queued"), key("t", "item")]);
}
