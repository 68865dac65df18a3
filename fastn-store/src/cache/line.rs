//! One connection.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use fastn_core::{BoxError, Error, ErrorKind, Result};
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, FromRedisValue, Pipeline, RedisResult, Value};
use rustls::ClientConfig;
use rustls::crypto::ring;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::place::{Address, Place};
use crate::trust::trusted;

/// A connection that several ask at the same time. When the last one lets go of it, it is closed.
pub(super) struct Line {
    connection: MultiplexedConnection,
    driver: AbortHandle,
    /// Told when the other end has closed it.
    closed: Arc<Notify>,
}

/// A value to be kept under a key, and for how long.
#[derive(Debug)]
pub(super) struct Fill {
    pub(super) key: String,
    pub(super) value: Vec<u8>,
    pub(super) keep: Duration,
}

/// How connections are made.
#[derive(Clone, Debug)]
pub(super) struct Dial {
    place: Place,
    tls: Option<Arc<ClientConfig>>,
}

/// What bytes go through.
trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

impl Dial {
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) if encryption cannot be set up.
    pub(super) fn new(place: Place, root_certificates: Option<&Path>) -> Result<Self> {
        const OP: &str = "set up TLS to Redis";
        if !place.tls {
            return Ok(Self { place, tls: None });
        }
        let provider = Arc::new(ring::default_provider());
        let verifier = trusted(OP, root_certificates, &provider)?;
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|e| Error::new(ErrorKind::Invalid, OP).caused_by(e))?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth();
        Ok(Self { place, tls: Some(Arc::new(config)) })
    }

    /// Connects and says who is there, which takes as long as it takes.
    pub(super) async fn connect(&self) -> Result<Line> {
        let failed = |why: BoxError| {
            Error::new(ErrorKind::Unavailable, "connect to Redis").with("at", &self.place).caused_by(why)
        };
        let wire = self.wire().await.map_err(failed)?;
        // How long an answer may take is decided where it is waited for.
        let config = AsyncConnectionConfig::new().set_response_timeout(None);
        let (connection, driver) = MultiplexedConnection::new_with_config(&self.place.hello, wire, config)
            .await
            .map_err(|e| failed(e.into()))?;
        let closed = Arc::<Notify>::default();
        let told = closed.clone();
        let driver = tokio::spawn(async move {
            driver.await;
            told.notify_one();
        });
        Ok(Line { connection, driver: driver.abort_handle(), closed })
    }

    async fn wire(&self) -> Result<Box<dyn Wire>, BoxError> {
        match &self.place.address {
            Address::Tcp(host, port) => {
                let stream = TcpStream::connect((host.as_str(), *port)).await?;
                stream.set_nodelay(true)?;
                let Some(config) = &self.tls else { return Ok(Box::new(stream)) };
                let name = ServerName::try_from(host.clone())?;
                Ok(Box::new(TlsConnector::from(config.clone()).connect(name, stream).await?))
            }
            #[cfg(unix)]
            Address::Unix(path) => Ok(Box::new(UnixStream::connect(path).await?)),
        }
    }
}

impl Line {
    /// The time by Redis's clock, in microseconds.
    ///
    /// # Errors
    /// Of every method: [`Unavailable`](ErrorKind::Unavailable) if there is no answer in the time that is given, or another
    /// one than was asked for.
    pub(super) async fn time(&self, most: Duration) -> Result<i64> {
        self.look(&[], most).await.map(|(time, _)| time)
    }

    /// The values under these keys, as far as there are any, and the time before they were looked for.
    pub(super) async fn look(&self, keys: &[String], most: Duration) -> Result<(i64, Vec<Option<Vec<u8>>>)> {
        let mut commands = redis::pipe();
        commands.cmd("TIME");
        let (time, values): (Time, Vec<Option<Vec<u8>>>) = if keys.is_empty() {
            let (time,) = self.ask(&commands, most).await?;
            (time, Vec::new())
        } else {
            commands.cmd("MGET").arg(keys);
            self.ask(&commands, most).await?
        };
        let micros = time.0.checked_mul(1_000_000).and_then(|micros| micros.checked_add(time.1));
        match micros {
            Some(micros) if values.len() == keys.len() => Ok((micros, values)),
            _ => Err(failed("it answers something else than it was asked".into())),
        }
    }

    /// Keeps values; tells how many Redis took, which may be full or a copy that is only read.
    pub(super) async fn keep(&self, fills: &[Fill], most: Duration) -> Result<usize> {
        let mut commands = redis::pipe();
        // A value that is refused is no reason to keep none of the others.
        commands.ignore_errors();
        for Fill { key, value, keep } in fills {
            let millis = u64::try_from(keep.as_millis()).unwrap_or(u64::MAX).clamp(1, MOST_MILLIS);
            commands.cmd("SET").arg(key).arg(value).arg("PX").arg(millis);
        }
        let answers: Vec<RedisResult<Value>> = self.ask(&commands, most).await?;
        Ok(answers.iter().filter(|answer| answer.is_ok()).count())
    }

    async fn ask<T: FromRedisValue>(&self, commands: &Pipeline, most: Duration) -> Result<T> {
        let mut connection = self.connection.clone();
        match timeout(most, commands.query_async(&mut connection)).await {
            Ok(answer) => answer.map_err(|e| failed(e.into())),
            Err(_) => Err(failed("no answer in time".into())),
        }
    }

    /// Completes when the other end has closed it.
    pub(super) async fn closed(&self) {
        self.closed.notified().await;
    }

    /// Ends it for all who wait for answers.
    pub(super) fn hang_up(&self) {
        self.driver.abort();
    }
}

/// Seconds and microseconds, as `TIME` has them.
type Time = (i64, i64);

/// The longest that a value is kept: far longer than any answer counts.
const MOST_MILLIS: u64 = 365 * 24 * 60 * 60 * 1000;

fn failed(why: BoxError) -> Error {
    Error::new(ErrorKind::Unavailable, "ask Redis").caused_by(why)
}

impl Drop for Line {
    fn drop(&mut self) {
        self.hang_up();
    }
}

impl std::fmt::Debug for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Line")
    }
}
