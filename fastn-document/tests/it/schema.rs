//! The schema says what is read.

use std::fs;
use std::path::Path;

use fastn_document::{Document, schema};
use serde_json::{Value, json};

use crate::ORDER;

#[test]
fn the_schema_that_is_published_is_the_present_one() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema/fastn-1.schema.json");
    let present = serde_json::to_string_pretty(&schema()).unwrap() + "\n";
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        fs::write(&path, &present).unwrap();
    }
    assert_eq!(fs::read_to_string(&path).unwrap_or_default(), present, "UPDATE_EXPECT=1 writes it anew");
}

/// The document as JSON, as YAML reads it.
fn order() -> Value {
    let plain = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    plain(
        r#"{
        "fastn": "1", "name": "order", "version": 3, "deadline": "2h", "requires": ["eu"], "input": {"type": "object"},
        "note": "x", "output": true,
        "nodes": {
            "price": {"transform": {"cents": "${ .a }"}, "note": "what it costs"},
            "check": {
                "switch": [
                    {"name": "large", "when": "${ .b }", "nodes": {"r": {"wait": {"signal": "s", "take": "first"}, "within": "3d"}}, "gives": 1},
                    {"gives": 2, "note": "else"}
                ],
                "in": "${ $nodes.price }"
            },
            "pack": {"each": "${ .c }", "at_most": 4, "nodes": {"box": {
                "task": "box", "in": {"line": "${ . }"},
                "retry": {"attempts": 5, "backoff": "fixed", "wait": "1s", "cap": "2s", "jitter": "none", "elapsed": "1h", "except": ["a"]},
                "undo": {"task": "unbox", "retry": 2}, "durability": "relaxed", "deadline": "1h"
            }}},
            "poll": {"repeat": {"until": "${ . }", "at_most": 100}, "in": false, "nodes": {
                "pause": {"sleep": "10s"},
                "ask": {"call": "bank.state", "in": "${ $nodes.pause }", "on_error": {"gives": true}}
            }, "gives": "${ $nodes.ask }"},
            "ship": {"run": {"workflow": "shipping", "version": 2, "bond": "own"}, "needs": ["check", "pack", "poll"], "position": {"x": 1, "y": 2}}
        },
        "gives": "${ $nodes.ship }"
    }"#,
    )
}

/// The places of all values inside, as JSON Pointers (RFC 6901).
fn pointers(value: &Value, at: &str, out: &mut Vec<String>) {
    out.push(at.to_owned());
    match value {
        Value::Object(map) => {
            map.iter().for_each(|(key, value)| pointers(value, &format!("{at}/{}", key.replace('/', "~1")), out));
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(i, value)| pointers(value, &format!("{at}/{i}"), out))
        }
        _ => {}
    }
}

#[test]
fn whatever_the_schema_refuses_is_refused_and_what_is_read_it_takes() {
    let validator = jsonschema::draft202012::new(&schema()).unwrap();
    let read = |value: &Value| Document::read("x.json", &value.to_string());
    let base = order();
    assert!(validator.is_valid(&base), "{:?}", validator.iter_errors(&base).map(|e| e.to_string()).collect::<Vec<_>>());
    read(&base).unwrap();
    let mut places = Vec::new();
    pointers(&base, "", &mut places);
    let (mut refused, mut taken) = (0, 0);
    let strangers = [
        json!(null),
        json!(true),
        json!(0),
        json!(-1),
        json!(1.5),
        json!("x"),
        json!(""),
        json!([]),
        json!([1]),
        json!({}),
        json!({"zz": 1}),
    ];
    let mut check = |changed: &Value, what: &str| {
        let ours = read(changed);
        if validator.is_valid(changed) {
            taken += 1;
        } else {
            refused += 1;
            assert!(ours.is_err(), "the schema refuses {what}, and it was read\n{changed}");
        }
    };
    for place in &places {
        for stranger in &strangers {
            let mut changed = base.clone();
            *changed.pointer_mut(place).unwrap() = stranger.clone();
            check(&changed, &format!("{stranger} at {place:?}"));
        }
        let mut changed = base.clone();
        if let Some(map) = changed.pointer_mut(place).and_then(Value::as_object_mut) {
            map.insert("stranger".to_owned(), json!(1));
            check(&changed, &format!("a key more at {place:?}"));
        }
        if let Some((parent, key)) = place.rsplit_once('/') {
            let mut changed = base.clone();
            match changed.pointer_mut(parent).unwrap() {
                Value::Object(map) => drop(map.remove(key)),
                Value::Array(items) => drop(items.remove(key.parse().unwrap())),
                _ => continue,
            }
            check(&changed, &format!("what lacks {place:?}"));
        }
    }
    assert!(refused > 300 && taken > 100, "{refused} {taken}");
}

#[test]
fn the_example_of_the_tests_is_as_the_schema_says() {
    // Read as YAML and rendered as JSON.
    let document = Document::read("order.yaml", ORDER).unwrap();
    let plan = document.definition(&fastn_document::Tasks::any()).unwrap();
    let rendered: Value = serde_json::from_str(&fastn_document::render(plan.plan()).unwrap()).unwrap();
    let validator = jsonschema::draft202012::new(&schema()).unwrap();
    let errors: Vec<_> = validator.iter_errors(&rendered).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{errors:?}");
}
