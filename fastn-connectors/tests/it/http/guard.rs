//! Where requests may go, redirects included.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use fastn_connectors::http::{Builder, Http, Request, Resolve};
use fastn_core::{BoxFuture, Failure};

use super::server::{Reply, Server};
use super::{builder, fails, send};
use crate::step::{cx, failure};

async fn fails_by(builder: Builder, url: String) -> Failure {
    failure(builder.build().expect("it is fine").send(&cx(), Request::get(url)).await)
}

fn assert_forbidden(failure: &Failure) {
    assert_eq!((failure.kind.as_str(), failure.permanent), ("forbidden_target", true), "{failure}");
}

#[tokio::test]
async fn local_targets_are_refused_unless_allowed() {
    let server = Server::answering("200 OK", "", "").await;
    let port = server.port();
    let urls =
        ["127.0.0.1", "localhost", "127.1", "2130706433", "0x7f000001", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0"];
    for host in urls {
        assert_forbidden(&fails_by(Http::builder(), format!("http://{host}:{port}/?key=secret")).await);
    }
    assert_forbidden(&fails_by(Http::builder().allow_private(), "http://169.254.169.254/".to_owned()).await);
    assert_forbidden(&fails_by(Http::builder(), "file:///etc/passwd".to_owned()).await);
    assert!(server.seen().is_empty());

    for (builder, host) in [
        (Http::builder().allow_private(), "127.0.0.1"),
        (Http::builder().allow("127.0.0.1"), "127.0.0.1"),
        (Http::builder().allow("localhost"), "localhost"),
        (Http::builder().allow("LocalHost."), "localhost"),
    ] {
        let request = Request::get(format!("http://{host}:{port}/"));
        builder.build().expect("it is fine").send(&cx(), request).await.expect("it is allowed");
    }
}

/// Gives the first list at the first lookup, the second at the second, and counts.
struct Changing {
    answers: [Vec<IpAddr>; 2],
    lookups: Arc<AtomicUsize>,
}

impl Resolve for Changing {
    fn resolve(&self, _: &str) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        let lookup = self.lookups.fetch_add(1, Ordering::SeqCst);
        let answer = self.answers[lookup.min(1)].clone();
        Box::pin(async move { Ok(answer) })
    }
}

fn changing(first: &[&str], second: &[&str]) -> (Changing, Arc<AtomicUsize>) {
    let parse = |texts: &[&str]| texts.iter().map(|text| text.parse().expect("an address")).collect();
    let lookups = Arc::new(AtomicUsize::new(0));
    (Changing { answers: [parse(first), parse(second)], lookups: Arc::clone(&lookups) }, lookups)
}

#[tokio::test]
async fn a_name_is_looked_up_once_and_its_checked_address_is_used() {
    let server = Server::answering("200 OK", "", "").await;
    // Whoever looked twice would find an address that is refused, or end up there.
    let (resolver, lookups) = changing(&["127.0.0.1"], &["127.0.0.99"]);
    let http = Http::builder().allow("127.0.0.1").resolver(resolver).build().expect("it is fine");
    let url = format!("http://rebinding.test:{}/", server.port());
    http.send(&cx(), Request::get(&url)).await.expect("the checked address is used");
    assert_eq!(lookups.load(Ordering::SeqCst), 1);
    assert_forbidden(&failure(http.send(&cx(), Request::get(&url)).await));
    assert_eq!((lookups.load(Ordering::SeqCst), server.seen().len()), (2, 1));
}

#[tokio::test]
async fn one_local_address_among_others_refuses_the_name() {
    let server = Server::answering("200 OK", "", "").await;
    let (resolver, _) = changing(&["127.0.0.1", "10.0.0.1"], &[]);
    let url = format!("http://mixed.test:{}/", server.port());
    let failure = fails_by(Http::builder().allow("127.0.0.1").resolver(resolver), url).await;
    assert_forbidden(&failure);
    assert!(failure.message.contains("10.0.0.1"), "{failure}");
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn a_name_that_is_not_found_is_tried_again() {
    struct Unknown;
    impl Resolve for Unknown {
        fn resolve(&self, _: &str) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
            Box::pin(async { Err(io::Error::other("no such name")) })
        }
    }
    let failure = fails_by(Http::builder().resolver(Unknown), "http://nowhere.test/".to_owned()).await;
    assert_eq!((failure.kind.as_str(), failure.permanent), ("http_unreachable", false), "{failure}");
    assert!(failure.chain.iter().any(|line| line.contains("no such name")), "{:?}", failure.chain);
}

#[tokio::test]
async fn every_hop_of_a_redirect_is_checked() {
    let inner = Server::answering("200 OK", "", "secret").await;
    let port = inner.port();
    for target in ["http://127.0.0.2", "http://[::1]", "//127.0.0.2", "http://0x7f000002"] {
        let location = format!("{target}:{port}/");
        let outer = Server::start(move |_| Reply::redirect("302 Found", &location)).await;
        assert_forbidden(&fails_by(Http::builder().allow("127.0.0.1"), outer.url("/")).await);
    }
    let outer = Server::start(|_| Reply::redirect("302 Found", "file:///etc/passwd")).await;
    assert_eq!(fails(Request::get(outer.url("/"))).await.kind.as_str(), "http_redirect");
    assert!(inner.seen().is_empty());
}

#[tokio::test]
async fn credentials_do_not_follow_to_another_port() {
    let other = Server::answering("200 OK", "", "there").await;
    let location = other.url("/there?x=1");
    let first = Server::start(move |seen| match seen.line().contains("/away") {
        true => Reply::redirect("307 Temporary Redirect", &location),
        false => Reply::redirect("307 Temporary Redirect", "/away"),
    })
    .await;
    let request = Request::post(first.url("/"))
        .header("Authorization", "Bearer secret")
        .header("Cookie", "a=secret")
        .header("X-Api-Key", "secret")
        .header("Accept", "text/plain")
        .body(fastn_connectors::http::Body::Text("payload".to_owned()));
    let http = builder().header("X-Default-Key", "secret").build().expect("it is fine");
    let response = http.send(&cx(), request).await.expect("it is followed");
    assert_eq!((response.status, response.url), (200, other.url("/there?x=1")));

    assert_eq!(first.seen().len(), 2);
    for seen in first.seen() {
        assert_eq!(seen.field("authorization"), Some("Bearer secret"), "the origin is the same");
    }
    let seen = other.only();
    assert_eq!((seen.line(), seen.body.as_slice()), ("POST /there?x=1 HTTP/1.1", b"payload".as_slice()));
    assert!(!seen.head.contains("secret"), "{}", seen.head);
    assert_eq!(seen.field("accept"), Some("text/plain"));
    assert!(seen.field("idempotency-key").is_some());
}

#[tokio::test]
async fn redirects_come_to_an_end() {
    let server = Server::start(|_| Reply::redirect("302 Found", "/again")).await;
    let failure = fails(Request::get(server.url("/"))).await;
    assert_eq!((failure.kind.as_str(), failure.permanent), ("http_redirect", true), "{failure}");
    assert_eq!(server.seen().len(), 6);

    let unfollowed = builder().redirects(0).build().expect("it is fine");
    let response = unfollowed.send(&cx(), Request::get(server.url("/"))).await.expect("it is given back");
    assert_eq!((response.status, response.headers["location"].as_str()), (302, "/again"));
    let lost = Server::answering("302 Found", "", "").await;
    assert_eq!(send(Request::get(lost.url("/"))).await.expect("it leads nowhere").status, 302);
}
