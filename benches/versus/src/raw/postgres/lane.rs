//! One connection that writes for many tasks: a statement inserts what has gathered while the one before ran.

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_postgres::Client;
use versus_measure::{Ask, Fallible, VALUE};

use super::connection;

/// Outside a transaction a statement is one.
const INSERT: &str = "INSERT INTO results (run, step, value) \
                      SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bytea[])";

/// No statement is larger.
const GROUP: usize = 100_000;

struct Result {
    run: usize,
    step: usize,
    value: Vec<u8>,
    durable: oneshot::Sender<()>,
}

/// One connection that writes for many tasks.
#[derive(Debug)]
pub struct Lane {
    results: UnboundedSender<Result>,
    task: JoinHandle<Fallible<()>>,
}

impl Lane {
    pub async fn open(ask: &Ask) -> Fallible<Self> {
        let client = connection::open(ask).await?;
        let (results, queue) = unbounded_channel();
        let task = tokio::spawn(write(client, queue));
        Ok(Self { results, task })
    }

    /// For a task of its own.
    pub fn handle(&self) -> Handle {
        Handle(self.results.clone())
    }

    /// Ends when all handles are gone.
    pub async fn close(self) -> Fallible<()> {
        drop(self.results);
        self.task.await?
    }
}

/// The way to the writer.
#[derive(Clone, Debug)]
pub struct Handle(UnboundedSender<Result>);

impl Handle {
    /// Comes back when the result of a step, 100 bytes, is durable.
    pub async fn record(&self, run: usize, step: usize) -> Fallible<()> {
        let (durable, known) = oneshot::channel();
        let value = VALUE.as_bytes().to_vec();
        self.0.send(Result { run, step, value, durable }).map_err(|_| "the writer is gone")?;
        Ok(known.await?)
    }
}

async fn write(client: Client, mut queue: UnboundedReceiver<Result>) -> Fallible<()> {
    let insert = client.prepare(INSERT).await?;
    let mut group = Vec::new();
    while queue.recv_many(&mut group, GROUP).await > 0 {
        let runs: Vec<i64> = group.iter().map(|result| result.run as i64).collect();
        let steps: Vec<i64> = group.iter().map(|result| result.step as i64).collect();
        let values: Vec<&[u8]> = group.iter().map(|result| result.value.as_slice()).collect();
        client.execute(&insert, &[&runs, &steps, &values]).await?;
        for result in group.drain(..) {
            // Who does not wait any more need not know.
            let _ = result.durable.send(());
        }
    }
    Ok(())
}
