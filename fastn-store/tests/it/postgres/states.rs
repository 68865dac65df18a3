//! What is made of what a server says against a commit.

use fastn_core::ErrorKind;
use fastn_store::{Store, Then, Written};

use crate::support::{acquire, commit, create, key, new_run, turn};

/// What was to be done is there once when it is done again, whatever the server said at first, and nobody has to settle what is
/// certain: `settled` is whether it was looked into what became of the commit.
async fn check(code: &str, before: &str, kind: ErrorKind, settled: bool) {
    let (schema, options) = super::named("states");
    let store = super::open(&options).await;
    let lease = acquire(&store, "a", 0).await.unwrap();
    let no = create(&store, Some(&lease), new_run("t", "1", "w")).await;
    // A sequence counts also what is rolled back.
    super::sql(&format!(
        "CREATE SEQUENCE {schema}.tries;
         CREATE FUNCTION {schema}.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             IF NEW.runs <> '{{}}' THEN
                 PERFORM nextval('{schema}.tries');
                 {before}
                 RAISE EXCEPTION 'as the test has it' USING ERRCODE = '{code}';
             END IF;
             RETURN NEW;
         END $$;
         CREATE TRIGGER refuse BEFORE INSERT ON {schema}.flow_journal FOR EACH ROW EXECUTE FUNCTION {schema}.refuse()"
    ));
    let once = || vec![turn(no, 0, 1, Then::Run)];
    let error = commit(&store, &lease, once()).await.unwrap_err();
    assert_eq!(error.kind(), kind, "{code}: {error:?}");
    let tried = super::sql(&format!("SELECT last_value FROM {schema}.tries"));
    assert_eq!(tried, "1", "{code}: {error:?}");
    super::sql(&format!("DROP TRIGGER refuse ON {schema}.flow_journal"));
    assert_eq!(commit(&store, &lease, once()).await.unwrap(), [Written::Turned], "{code}");
    assert_eq!(store.read(&key("t", "1")).await.unwrap().unwrap().records.len(), 1, "{code}");
    // Whoever looks into it puts an empty row in its place.
    let empty = super::sql(&format!("SELECT count(*) > 0 FROM {schema}.flow_journal WHERE runs = '{{}}'"));
    assert_eq!(empty == "t", settled, "{code}");
    store.close().await.unwrap();
}

#[tokio::test]
async fn what_a_server_says_against_a_commit_is_what_the_table_has() {
    for code in ["40001", "40P01", "53100", "55P03", "57014", "58030", "0A000", "26000"] {
        check(code, "", ErrorKind::Unavailable, false).await;
    }
    for code in ["08006", "40003", "57P01", "57P05"] {
        check(code, "", ErrorKind::Unavailable, true).await;
    }
    for (code, kind) in [
        ("FN001", ErrorKind::Fenced),
        ("23505", ErrorKind::Internal),
        ("XX000", ErrorKind::Unavailable),
        ("XX001", ErrorKind::Corrupt),
    ] {
        check(code, "", kind, false).await;
    }
}

/// It ends with its session, and whoever was connected knows no more than that.
#[tokio::test]
async fn a_session_that_is_ended_is_looked_into() {
    let end = "PERFORM pg_terminate_backend(pg_backend_pid());";
    check("57P01", end, ErrorKind::Unavailable, true).await;
}
