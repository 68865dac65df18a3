//! By what names the answers of stores mean leases and runs, which each store may number otherwise.

use fastn_core::Timestamp;
use fastn_store::{Claimed, History, Lease, RunNo, RunSummary};

use super::by::By;

/// The leases and runs of one store, in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Names {
    leases: Vec<Lease>,
    /// Those of the first executor, and the last of the second, by their places.
    own: Vec<usize>,
    other: Option<usize>,
    /// The one that was given last, if it was not given back.
    in_force: Option<usize>,
    runs: Vec<RunNo>,
}

impl Names {
    /// A lease was given, to the second executor or the first. Whether its token is larger than all before it.
    pub(super) fn give(&mut self, second: bool, lease: Lease) -> bool {
        let grown = self.leases.last().is_none_or(|last| last.token < lease.token);
        let place = self.leases.len();
        self.leases.push(lease);
        self.in_force = Some(place);
        match second {
            true => self.other = Some(place),
            false => self.own.push(place),
        }
        grown
    }

    /// A lease was given back.
    pub(super) fn take_back(&mut self, token: u64) {
        let place = self.place_of(token);
        self.in_force = self.in_force.filter(|held| Some(*held) != place);
    }

    /// A lease was renewed.
    pub(super) fn renew(&mut self, token: u64, until: Timestamp) {
        if let Some(lease) = self.leases.iter_mut().find(|lease| lease.token == token) {
            lease.until = until;
        }
    }

    /// The lease that was given last, if it was not given back.
    pub(super) fn in_force(&self) -> Option<&Lease> {
        self.in_force.and_then(|place| self.leases.get(place))
    }

    pub(super) fn lease(&self, by: By) -> Option<&Lease> {
        let place = match by {
            By::Own => self.own.last().copied(),
            By::Old => self.own.iter().rev().nth(1).copied(),
            By::Other => self.other,
            By::Nobody => None,
        };
        self.leases.get(place?)
    }

    pub(super) fn token(&self, by: By) -> Option<u64> {
        self.lease(by).map(|lease| lease.token)
    }

    fn place_of(&self, token: u64) -> Option<usize> {
        self.leases.iter().position(|lease| lease.token == token)
    }

    /// A run was created.
    pub(super) fn add_run(&mut self, no: RunNo) {
        self.runs.push(no);
    }

    pub(super) fn run_at(&self, place: usize) -> Option<RunNo> {
        self.runs.get(place).copied()
    }

    pub(super) fn runs(&self) -> usize {
        self.runs.len()
    }

    pub(super) fn run(&self, no: RunNo) -> String {
        match self.runs.iter().position(|known| *known == no) {
            Some(place) => format!("#{place}"),
            None => format!("unknown {no:?}"),
        }
    }

    pub(super) fn summary(&self, run: &RunSummary) -> String {
        let holder = run.holder.map(|token| self.place_of(token));
        let (no, RunSummary { key, definition, status, created_at, finished_at, wake_at, .. }) =
            (self.run(run.no), run);
        let (tenant, run, workflow) = (&key.tenant, key.run, &definition.workflow);
        format!(
            "; {no} {tenant}/{run} {workflow} {} {} {status} {created_at} {finished_at:?} {wake_at:?} held by {holder:?}",
            definition.version, definition.shape
        )
    }

    pub(super) fn history(&self, history: &History) -> String {
        let input = String::from_utf8_lossy(history.input.bytes());
        format!("{} {input:?} {:?}", self.summary(&history.run), history.records)
    }

    /// Runs that came into somebody's hands, in their order.
    pub(super) fn claimed(&self, claimed: &[Claimed]) -> String {
        let told = |claim: &Claimed| {
            let (run, history) = (self.run(claim.no), self.history(&claim.history));
            format!("{run} after {} deaths: {history}", claim.deaths)
        };
        claimed.iter().map(told).collect()
    }
}
