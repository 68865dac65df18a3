//! What is true of the world: what the store said it wrote, and what steps did.

use std::collections::BTreeMap;
use std::sync::Arc;

use fastn_core::{Outcome, Payload, Plan, Record, Timestamp};
use fastn_runtime::machine::Machine;
use fastn_store::{Batch, Claimed, History, RunKey, RunNo, RunStatus, Then, Turn, Withdraw, Write, Written};

use super::calls::Calls;
use super::executor::Process;
use super::facts::Facts;
use super::invariant::{Breach, Held, Invariant, hold};
use super::mail::MailTruth;
use super::refusals::Refusals;
use super::rules::Rules;

use Invariant::{CreatedOnce, FencedWritesNothing, HistoryIsKept, OneExecutor, StoreKeepsItsWord};

/// Everything that is known.
#[derive(Default)]
pub(super) struct Truth {
    plans: Vec<Arc<Plan>>,
    leases: BTreeMap<u64, LeaseTruth>,
    pub(super) runs: BTreeMap<RunKey, RunTruth>,
    numbers: BTreeMap<RunNo, RunKey>,
    pub(super) mail: MailTruth,
    pub(super) refusals: Refusals,
    /// The calendar was set back.
    pub(super) set_back: bool,
}

/// What is known of a lease.
#[derive(Debug)]
pub(super) struct LeaseTruth {
    pub(super) process: Process,
    until: Timestamp,
    /// Somebody claimed when it was not renewed in time: it may have ended.
    expired: bool,
    /// It was released, or its runs are in other hands.
    lost: bool,
}

/// What is known of a run.
pub(super) struct RunTruth {
    pub(super) no: RunNo,
    pub(super) plan: Arc<Plan>,
    pub(super) input: Payload,
    pub(super) created_at: Timestamp,
    pub(super) holder: Option<u64>,
    pub(super) status: RunStatus,
    pub(super) records: Vec<Record>,
    pub(super) facts: Facts,
    pub(super) calls: Calls,
    /// What hosts have sent to it, by id.
    pub(super) sent: BTreeMap<[u8; 16], (String, Payload)>,
}

impl Truth {
    /// Of runs of these plans.
    pub(super) fn of(plans: Vec<Arc<Plan>>) -> Self {
        Self { plans, ..Self::default() }
    }

    /// The run of this number.
    pub(super) fn key_of(&self, no: RunNo) -> Option<RunKey> {
        self.numbers.get(&no).cloned()
    }

    /// Whether a turn is written already.
    pub(super) fn has(&self, turn: &Turn) -> bool {
        let run = self.numbers.get(&turn.run).and_then(|key| self.runs.get(key));
        run.is_some_and(|run| usize::try_from(turn.first).is_ok_and(|first| first < run.records.len()))
    }

    /// The present lease of a process.
    pub(super) fn lease_of(&self, process: Process) -> Option<(u64, &LeaseTruth)> {
        self.leases.iter().rev().find(|(_, lease)| lease.process == process).map(|(token, lease)| (*token, lease))
    }

    pub(super) fn acquired(&mut self, process: Process, token: u64, until: Timestamp) -> Held {
        let last = self.leases.keys().next_back().copied();
        self.leases.insert(token, LeaseTruth { process, until, expired: false, lost: false });
        hold(last.is_none_or(|last| last < token), StoreKeepsItsWord, || format!("lease {token} follows {last:?}"))
    }

    pub(super) fn renewed(&mut self, token: u64, until: Timestamp) -> Held {
        let Some(lease) = self.leases.get_mut(&token) else { return Ok(()) };
        lease.until = until;
        hold(!lease.lost, FencedWritesNothing, || format!("lease {token} was lost, and was renewed"))
    }

    pub(super) fn released(&mut self, token: u64) {
        if let Some(lease) = self.leases.get_mut(&token) {
            lease.lost = true;
        }
    }

    /// A batch was written.
    pub(super) fn committed(&mut self, batch: &Batch, written: &[Written]) -> Held {
        hold(written.len() == batch.writes.len(), StoreKeepsItsWord, || {
            format!("{} writes, {} answers", batch.writes.len(), written.len())
        })?;
        if let Some((token, lease)) = batch.lease.and_then(|token| Some((token, self.leases.get(&token)?))) {
            hold(!lease.lost || batch.writes.is_empty(), FencedWritesNothing, || {
                format!("lease {token} was lost, and {} writes went through", batch.writes.len())
            })?;
        }
        // Turns first, as the contract has it.
        for write in &batch.writes {
            if let Write::Turn(turn) = write {
                self.turned(batch.lease, turn)?;
            }
        }
        for (write, written) in batch.writes.iter().zip(written) {
            match (write, written) {
                (Write::Create(new), Written::Created(no)) => {
                    let plan = self.plans.iter().find(|plan| *plan.name() == new.definition.workflow).cloned();
                    let Some(plan) = plan else { continue };
                    let before = self.numbers.insert(*no, new.key.clone());
                    let run = RunTruth {
                        no: *no,
                        plan,
                        input: new.input.clone(),
                        created_at: new.created_at,
                        holder: batch.lease,
                        status: if batch.lease.is_some() { RunStatus::Running } else { RunStatus::Pending },
                        records: Vec::new(),
                        facts: Facts::default(),
                        calls: Calls::default(),
                        sent: BTreeMap::new(),
                    };
                    let known = self.runs.insert(new.key.clone(), run);
                    let once = before.is_none() && known.is_none();
                    hold(once, CreatedOnce, || format!("run {} was created again", new.key.run))?;
                }
                (Write::Create(new), Written::Exists(existing)) => {
                    let run = self.runs.get(&new.key);
                    let same = run.is_some_and(|run| run.no == existing.no && run.input == existing.input);
                    hold(same, StoreKeepsItsWord, || format!("run {} is said to exist as it does not", new.key.run))?;
                }
                (Write::Turn(_), Written::Turned) => {}
                _ => return Err(mistaken(format!("{written:?} is no answer to {write:?}"))),
            }
        }
        Ok(())
    }

    fn turned(&mut self, token: Option<u64>, turn: &Turn) -> Held {
        let found = self.numbers.get(&turn.run).and_then(|key| self.runs.get_mut(key));
        let run = found.ok_or_else(|| mistaken(format!("a turn of no run: {}", turn.run.0)))?;
        let records = Record::read_all(&turn.records).map_err(|error| mistaken(error.chain().join(": ")))?;
        let counted = usize::try_from(turn.count) == Ok(records.len());
        hold(counted, HistoryIsKept, || format!("{} records are said to be {}", records.len(), turn.count))?;
        let first = usize::try_from(turn.first).unwrap_or(usize::MAX);
        let known = run.records.get(first..).unwrap_or_default();
        if !records.is_empty() && known.len() >= records.len() {
            return hold(known.starts_with(&records), HistoryIsKept, || {
                format!("records from {first} on are written again, and differ")
            });
        }
        hold(first == run.records.len(), HistoryIsKept, || {
            format!("records from {first} on follow the first {}", run.records.len())
        })?;
        hold(run.holder == token, OneExecutor, || format!("lease {token:?} wrote to a run of {:?}", run.holder))?;
        for record in records {
            let (plan, facts, input) = (&*run.plan, &run.facts, &run.input);
            let (calls, sent) = (&run.calls, &run.sent);
            Rules { plan, facts, input, created_at: run.created_at, calls, sent, set_back: self.set_back }
                .check(&record)?;
            run.facts.add(&run.plan, &record);
            run.records.push(record);
        }
        run.status = match turn.then {
            Then::Wait(_) => RunStatus::Waiting,
            Then::End(status) => status,
            _ => RunStatus::Running,
        };
        let over = matches!(turn.then, Then::End(_));
        if over {
            run.holder = None;
        }
        hold(over == run.facts.over.is_some(), HistoryIsKept, || {
            format!("the run is said to go on with {:?}", turn.then)
        })
    }

    /// A run ended that nobody had ever had.
    pub(super) fn withdrawn(&mut self, ask: &Withdraw) -> Held {
        let Some(run) = self.runs.get_mut(&ask.run) else { return Ok(()) };
        hold(run.holder.is_none() && run.records.is_empty(), OneExecutor, || {
            format!("run {} was withdrawn, and {:?} has had it", ask.run.run, run.holder)
        })?;
        let turn =
            Turn { run: run.no, first: 0, count: ask.count, records: ask.records.clone(), then: Then::End(ask.status) };
        self.turned(None, &turn)
    }

    /// Runs were claimed under a lease.
    pub(super) fn claimed(&mut self, token: u64, now: Timestamp, claimed: &[Claimed]) -> Held {
        for (other, lease) in &mut self.leases {
            lease.expired |= *other != token && lease.until < now;
        }
        if let Some(lease) = self.leases.get(&token) {
            hold(!lease.lost, FencedWritesNothing, || format!("lease {token} was lost, and claims"))?;
        }
        for claim in claimed {
            let key = &claim.history.run.key;
            self.verify(key, Some(&claim.history))?;
            let holder = claim.history.run.holder;
            hold(holder == Some(token), OneExecutor, || format!("lease {token} claimed a run for {holder:?}"))?;
            let Some(run) = self.runs.get_mut(key) else { continue };
            let before = run.holder.replace(token);
            let lease = before.filter(|before| *before != token).and_then(|before| self.leases.get_mut(&before));
            if let Some(lease) = lease {
                let free = lease.expired || lease.lost;
                lease.lost = true;
                hold(free, OneExecutor, || format!("run {} was taken from live lease {before:?}", key.run))?;
            }
        }
        Ok(())
    }

    /// Holds what a store gives against what it said it wrote.
    pub(super) fn verify(&self, key: &RunKey, found: Option<&History>) -> Held {
        let (run, history) = match (self.runs.get(key), found) {
            (None, None) => return Ok(()),
            (Some(run), Some(history)) => (run, history),
            (known, _) => {
                let what =
                    if known.is_some() { "was created and is not there" } else { "was not created and is there" };
                return Err(mistaken(format!("run {} {what}", key.run)));
            }
        };
        hold(run.records == history.records, StoreKeepsItsWord, || {
            let (kept, written) = (history.records.len(), run.records.len());
            format!("run {} has {kept} records, and {written} were written", key.run)
        })?;
        let same = run.no == history.run.no && run.input == history.input && run.status == history.run.status;
        hold(same, StoreKeepsItsWord, || {
            format!("run {} is {} and was left {}", key.run, history.run.status, run.status)
        })
    }

    /// The run, and every run, has ended, and its records tell how.
    pub(super) fn has_ended(&self, key: &RunKey) -> Held {
        let Some(run) = self.runs.get(key) else { return Ok(()) };
        let outcome = run.facts.over.as_ref();
        hold(outcome.is_some(), Invariant::EveryRunEnds, || format!("run {} has not ended", key.run))?;
        let folded = Machine::replay(run.plan.clone(), run.input.clone(), run.created_at, &run.records);
        let folded = folded
            .map_err(|error| Breach { invariant: Invariant::FoldingGivesTheSame, what: error.chain().join(": ") })?;
        hold(folded.outcome() == outcome, Invariant::FoldingGivesTheSame, || {
            format!("run {} folds to {:?}", key.run, folded.outcome())
        })?;
        let status = match outcome {
            Some(Outcome::Succeeded(_)) => RunStatus::Succeeded,
            Some(Outcome::Failed(_)) => RunStatus::Failed,
            Some(Outcome::Cancelled(_)) => RunStatus::Cancelled,
            _ => RunStatus::Stuck,
        };
        hold(status == run.status, StoreKeepsItsWord, || {
            format!("run {} ended {status}, and is {}", key.run, run.status)
        })
    }
}

impl LeaseTruth {
    /// Whether it was not renewed in time. Its process may have released it since.
    pub(super) const fn has_expired(&self) -> bool {
        self.expired
    }

    /// Whether its process may not know yet that it has no lease.
    pub(super) const fn is_over(&self) -> bool {
        self.expired || self.lost
    }
}

fn mistaken(what: String) -> Breach {
    Breach { invariant: StoreKeepsItsWord, what }
}
