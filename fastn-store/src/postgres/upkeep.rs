//! What is done now and then: days are made, old ones retired, and messages that nobody receives any more are emptied.

use deadpool_postgres::Object;
use fastn_core::Result;
use tokio_postgres::Client;

use super::database::Database;
use super::fault::fault;
use super::partitions::Partitions;
use super::retire::{Retired, retire};
use super::row::get;
use crate::Retention;

const OP: &str = "keep store up";

/// So many messages are looked at at a time.
const PAGE: i64 = 1_000;

/// Does all of it. One process retires at a time; another one's call makes days and does no more.
///
/// # Errors
/// What the database says of the first thing that failed; the others were done all the same.
///
/// # Cancel safety
/// As [`retire`].
pub(super) async fn keep_up(database: &Database, partitions: &Partitions, retention: &Retention) -> Result<Retired> {
    let mut client = database.connect(OP).await?;
    let made = partitions.ensure(&mut client, database).await;
    // Nobody else's from here on: it has a lock until it is closed, also if this future is dropped.
    let mut own = Object::take(client);
    if !lock(&own, &database.schema).await? {
        return made.map(|()| Retired::default());
    }
    let retired = retire(&mut own, &database.schema, retention).await;
    let emptied = empty(&own).await;
    // Days may be gone.
    let remembered = partitions.ensure(&mut own, database).await;
    // Closing it does so as well, but nobody knows when the server has heard of that.
    let freed = own.batch_execute("SELECT pg_advisory_unlock_all()").await.map_err(fault(OP));
    let retired = retired?;
    made.and(emptied).and(remembered).and(freed).map(|()| retired)
}

/// Makes this session the one that deletes, unless another is.
async fn lock(client: &Client, schema: &str) -> Result<bool> {
    // A page of large runs may take longer than anybody waits for.
    client.batch_execute("SET statement_timeout = '10min'").await.map_err(fault(OP))?;
    let row = client
        .query_one("SELECT pg_try_advisory_lock(hashtext('fastn.retire'), hashtext($1))", &[&schema])
        .await
        .map_err(fault(OP))?;
    get(&row, 0)
}

/// Empties the messages of runs that ended before they received them, and deletes those of runs that are gone, a page at a
/// time: whoever sent them may have looked just before.
async fn empty(client: &Client) -> Result<()> {
    let mut after = -1_i64;
    loop {
        let row = client
            .query_one(
                "WITH page AS MATERIALIZED (
                     SELECT m.message_no, m.run_no FROM flow_messages m
                     WHERE m.body IS NOT NULL AND m.message_no > $1 ORDER BY m.message_no LIMIT $2
                 ), ended AS (
                     UPDATE flow_messages m SET body = NULL FROM page p WHERE m.message_no = p.message_no
                         AND EXISTS (SELECT 1 FROM flow_history h WHERE h.run_no = p.run_no AND h.status IS NOT NULL)
                 ), gone AS (
                     DELETE FROM flow_messages m USING page p WHERE m.message_no = p.message_no
                         AND NOT EXISTS (SELECT 1 FROM flow_executions e WHERE e.run_no = p.run_no)
                 )
                 SELECT max(message_no) FROM page",
                &[&after, &PAGE],
            )
            .await
            .map_err(fault(OP))?;
        match get::<Option<i64>>(&row, 0)? {
            Some(last) => after = last,
            None => return Ok(()),
        }
    }
}
