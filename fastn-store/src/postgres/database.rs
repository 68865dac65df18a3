//! Connections.

use std::sync::Arc;
use std::time::Instant;

use deadpool_postgres::{Hook, HookError, Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime};
use fastn_core::{Error, ErrorKind, Result};
use tokio_postgres::{Client, NoTls};

use super::config::Place;
use super::fault::{fault, pool_fault};
use super::options::PostgresOptions;
use super::tls;
use crate::standing::closed;

/// How many calls may renew leases at a time: one that is not answered is asked again on another connection.
const RENEWALS: usize = 8;

/// The database, through pools of connections.
#[derive(Clone, Debug)]
pub(super) struct Database {
    pool: Pool,
    /// For leases, which must be renewed in time whatever else is done.
    leases: Pool,
    /// What hosts look at, which may take long.
    looks: Pool,
    /// What hosts do in steps, for as long as they like.
    beside: Pool,
    /// The schema as it stands in SQL.
    pub(super) schema: Arc<str>,
}

impl Database {
    /// Opens a pool. Nothing is connected yet.
    pub(super) fn open(place: &Place, options: &PostgresOptions) -> Result<Self> {
        let schema: Arc<str> = options.quoted_schema()?.into();
        let all = options.connections;
        let ours = |most| pool(place, options, most, settings(&schema, options));
        let (pool, leases, looks) = (ours(all)?, ours(RENEWALS)?, ours((all / 4).max(1))?);
        Ok(Self { pool, leases, looks, beside: self::pool(place, options, all, String::new())?, schema })
    }

    /// The first connection: what the server does not let in now it will not let in later.
    pub(super) async fn connect_first(&self, op: &'static str) -> Result<Object> {
        self.pool.get().await.map_err(pool_fault(op))
    }

    /// A connection, for a while. A server that has let us in before and does not now may do so later: passwords and rights
    /// are changed while programs run.
    pub(super) async fn connect(&self, op: &'static str) -> Result<Object> {
        self.pool.get().await.map_err(pool_fault(op)).map_err(for_now)
    }

    /// A connection for leases.
    pub(super) async fn connect_for_lease(&self, op: &'static str) -> Result<Object> {
        self.leases.get().await.map_err(pool_fault(op)).map_err(for_now)
    }

    /// A connection for what may take long, and is only looked at.
    pub(super) async fn connect_to_look(&self, op: &'static str) -> Result<Object> {
        self.looks.get().await.map_err(pool_fault(op)).map_err(for_now)
    }

    /// A connection that is as the host's own are.
    pub(super) async fn connect_beside(&self, op: &'static str) -> Result<Object> {
        self.beside.get().await.map_err(pool_fault(op)).map_err(for_now)
    }

    /// Gives back a connection on which something has failed, unless its server takes no writes any more: that one is closed,
    /// so that the next is to the server that does.
    pub(super) async fn give_back(client: Object) {
        let in_recovery = client.query_one("SELECT pg_is_in_recovery()", &[]).await;
        if in_recovery.and_then(|row| row.try_get(0)).unwrap_or(true) {
            drop(Object::take(client));
        }
    }

    /// What was prepared on any connection is prepared anew when it is next needed.
    pub(super) fn forget_statements(&self) {
        for pool in [&self.pool, &self.leases, &self.looks] {
            pool.manager().statement_caches.clear();
        }
    }

    /// Frees every connection; those in use when they are given back.
    pub(super) fn close(&self) {
        for pool in [&self.pool, &self.leases, &self.looks, &self.beside] {
            pool.close();
        }
    }

    /// Where processes tell each other what is new.
    pub(super) fn channel(&self) -> String {
        format!("fastn {}", self.schema.trim_matches('"'))
    }

    pub(super) fn is_closed(&self) -> bool {
        self.pool.is_closed()
    }
}

/// A connection for leases that is closed instead of being given back, unless it has answered. Those beside it that were there
/// before and lie idle are closed as well: what is the matter with one may be with all, and nobody asks them as often.
pub(super) struct Fragile<'d> {
    client: Option<Object>,
    database: &'d Database,
    since: Instant,
}

impl<'d> Fragile<'d> {
    pub(super) const fn new(client: Object, database: &'d Database, since: Instant) -> Self {
        Self { client: Some(client), database, since }
    }

    pub(super) fn client(&self) -> Result<&Object> {
        self.client.as_ref().ok_or_else(closed)
    }

    /// It has answered, and may be given back.
    pub(super) fn answered(mut self) -> Option<Object> {
        self.client.take()
    }
}

impl Drop for Fragile<'_> {
    fn drop(&mut self) {
        let Some(client) = self.client.take() else { return };
        drop(Object::take(client));
        for pool in [&self.database.pool, &self.database.looks, &self.database.beside] {
            pool.retain(|_, metrics| metrics.created >= self.since);
        }
    }
}

/// So many connections at most, each of which is told these settings at first.
fn pool(place: &Place, options: &PostgresOptions, most: usize, settings: String) -> Result<Pool> {
    let config = ManagerConfig { recycling_method: RecyclingMethod::Fast };
    let manager = match tls::connector(place)? {
        Some(tls) => Manager::from_config(place.config.clone(), tls, config),
        None => Manager::from_config(place.config.clone(), NoTls, config),
    };
    let settings: Arc<str> = settings.into();
    let set_up = Hook::async_fn(move |client, _| {
        let settings = settings.clone();
        Box::pin(async move { prepare(client, &settings).await.map_err(HookError::Backend) })
    });
    Pool::builder(manager)
        .max_size(most)
        .runtime(Runtime::Tokio1)
        .wait_timeout(Some(options.patience))
        .create_timeout(Some(options.patience))
        .post_create(set_up)
        .build()
        .map_err(|e| Error::new(ErrorKind::Internal, "open store").caused_by(e))
}

/// What the server refuses now, and may do later.
pub(super) fn for_now(error: Error) -> Error {
    match error.kind() {
        ErrorKind::Invalid | ErrorKind::NotFound => Error::new(ErrorKind::Unavailable, "use Postgres").caused_by(error),
        _ => error,
    }
}

/// What every session is told. Tables may be planned for while they are empty, and grow by millions: an index is right
/// whatever statistics say. What waits for a lock must see what came before it: whether a lease has ended, above all.
fn settings(schema: &str, options: &PostgresOptions) -> String {
    let patience = options.patience.as_millis().min(i32::MAX as u128);
    // Between two statements of ours next to nothing is done, and what they hold others wait for: who is stopped there is not
    // waited for as long as the server.
    let idle = patience.min(2_000);
    format!(
        "SET search_path = {schema}; SET default_transaction_isolation = 'read committed'; SET statement_timeout = {patience}; SET lock_timeout = {patience};
         SET idle_in_transaction_session_timeout = {idle}; SET client_min_messages = warning;
         SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off; SET jit = off;
         SET plan_cache_mode = force_generic_plan"
    )
}

async fn prepare(client: &Client, settings: &str) -> Result<(), tokio_postgres::Error> {
    client.batch_execute(settings).await?;
    // Whoever wants less for all of a database must not get it for this.
    let durability = client.query_one("SELECT current_setting('synchronous_commit')", &[]).await?;
    if matches!(durability.try_get(0)?, "off" | "local") {
        client.batch_execute("SET synchronous_commit = on").await?;
    }
    Ok(())
}

/// Makes sure that what is committed is on the server's disk.
///
/// # Errors
/// [`Unsupported`](ErrorKind::Unsupported) if the server is older than 13.
pub(super) async fn check_server(client: &Client) -> Result<()> {
    const OP: &str = "open store";
    let row = client
        .query_one(
            "SELECT current_setting('server_version_num')::integer, current_setting('synchronous_commit'),
                 current_setting('fsync'), current_setting('full_page_writes')",
            &[],
        )
        .await
        .map_err(fault(OP))?;
    let version: i32 = row.try_get(0).map_err(fault(OP))?;
    if version < 130_000 {
        let why = "fastn needs PostgreSQL 13 or later";
        return Err(Error::new(ErrorKind::Unsupported, OP).with("server", version).caused_by(why));
    }
    let unsafe_settings = ["synchronous_commit", "fsync", "full_page_writes"]
        .into_iter()
        .zip(1..)
        .filter(|(_, column)| matches!(row.try_get::<_, &str>(*column), Ok("off")))
        .map(|(name, _)| name)
        .collect::<Vec<_>>();
    if !unsafe_settings.is_empty() {
        tracing::warn!(settings = unsafe_settings.join(", "), "the server is set to lose data in a crash");
    }
    Ok(())
}
