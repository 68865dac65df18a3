//! A store that forgets: the reference of the contract.

mod gather;
mod mailbox;
mod queues;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use fastn_core::{EntryKind, Error, ErrorKind, Payload, Record, Result, TenantId, Timestamp};

use self::queues::Lines;
use crate::board::Board;
use crate::entries::Entries;
use crate::mail::Mail;
use crate::queue::check_item;
use crate::standing::{Standing, Verdict, closed, fenced, no_lease, no_such_run, status_after};
use crate::{
    Batch, ClaimAsk, Claimed, DefinitionKey, Entry, EntryKey, Existing, History, Lease, LeaseAsk, NewRun, Page, Put,
    QUEUE, Repository, RunKey, RunNo, RunQuery, RunStatus, RunSummary, Scan, Store, Then, Turn, Write, Written,
};

/// Keeps runs in memory, for tests and for work that need not survive the process.
///
/// It allows several leases at once. A lease that was not renewed in time ends when another one claims.
#[derive(Default)]
pub struct MemoryStore {
    /// `None` once closed. One lock for everything: two batches never interleave.
    house: Mutex<Option<Box<House>>>,
    board: Board,
}

/// All that is known.
#[derive(Default)]
struct House {
    leases: BTreeMap<u64, Lease>,
    last_token: u64,
    /// By number; numbers grow, so this is also the order of creation.
    runs: BTreeMap<RunNo, Run>,
    by_key: HashMap<RunKey, RunNo>,
    plans: HashMap<(TenantId, DefinitionKey), Arc<str>>,
    mail: Mail,
    lines: Lines,
    last_run: u64,
    entries: Entries,
}

struct Run {
    key: RunKey,
    definition: DefinitionKey,
    input: Payload,
    status: RunStatus,
    created_at: Timestamp,
    finished_at: Option<Timestamp>,
    wake_at: Option<Timestamp>,
    /// The token of the lease that holds it; it counts only while there is that lease. That of one that was released is
    /// taken out, so one that is no more has died.
    holder: Option<u64>,
    /// Whether a lease ever held it.
    begun: bool,
    /// How many of its holders in a row have died over it.
    deaths: u32,
    /// How many records it had when the last of these was counted.
    died_at: u64,
    records: Vec<u8>,
    next: u64,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self { house: Mutex::new(Some(Box::default())), board: Board::default() }
    }

    fn with<R>(&self, work: impl FnOnce(&mut House) -> Result<R>) -> Result<R> {
        // Nothing below panics half-way through a change, so a poisoned lock still guards a sound house.
        let mut house = self.house.lock().unwrap_or_else(PoisonError::into_inner);
        work(house.as_mut().ok_or_else(closed)?)
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MemoryStore")
    }
}

#[async_trait]
impl Repository for MemoryStore {
    async fn get(&self, key: &EntryKey) -> Result<Option<Entry>> {
        self.with(|house| Ok(house.entries.get(key)))
    }

    async fn put(&self, put: Put) -> Result<u64> {
        let queue = put.key.kind.as_str() == QUEUE;
        let version = self.with(|house| house.entries.put(put))?;
        if queue {
            self.board.tell_queues();
        }
        Ok(version)
    }

    async fn scan(&self, scan: Scan) -> Result<Vec<Entry>> {
        self.with(|house| Ok(house.entries.scan(&scan)))
    }

    async fn latest(&self, kind: &EntryKind) -> Result<u64> {
        self.with(|house| Ok(house.entries.latest(kind)))
    }
}

#[async_trait]
impl Store for MemoryStore {
    fn name(&self) -> String {
        "memory".to_owned()
    }

    async fn acquire(&self, ask: LeaseAsk) -> Result<Lease> {
        self.with(|house| {
            house.last_token += 1;
            let lease = Lease { executor: ask.executor, token: house.last_token, until: ask.now.plus(ask.ttl) };
            house.leases.insert(lease.token, lease.clone());
            Ok(lease)
        })
    }

    async fn renew(&self, lease: &Lease, until: Timestamp) -> Result<()> {
        self.with(|house| {
            let held = house.leases.get_mut(&lease.token).ok_or_else(|| fenced("renew lease", lease.token))?;
            held.until = until;
            Ok(())
        })
    }

    async fn release(&self, lease: &Lease) -> Result<()> {
        self.with(|house| {
            if house.leases.remove(&lease.token).is_some() {
                house.let_go(lease.token);
            }
            Ok(())
        })?;
        self.board.tell_runs();
        self.board.tell_queues();
        Ok(())
    }

    async fn commit(&self, batch: Batch) -> Result<Vec<Written>> {
        let ends = |write: &Write| matches!(write, Write::Turn(Turn { then: Then::End(_), .. }));
        let (lease, ends) = (batch.lease, batch.writes.iter().any(ends));
        let (written, queues) = self.with(|house| {
            let mut queues = false;
            let verdicts = house.judge(&batch)?;
            for (write, verdict) in batch.writes.iter().zip(verdicts) {
                if let (Write::Turn(turn), Verdict::Add) = (write, verdict) {
                    queues |= house.add(turn, batch.now);
                }
            }
            // After the turns, so that a run that exists is shown as they leave it.
            let written = batch.writes.into_iter().map(|write| match write {
                Write::Create(new) => house.create(&new, batch.lease),
                Write::Enqueue(new) => {
                    let (written, news) = house.enqueue(&new, batch.now);
                    queues |= news;
                    written
                }
                Write::Turn(_) => Written::Turned,
            });
            let written = written.collect::<Vec<_>>();
            Ok((written, queues))
        })?;
        if queues {
            self.board.tell_queues();
        }
        if ends {
            self.board.tell_ends();
        }
        if lease.is_none() {
            self.board.tell_runs();
        }
        Ok(written)
    }

    async fn claim(&self, ask: ClaimAsk) -> Result<Vec<Claimed>> {
        let (claimed, others) = self.with(|house| {
            if !house.leases.contains_key(&ask.lease) {
                return Err(fenced("claim runs", ask.lease));
            }
            let before = house.leases.len();
            house.leases.retain(|token, lease| *token == ask.lease || lease.until >= ask.now);
            let free = house
                .runs
                .iter()
                .filter(|(_, run)| !run.status.is_final() && !house.holds(run) && ask.serves.contains(&run.definition))
                .filter(|(no, _)| !house.lines.has(**no));
            let mut suspects = ask.suspects;
            // One run that cannot be read must not keep an executor from all the others.
            let readable = free.filter_map(|(no, run)| {
                let (history, deaths) = (house.history(*no).ok()?, run.deaths_by_now());
                suspects.let_pass(deaths).then_some(Claimed { no: *no, history, deaths })
            });
            let mut claimed: Vec<Claimed> = readable.take(usize::try_from(ask.limit).unwrap_or(usize::MAX)).collect();
            for claim in &mut claimed {
                claim.history.run.holder = Some(ask.lease);
                if let Some(run) = house.runs.get_mut(&claim.no) {
                    run.come_to(ask.lease);
                }
            }
            Ok((claimed, before > house.leases.len()))
        })?;
        // What this one has left of those whose lease has just ended is for others.
        if others {
            self.board.tell_runs();
            self.board.tell_queues();
        }
        Ok(claimed)
    }

    async fn read(&self, run: &RunKey) -> Result<Option<History>> {
        self.with(|house| house.by_key.get(run).map(|no| house.history(*no)).transpose())
    }

    async fn plan(&self, tenant: &TenantId, definition: &DefinitionKey) -> Result<Option<String>> {
        self.with(|house| {
            let plan = house.plans.get(&(tenant.clone(), definition.clone()));
            Ok(plan.map(|plan| plan.as_ref().to_owned()))
        })
    }

    async fn list(&self, query: RunQuery) -> Result<Page> {
        self.with(|house| {
            let limit = if query.limit == 0 { 100 } else { usize::try_from(query.limit).unwrap_or(usize::MAX) };
            let wanted = |run: &Run| {
                query.tenant.as_ref().is_none_or(|tenant| *tenant == run.key.tenant)
                    && query.workflow.as_ref().is_none_or(|workflow| *workflow == run.definition.workflow)
                    && (query.status.is_empty() || query.status.contains(&run.status))
            };
            let held =
                |no: RunNo, run: &Run| query.holder.is_none_or(|token| house.summary(no, run).holder == Some(token));
            let before = query.before.unwrap_or(RunNo(u64::MAX));
            let mut found = house.runs.range(..before).rev().filter(|(no, run)| wanted(run) && held(**no, run));
            let runs: Vec<RunSummary> = found.by_ref().take(limit).map(|(no, run)| house.summary(*no, run)).collect();
            let more = found.next().is_some();
            Ok(Page { next: runs.last().map(|run| run.no).filter(|_| more), runs })
        })
    }

    async fn prune(&self, before: Timestamp, limit: u32) -> Result<u64> {
        self.with(|house| {
            let mut old: Vec<(Timestamp, RunNo)> = house
                .runs
                .iter()
                .filter_map(|(no, run)| run.finished_at.filter(|at| *at < before).map(|at| (at, *no)))
                .collect();
            old.sort_unstable();
            old.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
            for (_, no) in &old {
                if let Some(run) = house.runs.remove(no) {
                    house.by_key.remove(&run.key);
                    house.mail.forget(*no);
                    house.lines.items.forget(*no);
                }
            }
            Ok(u64::try_from(old.len()).unwrap_or(u64::MAX))
        })
    }

    async fn close(&self) -> Result<()> {
        let mut house = self.house.lock().unwrap_or_else(PoisonError::into_inner);
        let closing = house.take().map(drop).ok_or_else(closed);
        self.board.close();
        closing
    }
}

impl Run {
    /// How many of its holders in a row have died over it. To be asked when it is in nobody's hands.
    fn deaths_by_now(&self) -> u32 {
        match (self.holder, self.status) {
            (None, _) | (_, RunStatus::Waiting) => 0,
            _ if self.deaths > 0 && self.died_at == self.next => self.deaths.saturating_add(1),
            _ => 1,
        }
    }

    /// Comes into the hands of a lease, out of nobody's. Gives how many have died over it.
    fn come_to(&mut self, lease: u64) -> u32 {
        (self.deaths, self.died_at) = (self.deaths_by_now(), self.next);
        (self.holder, self.begun) = (Some(lease), true);
        self.deaths
    }
}

impl House {
    /// Takes the runs of a lease out of its hands.
    fn let_go(&mut self, token: u64) {
        for run in self.runs.values_mut().filter(|run| run.holder == Some(token)) {
            run.holder = None;
        }
    }

    /// Whether a lease that has not ended holds the run.
    fn holds(&self, run: &Run) -> bool {
        run.holder.is_some_and(|token| self.leases.contains_key(&token))
    }

    /// Judges every write before any is made, so that a batch is written whole or not at all.
    fn judge(&self, batch: &Batch) -> Result<Vec<Verdict>> {
        if let Some(token) = batch.lease.filter(|token| !self.leases.contains_key(token)) {
            return Err(fenced("commit", token));
        }
        let mut standings: HashMap<RunNo, Standing> = HashMap::new();
        let judge = |write: &Write| match write {
            Write::Create(_) => Ok(Verdict::Add),
            Write::Enqueue(new) => check_item(new).map(|()| Verdict::Add),
            Write::Turn(turn) => {
                let token = batch.lease.ok_or_else(no_lease)?;
                let run = self.runs.get(&turn.run).ok_or_else(|| no_such_run(turn))?;
                let held = run.holder == Some(token);
                standings.entry(turn.run).or_insert(Standing { next: run.next, held }).admit(turn)
            }
        };
        batch.writes.iter().map(judge).collect()
    }

    fn create(&mut self, new: &NewRun, holder: Option<u64>) -> Written {
        if let Some((no, run)) = self.by_key.get(&new.key).and_then(|no| Some((*no, self.runs.get(no)?))) {
            let (definition, input) = (run.definition.clone(), self.input(no, run));
            return Written::Exists(Box::new(Existing { no, definition, input, status: run.status }));
        }
        self.last_run += 1;
        let no = RunNo(self.last_run);
        self.by_key.insert(new.key.clone(), no);
        if let Some(plan) = &new.plan {
            let definition = (new.key.tenant.clone(), new.definition.clone());
            self.plans.entry(definition).or_insert_with(|| plan.clone());
        }
        let run = Run {
            key: new.key.clone(),
            definition: new.definition.clone(),
            input: new.input.clone(),
            status: if holder.is_some() { RunStatus::Running } else { RunStatus::Pending },
            created_at: new.created_at,
            finished_at: None,
            wake_at: None,
            holder,
            begun: holder.is_some(),
            deaths: 0,
            died_at: 0,
            records: Vec::new(),
            next: 0,
        };
        self.runs.insert(no, run);
        Written::Created(no)
    }

    /// Adds a turn that was judged to be new. Whether a place in a queue became free.
    fn add(&mut self, turn: &Turn, now: Timestamp) -> bool {
        if let Some(run) = self.runs.get_mut(&turn.run) {
            run.records.extend_from_slice(&turn.records);
            run.next += u64::from(turn.count);
            run.status = status_after(turn.then);
            run.wake_at = None;
            match turn.then {
                Then::Run => {}
                Then::Wait(until) => run.wake_at = Some(until),
                Then::End(_) => {
                    run.finished_at = Some(now);
                    run.holder = None;
                    return self.lines.leave(turn.run);
                }
            }
        }
        false
    }

    fn summary(&self, no: RunNo, run: &Run) -> RunSummary {
        RunSummary {
            key: run.key.clone(),
            no,
            definition: run.definition.clone(),
            status: run.status,
            created_at: run.created_at,
            finished_at: run.finished_at,
            wake_at: run.wake_at,
            holder: run.holder.filter(|_| self.holds(run)),
        }
    }

    /// What a run was given: what it has gathered, while it does.
    fn input(&self, no: RunNo, run: &Run) -> Payload {
        self.lines.items.list(no).unwrap_or_else(|| run.input.clone())
    }

    fn history(&self, no: RunNo) -> Result<History> {
        let missing = || Error::new(ErrorKind::Internal, "read run").with("run", no.0);
        let run = self.runs.get(&no).ok_or_else(missing)?;
        Ok(History { run: self.summary(no, run), input: self.input(no, run), records: Record::read_all(&run.records)? })
    }
}
