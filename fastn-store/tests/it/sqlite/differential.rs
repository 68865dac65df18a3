//! Whatever is done to both, the SQLite store and the memory store answer alike.

use std::path::{Path, PathBuf};

use fastn_core::ErrorKind;
use fastn_store::{
    Batch, ClaimAsk, Lease, MemoryStore, RunKey, RunNo, RunQuery, RunStatus, SqliteStore, Store, Then, Write, Written,
};
use proptest::prelude::*;

use super::open_tiny;
use crate::support::{acquire, new_run, turn};
use fastn_testkit::sample::{at, definition};

/// Something that is done to a store. Runs are meant by their place among those that were created.
#[derive(Clone, Debug)]
enum Deed {
    Commit {
        leased: bool,
        writes: Vec<Draft>,
    },
    Claim {
        workflows: Vec<usize>,
        limit: u32,
    },
    /// The executor goes, without a word to the store or with one, and the next one comes.
    Succeed {
        tidy: bool,
    },
    Prune {
        before: i64,
        limit: u32,
    },
}

#[derive(Clone, Debug)]
enum Draft {
    Create { name: usize, workflow: usize },
    Turn { run: usize, shift: i64, count: u64, then: Then },
}

const WORKFLOWS: [&str; 3] = ["a", "b", "c"];

fn then() -> impl Strategy<Value = Then> {
    prop_oneof![
        4 => Just(Then::Run),
        2 => (0..50_i64).prop_map(|seconds| Then::Wait(at(seconds))),
        1 => prop::sample::select(RunStatus::ALL).prop_map(Then::End),
    ]
}

fn draft() -> impl Strategy<Value = Draft> {
    let shift = prop_oneof![12 => Just(0_i64), 1 => -3..3_i64];
    prop_oneof![
        1 => (0..40_usize, 0..3_usize).prop_map(|(name, workflow)| Draft::Create { name, workflow }),
        4 => (0..30_usize, shift, 0..4_u64, then())
            .prop_map(|(run, shift, count, then)| Draft::Turn { run, shift, count, then }),
    ]
}

fn deed() -> impl Strategy<Value = Deed> {
    let writes = prop::collection::vec(draft(), 0..6);
    prop_oneof![
        20 => (prop::bool::weighted(0.9), writes).prop_map(|(leased, writes)| Deed::Commit { leased, writes }),
        4 => (prop::collection::vec(0..3_usize, 0..4), 0..8_u32)
            .prop_map(|(workflows, limit)| Deed::Claim { workflows, limit }),
        1 => any::<bool>().prop_map(|tidy| Deed::Succeed { tidy }),
        1 => (0..400_i64, 0..4_u32).prop_map(|(before, limit)| Deed::Prune { before, limit }),
    ]
}

/// A run that was created.
struct Run {
    key: RunKey,
    in_memory: RunNo,
    in_sqlite: RunNo,
    /// The sequence number of its next record as far as the doer knows.
    next: u64,
}

/// Both stores, with the same things done to them.
struct Pair {
    path: PathBuf,
    memory: MemoryStore,
    sqlite: SqliteStore,
    lease: Lease,
    runs: Vec<Run>,
    now: i64,
}

impl Pair {
    async fn new(path: &Path) -> Self {
        let (memory, sqlite) = (MemoryStore::new(), open_tiny(path).await);
        let lease = acquire(&memory, "x", 0).await.unwrap();
        assert_eq!(acquire(&sqlite, "x", 0).await.unwrap(), lease);
        Self { path: path.to_owned(), memory, sqlite, lease, runs: Vec::new(), now: 0 }
    }

    async fn apply(self, deed: Deed) -> Self {
        match deed {
            Deed::Commit { leased, writes } => self.commit(leased, &writes).await,
            Deed::Succeed { tidy } => self.succeed(tidy).await,
            Deed::Claim { workflows, limit } => {
                let serves = workflows.iter().map(|i| definition(WORKFLOWS[*i]).unwrap()).collect();
                let ask = ClaimAsk { lease: self.lease.token, now: at(self.now), serves, limit };
                let claimed = self.memory.claim(ask.clone()).await.unwrap();
                let mut found = self.sqlite.claim(ask).await.unwrap();
                for claim in &mut found {
                    claim.no = self.as_in_memory(claim.no);
                    claim.history.run.no = claim.no;
                }
                assert_eq!(found, claimed);
                self
            }
            Deed::Prune { before, limit } => {
                let pruned = self.memory.prune(at(before), limit).await.unwrap();
                assert_eq!(self.sqlite.prune(at(before), limit).await.unwrap(), pruned);
                self
            }
        }
    }

    async fn commit(mut self, leased: bool, drafts: &[Draft]) -> Self {
        self.now += 1;
        let mut nexts: Vec<u64> = self.runs.iter().map(|run| run.next).collect();
        let (mut to_memory, mut to_sqlite) = (Vec::new(), Vec::new());
        for draft in drafts {
            match draft {
                Draft::Create { name, workflow } => {
                    let new = new_run(["t", "u"][name % 2], &name.to_string(), WORKFLOWS[*workflow]);
                    to_memory.push(Write::Create(new.clone()));
                    to_sqlite.push(Write::Create(new));
                }
                Draft::Turn { run, shift, count, then } if !self.runs.is_empty() => {
                    let place = run % self.runs.len();
                    let first = nexts[place].saturating_add_signed(*shift);
                    nexts[place] = nexts[place].max(first + count);
                    to_memory.push(Write::Turn(turn(self.runs[place].in_memory, first, *count, *then)));
                    to_sqlite.push(Write::Turn(turn(self.runs[place].in_sqlite, first, *count, *then)));
                }
                Draft::Turn { .. } => {}
            }
        }
        let lease = leased.then_some(self.lease.token);
        let expected = self.memory.commit(Batch { lease, now: at(self.now), writes: to_memory.clone() }).await;
        let written = self.sqlite.commit(Batch { lease, now: at(self.now), writes: to_sqlite }).await;
        match (written, expected) {
            (Ok(written), Ok(expected)) => {
                self.runs.iter_mut().zip(nexts).for_each(|(run, next)| run.next = next);
                assert_eq!(written.len(), expected.len());
                for (write, pair) in to_memory.into_iter().zip(written.into_iter().zip(expected)) {
                    self.note(write, pair);
                }
            }
            (Err(error), Err(expected)) => {
                assert_eq!((error.kind(), expected.kind()), (ErrorKind::Invalid, ErrorKind::Invalid));
            }
            (written, expected) => panic!("{written:?}, but {expected:?}"),
        }
        self
    }

    /// Compares what became of a write, and remembers a new run.
    fn note(&mut self, write: Write, pair: (Written, Written)) {
        match (write, pair) {
            (Write::Create(new), (Written::Created(in_sqlite), Written::Created(in_memory))) => {
                self.runs.push(Run { key: new.key, in_memory, in_sqlite, next: 0 });
            }
            (_, (Written::Exists(mut found), Written::Exists(expected))) => {
                found.no = self.as_in_memory(found.no);
                assert_eq!(found, expected);
            }
            (_, (found, expected)) => assert_eq!(found, expected),
        }
    }

    /// A store may leave numbers out, so the same run can have different ones.
    fn as_in_memory(&self, in_sqlite: RunNo) -> RunNo {
        self.runs.iter().find(|run| run.in_sqlite == in_sqlite).expect("only known runs are met").in_memory
    }

    async fn succeed(mut self, tidy: bool) -> Self {
        self.memory.release(&self.lease).await.unwrap();
        if tidy {
            self.sqlite.release(&self.lease).await.unwrap();
        } else {
            drop(self.sqlite);
            self.sqlite = open_tiny(&self.path).await;
        }
        self.lease = acquire(&self.memory, "x", self.now).await.unwrap();
        assert_eq!(acquire(&self.sqlite, "x", self.now).await.unwrap(), self.lease);
        self
    }

    async fn compare(&self) {
        let all = RunQuery { limit: u32::MAX, ..RunQuery::default() };
        let mut page = self.sqlite.list(all.clone()).await.unwrap();
        page.runs.iter_mut().for_each(|run| run.no = self.as_in_memory(run.no));
        assert_eq!(page, self.memory.list(all).await.unwrap());
        for run in &self.runs {
            let mut found = self.sqlite.read(&run.key).await.unwrap();
            if let Some(history) = &mut found {
                history.run.no = self.as_in_memory(history.run.no);
            }
            assert_eq!(found, self.memory.read(&run.key).await.unwrap());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn both_stores_answer_alike(deeds in prop::collection::vec(deed(), 1..80)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let folder = tempfile::tempdir().unwrap();
            let mut pair = Pair::new(&folder.path().join("runs.db")).await;
            for deed in deeds {
                pair = pair.apply(deed).await;
            }
            pair.compare().await;
            pair = pair.succeed(false).await;
            pair.compare().await;
        });
    }
}
