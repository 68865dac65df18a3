//! Stores by their URL.

use std::sync::Arc;

use fastn_core::{Error, ErrorKind, Result};

use crate::{MemoryStore, Store};

/// Opens the store that a URL names.
///
/// | URL | store |
/// |---|---|
/// | `memory:` | a new [`MemoryStore`] |
/// | `sqlite:PATH`, `sqlite://PATH` | the SQLite database at this path, created if there is none |
/// | `sqlite:PATH?synchronous=normal` | the same; a power cut may take the last commits (`full` is the default) |
/// | `postgres://USER:PASSWORD@HOST/DATABASE` | the PostgreSQL database, as libpq has it, and with `schema=NAME` in another schema than `fastn`: see [`PostgresStore`](crate::PostgresStore) |
///
/// A path is taken as it is written: nothing in it is decoded.
///
/// # Errors
/// [`Invalid`](ErrorKind::Invalid) if it names no store that fastn knows,
/// [`Unsupported`](ErrorKind::Unsupported) if this build does not have it, and what opening the store says.
pub async fn open(url: &str) -> Result<Arc<dyn Store>> {
    match Place::parse(url)? {
        Place::Memory => Ok(Arc::new(MemoryStore::new())),
        Place::Sqlite { path, normal } => sqlite(url, path, normal).await,
        Place::Postgres => postgres(url).await,
    }
}

/// What a URL names.
pub(crate) enum Place<'a> {
    Memory,
    Sqlite {
        path: &'a str,
        /// Whether a power cut may take the last commits.
        normal: bool,
    },
    Postgres,
}

impl<'a> Place<'a> {
    pub(crate) fn parse(url: &'a str) -> Result<Self> {
        let (scheme, rest) = url.split_once(':').ok_or_else(|| invalid(url, KNOWN))?;
        match scheme {
            "memory" if rest.is_empty() => Ok(Self::Memory),
            "memory" => Err(invalid(url, "a memory store has no path")),
            "sqlite" => Self::sqlite(url, rest.strip_prefix("//").unwrap_or(rest)),
            "postgres" | "postgresql" => Ok(Self::Postgres),
            _ => Err(invalid(url, KNOWN)),
        }
    }

    fn sqlite(url: &str, rest: &'a str) -> Result<Self> {
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        if path.is_empty() {
            return Err(invalid(url, "the path of the database is missing"));
        }
        let mut normal = false;
        for setting in query.split('&').filter(|setting| !setting.is_empty()) {
            normal = match setting {
                "synchronous=full" => false,
                "synchronous=normal" => true,
                _ => return Err(invalid(url, "the only setting is synchronous, and it is full or normal")),
            };
        }
        Ok(Self::Sqlite { path, normal })
    }
}

const KNOWN: &str = "known are memory:, sqlite:PATH, sqlite:PATH?synchronous=normal and postgres://HOST/DATABASE";

fn invalid(url: &str, why: &'static str) -> Error {
    Error::new(ErrorKind::Invalid, "open store").with("url", shown(url)).caused_by(why)
}

#[cfg(not(all(feature = "sqlite", feature = "postgres")))]
fn unsupported(url: &str, why: &'static str) -> Error {
    Error::new(ErrorKind::Unsupported, "open store").with("url", shown(url)).caused_by(why)
}

/// The URL without what may be a password: errors are logged.
fn shown(url: &str) -> String {
    match (url.split_once(':'), url.rsplit_once('@')) {
        (Some(("sqlite", _)), _) | (_, None) => url.to_owned(),
        (Some((scheme, _)), Some((_, after))) if !scheme.contains('@') => format!("{scheme}:***@{after}"),
        (_, Some((_, after))) => format!("***@{after}"),
    }
}

#[cfg(not(feature = "sqlite"))]
async fn sqlite(url: &str, _: &str, _: bool) -> Result<Arc<dyn Store>> {
    Err(unsupported(url, "this build has no SQLite store: enable the feature `sqlite` of fastn-store"))
}

#[cfg(feature = "sqlite")]
async fn sqlite(_: &str, path: &str, normal: bool) -> Result<Arc<dyn Store>> {
    use crate::{SqliteOptions, SqliteStore, Synchronous};

    let synchronous = if normal { Synchronous::Normal } else { Synchronous::Full };
    Ok(Arc::new(SqliteStore::open(path, SqliteOptions::default().synchronous(synchronous)).await?))
}

#[cfg(not(feature = "postgres"))]
async fn postgres(url: &str) -> Result<Arc<dyn Store>> {
    Err(unsupported(url, "this build has no Postgres store: enable the feature `postgres` of fastn-store"))
}

#[cfg(feature = "postgres")]
async fn postgres(url: &str) -> Result<Arc<dyn Store>> {
    use crate::{PostgresOptions, PostgresStore};

    Ok(Arc::new(PostgresStore::open(url, PostgresOptions::default()).await?))
}
