//! Connectors inside workflows.

use fastn::connectors::{echo, http, process};
use fastn::prelude::*;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::world::{builder, failure_of, memory};

#[tokio::test]
async fn an_action_that_no_connector_has_is_an_error_when_the_engine_is_opened() {
    let flow = workflow("w").define(|flow, value| flow.call("say", echo::SAY, value)).unwrap();
    let error = builder().serve(&flow).open().await.unwrap_err();
    assert!(format!("{error:?}").contains("echo.say"), "{error:?}");
}

#[tokio::test]
async fn a_call_gives_its_output_to_the_next_step() {
    async fn name(value: Value) -> Result<String, StepError> {
        value["name"].as_str().map(str::to_owned).ok_or_else(|| StepError::permanent("no name"))
    }
    let flow = workflow("w")
        .define(|flow, value| {
            let said = flow.call("say", echo::SAY, value);
            flow.step("name", name, said)
        })
        .unwrap();
    let registry = Registry::new().with(echo::Echo::new()).unwrap();
    let engine = builder().store(memory()).connectors(registry).serve(&flow).open().await.unwrap();
    let run = engine.start(&flow, json!({"name": "Ada"})).await.unwrap();
    assert_eq!(run.output().await.unwrap(), "Ada");
}

#[tokio::test]
async fn a_private_address_is_refused_and_not_retried() {
    let flow = workflow("w").define(|flow, request| flow.call("get", http::REQUEST.retry(5), request)).unwrap();
    let registry = Registry::new().with(http::Http::builder().build().unwrap()).unwrap();
    let engine = builder().store(memory()).connectors(registry).serve(&flow).open().await.unwrap();
    let run = engine.start(&flow, http::Request::get("http://169.254.169.254/latest/meta-data")).await.unwrap();
    let (_, failure) = failure_of(&run).await;
    assert_eq!(failure.kind.as_str(), "forbidden_target");
    assert_eq!(engine.runs().inspect(run.tenant(), run.id()).await.unwrap().history.records.len(), 2);
}

#[tokio::test]
async fn a_command_that_outlives_its_deadline_is_killed_and_its_lines_are_progress() {
    let flow =
        workflow("w").define(|flow, command| flow.call("run", process::RUN.within(millis(300)), command)).unwrap();
    let registry = Registry::new().with(process::Process::default()).unwrap();
    let engine = builder().store(memory()).connectors(registry).serve(&flow).open().await.unwrap();
    let script = r#"echo '{"done":1}'; sleep 60 & wait"#;
    let run = engine.start(&flow, process::Command::new("sh").arg("-c").arg(script)).await.unwrap();
    let mut events = run.events();
    let mut progress = Vec::new();
    while let Some(event) = events.next().await {
        if let RunEvent::Progress { data, .. } = event {
            progress.push(data.decode::<Value>().unwrap());
        }
    }
    assert_eq!(progress, [json!({"done": 1})]);
    assert_eq!(failure_of(&run).await.1.kind, FailureKind::TIMEOUT);
}

/// Answers one request after the other with these texts.
async fn answers(texts: &'static [&'static str]) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        for text in texts {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut seen = Vec::new();
            while !seen.ends_with(b"\r\n\r\n") {
                seen.push(socket.read_u8().await.unwrap());
            }
            socket.write_all(text.as_bytes()).await.unwrap();
        }
    });
    url
}

fn get() -> Workflow<http::Request, http::Response> {
    workflow("get").define(|flow, request| flow.call("get", http::REQUEST.retry(2), request)).unwrap()
}

#[tokio::test]
async fn the_wait_a_service_asks_for_is_kept_by_the_engine() {
    let url = answers(&[
        "HTTP/1.1 429 Too Many Requests\r\nretry-after: 7\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nhi",
    ])
    .await;
    // A clock far from the machine's: the wait is the engine's, by its own clock.
    let start = Timestamp::from_millis(1_000_000);
    let clock = fastn_testkit::ManualClock::at(start);
    let registry = Registry::new().with(http::Http::builder().allow("127.0.0.1").build().unwrap()).unwrap();
    let flow = get();
    let builder = builder().store(memory()).clock(std::sync::Arc::new(clock.clone())).connectors(registry);
    let engine = builder.serve(&flow).open().await.unwrap();
    let run = engine.start(&flow, http::Request::get(url)).await.unwrap();
    while run.status().await.unwrap() != RunStatus::Waiting {
        tokio::task::yield_now().await;
    }
    let history = engine.runs().inspect(run.tenant(), run.id()).await.unwrap().history;
    assert_eq!(history.run.wake_at, Some(start.plus(secs(7))));
    clock.advance(secs(7));
    assert_eq!(run.output().await.unwrap().status, 200);
}

#[tokio::test]
async fn a_redirect_to_a_private_address_fails_the_run_at_once() {
    let url = answers(&[
        "HTTP/1.1 302 Found\r\nlocation: http://10.0.0.1/\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
    ])
    .await;
    let registry = Registry::new().with(http::Http::builder().allow("127.0.0.1").build().unwrap()).unwrap();
    let flow = get();
    let engine = builder().store(memory()).connectors(registry).serve(&flow).open().await.unwrap();
    let (_, failure) = failure_of(&engine.start(&flow, http::Request::get(url)).await.unwrap()).await;
    assert_eq!(failure.kind.as_str(), "forbidden_target");
}

#[tokio::test]
async fn a_call_is_cut_off_by_the_engines_clock_not_the_machines() {
    let flow = workflow("w").define(|flow, command| flow.call("run", process::RUN.within(secs(60)), command)).unwrap();
    let registry = Registry::new().with(process::Process::default()).unwrap();
    // By the machine's clock this deadline passed decades ago.
    let clock = fastn_testkit::ManualClock::at(Timestamp::from_millis(1_000_000));
    let builder = builder().store(memory()).clock(std::sync::Arc::new(clock)).connectors(registry);
    let engine = builder.serve(&flow).open().await.unwrap();
    let run = engine.start(&flow, process::Command::new("true")).await.unwrap();
    assert_eq!(run.output().await.unwrap().code, 0);
}
