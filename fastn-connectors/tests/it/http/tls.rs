//! TLS: whom it trusts, and that it is not left for less.

use std::sync::Arc;
use std::time::Duration;

use fastn_connectors::http::{Body, Http, Request};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use super::server::{Reply, Server};
use crate::step::{cx, failure};

/// A certificate authority of its own, and a server that has a certificate of it for `localhost`.
fn authority() -> (Vec<u8>, TlsAcceptor) {
    let made = "certificates can be made";
    let mut params = rcgen::CertificateParams::default();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let key = rcgen::KeyPair::generate().expect(made);
    let root = params.self_signed(&key).expect(made);
    let issuer = rcgen::Issuer::new(params, key);
    let key = rcgen::KeyPair::generate().expect(made);
    let leaf = rcgen::CertificateParams::new(["localhost".to_owned()])
        .and_then(|params| params.signed_by(&key, &issuer))
        .expect(made);
    let key = PrivateKeyDer::try_from(key.serialize_der()).expect(made);
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|config| config.with_no_client_auth().with_single_cert(vec![leaf.der().clone()], key))
        .expect(made);
    (root.der().to_vec(), TlsAcceptor::from(Arc::new(config)))
}

fn url(server: &Server) -> String {
    format!("https://localhost:{}/", server.port())
}

#[tokio::test]
async fn only_trusted_servers_are_talked_to() {
    let (root, acceptor) = authority();
    let server = Server::secure(acceptor, |_| Reply::new("200 OK", "", "safe")).await;
    let trusting = Http::builder().allow("127.0.0.0/8").allow("localhost").trust(root).build().expect("it is fine");
    let response = trusting.send(&cx(), Request::get(url(&server))).await.expect("it is trusted");
    assert_eq!(response.body, Body::Text("safe".to_owned()));

    // The certificate is for another name.
    let elsewhere = url(&server).replace("localhost", "127.0.0.1");
    let strict = Http::builder().allow("localhost").build().expect("it is fine");
    for (http, url) in [(&trusting, elsewhere), (&strict, url(&server))] {
        let failure = failure(http.send(&cx(), Request::get(url)).await);
        assert_eq!((failure.kind.as_str(), failure.permanent), ("http_unreachable", false), "{failure}");
    }
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn a_server_without_tls_is_given_up_in_time_and_gets_nothing() {
    // It waits for the end of a head, which a handshake does not have.
    let server = Server::answering("200 OK", "", "").await;
    let http = Http::builder().allow("localhost").connect_timeout(Duration::from_millis(100)).build();
    let failure = failure(http.expect("it is fine").send(&cx(), Request::get(url(&server))).await);
    assert_eq!((failure.kind.as_str(), failure.permanent), ("timeout", false), "{failure}");
    assert!(failure.message.contains("no connection in time") && server.seen().is_empty(), "{failure}");
}

#[tokio::test]
async fn a_redirect_does_not_lead_out_of_tls() {
    let open = Server::answering("200 OK", "", "").await;
    let location = format!("http://localhost:{}/", open.port());
    let (root, acceptor) = authority();
    let server = Server::secure(acceptor, move |_| Reply::redirect("302 Found", &location)).await;
    let http = Http::builder().allow("localhost").trust(root).build().expect("it is fine");
    let failure = failure(http.send(&cx(), Request::get(url(&server))).await);
    assert_eq!((failure.kind.as_str(), failure.permanent), ("forbidden_target", true), "{failure}");
    assert!(open.seen().is_empty());
}
