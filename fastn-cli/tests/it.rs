//! The command as people run it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests may fail")]

use std::process::{Command, Output};

use fastn::prelude::*;

fn fastn(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_fastn")).args(args).output().unwrap()
}

fn text(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

async fn half(n: u64) -> Result<u64, StepError> {
    if n.is_multiple_of(2) { Ok(n / 2) } else { Err(StepError::permanent("an odd\nnumber")) }
}

#[tokio::test]
async fn runs_are_listed_and_shown_beside_the_engine_that_runs_them() {
    let dir = tempfile::tempdir().unwrap();
    let store = format!("sqlite:{}", dir.path().join("runs.db").display());
    let flow = workflow("halves")
        .version(2)
        .define(|flow, n| {
            let once = flow.step("once", half, n);
            flow.step("twice", half, once)
        })
        .unwrap();
    let engine = Engine::builder().store(store.clone()).serve(&flow).open().await.unwrap();
    let mut ids = Vec::new();
    for n in [4, 6] {
        let run = engine.start(&flow, n).await.unwrap();
        run.outcome().await.unwrap();
        ids.insert(0, run.id().to_string());
    }

    // The engine is open meanwhile.
    assert_eq!(text(&fastn(&["runs", "list", "--store", &store, "-o", "ids"])), format!("{}\n{}\n", ids[0], ids[1]));
    let table = text(&fastn(&["runs", "list", "--store", &store]));
    let lines: Vec<&str> = table.lines().collect();
    assert!(lines[1].contains("failed") && lines[1].contains("halves v2"), "{table}");
    assert!(lines[2].contains("succeeded"), "{table}");

    let first = text(&fastn(&["runs", "list", "--store", &store, "--limit", "1"]));
    assert!(first.contains(&ids[0]) && !first.contains(&ids[1]), "{first}");
    assert!(first.contains("there are older runs") && !table.contains("there are older runs"), "{first}");
    assert_eq!(text(&fastn(&["runs", "list", "--store", &store, "-o", "ids", "--workflow", "other"])), "");

    let json = text(&fastn(&["runs", "list", "--store", &store, "-o", "json", "--workflow", "halves"]));
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((json[0]["status"].as_str(), json[1]["run"].as_str()), (Some("failed"), Some(ids[1].as_str())));

    let shown = text(&fastn(&["runs", "show", &ids[0], "--store", &store]));
    assert!(shown.contains("once succeeded in attempt 1, 1 bytes"), "{shown}");
    assert!(shown.contains(r"twice failed in attempt 1: twice: an odd\nnumber (error)"), "{shown}");
    let json = text(&fastn(&["runs", "show", &ids[0], "--store", &store, "-o", "json"]));
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let event = &json["events"][0];
    assert_eq!((&event["event"], &event["node"], &event["output"]), (&"succeeded".into(), &"once".into(), &3.into()));
    assert_eq!(json["outcome"]["failure"]["node"], "twice");
    engine.shutdown().await.unwrap();
}

#[test]
fn mistakes_are_told_and_looking_creates_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("nothing.db");
    let output = fastn(&["runs", "list", "--store", &format!("sqlite:{}", path.display())]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("open store: not found"));
    assert!(!path.exists());
    let output = fastn(&["runs", "list", "--store", "memory:"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("cannot be seen from outside"));
    assert_eq!(text(&fastn(&["--version"])), text(&fastn(&["version"])));
    assert_eq!(fastn(&["runs", "show", "not-an-id", "--store", "memory:"]).status.code(), Some(2));
    assert_eq!(fastn(&[]).status.code(), Some(2));
}
