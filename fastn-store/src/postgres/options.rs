//! What a host may choose of a Postgres store.

use std::path::PathBuf;
use std::time::Duration;

use fastn_core::{Error, ErrorKind, Result};

use crate::Retention;

/// Which clock says when a lease ends, and when something is due that all executors have in common: what is scheduled, and
/// what waits in queues.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum LeaseClock {
    /// The server's: machines need not agree about the time.
    #[default]
    Server,
    /// That of whoever calls, as the contract has it: for tests whose time is their own.
    Caller,
}

/// How a [`PostgresStore`](super::PostgresStore) is opened. The defaults are what production wants.
#[derive(Clone, Debug)]
#[must_use]
pub struct PostgresOptions {
    pub(super) schema: String,
    pub(super) connections: usize,
    pub(super) journal_budget: usize,
    pub(super) lease_clock: LeaseClock,
    pub(super) patience: Duration,
    pub(super) root_certificates: Option<PathBuf>,
    pub(super) retention: Retention,
}

impl Default for PostgresOptions {
    fn default() -> Self {
        Self {
            schema: "fastn".to_owned(),
            connections: 8,
            journal_budget: 8 << 20,
            lease_clock: LeaseClock::Server,
            patience: Duration::from_secs(6),
            root_certificates: None,
            retention: Retention::default(),
        }
    }
}

impl PostgresOptions {
    /// The schema in which the tables are; by default `fastn`. It is created if there is none. Small letters, digits and
    /// underscores, at most 40 of them and no digit first: [`Invalid`](ErrorKind::Invalid) otherwise, when the store is
    /// opened.
    pub fn schema(mut self, name: impl Into<String>) -> Self {
        self.schema = name.into();
        self
    }

    /// At most so many connections for what the engine does; by default 8, and at least 2. Beside them are one that listens, one
    /// for leases, or up to eight while it does not answer, a quarter as many for lists of runs, and as many for [what steps do in
    /// transactions](super::PostgresStore::once); these are opened when they are needed.
    pub fn connections(mut self, most: usize) -> Self {
        self.connections = most.max(2);
        self
    }

    /// How much an executor may leave in its journal before what is in it is moved to where it stays, in bytes; by default
    /// 8 MiB. Whoever takes over from a dead executor, or reads a run that goes on, reads that much.
    pub fn journal_budget(mut self, bytes: usize) -> Self {
        self.journal_budget = bytes;
        self
    }

    /// Which clock says when a lease ends; by default the server's.
    pub fn lease_clock(mut self, clock: LeaseClock) -> Self {
        self.lease_clock = clock;
        self
    }

    /// How long a connection is waited for, and a statement, before it is [`Unavailable`](ErrorKind::Unavailable); by
    /// default 6 s. Engines make a call again that was, so that it should be a fraction of their patience, which is 20 s unless
    /// said otherwise.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience.max(Duration::from_millis(1));
        self
    }

    /// The certificates that may vouch for the server, in a PEM file; by default those of the system. As `sslrootcert` in
    /// the URL.
    pub fn root_certificates(mut self, file: impl Into<PathBuf>) -> Self {
        self.root_certificates = Some(file.into());
        self
    }

    /// How long runs are kept after they have ended; by default 30 days. Half a minute after opening and then each hour,
    /// days of which nothing is to be kept any more are dropped, and those of which less than half is are written anew with
    /// that. Where more is to be kept, a run goes about a week after its time.
    pub fn retention(mut self, retention: Retention) -> Self {
        self.retention = retention;
        self
    }

    /// The schema's name as it stands in SQL.
    pub(super) fn quoted_schema(&self) -> Result<String> {
        let name = &self.schema;
        let letters = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
        if letters && (1..=40).contains(&name.len()) && !name.starts_with(|first: char| first.is_ascii_digit()) {
            return Ok(format!("\"{name}\""));
        }
        let why = "its name has small letters, digits and underscores, at most 40, and no digit first";
        Err(Error::new(ErrorKind::Invalid, "open store").with("schema", name).caused_by(why))
    }
}
