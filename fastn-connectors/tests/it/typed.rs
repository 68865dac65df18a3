//! Connectors made of typed functions.

use fastn_connectors::{Call, Connector, Typed, typed};
use fastn_core::{Op, Payload, StepCx, StepError};
use serde::{Deserialize, Serialize};

use crate::step::{cx, failure};

#[derive(Serialize, Deserialize)]
pub(crate) struct Message {
    channel: String,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Posted {
    id: String,
}

pub(crate) const POST: Op<Message, Posted> = Op::new("slack", "post");
const REACT: Op<Message, Posted> = Op::new("slack", "react");
const MAIL: Op<Message, Posted> = Op::new("mail", "send");

async fn post(cx: StepCx, message: Message) -> Result<Posted, StepError> {
    Ok(Posted { id: format!("{}@{}", message.channel, cx.info().node) })
}

pub(crate) fn slack() -> Typed {
    typed("slack")
        .summary("Messages to people")
        .op(POST, post)
        .op_with(REACT, |action| action.summary("Adds a mark").idempotent(), post)
        .build()
        .expect("it is well formed")
}

#[tokio::test]
async fn types_go_in_and_come_out() {
    let input = Payload::json(r#"{"channel": "ops"}"#);
    let output = slack().execute(Call::new(POST.action(), input, cx())).await.expect("it posts");
    assert_eq!(output.decode::<Posted>().expect("it is one"), Posted { id: "ops@charge".to_owned() });
}

#[tokio::test]
async fn a_wrong_input_is_named_and_never_retried() {
    let failure = failure(slack().execute(Call::new(POST.action(), Payload::json("{}"), cx())).await);
    assert_eq!((failure.kind.as_str(), failure.permanent), ("invalid", true));
    assert!(failure.message.contains("slack.post") && failure.message.contains("Message"), "{failure}");
    assert!(failure.chain.iter().any(|line| line.contains("channel")), "{:?}", failure.chain);
}

#[tokio::test]
async fn an_action_it_does_not_have_is_no_action() {
    let failure = failure(slack().execute(Call::new(MAIL.action(), Payload::null(), cx())).await);
    assert_eq!((failure.kind.as_str(), failure.permanent), ("unknown_action", true));
}

#[test]
fn all_faults_are_told_at_once() {
    let error = typed("sl ack").op(POST, post).op(POST, post).op(MAIL, post).build().expect_err("it has faults");
    let told = error.to_string();
    for fault in [
        "slack.post is not an action of sl ack",
        "mail.send is not",
        "\"sl ack\" is no name",
        "two actions sl ack.post",
    ] {
        assert!(told.contains(fault), "{told}");
    }
}

#[test]
fn a_connector_describes_itself() {
    let slack = slack();
    let told = serde_json::to_value(slack.describe()).expect("descriptions are JSON");
    let expected = serde_json::json!({
        "name": "slack",
        "summary": "Messages to people",
        "actions": [
            {"name": "post", "summary": "", "idempotent": false},
            {"name": "react", "summary": "Adds a mark", "idempotent": true},
        ],
    });
    assert_eq!(told, expected);
}
