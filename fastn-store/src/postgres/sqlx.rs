//! Runs that are started in transactions of SQLx.

use fastn_core::{Error, ErrorKind, Result};
use sqlx_core::error::Error as SqlxError;
use sqlx_core::query::query;
use sqlx_core::row::Row;
use sqlx_core::sql_str::AssertSqlSafe;
use sqlx_core::{decode::Decode, types::Type};
use sqlx_postgres::{PgConnection, PgRow, Postgres};
use uuid::Uuid;

use super::fault::kind_of_state;
use super::host::{Found, OP, create_sql, enqueue_sql, existing_sql, joined};
use super::numbers::run_no;
use super::options::PostgresOptions;
use super::values::{Value, of_run, of_waiting};
use crate::queue::check_item;
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
        let row = ask(self.transaction, create_sql(&schema), of_run(new)).await?;
        let number: i64 = get(&row, 0)?;
        if get(&row, 1)? {
            return Ok(Written::Created(run_no(number)?));
        }
        Ok(Written::Exists(Box::new(found(&schema, self.transaction, number).await?.existing(run_no(number)?)?)))
    }

    async fn enqueue(self, enqueue: &Enqueue) -> Result<Written> {
        let schema = PostgresOptions::default().schema(self.schema).quoted_schema()?;
        check_item(enqueue)?;
        let row = ask(self.transaction, enqueue_sql(&schema), of_waiting(enqueue)).await?;
        let (number, outcome): (i64, i16) = (get(&row, 0)?, get(&row, 1)?);
        if outcome == 0 {
            return Ok(Written::Created(run_no(number)?));
        }
        if let Some(run) = get::<Option<Uuid>>(&row, 2)? {
            return Ok(joined(enqueue, run));
        }
        found(&schema, self.transaction, number).await?.instead(run_no(number)?, outcome)
    }
}

/// Asks for one row. Nothing is put together but the schema's name, which was checked.
async fn ask(connection: &mut PgConnection, sql: String, values: Vec<Value<'_>>) -> Result<PgRow> {
    let statement = values.into_iter().fold(query::<Postgres>(AssertSqlSafe(sql)), |statement, value| match value {
        Value::Text(value) => statement.bind(value),
        Value::MaybeText(value) => statement.bind(value),
        Value::Number(value) => statement.bind(value),
        Value::MaybeNumber(value) => statement.bind(value),
        Value::Id(value) => statement.bind(value),
        Value::MaybeId(value) => statement.bind(value),
        Value::Bytes(value) => statement.bind(value),
        Value::MaybeBytes(value) => statement.bind(value),
    });
    statement.fetch_one(connection).await.map_err(fault)
}

/// What is there of this number.
async fn found(schema: &str, connection: &mut PgConnection, number: i64) -> Result<Found> {
    let row = ask(connection, existing_sql(schema), vec![Value::Number(number)]).await?;
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
