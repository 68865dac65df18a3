//! The server's clock.

use deadpool_postgres::Client;
use fastn_core::{Result, Timestamp};

use super::fault::fault;
use super::row::get;

/// What the server's clock says.
pub(super) async fn time(client: &Client) -> Result<Timestamp> {
    const OP: &str = "tell time";
    let select = client
        .prepare_cached("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint")
        .await
        .map_err(fault(OP))?;
    let row = client.query_one(&select, &[]).await.map_err(fault(OP))?;
    Ok(Timestamp::from_micros(get(&row, 0)?))
}
