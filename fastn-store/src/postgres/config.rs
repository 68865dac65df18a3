//! The URL of a database, as libpq has it.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use fastn_core::{Error, ErrorKind, Result};
use tokio_postgres::Config;
use tokio_postgres::config::TargetSessionAttrs;

use super::options::PostgresOptions;

/// How sure one must be of the server (libpq, "SSL Support", table 34.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SslMode {
    /// No encryption.
    Disable,
    /// Encryption if the server has it, whoever it is.
    Prefer,
    /// Encryption, whoever the server is.
    Require,
    /// Encryption, and somebody who is trusted vouches for the server.
    VerifyCa,
    /// The same, and for its name.
    VerifyFull,
}

/// Where a database is and how to speak to it.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) config: Config,
    pub(super) ssl: SslMode,
    pub(super) root_certificates: Option<PathBuf>,
    /// For people: without a password.
    pub(super) name: String,
}

/// Reads a URL, and what it says of the options.
///
/// # Errors
/// [`Invalid`](ErrorKind::Invalid) without the URL in it, since that has a password.
pub(super) fn parse(url: &str, mut options: PostgresOptions) -> Result<(Place, PostgresOptions)> {
    let (address, query) = url.split_once('?').unwrap_or((url, ""));
    let (mut rest, mut ssl) = (Vec::new(), SslMode::Prefer);
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=').unwrap_or((pair, "")) {
            ("sslmode", mode) => ssl = ssl_mode(mode)?,
            ("sslrootcert", file) => options.root_certificates = Some(PathBuf::from(decoded(file)?)),
            ("schema", name) => options.schema = decoded(name)?,
            _ => rest.push(pair),
        }
    }
    // An older libpq's way to say it: with certificates of one's own, `require` verifies them.
    if ssl == SslMode::Require && options.root_certificates.is_some() {
        ssl = SslMode::VerifyCa;
    }
    let plain = if rest.is_empty() { address.to_owned() } else { format!("{address}?{}", rest.join("&")) };
    let mut config = Config::from_str(&plain).map_err(|e| invalid(e.to_string()))?;
    config.ssl_mode(match ssl {
        SslMode::Disable => tokio_postgres::config::SslMode::Disable,
        SslMode::Prefer => tokio_postgres::config::SslMode::Prefer,
        SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => tokio_postgres::config::SslMode::Require,
    });
    if config.get_application_name().is_none() {
        config.application_name("fastn");
    }
    config.connect_timeout(config.get_connect_timeout().copied().unwrap_or(Duration::from_secs(10)));
    // Of several servers, the one that takes writes: another may have been it before.
    if config.get_hosts().len() > 1 && config.get_target_session_attrs() == TargetSessionAttrs::Any {
        config.target_session_attrs(TargetSessionAttrs::ReadWrite);
    }
    // A server that is gone without a word is noticed, as one that was failed over from.
    config.keepalives_idle(Duration::from_secs(15)).keepalives_interval(Duration::from_secs(5)).keepalives_retries(3);
    config.tcp_user_timeout(Duration::from_secs(30));
    let host = config.get_hosts().first().map_or_else(String::new, |host| match host {
        tokio_postgres::config::Host::Tcp(name) => name.clone(),
        #[cfg(unix)]
        tokio_postgres::config::Host::Unix(path) => path.display().to_string(),
    });
    let port = config.get_ports().first().copied().unwrap_or(5432);
    let database = config.get_dbname().or(config.get_user()).unwrap_or("postgres").to_owned();
    let name = format!("postgres://{host}:{port}/{database}?schema={}", options.schema);
    let root_certificates = options.root_certificates.clone();
    Ok((Place { config, ssl, root_certificates, name }, options))
}

fn ssl_mode(mode: &str) -> Result<SslMode> {
    Ok(match mode {
        "disable" => SslMode::Disable,
        // What is allowed to be plain may as well be tried encrypted first.
        "allow" | "prefer" => SslMode::Prefer,
        "require" => SslMode::Require,
        "verify-ca" => SslMode::VerifyCa,
        "verify-full" => SslMode::VerifyFull,
        _ => return Err(invalid("sslmode is disable, allow, prefer, require, verify-ca or verify-full".to_owned())),
    })
}

/// Undoes percent-encoding (RFC 3986, section 2.1).
fn decoded(text: &str) -> Result<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(if byte == b'%' {
            let digits = [rest.next(), rest.next()].map(|digit| digit.and_then(|d| char::from(d).to_digit(16)));
            let [Some(high), Some(low)] = digits else { return Err(invalid("a % has no two digits".to_owned())) };
            u8::try_from(high * 16 + low).unwrap_or_default()
        } else {
            byte
        });
    }
    String::from_utf8(bytes).map_err(|_| invalid("it is not UTF-8".to_owned()))
}

fn invalid(why: String) -> Error {
    Error::new(ErrorKind::Invalid, "read the URL of a Postgres database").caused_by(why)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(url: &str) -> (Place, PostgresOptions) {
        parse(url, PostgresOptions::default()).expect("a URL")
    }

    #[test]
    fn every_ssl_mode_of_libpq_is_known() {
        for (mode, expected) in [
            ("disable", SslMode::Disable),
            ("allow", SslMode::Prefer),
            ("prefer", SslMode::Prefer),
            ("require", SslMode::Require),
            ("verify-ca", SslMode::VerifyCa),
            ("verify-full", SslMode::VerifyFull),
        ] {
            assert_eq!(read(&format!("postgres://u@h/d?sslmode={mode}")).0.ssl, expected, "{mode}");
        }
        assert_eq!(read("postgres://u@h/d").0.ssl, SslMode::Prefer, "libpq's default");
        assert_eq!(read("postgres://h/d?sslmode=require&sslrootcert=/a%20b.pem").0.ssl, SslMode::VerifyCa);
    }

    #[test]
    fn what_is_ours_is_taken_out_and_the_rest_is_left() {
        let (place, options) = read("postgres://u:secret@db.example:6432/shop?schema=flows&connect_timeout=3");
        assert_eq!(options.schema, "flows");
        assert_eq!(place.config.get_connect_timeout(), Some(&Duration::from_secs(3)));
        assert_eq!(place.name, "postgres://db.example:6432/shop?schema=flows");
        assert!(!place.name.contains("secret"));
    }

    #[test]
    fn of_several_servers_the_one_that_takes_writes_is_meant() {
        let attrs = |url: &str| read(url).0.config.get_target_session_attrs();
        assert_eq!(attrs("postgres://u@a,b/d"), TargetSessionAttrs::ReadWrite);
        assert_eq!(attrs("postgres://u@a/d"), TargetSessionAttrs::Any, "one answers for itself");
    }

    #[test]
    fn a_url_that_cannot_be_read_is_not_repeated() {
        for url in
            ["postgres://u:secret@h/d?sslmode=maybe", "postgres://u:secret@h/d?schema=%zz", "postgres://u:secret@h:x/d"]
        {
            let error = parse(url, PostgresOptions::default()).expect_err("it cannot be read");
            assert_eq!(error.kind(), ErrorKind::Invalid);
            assert!(!error.chain().join(": ").contains("secret"), "{error}");
        }
    }
}
