//! What is sent.

use fastn_connectors::Registry;
use fastn_connectors::http::{Body, REQUEST, Request};
use fastn_core::{Payload, StepCx};
use serde_json::json;

use super::server::Server;
use super::{builder, fails, send};
use crate::step::{cx, failure, info};

#[tokio::test]
async fn it_is_called_through_a_registry_with_json() {
    let server = Server::answering("201 Created", "Content-Type: application/json\r\n", r#"{"id": 7}"#).await;
    let registry = Registry::new().with(builder().build().expect("it is fine")).expect("the first");
    let request = json!({"method": "post", "url": server.url("/orders?a=1"), "body": {"json": {"n": 1}}});
    let input = Payload::encode(&request).expect("it is JSON");
    let output = registry.execute(&REQUEST.action(), input, cx()).await.expect("it answers");
    let response: serde_json::Value = output.decode().expect("it is JSON");
    assert_eq!((&response["status"], &response["body"]), (&json!(201), &json!({"json": {"id": 7}})));
    let seen = server.only();
    assert_eq!((seen.line(), seen.body.as_slice()), ("POST /orders?a=1 HTTP/1.1", br#"{"n":1}"#.as_slice()));
    assert_eq!(seen.field("content-type"), Some("application/json"));
    assert!(seen.field("user-agent").is_some_and(|name| name.starts_with("fastn/")), "{}", seen.head);
    for absent in ["cookie", "referer", "accept-encoding"] {
        assert_eq!(seen.field(absent), None);
    }
    let typo = Payload::encode(&json!({"url": server.url("/"), "header": {}})).expect("it is JSON");
    assert_eq!(failure(registry.execute(&REQUEST.action(), typo, cx()).await).kind.as_str(), "invalid");
}

#[tokio::test]
async fn bodies_are_sent_as_what_they_are() {
    let check = async |body: Body, media_type: Option<&str>, bytes: &[u8]| {
        let server = Server::answering("204 No Content", "", "").await;
        let response = send(Request::post(server.url("/")).body(body)).await.expect("it answers");
        assert_eq!((response.status, response.body), (204, Body::None));
        let seen = server.only();
        assert_eq!((seen.field("content-type"), seen.body.as_slice()), (media_type, bytes));
        assert_eq!(seen.field("content-length"), Some(bytes.len().to_string().as_str()));
    };
    check(Body::None, None, b"").await;
    check(Body::Json(json!([null])), Some("application/json"), b"[null]").await;
    check(Body::Text("é".to_owned()), Some("text/plain; charset=utf-8"), "é".as_bytes()).await;
    check(Body::Bytes(vec![0, 255]), Some("application/octet-stream"), &[0, 255]).await;
}

#[tokio::test]
async fn the_callers_headers_win_and_defaults_fill_in() {
    let server = Server::answering("200 OK", "", "").await;
    let http = builder().header("Authorization", "default").header("X-Both", "default").user_agent("mine/1").build();
    let request = Request::post(server.url("/"))
        .header("x-both", "caller")
        .header("Content-Type", "application/x-thing")
        .header("idempotency-key", "mine")
        .body(Body::Text("x".to_owned()));
    http.expect("it is fine").send(&cx(), request).await.expect("it answers");
    let seen = server.only();
    for (name, value) in [
        ("authorization", "default"),
        ("x-both", "caller"),
        ("content-type", "application/x-thing"),
        ("idempotency-key", "mine"),
        ("user-agent", "mine/1"),
    ] {
        assert_eq!(seen.field(name), Some(value), "{name}");
    }
}

#[tokio::test]
async fn unsafe_methods_carry_the_key_of_the_step() {
    let server = Server::answering("200 OK", "", "").await;
    let http = builder().build().expect("it is fine");
    let key = async |method: &str, node: &str| {
        let cx = StepCx::detached(info(node));
        http.send(&cx, Request::new(method, server.url("/"))).await.expect("it answers");
        server.seen().last().and_then(|seen| seen.field("idempotency-key").map(str::to_owned))
    };
    let run = cx().info().run;
    for method in ["POST", "PUT", "PATCH", "DELETE"] {
        assert_eq!(key(method, "charge").await, Some(info("charge").idempotency_key()), "{method}");
    }
    for method in ["GET", "HEAD", "OPTIONS"] {
        assert_eq!(key(method, "charge").await, None, "{method}");
    }
    // Nodes that make no field value, or one that is too long, still have a key each.
    let (one, two) =
        (key("POST", "Prüfung · 1").await.expect("a key"), key("POST", "Prüfung · 2").await.expect("a key"));
    assert!(one != two && one.is_ascii() && one.starts_with(&run.to_string()));
    assert_eq!(key("POST", "Prüfung · 1").await, Some(one));
    assert!(key("POST", &"x".repeat(256)).await.expect("a key").len() <= 255);
}

#[tokio::test]
async fn what_is_no_request_is_permanent() {
    let server = Server::answering("200 OK", "", "").await;
    let url = || server.url("/");
    let mut requests = vec![
        Request::get("nowhere"),
        Request::get("http://"),
        Request::get(url().replace("http://", "http://user:secret@")),
        Request::new("GE T", url()),
        Request::new("CONNECT", url()),
        Request::new("TRACE", url()),
        Request::get(url()).header("x y", "1"),
        Request::get(url()).header("x", "secret\r\nHost: elsewhere"),
    ];
    for name in ["Host", "Content-Length", "transfer-encoding", "Connection", "TE", "Upgrade"] {
        requests.push(Request::get(url()).header(name, "1"));
    }
    for request in requests {
        let shown = format!("{request:?}");
        let failure = fails(request).await;
        assert_eq!((failure.kind.as_str(), failure.permanent), ("invalid", true), "{shown}: {failure}");
        assert!(!failure.to_string().contains("secret"), "{failure}");
    }
    assert!(server.seen().is_empty());
}

#[test]
fn wrong_settings_are_told_at_once() {
    let error =
        builder().allow("no host").header("x y", "1").header("x", "secret\n").build().expect_err("three faults");
    let told = error.to_string();
    assert!(told.contains("no host") && told.contains("x y") && !told.contains("secret"), "{told}");
}

#[test]
fn secrets_are_not_printed() {
    let request = Request::post("https://a.test/?token=secret").header("authorization", "secret").json(json!("secret"));
    let shown = format!("{request:?}");
    assert!(!shown.contains("secret") && shown.contains("authorization"), "{shown}");
}
