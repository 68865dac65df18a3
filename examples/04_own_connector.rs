//! A connector of your own is a name, a typed constant for each action, and a function behind each constant.
#![allow(clippy::print_stdout, reason = "an example prints")]

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use fastn::connectors::Typed;
use fastn::prelude::*;
use serde::{Deserialize, Serialize};

/// The connector `chat`: what belongs to it stands together, as it would in a crate of its own.
mod chat {
    use super::*;

    #[derive(Serialize, Deserialize)]
    pub(crate) struct Message {
        pub(crate) channel: String,
        pub(crate) text: String,
    }

    #[derive(Serialize, Deserialize)]
    pub(crate) struct Posted {
        pub(crate) link: String,
    }

    /// Posts a message. The constant wires flows: it says what the action takes and gives.
    pub(crate) const POST: Op<Message, Posted> = Op::new("chat", "post");
    /// Takes a message back. Declared here, but this version of the connector cannot do it yet.
    pub(crate) const DELETE: Op<Posted, ()> = Op::new("chat", "delete");

    pub(crate) fn connector() -> Result<Typed, Error> {
        // Stands for the service, which knows messages by their idempotency keys.
        let posted = Arc::new(Mutex::new(BTreeSet::new()));
        let post = move |cx: StepCx, message: Message| {
            let posted = posted.clone();
            async move {
                // Every attempt has the same key, so the service can tell a second try from a second message.
                let key = cx.info().idempotency_key();
                if posted.lock().unwrap_or_else(PoisonError::into_inner).insert(key) {
                    println!("#{}: {}", message.channel, message.text);
                    return Err(StepError::new("the connection broke before the answer came"));
                }
                println!("attempt {}: the service knows the message already", cx.info().attempt);
                Ok(Posted { link: format!("chat.example/{}/1", message.channel) })
            }
        };
        typed("chat")
            .summary("Messages to people")
            .op_with(POST, |action| action.summary("Posts a message"), post)
            .build()
    }
}

async fn greet(name: String) -> Result<chat::Message, StepError> {
    Ok(chat::Message { channel: "welcome".to_owned(), text: format!("Hello {name}!") })
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let registry = Registry::new().with(chat::connector()?)?;
    for connector in registry.descriptions() {
        println!("{}: {}", connector.name, connector.summary);
    }

    let welcome = workflow("welcome").define(|flow, name| {
        let message = flow.step("greet", greet, name);
        flow.call("post", chat::POST.retry(3).within(secs(5)), message)
    })?;
    let engine = Engine::builder().connectors(registry.clone()).serve(&welcome).open().await?;
    let posted = engine.start(&welcome, "Ada".to_owned()).await?.output().await?;
    println!("posted as {}", posted.link);
    engine.shutdown().await?;

    // Whether every action exists is found out when the engine opens, not when a run gets there.
    let retract = workflow("retract").define(|flow, posted| flow.call("delete", chat::DELETE, posted))?;
    if let Err(error) = Engine::builder().connectors(registry).serve(&retract).open().await {
        println!("{error}");
    }
    Ok(())
}
