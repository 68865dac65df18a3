//! The URL of a store.

use fastn_store::fuzzing::store_url;

pub(crate) const WORDS: &[&str] = &[
    "memory:",
    "sqlite:",
    "sqlite://",
    "postgres://",
    "postgresql:",
    "?synchronous=full",
    "?synchronous=normal",
    "&",
    "?",
    "@",
    ":",
    "//",
    "secret",
];

pub(crate) fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match store_url(text) {
        Ok(canonical) => assert_eq!(store_url(&canonical).as_ref(), Ok(&canonical), "from {text:?}"),
        Err(shown) => {
            // Errors are logged, and what stands before an `@` may be a password.
            let secret = text.rsplit_once('@').map(|(before, _)| before).and_then(|before| before.split_once(':'));
            if let Some((scheme, secret)) = secret
                && secret.trim_matches('/').len() > 3
                && scheme != "sqlite"
            {
                let secret = format!("{}@", secret.trim_matches('/'));
                assert!(!shown.contains(&secret), "{text:?} is shown as {shown:?}");
            }
        }
    }
}
