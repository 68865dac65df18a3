//! Sizes and deadlines.

use std::time::{Duration, Instant};

use fastn_connectors::http::{Body, Request};

use super::server::{Reply, Server};
use super::{builder, fails};
use crate::step::{cx, cx_until, failure};

const CHUNKED: &[u8] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

#[tokio::test]
async fn a_body_that_is_too_large_is_cut_off_before_it_is_held() {
    let until_close = b"HTTP/1.1 200 OK\r\n\r\n";
    let announced = b"HTTP/1.1 200 OK\r\nContent-Length: 1099511627776\r\n\r\n";
    let chunk = [b"1000\r\n".as_slice(), &[b'x'; 0x1000], b"\r\n"].concat();
    for (head, chunk) in [(CHUNKED, chunk), (until_close, vec![b'x'; 0x1000]), (announced, vec![b'x'; 0x1000])] {
        // Endless: it can only be cut off.
        let server = Server::start(move |_| Reply::Endless(head.to_vec(), chunk.clone(), Duration::ZERO)).await;
        let http = builder().max_response_bytes(100_000).build().expect("it is fine");
        let failure = failure(http.send(&cx(), Request::get(server.url("/"))).await);
        assert_eq!((failure.kind.as_str(), failure.permanent), ("too_large", true), "{failure}");
    }
}

#[tokio::test]
async fn the_limit_itself_is_allowed() {
    let server = Server::answering("200 OK", "", "12345").await;
    let send = async |max| {
        let http = builder().max_response_bytes(max).build().expect("it is fine");
        http.send(&cx(), Request::get(server.url("/"))).await
    };
    assert_eq!(send(5).await.expect("it fits").body, Body::Text("12345".to_owned()));
    assert_eq!(failure(send(4).await).kind.as_str(), "too_large");
}

#[tokio::test]
async fn a_request_that_is_too_large_is_not_sent() {
    let server = Server::answering("200 OK", "", "").await;
    let http = builder().max_request_bytes(4).build().expect("it is fine");
    let request = |text: &str| Request::post(server.url("/")).body(Body::Text(text.to_owned()));
    let failure = failure(http.send(&cx(), request("12345")).await);
    assert_eq!((failure.kind.as_str(), failure.permanent), ("too_large", true));
    assert!(server.seen().is_empty());
    http.send(&cx(), request("1234")).await.expect("it fits");
}

#[tokio::test]
async fn the_shortest_deadline_holds() {
    let short = Duration::from_millis(100);
    let drip = b"1\r\nx\r\n".to_vec();
    let slow = Server::start(move |seen| match seen.line().contains("drip") {
        true => Reply::Endless(CHUNKED.to_vec(), drip.clone(), Duration::from_millis(5)),
        false => Reply::Silence,
    })
    .await;
    for path in ["/silence", "/drip"] {
        let request = || Request::get(slow.url(path));
        let started = Instant::now();
        let by_config = builder().timeout(short).build().expect("it is fine").send(&cx(), request()).await;
        let by_request = fails(request().timeout(short)).await;
        let by_step = builder().build().expect("it is fine").send(&cx_until(short), request()).await;
        for failure in [failure(by_config), by_request, failure(by_step)] {
            assert_eq!((failure.kind.as_str(), failure.permanent), ("timeout", false), "{path}: {failure}");
        }
        assert!(started.elapsed() < Duration::from_secs(10));
    }
}

#[tokio::test]
async fn a_deadline_that_has_passed_sends_nothing() {
    let server = Server::answering("200 OK", "", "").await;
    let http = builder().build().expect("it is fine");
    let failure = failure(http.send(&cx_until(Duration::ZERO), Request::get(server.url("/"))).await);
    assert_eq!(failure.kind.as_str(), "timeout");
    assert!(server.seen().is_empty());
}
