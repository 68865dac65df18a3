//! The disk of a PostgreSQL is full for a while: what was acknowledged is there, nothing is done twice that was recorded, and
//! when there is room again all goes on.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use fastn::prelude::*;
use fastn::store::RunQuery;
use fastn_testkit::server::{PostgresSettings, PrivatePostgres};

use crate::world::builder;

/// How many runs are under way when the disk is full, and how much each of their steps writes.
const RUNS: u64 = 40;
const WIDE: usize = 100 << 10;

/// A disk of some size, which goes with its folder.
pub(crate) struct Disk {
    pub(crate) folder: tempfile::TempDir,
}

impl Disk {
    /// One of so many megabytes; `None` where this user may mount none.
    pub(crate) fn mount(size: u32) -> Option<Self> {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        let mounted =
            mount.args(["-t", "tmpfs", "-o", &format!("size={size}m,mode=755"), "tmpfs"]).arg(folder.path()).output();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        mounted.is_ok_and(|output| output.status.success()).then_some(Self { folder })
    }

    fn ballast(&self) -> PathBuf {
        self.folder.path().join("ballast")
    }

    /// Leaves no byte.
    pub(crate) fn fill(&self) {
        let mut file = File::create(self.ballast()).unwrap();
        for size in [1 << 20, 1 << 12, 1] {
            while file.write_all(&vec![0; size]).is_ok() {}
        }
    }

    /// There is room again.
    pub(crate) fn relieve(&self) {
        fs::remove_file(self.ballast()).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").args(["-l"]).arg(self.folder.path()).status();
    }
}

/// Three steps that each write much, and count how often they began; they wait at a gate before the first.
fn wide(counts: Arc<Mutex<BTreeMap<String, usize>>>, gate: tokio::sync::watch::Receiver<bool>) -> Workflow<u64, u64> {
    let step = |name: &'static str| {
        let (counts, gate) = (counts.clone(), gate.clone());
        move |(n, _): (u64, String)| {
            let (counts, mut gate) = (counts.clone(), gate.clone());
            async move {
                gate.wait_for(|open| *open).await.map_err(|e| StepError::new(e.to_string()))?;
                *counts.lock().unwrap().entry(format!("{name} {n}")).or_default() += 1;
                Ok::<_, StepError>((n, "x".repeat(WIDE)))
            }
        }
    };
    workflow("wide")
        .define(|flow, n: Out<'_, u64>| {
            let begun = flow.step("begin", async |n: u64| Ok::<_, StepError>((n, String::new())), n);
            let first = flow.step("first", step("first"), begun);
            let second = flow.step("second", step("second"), first);
            let third = flow.step("third", step("third"), second);
            flow.step("end", async |(n, _): (u64, String)| Ok::<_, StepError>(n + 1), third)
        })
        .unwrap()
}

/// The runs are at their gate; the trouble comes, they go on, and it goes away when it was noticed.
async fn goes_on(url: &str, trouble: impl FnOnce(), noticed: impl Fn() -> bool, relief: impl FnOnce()) {
    let counts = Arc::default();
    let (open, gate) = tokio::sync::watch::channel(false);
    let flow = wide(Arc::clone(&counts), gate);
    let engine = builder().store(url).serve(&flow).patience(Duration::from_secs(300)).open().await.unwrap();
    let mut runs = Vec::new();
    for n in 0..RUNS {
        runs.push((n, engine.start(&flow, n).key(&format!("run {n}")).await.unwrap()));
    }
    trouble();
    open.send(true).unwrap();
    let began = Instant::now();
    while !noticed() {
        assert!(began.elapsed() < Duration::from_secs(120), "nobody noticed");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    relief();
    for (n, run) in &runs {
        assert_eq!(run.output().await.unwrap(), n + 1);
    }
    let page = engine.runs().list(RunQuery { limit: 1_000, ..RunQuery::default() }).await.unwrap();
    assert_eq!(page.runs.len(), runs.len());
    for run in &page.runs {
        assert_eq!(run.status, RunStatus::Succeeded);
        let history = engine.runs().inspect(&run.key.tenant, run.key.run).await.unwrap().history;
        let ends = history.records.iter().filter(|record| matches!(record.event, fastn::core::Event::Finished { .. }));
        assert_eq!(ends.count(), 1);
    }
    let counts: BTreeMap<String, usize> = counts.lock().unwrap().clone();
    assert_eq!(counts.len(), runs.len() * 3, "a step never began");
    engine.shutdown().await.unwrap();
}

fn log_of(folder: &Path) -> String {
    fs::read_to_string(folder.join("log")).unwrap()
}

/// Where a disk can be mounted, which takes root, a real one is filled: the server cannot write its tables, or stops because it
/// cannot write its log. Elsewhere the server says that it is full, which is what its clients see of the former.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_loses_nothing_and_when_there_is_room_all_goes_on() {
    let settings = PostgresSettings::default().fsync(false).shared_buffers("4MB");
    let Some(disk) = Disk::mount(200) else { return refused(&settings).await };
    let settings = settings.set("max_wal_size", "64MB").set("min_wal_size", "32MB").folder(disk.folder.path());
    let server = Mutex::new(PrivatePostgres::start_with(&settings).unwrap());
    let (url, folder) = {
        let server = server.lock().unwrap();
        (server.database("full").unwrap(), server.folder().unwrap().to_owned())
    };
    let noticed = || log_of(&folder).contains("No space left on device");
    let relief = || {
        disk.relieve();
        // It may have stopped for good.
        server.lock().unwrap().restart().unwrap();
    };
    goes_on(&url, || disk.fill(), noticed, relief).await;
    drop(server);
}

/// The same as far as the server itself can say it.
async fn refused(settings: &PostgresSettings) {
    let server = PrivatePostgres::start_with(settings).unwrap();
    let url = server.database("full").unwrap();
    let sql = |statement: &str| server.sql("full", statement).unwrap();
    let trouble = || {
        sql("CREATE SEQUENCE public.refused");
        sql("CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                 PERFORM nextval('public.refused');
                 RAISE 'could not extend file: No space left on device' USING ERRCODE = 'disk_full'; END $$");
        sql("CREATE TRIGGER full_disk BEFORE INSERT ON fastn.flow_journal EXECUTE FUNCTION public.refuse()");
    };
    let noticed = || sql("SELECT CASE WHEN is_called THEN last_value ELSE 0 END > 3 FROM public.refused") == "t";
    goes_on(&url, trouble, noticed, || drop(sql("DROP TRIGGER full_disk ON fastn.flow_journal"))).await;
}

/// What those see who may mount no disk, on every machine.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_says_that_its_disk_is_full_is_asked_again() {
    refused(&PostgresSettings::default().fsync(false)).await;
}
