//! How many turns a second the SQLite store commits: group commits over many runs, as an engine under load makes them.
//!
//! `cargo run --release -p fastn-store --example commit_rate -- [folder] [turns per commit] [full|normal]`
//!
//! The folder must be on a real disk for the figure to mean anything.
#![allow(clippy::print_stdout, reason = "a program that tells what it measured")]

use std::path::PathBuf;
use std::time::{Duration, Instant};

use bytes::Bytes;
use fastn_core::plan::PlanHash;
use fastn_core::{
    Address, Attempt, Error, ErrorKind, Event, ExecutorId, Outcome, Part, Payload, Record, RunId, TenantId, Timestamp,
    Version, WorkflowName, plan::NodeIx,
};
use fastn_store::{
    Batch, DefinitionKey, LeaseAsk, NewRun, RunKey, RunNo, RunStatus, SqliteOptions, SqliteStore, Store, Synchronous,
    Then, Turn, Write, Written,
};

const RUNS: u64 = 10_000;
/// Turns of each run; the last one ends it.
const TURNS: u64 = 30;
const BYTES: usize = 150;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build()?;
    Ok(runtime.block_on(measure())?)
}

async fn measure() -> Result<(), Error> {
    let mut args = std::env::args().skip(1);
    let folder = args.next().map_or_else(std::env::temp_dir, PathBuf::from);
    let group = args.next().and_then(|text| text.parse().ok()).unwrap_or(1_000);
    let synchronous = if args.next().as_deref() == Some("normal") { Synchronous::Normal } else { Synchronous::Full };
    let path = folder.join(format!("commit_rate_{}.db", std::process::id()));
    let options = SqliteOptions::default().synchronous(synchronous);
    let store = SqliteStore::open(&path, options).await?;

    let executor = ExecutorId::new("commit_rate").map_err(invalid)?;
    let ask = LeaseAsk { executor, now: Timestamp::EPOCH, ttl: Duration::from_secs(3600) };
    let lease = store.acquire(ask).await?.token;
    let commit = async |writes| store.commit(Batch { lease: Some(lease), now: Timestamp::EPOCH, writes }).await;

    let start = Instant::now();
    let mut runs = Vec::new();
    for chunk in new_runs()?.chunks(group) {
        for written in commit(chunk.to_vec()).await? {
            if let Written::Created(no) = written {
                runs.push(no);
            }
        }
    }
    let created = start.elapsed();

    let (step, end) = (step()?, end()?);
    let start = Instant::now();
    for seq in 0..TURNS {
        let last = seq + 1 == TURNS;
        let (records, then) = if last { (&end, Then::End(RunStatus::Succeeded)) } else { (&step, Then::Run) };
        for chunk in runs.chunks(group) {
            commit(chunk.iter().map(|no| turn(*no, seq, records, then)).collect()).await?;
        }
    }
    let turned = start.elapsed();

    store.close().await?;
    let size = std::fs::metadata(&path).map_or(0, |meta| meta.len());
    let payload = RUNS * TURNS * step.len() as u64;
    println!("{synchronous:?}, {RUNS} runs of {TURNS} turns of {} bytes, {group} turns a commit:", step.len());
    println!("  {:>9.0} runs created a second", RUNS as f64 / created.as_secs_f64());
    println!("  {:>9.0} turns a second", (RUNS * TURNS) as f64 / turned.as_secs_f64());
    println!("  {:>9.2} bytes of file for a byte of records", size as f64 / payload as f64);
    for ending in ["", ".lock"] {
        // Whatever cannot be removed is left for the owner of the folder.
        let _ = std::fs::remove_file(format!("{}{ending}", path.display()));
    }
    Ok(())
}

fn turn(run: RunNo, first: u64, records: &Bytes, then: Then) -> Write {
    Write::Turn(Turn { run, first, count: 1, records: records.clone(), then })
}

fn new_runs() -> Result<Vec<Write>, Error> {
    let workflow = WorkflowName::new("checkout").map_err(invalid)?;
    let definition = DefinitionKey { workflow, version: Version(1), shape: PlanHash([1; 32]) };
    let new = |n: u64| {
        let mut random = [0; 10];
        random[2..].copy_from_slice(&n.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes());
        let key = RunKey { tenant: TenantId::default(), run: RunId::at(Timestamp::EPOCH, random) };
        let input = Payload::json(format!("{{\"order\":{n}}}"));
        let definition = definition.clone();
        Write::Create(NewRun { key, definition, plan: None, input, created_at: Timestamp::EPOCH }.into())
    };
    Ok((0..RUNS).map(new).collect())
}

/// A step's result that takes about [`BYTES`].
fn step() -> Result<Bytes, Error> {
    let at = Address { node: NodeIx(3), items: Vec::new() };
    let output = Payload::json(vec![b'1'; BYTES - 20]);
    encoded(Event::Succeeded { at, part: Part::Work, attempt: Attempt::FIRST, output })
}

fn end() -> Result<Bytes, Error> {
    encoded(Event::Finished { outcome: Outcome::Succeeded(Payload::null()) })
}

fn encoded(event: Event) -> Result<Bytes, Error> {
    let mut buffer = Vec::new();
    Record { time: Timestamp::from_millis(1_800_000_000_000), event }.append_to(&mut buffer)?;
    Ok(buffer.into())
}

fn invalid(error: fastn_core::InvalidName) -> Error {
    Error::new(ErrorKind::Invalid, "make name").caused_by(error)
}
