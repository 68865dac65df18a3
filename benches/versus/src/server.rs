//! The PostgreSQL server of a run.

use std::path::Path;

use fastn_testkit::server::{PostgresSettings, PrivatePostgres};
use versus_measure::Fallible;

/// A server that is started when the first measurement needs it, and stops with this program.
#[derive(Debug, Default)]
pub struct Server(Option<PrivatePostgres>);

/// The database of a measurement.
const DATABASE: &str = "versus";

impl Server {
    /// The URL of a new database, in place of the one that was made before. The server has its data in this folder.
    pub fn database(&mut self, folder: &Path) -> Fallible<String> {
        let server = match self.0.take() {
            Some(server) => server,
            None => start(folder)?,
        };
        let server = self.0.insert(server);
        server.sql("postgres", &format!("DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)"))?;
        let url = server.database(DATABASE)?;
        // What one measurement left to be written is not written during the next.
        server.sql("postgres", "CHECKPOINT")?;
        Ok(url)
    }
}

/// As PostgreSQL comes, with room for peers that open many connections; and it is made sure that it is durable.
fn start(folder: &Path) -> Fallible<PrivatePostgres> {
    let settings = PostgresSettings::default().max_connections(200).folder(folder);
    let server = PrivatePostgres::start_with(&settings).map_err(|why| why.chain().join(", because "))?;
    for name in ["fsync", "synchronous_commit", "full_page_writes"] {
        let value = server.sql("postgres", &format!("SHOW {name}"))?;
        if value != "on" {
            return Err(format!("{name} is {value}").into());
        }
    }
    Ok(server)
}
