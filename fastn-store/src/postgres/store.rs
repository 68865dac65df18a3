//! The Postgres store as its callers see it.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use deadpool_postgres::Client;
use fastn_core::{Error, ErrorKind, Result, TenantId, Timestamp};
use tokio::task::AbortHandle;

use super::claim::{Unreadable, claim};
use super::config::{self, Place};
use super::database::{Database, Fragile, check_server};
use super::fault::is_of_stale_plan;
use super::lane::{Held, Lane};
use super::lease;
use super::listen::Listener;
use super::migrate::migrate;
use super::numbers::Numbers;
use super::options::{LeaseClock, PostgresOptions};
use super::partitions::Partitions;
use super::quiet::Quiet;
use super::retire::Retired;
use super::time::time;
use super::{commit, prune, read, upkeep};
use crate::board::Board;
use crate::journal::RunState;
use crate::standing::closed;
use crate::{
    Batch, ClaimAsk, Claimed, DefinitionKey, History, Lease, LeaseAsk, Page, Retention, RunKey, RunNo, RunQuery,
    RunStatus, Store, Written,
};

/// How often it is looked whether days are to be made.
const UPKEEP: Duration = Duration::from_secs(60 * 60);

/// How long after opening it is looked for the first time.
const FIRST_UPKEEP: Duration = Duration::from_secs(30);

/// Keeps runs in a PostgreSQL database, version 13 or later.
///
/// Any number of executors, in as many processes, run its runs; each has a lease, which by default ends by the server's
/// clock. What is committed is on the server's disk: `synchronous_commit` is switched on where it is off.
///
/// The URL is libpq's, with these settings besides: `sslmode` from `disable` to `verify-full`, `sslrootcert`, and `schema`.
pub struct PostgresStore {
    name: String,
    options: PostgresOptions,
    shared: Arc<Shared>,
    lanes: Mutex<HashMap<u64, Arc<tokio::sync::Mutex<Lane>>>>,
    /// The leases that were acquired of this store, also those that have ended.
    given: Mutex<HashSet<u64>>,
    /// What the executor of each lease serves, as it said last.
    serves: Mutex<HashMap<u64, Vec<DefinitionKey>>>,
    unreadable: Unreadable,
    quiet: Quiet,
    board: Arc<Board>,
    listener: Listener,
    upkeep: AbortHandle,
}

/// What upkeep needs as well.
struct Shared {
    database: Database,
    numbers: Numbers,
    partitions: Partitions,
}

impl PostgresStore {
    /// Opens the store at a URL, and makes its tables if there are none. Any number of processes may do so at once.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) if the URL or an option cannot be read, or the server refuses the user;
    /// [`Unsupported`](ErrorKind::Unsupported) if the server is too old, or the tables are those of a newer build;
    /// [`Unavailable`](ErrorKind::Unavailable) if the server does not answer.
    pub async fn open(url: &str, options: PostgresOptions) -> Result<Self> {
        let (place, options) = config::parse(url, options)?;
        let name = place.name.clone();
        Self::open_at(place, options).await.map_err(|error| error.with("database", name))
    }

    async fn open_at(place: Place, options: PostgresOptions) -> Result<Self> {
        let database = Database::open(&place, &options)?;
        let (numbers, partitions) = (Numbers::default(), Partitions::default());
        let shared = Arc::new(Shared { database, numbers, partitions });
        let mut client = shared.database.connect_first("open store").await?;
        check_server(&client).await?;
        migrate(&mut client, &shared.database).await?;
        shared.partitions.ensure(&mut client, &shared.database).await?;
        drop(client);
        let board = Arc::<Board>::default();
        let name = place.name.clone();
        let listener = Listener::new(place, shared.database.clone(), board.clone());
        let upkeep = tokio::spawn(keep_up(shared.clone(), options.retention.clone())).abort_handle();
        Ok(Self {
            name,
            options,
            shared,
            lanes: Mutex::default(),
            given: Mutex::default(),
            serves: Mutex::default(),
            unreadable: Unreadable::default(),
            quiet: Quiet::default(),
            board,
            listener,
            upkeep,
        })
    }

    /// Does now what is done each hour: makes the days that come, and drops what is no longer kept, as
    /// [`PostgresOptions::retention`] says.
    ///
    /// # Contract
    /// Whoever else uses the store goes on meanwhile, also with runs of the days that are dropped or written anew. One process
    /// drops at a time: while another does, nothing is dropped.
    ///
    /// # Errors
    /// What the database says; the next hour it is tried again.
    ///
    /// # Cancel safety
    /// What was begun is of no use and harms nobody, and is removed the next time.
    pub async fn keep_up(&self) -> Result<Retired> {
        self.shared.keep_up(&self.options.retention).await
    }

    /// The schema as it stands in SQL.
    pub(super) fn schema(&self) -> &str {
        &self.shared.database.schema
    }

    /// Listens to what other processes tell, from now on.
    pub(super) fn listen(&self, ends: bool) -> Result<()> {
        if self.shared.database.is_closed() { Err(closed()) } else { self.listener.listen(ends) }
    }

    /// Where news hang.
    pub(super) fn board(&self) -> &Board {
        &self.board
    }

    pub(super) async fn connect(&self, op: &'static str) -> Result<Client> {
        self.shared.database.connect(op).await
    }

    /// A connection for what may take long, and is only looked at.
    pub(super) async fn connect_to_look(&self, op: &'static str) -> Result<Client> {
        self.shared.database.connect_to_look(op).await
    }

    /// Makes a call, after which no connection keeps statements that no longer fit, so that trying again is not trying the same.
    pub(super) async fn healed<T>(&self, call: impl Future<Output = Result<T>>) -> Result<T> {
        let done = call.await;
        if done.as_ref().is_err_and(is_of_stale_plan) {
            self.shared.database.forget_statements();
        }
        done
    }

    /// A connection as the host's own are, none of those that the engine needs.
    pub(super) async fn connect_beside(&self, op: &'static str) -> Result<Client> {
        self.shared.database.connect_beside(op).await
    }

    /// Whether a lease was acquired of this store, ended or not.
    pub(super) fn has_given(&self, token: u64) -> bool {
        self.given.lock().unwrap_or_else(PoisonError::into_inner).contains(&token)
    }

    /// The lane of a lease.
    pub(super) async fn lane(
        &self,
        client: &Client,
        op: &'static str,
        token: u64,
    ) -> Result<Arc<tokio::sync::Mutex<Lane>>> {
        if let Some(lane) = self.known_lane(token) {
            return Ok(lane);
        }
        let loaded = Arc::new(tokio::sync::Mutex::new(Lane::load(client, op, token).await?));
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(lanes.entry(token).or_insert(loaded).clone())
    }

    fn known_lane(&self, token: u64) -> Option<Arc<tokio::sync::Mutex<Lane>>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner).get(&token).cloned()
    }

    /// A lease that has ended is remembered no more.
    fn forget(&self, token: u64) {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner).remove(&token);
        self.serves.lock().unwrap_or_else(PoisonError::into_inner).remove(&token);
    }

    pub(super) fn heed<T>(&self, token: u64, result: Result<T>) -> Result<T> {
        if result.as_ref().is_err_and(|error| error.kind() == ErrorKind::Fenced) {
            self.forget(token);
        }
        result
    }

    /// Takes over that runs came into the hands of a lease.
    pub(super) async fn hold(&self, client: &Client, op: &'static str, token: u64, runs: &[Claimed]) -> Result<()> {
        if runs.is_empty() {
            return Ok(());
        }
        let lane = self.lane(client, op, token).await?;
        let mut lane = lane.lock().await;
        // A run that waits takes no memory until something happens in it.
        for Claimed { no, history, .. } in runs.iter().filter(|claim| claim.history.run.status != RunStatus::Waiting) {
            let next = u64::try_from(history.records.len()).unwrap_or(u64::MAX);
            let state = RunState::folded(next, history.run.status, history.run.wake_at);
            lane.runs.entry(RunNo(no.0)).or_insert(Held { state, open: true });
        }
        Ok(())
    }

    /// Makes known what is served.
    pub(super) async fn serve(&self, client: &Client, serves: &[DefinitionKey]) -> Result<()> {
        self.shared.numbers.serve(client, serves).await
    }

    /// What numbers runs and knows where they belong.
    pub(super) fn made_with(&self) -> (&Numbers, &Partitions) {
        (&self.shared.numbers, &self.shared.partitions)
    }

    /// How large a journal may become.
    pub(super) const fn journal_budget(&self) -> usize {
        self.options.journal_budget
    }

    pub(super) const fn lease_clock(&self) -> LeaseClock {
        self.options.lease_clock
    }

    pub(super) fn channel(&self) -> String {
        self.shared.database.channel()
    }
}

/// Makes the days that come and retires those that are over, as long as the store is open.
async fn keep_up(shared: Arc<Shared>, retention: Retention) {
    // Soon at first: not every process lives for an hour.
    let mut wait = FIRST_UPKEEP;
    while !shared.database.is_closed() {
        tokio::time::sleep(wait).await;
        wait = UPKEEP;
        if let Err(error) = shared.keep_up(&retention).await {
            tracing::warn!(error = error.chain().join(": "), "upkeep failed; trying again in an hour");
        }
    }
}

impl Shared {
    async fn keep_up(&self, retention: &Retention) -> Result<Retired> {
        upkeep::keep_up(&self.database, &self.partitions, retention).await
    }
}

#[async_trait]
impl Store for PostgresStore {
    fn name(&self) -> String {
        self.name.clone()
    }

    async fn time(&self) -> Result<Option<Timestamp>> {
        match self.options.lease_clock {
            LeaseClock::Server => time(&self.connect("tell time").await?).await.map(Some),
            LeaseClock::Caller => Ok(None),
        }
    }

    async fn acquire(&self, ask: LeaseAsk) -> Result<Lease> {
        self.healed(async {
            let client = self.shared.database.connect_for_lease("acquire lease").await?;
            let lease = lease::acquire(&client, self.options.lease_clock, ask).await?;
            let lane = Arc::new(tokio::sync::Mutex::new(Lane::new(lease.token)));
            self.lanes.lock().unwrap_or_else(PoisonError::into_inner).insert(lease.token, lane);
            self.given.lock().unwrap_or_else(PoisonError::into_inner).insert(lease.token);
            Ok(lease)
        })
        .await
    }

    async fn renew(&self, lease: &Lease, until: Timestamp) -> Result<()> {
        self.healed(async {
            // Whoever no longer waits for the answer may have heard nothing for long: the next must not be given that connection.
            let (database, since) = (&self.shared.database, Instant::now());
            let fragile = Fragile::new(database.connect_for_lease("renew lease").await?, database, since);
            let serves = self.serves.lock().unwrap_or_else(PoisonError::into_inner).get(&lease.token).cloned();
            let claimable = (serves.as_deref().unwrap_or_default(), &*self.unreadable.all());
            let renewed = lease::renew(fragile.client()?, self.options.lease_clock, lease, until, claimable).await;
            let client = fragile.answered();
            if renewed.as_ref().is_err_and(Error::is_transient)
                && let Some(client) = client
            {
                Database::give_back(client).await;
            }
            if self.heed(lease.token, renewed)? {
                self.board.tell_runs();
                // Those of queues are not claimed: whoever admits has to look.
                self.board.tell_queues();
            }
            Ok(())
        })
        .await
    }

    async fn release(&self, lease: &Lease) -> Result<()> {
        self.healed(async {
            let mut client = self.connect("release lease").await?;
            let lane = self.known_lane(lease.token);
            // Whatever is under way under it comes first.
            let _held = match &lane {
                Some(lane) => Some(Lane::at_rest(lane).await),
                None => None,
            };
            lease::release(&mut client, &self.shared.database, lease.token).await?;
            self.forget(lease.token);
            self.board.tell_runs();
            self.board.tell_queues();
            Ok(())
        })
        .await
    }

    async fn commit(&self, batch: Batch) -> Result<Vec<Written>> {
        let mut client = self.connect("commit").await?;
        let written = self.write(&client, &batch).await;
        if written.is_ok() {
            self.tell_of(&batch);
        }
        if written.as_ref().is_err_and(|error| error.kind() == ErrorKind::Unavailable) {
            // Perhaps a day is missing: the next time it is there. If it cannot be made, the first error tells more.
            if !client.is_closed() {
                let _ = self.shared.partitions.ensure(&mut client, &self.shared.database).await;
                Database::give_back(client).await;
            }
        }
        written
    }

    fn comes_back(&self) -> bool {
        true
    }

    async fn introduce(&self, tenant: &TenantId, definition: &DefinitionKey) -> Result<()> {
        self.healed(async {
            let client = self.connect("find definition").await?;
            self.shared.numbers.definition(&client, tenant, definition).await.map(drop)
        })
        .await
    }

    /// While the server makes one group of writes true, the next one gathers and a second is on its way.
    fn commits_at_once(&self) -> usize {
        commit::AT_ONCE
    }

    async fn claim(&self, ask: ClaimAsk) -> Result<Vec<Claimed>> {
        self.healed(async {
            let heard = self.board.news().runs;
            // What comes of time passing is told by renewals.
            let told = self.listener.is_hearing() && self.options.lease_clock == LeaseClock::Server;
            if told && self.quiet.is_sure(&ask, heard) {
                return Ok(Vec::new());
            }
            let mut client = self.connect("claim runs").await?;
            self.serves.lock().unwrap_or_else(PoisonError::into_inner).insert(ask.lease, ask.serves.clone());
            self.shared.numbers.serve(&client, &ask.serves).await?;
            let claimed = claim(&mut client, self.options.lease_clock, &self.unreadable, &ask).await;
            let (claimed, left) = self.heed(ask.lease, claimed)?;
            if left {
                self.board.tell_queues();
            }
            if claimed.is_empty() {
                self.quiet.note(ask, heard);
                return Ok(claimed);
            }
            self.hold(&client, "claim runs", ask.lease, &claimed).await?;
            Ok(claimed)
        })
        .await
    }

    async fn read(&self, run: &RunKey) -> Result<Option<History>> {
        self.healed(async { read::read(&mut self.connect("read run").await?, run).await }).await
    }

    async fn plan(&self, tenant: &TenantId, definition: &DefinitionKey) -> Result<Option<String>> {
        self.healed(async { read::plan(&self.connect("read plan").await?, tenant, definition).await }).await
    }

    async fn list(&self, query: RunQuery) -> Result<Page> {
        self.healed(async { read::list(&self.connect_to_look("list runs").await?, &query).await }).await
    }

    async fn prune(&self, before: Timestamp, limit: u32) -> Result<u64> {
        self.healed(async { prune::prune(&mut self.connect("prune runs").await?, self.schema(), before, limit).await })
            .await
    }

    async fn close(&self) -> Result<()> {
        if self.shared.database.is_closed() {
            return Err(closed());
        }
        self.upkeep.abort();
        let lanes: Vec<_> = {
            let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
            lanes.drain().map(|(_, lane)| lane).collect()
        };
        for lane in lanes {
            drop(Lane::at_rest(&lane).await);
        }
        self.listener.stop();
        self.shared.database.close();
        self.board.close();
        Ok(())
    }
}

impl Drop for PostgresStore {
    fn drop(&mut self) {
        self.upkeep.abort();
    }
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PostgresStore({})", self.name)
    }
}
