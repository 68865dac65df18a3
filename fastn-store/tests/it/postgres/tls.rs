//! Encryption, as `sslmode` has it, with a real server that has a certificate.

use fastn_core::ErrorKind;
use fastn_store::{PostgresOptions, PostgresStore, Store};
use fastn_testkit::server::{PostgresSettings, PrivatePostgres};

use crate::support::fails;

#[tokio::test]
async fn every_ssl_mode_asks_for_what_it_says() {
    let folder = tempfile::tempdir().unwrap();
    // Its name is another than the one by which it is reached.
    let ours = rcgen::generate_simple_self_signed(vec!["db.example".to_owned()]).unwrap();
    let other = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let (trusted, stranger) = (folder.path().join("ours.pem"), folder.path().join("other.pem"));
    std::fs::write(&trusted, ours.cert.pem()).unwrap();
    std::fs::write(&stranger, other.cert.pem()).unwrap();
    let settings = PostgresSettings::default().fsync(false).tls(ours.cert.pem(), ours.signing_key.serialize_pem());
    let server = PrivatePostgres::start_with(&settings).unwrap();
    let open = async |settings: &str| {
        let url = format!("{}?{settings}", server.url("postgres"));
        PostgresStore::open(&url, PostgresOptions::default()).await
    };
    let (trusted, stranger) = (trusted.display(), stranger.display());
    for (settings, encrypted) in [
        ("sslmode=disable".to_owned(), false),
        (String::new(), true),
        ("sslmode=prefer".to_owned(), true),
        ("sslmode=require".to_owned(), true),
        (format!("sslmode=verify-ca&sslrootcert={trusted}"), true),
    ] {
        let store = open(&settings).await.unwrap_or_else(|error| panic!("{settings}: {error:?}"));
        let shown = server.sql(
            "postgres",
            "SELECT bool_or(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = 'fastn'",
        );
        assert_eq!(shown.unwrap(), if encrypted { "t" } else { "f" }, "{settings}");
        store.close().await.unwrap();
        // A connection that was closed is seen for a moment.
        while server.sql("postgres", "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'fastn'").unwrap()
            != "0"
        {
            tokio::task::yield_now().await;
        }
    }
    for (settings, kind) in [
        // Somebody who is trusted vouches for it, but under another name.
        (format!("sslmode=verify-full&sslrootcert={trusted}"), ErrorKind::Unavailable),
        (format!("sslmode=verify-ca&sslrootcert={stranger}"), ErrorKind::Unavailable),
        // The system's certificates do not know it.
        ("sslmode=verify-ca".to_owned(), ErrorKind::Unavailable),
        ("sslmode=verify-full".to_owned(), ErrorKind::Unavailable),
        ("sslmode=verify-full&sslrootcert=/nowhere".to_owned(), ErrorKind::Invalid),
    ] {
        fails(open(&settings).await, kind);
    }
}

#[tokio::test]
async fn a_server_that_is_who_it_should_be_is_believed() {
    let folder = tempfile::tempdir().unwrap();
    let ours = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let trusted = folder.path().join("ours.pem");
    std::fs::write(&trusted, ours.cert.pem()).unwrap();
    let settings = PostgresSettings::default().fsync(false).tls(ours.cert.pem(), ours.signing_key.serialize_pem());
    let server = PrivatePostgres::start_with(&settings).unwrap();
    let url = format!("{}?sslmode=verify-full&sslrootcert={}", server.url("postgres"), trusted.display());
    let store = PostgresStore::open(&url, PostgresOptions::default()).await.unwrap();
    store.close().await.unwrap();
}

#[tokio::test]
async fn a_server_that_does_not_encrypt_is_refused_where_encryption_is_asked_for() {
    let url = format!("{}?sslmode=require", super::url());
    fails(PostgresStore::open(&url, super::fresh("plain")).await, ErrorKind::Unavailable);
}
