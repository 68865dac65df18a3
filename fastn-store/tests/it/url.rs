//! Stores by their URL.

use fastn_core::ErrorKind;
use fastn_store::open;

use crate::support::fails;

#[tokio::test]
async fn stores_open_by_their_url() {
    assert_eq!(open("memory:").await.unwrap().name(), "memory");
    for (url, kind, says) in [
        ("memory:x", ErrorKind::Invalid, "has no path"),
        ("", ErrorKind::Invalid, "known are memory:"),
        ("runs.db", ErrorKind::Invalid, "known are memory:"),
        ("redis://localhost", ErrorKind::Invalid, "known are memory:"),
        #[cfg(not(feature = "postgres"))]
        ("postgres://u:secret@localhost/db", ErrorKind::Unsupported, "***@localhost"),
        #[cfg(not(feature = "postgres"))]
        ("postgres:u:secret@localhost/db", ErrorKind::Unsupported, "***@localhost"),
        // Nobody listens at this port.
        #[cfg(feature = "postgres")]
        ("postgres://u:secret@127.0.0.1:1/db", ErrorKind::Unavailable, "postgres://127.0.0.1:1/db"),
        #[cfg(feature = "postgres")]
        ("postgres://u:secret@127.0.0.1:1/db?sslmode=perhaps", ErrorKind::Invalid, "sslmode is disable"),
        #[cfg(feature = "postgres")]
        ("postgres://u:secret@127.0.0.1:1/db?schema=No", ErrorKind::Invalid, "small letters"),
        ("mysql:secret@x://host", ErrorKind::Invalid, "***@x"),
        #[cfg(not(feature = "sqlite"))]
        ("sqlite:runs.db", ErrorKind::Unsupported, "enable the feature `sqlite`"),
    ] {
        let said = fails(open(url).await, kind);
        assert!(said.contains(says) && !said.contains("secret"), "{url}: {said}");
    }
}

#[cfg(feature = "sqlite")]
#[tokio::test]
async fn an_sqlite_url_names_a_path_and_a_setting() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs one.db").display().to_string();
    for url in ["sqlite:PATH", "sqlite://PATH", "sqlite:PATH?synchronous=normal", "sqlite:PATH?synchronous=full"] {
        let store = open(&url.replace("PATH", &path)).await.unwrap();
        assert_eq!(store.name(), format!("sqlite:{path}"));
        store.close().await.unwrap();
    }
    for url in ["sqlite:", "sqlite://", "sqlite:PATH?synchronous=off", "sqlite:PATH?mode=ro"] {
        fails(open(&url.replace("PATH", &path)).await, ErrorKind::Invalid);
    }
}
