//! A door to the URLs of databases, for fastn-fuzz.

use super::config::parse;
use super::options::PostgresOptions;

/// What the URL of a Postgres database names, for people, and its schema as it stands in SQL if it may; or what an error
/// tells.
///
/// # Errors
/// The words of the error and of its causes.
pub fn postgres_url(url: &str) -> Result<(String, Option<String>), String> {
    let (place, options) = parse(url, PostgresOptions::default()).map_err(|error| error.chain().join(": "))?;
    Ok((place.name, options.quoted_schema().ok()))
}
