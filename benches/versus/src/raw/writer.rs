//! One thread that writes for all: it commits what has gathered while the previous commit ran.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use rusqlite::Connection;
use tokio::sync::oneshot;
use versus_measure::{Ask, Fallible, VALUE};

use super::sqlite;

struct Result {
    run: usize,
    step: usize,
    value: Vec<u8>,
    durable: oneshot::Sender<()>,
}

/// One thread that writes for all.
#[derive(Debug)]
pub struct Writer {
    results: Sender<Result>,
    thread: JoinHandle<rusqlite::Result<()>>,
}

impl Writer {
    pub fn open(ask: &Ask) -> Fallible<Self> {
        let conn = sqlite::open(ask)?;
        let (results, queue) = channel();
        let thread = std::thread::spawn(move || write(&conn, &queue));
        Ok(Self { results, thread })
    }

    /// For a task of its own.
    pub fn handle(&self) -> Handle {
        Handle(self.results.clone())
    }

    /// Ends when all handles are gone.
    pub fn close(self) -> Fallible<()> {
        drop(self.results);
        Ok(self.thread.join().map_err(|_| "the writer panicked")??)
    }
}

/// The way to the writer.
#[derive(Clone, Debug)]
pub struct Handle(Sender<Result>);

impl Handle {
    /// Comes back when the result of a step, 100 bytes, is durable.
    pub async fn record(&self, run: usize, step: usize) -> Fallible<()> {
        let (durable, known) = oneshot::channel();
        let value = VALUE.as_bytes().to_vec();
        self.0.send(Result { run, step, value, durable }).map_err(|_| "the writer is gone")?;
        Ok(known.await?)
    }
}

fn write(conn: &Connection, queue: &Receiver<Result>) -> rusqlite::Result<()> {
    let mut insert = conn.prepare(sqlite::INSERT)?;
    let mut group = Vec::new();
    while let Ok(first) = queue.recv() {
        group.push(first);
        group.extend(queue.try_iter());
        conn.execute_batch("BEGIN IMMEDIATE")?;
        for result in &group {
            insert.execute((result.run as i64, result.step as i64, &result.value))?;
        }
        conn.execute_batch("COMMIT")?;
        for result in group.drain(..) {
            // Who does not wait any more need not know.
            let _ = result.durable.send(());
        }
    }
    Ok(())
}
