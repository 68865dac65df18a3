//! Databases that older builds left behind: every build opens them and goes on with their runs.
//!
//! When the format changes, a file of the new format is added beside the old ones, which stay as they are:
//! `FASTN_WRITE_FIXTURE=tests/fixtures/NAME.db cargo test --test it old_formats`.

use std::path::{Path, PathBuf};

use fastn::prelude::*;

use crate::world::{Log, Res, noted};

/// Changes to this workflow would make the files useless: it stays as it is.
fn patient(log: &Log, rest: std::time::Duration) -> Workflow<u64, u64> {
    async fn list(n: u64) -> Res<Vec<u64>> {
        Ok((0..n).collect())
    }
    async fn sum(items: Vec<u64>) -> Res<u64> {
        Ok(items.into_iter().sum())
    }
    async fn undo(_: u64) -> Res<()> {
        Ok(())
    }
    async fn small(n: u64) -> Res<u64> {
        if n < 100 { Ok(n) } else { Err(StepError::permanent("too large")) }
    }
    workflow("patient")
        .define(|flow, n| {
            let first = flow.step("first", noted(log, "first").undo(undo), n);
            let items = flow.step("list", list, first);
            let items = flow.each("each", items.at_most(2), |flow, item| flow.step("item", noted(log, "item"), item));
            let total = flow.step("sum", sum, items);
            let total = flow.step("small", small, total);
            let rested = flow.sleep("rest", rest, total);
            flow.when("large", |n: &u64| *n > 5, rested, |flow, n| flow.step("last", noted(log, "last"), n), |_, n| n)
        })
        .unwrap()
}

fn url(path: &Path) -> String {
    format!("sqlite:{}", path.display())
}

/// One run that succeeded, one that failed and was undone, and one in the middle of its rest.
async fn write(path: &Path) {
    let log = Log::default();
    let short = patient(&log, millis(1));
    let engine = Engine::builder().store(url(path)).serve(&short).open().await.unwrap();
    assert_eq!(engine.start(&short, 3).key("succeeded").await.unwrap().output().await.unwrap(), 3);
    assert!(engine.start(&short, 99).key("failed").await.unwrap().output().await.is_err());
    engine.shutdown().await.unwrap();
    let long = patient(&log, days(1));
    let engine = Engine::builder().store(url(path)).serve(&long).open().await.unwrap();
    let run = engine.start(&long, 4).key("resting").await.unwrap();
    while run.status().await.unwrap() != RunStatus::Waiting {
        tokio::task::yield_now().await;
    }
    engine.shutdown().await.unwrap();
}

#[tokio::test]
async fn old_databases_are_opened_and_their_runs_go_on() {
    if let Some(path) = std::env::var_os("FASTN_WRITE_FIXTURE") {
        write(Path::new(&path)).await;
    }
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let files: Vec<PathBuf> = std::fs::read_dir(fixtures)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "db"))
        .collect();
    assert!(!files.is_empty());
    for file in files {
        let dir = tempfile::tempdir().unwrap();
        let copy = dir.path().join("copy.db");
        std::fs::copy(&file, &copy).unwrap();
        let log = Log::default();
        let flow = patient(&log, days(1));
        let clock = fastn_testkit::ManualClock::at(Timestamp::from(std::time::SystemTime::now()).plus(days(2)));
        let builder = Engine::builder().store(url(&copy)).clock(std::sync::Arc::new(clock)).serve(&flow);
        let engine = builder.open().await.unwrap();
        let tenant = TenantId::default();
        let ended = |key| engine.runs().handle::<u64>(&tenant, RunId::named(key));
        assert_eq!(ended("succeeded").output().await.unwrap(), 3);
        assert_eq!(ended("failed").status().await.unwrap(), RunStatus::Failed);
        assert_eq!(ended("resting").output().await.unwrap(), 6, "{}", file.display());
        assert_eq!(log.take(), ["last"], "only what was not recorded ran");
        engine.shutdown().await.unwrap();
    }
}
