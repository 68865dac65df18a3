//! What tracing tells of a run.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use fastn::connectors::echo;
use fastn::prelude::*;
use serde_json::json;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

use crate::world::memory;

type Fields = BTreeMap<&'static str, String>;

/// Notes every span with its fields when it closes.
#[derive(Clone, Default)]
struct Notes(Arc<Mutex<Vec<(&'static str, Fields)>>>);

struct Reader<'a>(&'a mut Fields);

impl Visit for Reader<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name(), format!("{value:?}").trim_matches('"').to_owned());
    }
}

impl<S: tracing::Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Notes {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, cx: Context<'_, S>) {
        let mut fields = Fields::new();
        attributes.record(&mut Reader(&mut fields));
        cx.span(id).unwrap().extensions_mut().insert(fields);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, cx: Context<'_, S>) {
        let span = cx.span(id).unwrap();
        let mut extensions = span.extensions_mut();
        values.record(&mut Reader(extensions.get_mut::<Fields>().unwrap()));
    }

    fn on_close(&self, id: Id, cx: Context<'_, S>) {
        let span = cx.span(&id).unwrap();
        let fields = span.extensions_mut().remove::<Fields>().unwrap();
        self.0.lock().unwrap().push((span.name(), fields));
    }
}

#[test]
fn runs_attempts_calls_and_commits_have_spans() {
    let notes = Notes::default();
    // For the whole program, since what one thread's tests have found disabled stays so for the others.
    tracing::subscriber::set_global_default(tracing_subscriber::registry().with(notes.clone())).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let id = runtime.block_on(async {
        async fn fails(_: serde_json::Value) -> Result<u64, StepError> {
            Err(StepError::new("no"))
        }
        let flow = workflow("w")
            .version(4)
            .define(|flow, value| {
                let said = flow.call("say", echo::SAY, value);
                flow.step("fails", fails, said)
            })
            .unwrap();
        let registry = Registry::new().with(echo::Echo::new()).unwrap();
        let engine = Engine::builder().store(memory()).connectors(registry).serve(&flow).open().await.unwrap();
        let run = engine.start(&flow, json!(1)).tenant(TenantId::new("acme").unwrap()).await.unwrap();
        run.outcome().await.unwrap();
        engine.shutdown().await.unwrap();
        run.id().to_string()
    });
    drop(runtime);

    // Taken, so that what is wrong here is not wrong with other tests, which are still noted.
    let notes = std::mem::take(&mut *notes.0.lock().unwrap());
    // Other tests of this program have spans too.
    let ours = |fields: &Fields| fields.get("run").is_none_or(|run| *run == id);
    let find = |name: &str, field: &'static str, value: &str| {
        let fits = |fields: &Fields| ours(fields) && fields.get(field).is_some_and(|found| found == value);
        let found = notes.iter().find(|(n, fields)| *n == name && fits(fields));
        &found.unwrap_or_else(|| panic!("no span {name} with {field} {value} in {notes:#?}")).1
    };
    let check = |fields: &Fields, expected: &[(&'static str, &str)]| {
        for (key, value) in expected {
            assert_eq!(fields.get(key).map(String::as_str), Some(*value), "{key} in {fields:?}");
        }
    };
    let common = [("tenant", "acme"), ("run", id.as_str()), ("workflow", "w")];
    check(find("run", "run", &id), &[("version", "4"), ("outcome", "failed")]);
    check(find("run", "run", &id), &common);
    check(find("step", "node", "say"), &[("attempt", "1"), ("outcome", "succeeded")]);
    check(find("step", "node", "fails"), &[("attempt", "1"), ("outcome", "error")]);
    check(find("step", "node", "fails"), &common);
    check(find("connector.call", "connector", "echo"), &[("action", "say"), ("tenant", "acme"), ("node", "say")]);
    check(find("connector.call", "connector", "echo"), &common);
    // Those of other tests have any number of writes.
    let has = |fields: &Fields, key: &str, value: &str| fields.get(key).is_some_and(|found| found == value);
    let one = |(name, fields): &(&str, Fields)| {
        *name == "store.commit" && has(fields, "outcome", "succeeded") && has(fields, "writes", "1")
    };
    assert!(notes.iter().any(one), "no commit of one write in {notes:#?}");
}
