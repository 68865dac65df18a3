//! Connectors inside workflows.

use fastn::connectors::{echo, http, process};
use fastn::prelude::*;
use serde_json::{Value, json};

use crate::world::{failure_of, memory};

#[tokio::test]
async fn an_action_that_no_connector_has_is_an_error_when_the_engine_is_opened() {
    let flow = workflow("w").define(|flow, value| flow.call("say", echo::SAY, value)).unwrap();
    let error = Engine::builder().serve(&flow).open().await.unwrap_err();
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
    let engine = Engine::builder().store(memory()).connectors(registry).serve(&flow).open().await.unwrap();
    let run = engine.start(&flow, json!({"name": "Ada"})).await.unwrap();
    assert_eq!(run.output().await.unwrap(), "Ada");
}

#[tokio::test]
async fn a_private_address_is_refused_and_not_retried() {
    let flow = workflow("w").define(|flow, request| flow.call("get", http::REQUEST.retry(5), request)).unwrap();
    let registry = Registry::new().with(http::Http::builder().build().unwrap()).unwrap();
    let engine = Engine::builder().store(memory()).connectors(registry).serve(&flow).open().await.unwrap();
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
    let engine = Engine::builder().store(memory()).connectors(registry).serve(&flow).open().await.unwrap();
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
