//! The URL of a Redis.

use std::fmt;
#[cfg(unix)]
use std::path::PathBuf;

use fastn_core::{Error, ErrorKind, Result};
use redis::{ConnectionAddr, IntoConnectionInfo as _, RedisConnectionInfo};

/// Where a Redis is, and what is said to it first.
#[derive(Clone)]
pub(super) struct Place {
    pub(super) address: Address,
    /// User, password, database and protocol.
    pub(super) hello: RedisConnectionInfo,
    /// Whether the connection is encrypted.
    pub(super) tls: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Address {
    Tcp(String, u16),
    #[cfg(unix)]
    Unix(PathBuf),
}

impl Place {
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) without the URL in it, since that may have a password.
    pub(super) fn parse(url: &str) -> Result<Self> {
        let invalid = |why: &'static str| Error::new(ErrorKind::Invalid, "read the URL of a Redis").caused_by(why);
        let (scheme, rest) = url.split_once("://").ok_or_else(|| invalid(SHAPE))?;
        if rest.contains('#') {
            return Err(invalid("it has a fragment; a # in a password is written as %23"));
        }
        // The client parses encrypted ones only where it encrypts itself, by a provider of its own choice.
        let (tls, plain) = match scheme {
            "redis" | "valkey" | "unix" | "redis+unix" | "valkey+unix" => (false, url.to_owned()),
            "rediss" | "valkeys" => (true, format!("redis://{rest}")),
            _ => return Err(invalid(SHAPE)),
        };
        let info = plain.into_connection_info().map_err(|_| invalid(SHAPE))?;
        let address = match info.addr() {
            ConnectionAddr::Tcp(host, port) => Address::Tcp(host.clone(), *port),
            #[cfg(unix)]
            ConnectionAddr::Unix(path) => Address::Unix(path.clone()),
            _ => return Err(invalid(SHAPE)),
        };
        if info.redis_settings().db() < 0 {
            return Err(invalid("its database has a number from 0 on"));
        }
        Ok(Self { address, hello: info.redis_settings().clone().set_skip_set_lib_name(), tls })
    }
}

const SHAPE: &str =
    "it should be as redis://USER:PASSWORD@HOST:PORT/DATABASE, the same with rediss, or unix:///PATH?db=DATABASE";

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// For people: without user and password.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, db) = (if self.tls { "rediss" } else { "redis" }, self.hello.db());
        match &self.address {
            Address::Tcp(host, port) => write!(f, "{scheme}://{host}:{port}/{db}"),
            #[cfg(unix)]
            Address::Unix(path) => write!(f, "unix://{}?db={db}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_name_a_place_a_password_and_a_database() {
        for (url, shown) in [
            ("redis://cache.example", "redis://cache.example:6379/0"),
            ("redis://:secret@cache.example:7000/3", "redis://cache.example:7000/3"),
            ("rediss://app:secret@cache.example/1", "rediss://cache.example:6379/1"),
            ("redis://[::1]:7000", "redis://::1:7000/0"),
            #[cfg(unix)]
            ("unix:///run/redis.sock?db=2&pass=secret", "unix:///run/redis.sock?db=2"),
        ] {
            let place = Place::parse(url).expect(url);
            assert_eq!(place.to_string(), shown);
            assert_eq!(format!("{place:?}"), shown);
            assert_eq!(place.hello.password().is_some(), url.contains("secret"), "{url}");
        }
        let place = Place::parse("redis://app:s%23c%40@h").expect("a URL");
        assert_eq!((place.hello.username(), place.hello.password()), (Some("app"), Some("s#c@")));
    }

    #[test]
    fn a_url_that_cannot_be_read_is_not_repeated() {
        for url in [
            "cache",
            "http://u:secret@h",
            "redis://u:secret@h:port",
            "redis://u:secret@h/one",
            "redis://u:secret@h/-1",
            "rediss://u:secret@h#insecure",
            "redis://u:secret@",
            "redis://u:secret@h?protocol=secret",
        ] {
            let error = Place::parse(url).expect_err(url);
            assert_eq!(error.kind(), ErrorKind::Invalid);
            assert!(!format!("{error:?} {}", error.chain().join(": ")).contains("secret"), "{error:?}");
        }
    }
}
