//! What other processes tell: a connection that listens.

use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fastn_core::{Error, ErrorKind, Result};
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{AsyncMessage, Client, NoTls, Socket};

use super::config::Place;
use super::database::Database;
use super::fault::fault;
use super::tls;
use crate::board::Board;

const OP: &str = "listen to Postgres";

/// How long after a connection was lost the next one is tried, at first and at most.
const AGAIN: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// How long interest in ends lasts at least: who has waited for one often waits for another.
const LINGERS: Duration = Duration::from_secs(10);

/// Listens from the first time somebody wants news until it is dropped.
#[derive(Debug)]
pub(super) struct Listener {
    place: Place,
    database: Database,
    board: Arc<Board>,
    wants: Arc<Wants>,
    task: Mutex<Option<AbortHandle>>,
}

/// What the listening task is to do.
#[derive(Debug, Default)]
struct Wants {
    /// Ends of runs are of interest: they are not told to nobody.
    ends: AtomicBool,
    /// What others tell is heard just now.
    hearing: AtomicBool,
    changed: Notify,
}

impl Listener {
    pub(super) fn new(place: Place, database: Database, board: Arc<Board>) -> Self {
        Self { place, database, board, wants: Arc::default(), task: Mutex::default() }
    }

    /// Listens from now on, and to ends of runs too if they are of interest.
    ///
    /// # Errors
    /// If encryption cannot be set up.
    pub(super) fn listen(&self, ends: bool) -> Result<()> {
        if ends && !self.wants.ends.swap(true, Ordering::SeqCst) {
            self.wants.changed.notify_one();
        }
        let mut task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        if task.is_some() {
            return Ok(());
        }
        let config = self.place.config.clone();
        let (database, board, wants) = (self.database.clone(), self.board.clone(), self.wants.clone());
        let spawned = match tls::connector(&self.place)? {
            Some(tls) => tokio::spawn(keep_listening(config, tls, database, board, wants)),
            None => tokio::spawn(keep_listening(config, NoTls, database, board, wants)),
        };
        *task = Some(spawned.abort_handle());
        Ok(())
    }

    /// Whether what others tell is heard just now.
    pub(super) fn is_hearing(&self) -> bool {
        self.wants.hearing.load(Ordering::SeqCst)
    }

    /// Listens no more.
    pub(super) fn stop(&self) {
        if let Some(task) = self.task.lock().unwrap_or_else(PoisonError::into_inner).take() {
            task.abort();
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Listens, and connects again whenever the connection is lost. What was missed meanwhile is not known, so then everything
/// may have happened.
async fn keep_listening<T>(
    config: tokio_postgres::Config,
    tls: T,
    database: Database,
    board: Arc<Board>,
    wants: Arc<Wants>,
) where
    T: MakeTlsConnect<Socket> + Clone,
    T::Stream: Unpin,
{
    let mut wait = AGAIN.0;
    loop {
        let mut heard = false;
        let ended = hear(&config, tls.clone(), &database, &board, &wants, &mut heard).await;
        wants.hearing.store(false, Ordering::SeqCst);
        if heard {
            wait = AGAIN.0;
        }
        if let Err(error) = ended {
            tracing::warn!(error = error.chain().join(": "), "nothing is heard from other processes; trying again");
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(AGAIN.1);
    }
}

async fn hear<T>(
    config: &tokio_postgres::Config,
    tls: T,
    database: &Database,
    board: &Board,
    wants: &Wants,
    heard: &mut bool,
) -> Result<()>
where
    T: MakeTlsConnect<Socket>,
    T::Stream: Unpin,
{
    let (client, mut connection) = config.connect(tls).await.map_err(fault(OP))?;
    let messages = async {
        loop {
            match poll_fn(|cx| connection.poll_message(cx)).await {
                Some(Ok(AsyncMessage::Notification(note))) => match note.payload() {
                    "r" => board.tell_runs(),
                    "q" => board.tell_queues(),
                    "m" => board.tell_messages(),
                    "e" => board.tell_ends(),
                    // Of a newer build.
                    _ => board.tell_all(),
                },
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(fault(OP)(error)),
                None => return Err(Error::new(ErrorKind::Unavailable, OP).caused_by("the connection was closed")),
            }
        }
    };
    let ask = async {
        client.batch_execute(&format!("LISTEN \"{}\"", database.channel())).await.map_err(fault(OP))?;
        *heard = true;
        wants.hearing.store(true, Ordering::SeqCst);
        // Whatever was told before this connection listened was missed.
        board.tell_all();
        tell_interest(&client, &database.schema, board, wants).await
    };
    tokio::select! {
        biased;
        ended = messages => ended,
        failed = ask => failed,
    }
}

/// Lets executors know that ends are of interest, by a lock that they look at, for as long as they are or this connection
/// lives: each word of an end costs whoever tells it.
async fn tell_interest(client: &Client, schema: &str, board: &Board, wants: &Wants) -> Result<()> {
    let lock = async |function: &str| {
        let statement = format!("SELECT {function}(hashtext($1 || '.ends'), 0)");
        client.execute(&statement, &[&schema]).await.map(drop).map_err(fault(OP))
    };
    loop {
        while !wants.ends.load(Ordering::SeqCst) {
            wants.changed.notified().await;
        }
        lock("pg_advisory_lock_shared").await?;
        // What ended before is told to nobody else.
        board.tell_all();
        while wants.ends.load(Ordering::SeqCst) {
            tokio::time::sleep(LINGERS).await;
            if !board.hears_ends() {
                wants.ends.store(false, Ordering::SeqCst);
                // Who has asked just now did so before, and has told nobody.
                if board.hears_ends() {
                    wants.ends.store(true, Ordering::SeqCst);
                }
            }
        }
        lock("pg_advisory_unlock_shared").await?;
    }
}
