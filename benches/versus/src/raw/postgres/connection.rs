//! A connection to a database with one table that only grows.

use tokio_postgres::{Client, NoTls};
use versus_measure::{Ask, Fallible};

/// Connects, makes sure that a commit is durable, and that the table is there.
pub async fn open(ask: &Ask) -> Fallible<Client> {
    let (client, connection) = tokio_postgres::connect(ask.url()?, NoTls).await?;
    // Ends with the client.
    tokio::spawn(connection);
    for name in ["fsync", "synchronous_commit"] {
        let value: String = client.query_one(&format!("SHOW {name}"), &[]).await?.try_get(0)?;
        if value != "on" {
            return Err(format!("{name} is {value}").into());
        }
    }
    client.batch_execute("CREATE TABLE IF NOT EXISTS results (run bigint, step bigint, value bytea)").await?;
    Ok(client)
}
