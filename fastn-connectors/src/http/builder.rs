//! The connector and its settings.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use fastn_core::{Error, ErrorKind, Payload, Result, StepCx, StepError};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use rustls::ClientConfig;
use rustls::pki_types::CertificateDer;
use rustls_platform_verifier::Verifier;

use crate::http::guard::{Checked, Guard, Resolve, System};
use crate::http::shared::Shared;
use crate::http::{REQUEST, Request, Response};
use crate::{Action, Call, Connector, Description};

const MEBIBYTE: usize = 1024 * 1024;

/// The connector `http`, and the one HTTP client below other connectors. Cloning is cheap and shares connections.
#[derive(Clone)]
pub struct Http {
    description: Arc<Description>,
    shared: Arc<Shared>,
}

impl Http {
    /// The settings, to be changed.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Sends a request in the name of a step: what the action [`REQUEST`] does.
    ///
    /// # Errors
    /// See the [module](crate::http).
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection; whether the other side acted on the request is not known then.
    pub async fn send(&self, cx: &StepCx, request: Request) -> Result<Response, StepError> {
        self.shared.exchange(cx, request).await
    }
}

#[async_trait]
impl Connector for Http {
    fn describe(&self) -> &Description {
        &self.description
    }

    async fn execute(&self, call: Call) -> Result<Payload, StepError> {
        if call.action != REQUEST.action() {
            return Err(call.unknown_action());
        }
        let response = self.send(&call.cx, call.decode()?).await?;
        call.encode(&response)
    }
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Http({:?})", self.shared.guard)
    }
}

/// The settings of an [`Http`].
#[must_use = "a connector comes out of build()"]
pub struct Builder {
    guard: Guard,
    resolver: Arc<dyn Resolve>,
    roots: Vec<CertificateDer<'static>>,
    headers: HeaderMap,
    user_agent: String,
    max_request_bytes: usize,
    max_response_bytes: usize,
    connect_timeout: Duration,
    timeout: Duration,
    redirects: u32,
    /// Collected, so that `build` tells them all and the calls before it chain.
    faults: Vec<String>,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            guard: Guard::default(),
            resolver: Arc::new(System),
            roots: Vec::new(),
            headers: HeaderMap::new(),
            user_agent: concat!("fastn/", env!("CARGO_PKG_VERSION")).to_owned(),
            max_request_bytes: 8 * MEBIBYTE,
            max_response_bytes: 8 * MEBIBYTE,
            connect_timeout: Duration::from_secs(10),
            timeout: Duration::from_secs(30),
            redirects: 5,
            faults: Vec::new(),
        }
    }
}

impl Builder {
    /// Allows a target that is not on the public internet: a network (`10.1.0.0/16`), an address, or a host name (not
    /// its subdomains), the latter with whatever addresses it has.
    pub fn allow(mut self, target: &str) -> Self {
        if self.guard.allow(target).is_none() {
            self.faults.push(format!("{target:?} is no host, address or network"));
        }
        self
    }

    /// Allows all loopback, private (RFC 1918, RFC 4193) and shared (RFC 6598) addresses. Link-local and metadata
    /// addresses, where clouds keep the credentials of their machines, must still be named with [`Builder::allow`].
    pub fn allow_private(mut self) -> Self {
        self.guard.allow_local();
        self
    }

    /// Resolves names with this resolver instead of the system's. What it finds is checked all the same.
    pub fn resolver(mut self, resolver: impl Resolve) -> Self {
        self.resolver = Arc::new(resolver);
        self
    }

    /// Trusts this root certificate (X.509 in DER) in addition to the system's.
    pub fn trust(mut self, certificate: impl Into<Vec<u8>>) -> Self {
        self.roots.push(CertificateDer::from(certificate.into()));
        self
    }

    /// A header field that every request gets unless it has one of this name. As with those of a request, only harmless
    /// ones follow a redirect to another origin.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        match (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            (Ok(name), Ok(mut value)) => {
                value.set_sensitive(true);
                self.headers.insert(name, value);
            }
            // The value may be a secret: the fault tells the name only.
            _ => self.faults.push(format!("{name:?} is no header field, or its value is none")),
        }
        self
    }

    /// The `User-Agent`; `fastn/` and the version if not set.
    pub fn user_agent(mut self, name: impl Into<String>) -> Self {
        self.user_agent = name.into();
        self
    }

    /// The largest body that is sent, in bytes; 8 MiB if not set.
    pub fn max_request_bytes(mut self, bytes: usize) -> Self {
        self.max_request_bytes = bytes;
        self
    }

    /// The largest body that is accepted, in bytes; 8 MiB if not set. No more than this is ever held.
    pub fn max_response_bytes(mut self, bytes: usize) -> Self {
        self.max_response_bytes = bytes;
        self
    }

    /// The longest time to a connection, name and TLS included; 10 s if not set.
    pub fn connect_timeout(mut self, limit: Duration) -> Self {
        self.connect_timeout = limit;
        self
    }

    /// The longest time a request may take, redirects and body included; 30 s if not set. A request may ask for less,
    /// and the step's deadline holds as well.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = limit;
        self
    }

    /// How many redirects are followed; 5 if not set. With 0 they are given back as responses.
    pub fn redirects(mut self, max: u32) -> Self {
        self.redirects = max;
        self
    }

    /// The connector.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] with every setting that is wrong; [`ErrorKind::Unavailable`] if the certificates cannot be
    /// read, the system's or those to be trusted in addition.
    pub fn build(self) -> Result<Http> {
        if !self.faults.is_empty() {
            return Err(Error::new(ErrorKind::Invalid, "build connector")
                .with("connector", "http")
                .with("faults", self.faults.join("; ")));
        }
        let checked = Checked { guard: self.guard.clone(), resolver: self.resolver };
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls(self.roots)?)
            .dns_resolver(Arc::new(checked))
            // A proxy would look the name up itself, unguarded.
            .no_proxy()
            // Each hop is checked by the exchange.
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            // What is retried is for the engine to say, and to remember.
            .retry(reqwest::retry::never())
            .connect_timeout(self.connect_timeout)
            .user_agent(self.user_agent)
            .build()
            .map_err(|e| Error::new(ErrorKind::Invalid, "build connector").with("connector", "http").caused_by(e))?;
        let request = Action::new("request").summary("Sends a request and gives the response");
        Ok(Http {
            description: Arc::new(Description::new("http").summary("Requests to web services").action(request)),
            shared: Arc::new(Shared {
                client,
                guard: self.guard,
                headers: self.headers,
                max_request_bytes: self.max_request_bytes,
                max_response_bytes: self.max_response_bytes,
                timeout: self.timeout,
                redirects: self.redirects,
            }),
        })
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Builder({:?})", self.guard)
    }
}

/// TLS with a provider of our own: the process-wide default is the host's to set.
fn tls(roots: Vec<CertificateDer<'static>>) -> Result<ClientConfig> {
    let failed = |e: rustls::Error| Error::new(ErrorKind::Unavailable, "set up TLS").caused_by(e);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = Verifier::new_with_extra_roots(roots, Arc::clone(&provider)).map_err(failed)?;
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(failed)?
        // "Dangerous" is any verifier that is not rustls's own; this one asks the system.
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}
