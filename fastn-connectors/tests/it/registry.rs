//! The registry of an engine.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use fastn_connectors::echo::{Echo, SAY};
use fastn_connectors::{Action, Call, Connector, Description, Registry};
use fastn_core::{ErrorKind, Op, Payload, StepError};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

use crate::step::{cx, failure};
use crate::typed::{POST, slack};

#[tokio::test]
async fn echo_gives_back_what_it_gets() {
    let registry = Registry::new().with(Echo::new()).expect("the first");
    // A number no floating point number can hold.
    let input = Payload::json("123456789012345678901234567890");
    assert_eq!(registry.execute(&SAY.action(), input.clone(), cx()).await.expect("it echoes"), input);
}

#[test]
fn a_name_is_taken_once() {
    let error = Registry::new().with(slack()).and_then(|r| r.with(slack())).expect_err("there are two");
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    assert!(error.to_string().contains("slack"), "{error}");
}

#[test]
fn an_ill_formed_description_is_refused() {
    struct Twice(Description);

    #[async_trait::async_trait]
    impl Connector for Twice {
        fn describe(&self) -> &Description {
            &self.0
        }

        async fn execute(&self, call: Call) -> Result<Payload, StepError> {
            Err(call.unknown_action())
        }
    }

    let description = Description::new("twice").action(Action::new("a")).action(Action::new("a"));
    let error = Registry::new().with(Twice(description)).expect_err("an action is there twice");
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("two actions twice.a"), "{error}");
}

#[test]
fn every_missing_action_is_named_with_what_there_is() {
    let registry = Registry::new().with(Echo::new()).and_then(|r| r.with(slack())).expect("they differ");
    let typo: Op<(), ()> = Op::new("slack", "pots");
    let absent: Op<(), ()> = Op::new("mail", "send");
    let used = [POST.action(), typo.action(), absent.action(), typo.action(), SAY.action()];
    let error = registry.check(used.iter()).expect_err("two are missing");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(
        error.to_string(),
        "check actions: not found (missing mail.send (the connectors are echo, slack); slack.pots (slack has post, \
         react))",
    );
    assert!(registry.check([&POST.action(), &SAY.action()].into_iter()).is_ok());
}

#[test]
fn registries_share_nothing() {
    let small = Registry::new().with(Echo::new()).expect("the first");
    let large = small.clone().with(slack()).expect("another");
    assert!(large.has(&POST.action()) && !small.has(&POST.action()));
    assert_eq!(large.descriptions().map(|d| d.name.as_ref()).collect::<Vec<_>>(), ["echo", "slack"]);
}

/// Keeps the fields of the spans it sees, as text.
#[derive(Clone, Default)]
struct Spans(Arc<Mutex<Vec<(&'static str, Values)>>>);

type Values = BTreeMap<&'static str, String>;

struct Fields<'a>(&'a mut Values);

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name(), format!("{value:?}").trim_matches('"').to_owned());
    }
}

impl<S: tracing::Subscriber> Layer<S> for Spans {
    fn on_new_span(&self, attributes: &Attributes<'_>, _: &Id, _: Context<'_, S>) {
        let mut fields = BTreeMap::new();
        attributes.record(&mut Fields(&mut fields));
        self.0.lock().expect("unpoisoned").push((attributes.metadata().name(), fields));
    }

    fn on_record(&self, _: &Id, values: &Record<'_>, _: Context<'_, S>) {
        if let Some((_, fields)) = self.0.lock().expect("unpoisoned").last_mut() {
            values.record(&mut Fields(fields));
        }
    }
}

#[tokio::test]
async fn a_call_has_a_span_with_its_outcome() {
    let spans = Spans::default();
    let _guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(spans.clone()));
    let registry = Registry::new().with(Echo::new()).expect("the first");
    let outcome = |expected: &str| {
        let (name, fields) = spans.0.lock().expect("unpoisoned").last().cloned().expect("there is a span");
        assert_eq!((name, fields["outcome"].as_str()), ("connector.call", expected));
        fields
    };

    registry.execute(&SAY.action(), Payload::null(), cx()).await.expect("it echoes");
    let fields = outcome("succeeded");
    let told = ["connector", "action", "tenant", "node", "attempt"].map(|name| fields[name].as_str());
    assert_eq!(told, ["echo", "say", "default", "charge", "2"]);
    assert_eq!(fields["run"], cx().info().run.to_string());

    failure(registry.execute(&POST.action(), Payload::null(), cx()).await);
    outcome("unknown_action");
}

#[tokio::test]
async fn a_call_that_is_dropped_says_so() {
    let never: Op<(), ()> = Op::new("never", "ends");
    let connector = fastn_connectors::typed("never")
        .op(never, |_, ()| std::future::pending::<Result<(), StepError>>())
        .build()
        .expect("it is well formed");
    let registry = Registry::new().with(connector).expect("the first");
    let spans = Spans::default();
    let _guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(spans.clone()));
    let action = never.action();
    let call = registry.execute(&action, Payload::null(), cx());
    assert!(tokio::time::timeout(std::time::Duration::from_millis(10), call).await.is_err());
    assert_eq!(spans.0.lock().expect("unpoisoned")[0].1["outcome"], "dropped");
}
