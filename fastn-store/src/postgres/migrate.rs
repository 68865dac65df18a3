//! The numbered steps by which the schema came to be.

use fastn_core::{Error, ErrorKind, Result};
use tokio_postgres::{Client, Transaction};

use super::database::Database;
use super::fault::{corrupt, fault};

const OP: &str = "migrate schema";

struct Migration {
    name: &'static str,
    /// The oldest version whose programs may go on beside it: the one before, so that programs can be replaced one by one.
    serves: i32,
    sql: &'static str,
}

/// In their order, the first being version 1. One that has been released is never changed: its checksum is in every
/// database.
const MIGRATIONS: &[Migration] = &[
    Migration { name: "runs", serves: 1, sql: include_str!("migrations/0001_runs.sql") },
    Migration { name: "entries", serves: 1, sql: include_str!("migrations/0002_entries.sql") },
    Migration { name: "messages", serves: 2, sql: include_str!("migrations/0003_messages.sql") },
    Migration { name: "hosts", serves: 3, sql: include_str!("migrations/0004_hosts.sql") },
    Migration { name: "queues", serves: 4, sql: include_str!("migrations/0005_queues.sql") },
    Migration { name: "fleet", serves: 5, sql: include_str!("migrations/0006_fleet.sql") },
    Migration { name: "batches", serves: 6, sql: include_str!("migrations/0007_batches.sql") },
    Migration { name: "places", serves: 7, sql: include_str!("migrations/0008_places.sql") },
    Migration { name: "guards", serves: 8, sql: include_str!("migrations/0009_guards.sql") },
];

/// Brings the schema to the version of this build, one process at a time.
///
/// # Errors
/// [`Unsupported`](ErrorKind::Unsupported) if a build wrote it that is newer by more than one step,
/// [`Corrupt`](ErrorKind::Corrupt) if an applied step is not the one that we know.
pub(super) async fn migrate(client: &mut Client, database: &Database) -> Result<()> {
    let schema = &*database.schema;
    // Most of the time there is nothing to do, and then nobody need be waited for.
    if is_there(client, schema).await? && verify(client, schema).await? >= MIGRATIONS.len() {
        return Ok(());
    }
    let transaction = client.transaction().await.map_err(fault(OP))?;
    // A step takes as long as the tables are large, and whoever comes first is waited for.
    transaction
        .batch_execute("SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = '20s'")
        .await
        .map_err(fault(OP))?;
    // Held until the transaction ends, whatever becomes of this process.
    transaction
        .execute("SELECT pg_advisory_xact_lock(hashtext('fastn.migrate'), hashtext($1))", &[&schema])
        .await
        .map_err(fault(OP))?;
    if !is_there(transaction.client(), schema).await? {
        // Whoever was given a schema need not be allowed to create one.
        let given = transaction
            .query_one("SELECT EXISTS (SELECT 1 FROM pg_namespace WHERE nspname = $1)", &[&schema.trim_matches('"')])
            .await
            .map_err(fault(OP))?;
        if !given.try_get::<_, bool>(0).map_err(fault(OP))? {
            transaction.batch_execute(&format!("CREATE SCHEMA {schema}")).await.map_err(fault(OP))?;
        }
        transaction
            .batch_execute(&format!(
                "CREATE TABLE {schema}.migrations (
                     version    integer PRIMARY KEY,
                     name       text NOT NULL,
                     serves     integer NOT NULL, -- the oldest version whose programs may go on
                     checksum   bytea NOT NULL,
                     applied_at timestamptz NOT NULL DEFAULT now() -- for people: nothing is decided by it
                 )"
            ))
            .await
            .map_err(fault(OP))?;
    }
    let applied = verify(transaction.client(), schema).await?;
    for (version, migration) in (1_i32..).zip(MIGRATIONS).skip(applied) {
        apply(&transaction, database, version, migration).await?;
    }
    transaction.commit().await.map_err(fault(OP))
}

async fn apply(transaction: &Transaction<'_>, database: &Database, version: i32, migration: &Migration) -> Result<()> {
    let schema = &*database.schema;
    tracing::info!(version, name = migration.name, "the schema is brought forward");
    let sql = migration.sql.replace("{schema}", schema).replace("{channel}", &database.channel());
    transaction.batch_execute(&sql).await.map_err(fault(OP))?;
    let insert = format!("INSERT INTO {schema}.migrations (version, name, serves, checksum) VALUES ($1, $2, $3, $4)");
    let checksum = checksum(migration);
    transaction
        .execute(&insert, &[&version, &migration.name, &migration.serves, &&checksum[..]])
        .await
        .map_err(fault(OP))
        .map(drop)
}

async fn is_there(client: &Client, schema: &str) -> Result<bool> {
    // From the catalogue itself: a session's memory of names may be older than the lock it has just got.
    let schema = schema.trim_matches('"');
    let row = client
        .query_one(
            "SELECT EXISTS (SELECT 1 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                 WHERE n.nspname = $1 AND c.relname = 'migrations')",
            &[&schema],
        )
        .await
        .map_err(fault(OP))?;
    row.try_get(0).map_err(fault(OP))
}

/// Compares what was applied with what we know, and says how much that is.
async fn verify(client: &Client, schema: &str) -> Result<usize> {
    let select = format!("SELECT version, name, serves, checksum FROM {schema}.migrations ORDER BY version");
    let rows = client.query(&select, &[]).await.map_err(fault(OP))?;
    for (place, row) in rows.iter().enumerate() {
        let get = |error| fault(OP)(error);
        let (version, name): (i32, String) = (row.try_get(0).map_err(get)?, row.try_get(1).map_err(get)?);
        let (serves, applied): (i32, Vec<u8>) = (row.try_get(2).map_err(get)?, row.try_get(3).map_err(get)?);
        match MIGRATIONS.get(place) {
            Some(known) if applied == checksum(known) => {}
            Some(known) => {
                let why = format!("step {version} was applied as {name}, and is not our {}", known.name);
                return Err(corrupt(OP, why));
            }
            // Written by a newer build that minded those who are one step behind.
            None if usize::try_from(serves).is_ok_and(|oldest| oldest <= MIGRATIONS.len()) => {}
            None => {
                let why = format!("it has version {version}, and this build knows {}", MIGRATIONS.len());
                return Err(Error::new(ErrorKind::Unsupported, OP).with("schema", schema).caused_by(why));
            }
        }
    }
    Ok(rows.len())
}

fn checksum(migration: &Migration) -> [u8; 32] {
    *blake3::hash(migration.sql.as_bytes()).as_bytes()
}
