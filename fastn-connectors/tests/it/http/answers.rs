//! What comes back, and what is made of it.

use std::time::{Duration, SystemTime};

use fastn_connectors::http::{Body, Request};
use serde_json::json;

use super::server::{Reply, Server};
use super::{builder, fails, send};
use crate::step::{cx, failure};

#[tokio::test]
async fn headers_are_joined_by_name() {
    let fields = "X-A: 1\r\nx-a: 2\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nX-Odd: \u{e9}\r\n";
    let server = Server::answering("200 OK", fields, "").await;
    let response = send(Request::get(server.url("/"))).await.expect("it answers");
    assert_eq!(response.headers["x-a"], "1, 2");
    assert_eq!(response.headers["set-cookie"], "a=1\nb=2");
    assert_eq!(response.headers["x-odd"], "\u{e9}");
}

#[tokio::test]
async fn json_that_is_none_is_text() {
    let server = Server::answering("200 OK", "Content-Type: application/json\r\n", "{\"a\": ").await;
    let response = send(Request::get(server.url("/"))).await.expect("it answers");
    assert_eq!(response.body, Body::Text("{\"a\": ".to_owned()));
    assert_eq!(json!(response)["body"], json!({"text": "{\"a\": "}));
}

#[tokio::test]
async fn an_answer_to_head_has_a_length_but_no_body() {
    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\nConnection: close\r\n\r\n";
    let server = Server::start(|_| Reply::Bytes(head.to_vec())).await;
    let response = send(Request::new("HEAD", server.url("/"))).await.expect("it answers");
    assert_eq!((response.headers["content-length"].as_str(), response.body), ("99999999999", Body::None));
}

#[tokio::test]
async fn statuses_decide_whether_to_try_again() {
    let server = Server::start(|seen| {
        let status = seen.line().split(['/', ' ', '?']).nth(2).unwrap_or_default().to_owned();
        Reply::new(&format!("{status} Some Reason"), "", "{\"error\":\r\n \"no such thing\"}")
    })
    .await;
    let check = async |status: u16, permanent: bool| {
        let failure = fails(Request::get(server.url(&format!("/{status}?key=secret")))).await;
        assert_eq!((failure.kind.as_str(), failure.permanent), (format!("http_{status}").as_str(), permanent));
        assert!(
            failure.message.contains(&status.to_string()) && failure.message.contains("no such thing"),
            "{failure}"
        );
        assert!(failure.message.contains("GET http://127.0.0.1") && !failure.message.contains("secret"), "{failure}");
        assert_eq!(failure.retry_after_ms, None);
    };
    for status in [400, 401, 403, 404, 409, 410, 422, 451] {
        check(status, true).await;
    }
    for status in [408, 425, 429, 500, 502, 503, 504, 599] {
        check(status, false).await;
    }
    for status in [200, 202, 226, 300, 304] {
        let response = send(Request::get(server.url(&format!("/{status}")))).await.expect("it is no failure");
        assert_eq!(response.status, status);
    }
    // What is expected is a success, and then nothing else is.
    let expecting = |status: u16| Request::get(server.url(&format!("/{status}"))).expect(404).expect(503);
    assert_eq!(send(expecting(404)).await.expect("it is expected").status, 404);
    assert_eq!(send(expecting(503)).await.expect("it is expected").status, 503);
    let failure = fails(expecting(200)).await;
    assert_eq!((failure.kind.as_str(), failure.permanent), ("http_200", true));
    assert!(!fails(expecting(500)).await.permanent);
}

#[tokio::test]
async fn retry_after_is_passed_on() {
    let wait = async |status: &'static str, value: String| {
        let server = Server::start(move |_| Reply::new(status, &format!("Retry-After: {value}\r\n"), "")).await;
        fails(Request::get(server.url("/"))).await.retry_after_ms
    };
    let date = |seconds| httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(seconds));
    assert_eq!(wait("429 Too Many Requests", "7".to_owned()).await, Some(7_000));
    assert_eq!(wait("503 Service Unavailable", "999999999".to_owned()).await, Some(3_600_000));
    let dated = wait("503 Service Unavailable", date(120)).await.expect("a date");
    assert!((60_000..=120_000).contains(&dated), "{dated}");
    assert_eq!(wait("503 Service Unavailable", "soon".to_owned()).await, None);
    assert_eq!(wait("404 Not Found", "7".to_owned()).await, None);
}

#[tokio::test]
async fn a_refused_connection_is_tried_again() {
    let server = Server::answering("200 OK", "", "").await;
    let url = server.url("/?key=secret");
    drop(server);
    // The port is free as soon as the task has ended.
    tokio::task::yield_now().await;
    let failure = fails(Request::get(url)).await;
    assert_eq!((failure.kind.as_str(), failure.permanent), ("http_unreachable", false), "{failure}");
    assert!(!format!("{failure} {:?}", failure.chain).contains("secret"), "{:?}", failure.chain);
    assert!(!failure.chain.is_empty());
}

#[tokio::test]
async fn a_broken_answer_is_tried_again_and_asked_for_once() {
    let cases: [&[u8]; 5] = [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Len",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
        b"SSH-2.0-OpenSSH_9.9\r\n",
    ];
    for bytes in cases {
        let server = Server::start(|_| Reply::Bytes(bytes.to_vec())).await;
        let failure = fails(Request::get(server.url("/"))).await;
        let shown = String::from_utf8_lossy(bytes);
        assert_eq!((failure.kind.as_str(), failure.permanent), ("http_broken", false), "{shown:?}: {failure}");
        server.only();
    }
}

#[tokio::test]
async fn an_error_without_end_is_still_that_error() {
    let head = b"HTTP/1.1 503 Busy\r\nRetry-After: 3\r\n\r\n".to_vec();
    for pause in [Duration::ZERO, Duration::from_millis(20)] {
        let head = head.clone();
        let server = Server::start(move |_| Reply::Endless(head.clone(), b"busy ".to_vec(), pause)).await;
        let http = builder().timeout(Duration::from_millis(400)).build().expect("it is fine");
        let failure = failure(http.send(&cx(), Request::get(server.url("/"))).await);
        assert_eq!((failure.kind.as_str(), failure.retry_after_ms), ("http_503", Some(3_000)), "{failure}");
        assert!(failure.message.contains("busy") && failure.message.len() < 400, "{failure}");
    }
}
