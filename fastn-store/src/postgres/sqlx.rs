//! Runs that are started in transactions of SQLx.

use fastn_core::{Error, ErrorKind, Result};
use sqlx_core::error::Error as SqlxError;
use sqlx_core::query::query;
use sqlx_core::row::Row;
use sqlx_core::sql_str::AssertSqlSafe;
use sqlx_core::{decode::Decode, types::Type};
use sqlx_postgres::{PgConnection, PgRow, Postgres};
use uuid::Uuid;

use super::days::range_of;
use super::enqueue::Place;
use super::fault::kind_of_state;
use super::host::{Found, OP, content_of, create_sql, enqueue_sql, existing_sql, refuse_change};
use super::numbers::run_no;
use super::options::PostgresOptions;
use crate::{Enqueue, HostTransaction, InSchema, NewRun, Written};

impl HostTransaction for &mut PgConnection {
    async fn create(self, new: &NewRun) -> Result<Written> {
        InSchema { schema: "fastn", transaction: self }.create(new).await
    }

    async fn enqueue(self, new: &Enqueue) -> Result<Written> {
        InSchema { schema: "fastn", transaction: self }.enqueue(new).await
    }
}

impl HostTransaction for InSchema<'_, &mut PgConnection> {
    async fn create(self, new: &NewRun) -> Result<Written> {
        let schema = PostgresOptions::default().schema(self.schema).quoted_schema()?;
        let (from, to) = range_of(new.key.run).unzip();
        // The schema's name was checked, and nothing else is put together.
        let row = query::<Postgres>(AssertSqlSafe(create_sql(&schema)))
            .bind(new.key.tenant.as_str())
            .bind(Uuid::from_bytes(*new.key.run.as_bytes()))
            .bind(from)
            .bind(to)
            .bind(new.definition.workflow.as_str())
            .bind(i64::from(new.definition.version.0))
            .bind(&new.definition.shape.0[..])
            .bind(new.plan.as_deref())
            .bind(new.created_at.as_micros())
            .bind(content_of(new))
            .bind(&new.input.bytes()[..])
            .fetch_one(&mut *self.transaction)
            .await
            .map_err(fault)?;
        let number: i64 = get(&row, 0)?;
        if get(&row, 1)? {
            return Ok(Written::Created(run_no(number)?));
        }
        Ok(Written::Exists(Box::new(found(&schema, self.transaction, number).await?.existing(run_no(number)?)?)))
    }

    async fn enqueue(self, enqueue: &Enqueue) -> Result<Written> {
        let schema = PostgresOptions::default().schema(self.schema).quoted_schema()?;
        refuse_change(enqueue)?;
        let (new, place) = (&enqueue.new, Place::of(enqueue));
        let (from, to) = range_of(new.key.run).unzip();
        // The schema's name was checked, and nothing else is put together.
        let row = query::<Postgres>(AssertSqlSafe(enqueue_sql(&schema)))
            .bind(new.key.tenant.as_str())
            .bind(Uuid::from_bytes(*new.key.run.as_bytes()))
            .bind(from)
            .bind(to)
            .bind(new.definition.workflow.as_str())
            .bind(i64::from(new.definition.version.0))
            .bind(&new.definition.shape.0[..])
            .bind(new.plan.as_deref())
            .bind(new.created_at.as_micros())
            .bind(content_of(new))
            .bind(&new.input.bytes()[..])
            .bind(enqueue.queue.as_str())
            .bind(enqueue.key.as_str())
            .bind(place.delay)
            .bind(place.advance)
            .bind(place.cost)
            .bind(place.once)
            .fetch_one(&mut *self.transaction)
            .await
            .map_err(fault)?;
        let (number, outcome): (i64, i16) = (get(&row, 0)?, get(&row, 1)?);
        if outcome == 0 {
            return Ok(Written::Created(run_no(number)?));
        }
        found(&schema, self.transaction, number).await?.instead(run_no(number)?, outcome)
    }
}

/// What is there of this number.
async fn found(schema: &str, connection: &mut PgConnection, number: i64) -> Result<Found> {
    let row = query::<Postgres>(AssertSqlSafe(existing_sql(schema)))
        .bind(number)
        .fetch_one(connection)
        .await
        .map_err(fault)?;
    Ok(Found {
        workflow: get(&row, 0)?,
        version: get(&row, 1)?,
        shape: get(&row, 2)?,
        status: get(&row, 3)?,
        content: get(&row, 4)?,
        input: get(&row, 5)?,
        tenant: get(&row, 6)?,
        run: get(&row, 7)?,
    })
}

fn get<'r, T: Decode<'r, Postgres> + Type<Postgres>>(row: &'r PgRow, column: usize) -> Result<T> {
    row.try_get(column).map_err(fault)
}

fn fault(error: SqlxError) -> Error {
    let kind = match &error {
        SqlxError::Database(said) => said.code().map_or(ErrorKind::Internal, |code| kind_of_state(&code)),
        _ => ErrorKind::Unavailable,
    };
    Error::new(kind, OP).caused_by(error)
}
