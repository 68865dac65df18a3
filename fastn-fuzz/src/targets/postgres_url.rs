//! The URL of a Postgres database, and the name of a schema in it.

use fastn_store::fuzzing::postgres_url;

use crate::secret::with_another_password;

pub(crate) const WORDS: &[&str] = &[
    "postgres://",
    "postgresql://",
    "user:secret@",
    "[::1]:5432,",
    "%2Frun%2Fpostgresql",
    "?sslmode=verify-full",
    "&sslrootcert=%2Fa.pem",
    "&schema=",
    "&password=secret",
    "target_session_attrs=read-write",
    "connect_timeout=",
    "keepalives_idle=",
    "%00",
    "%",
    "host=",
    "options=",
];

pub(crate) fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let told = postgres_url(text);
    if let Ok((_, Some(schema))) = &told {
        // It becomes a part of every statement.
        let name = schema.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).expect("it is quoted");
        assert!((1..=40).contains(&name.len()), "{schema}");
        assert!(name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_')), "{schema}");
    }
    let known = ["postgres://", "postgresql://"].iter().any(|scheme| text.starts_with(scheme));
    if known && let Some(other) = with_another_password(text) {
        assert_eq!(told, postgres_url(&other), "the password of {text:?} is shown");
    }
}
