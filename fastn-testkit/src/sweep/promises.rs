//! What is promised, held against what happened.

use std::collections::BTreeMap;

use fastn_core::plan::{NodeIx, NodeKind};
use fastn_core::{Durability, Outcome, Part, Plan};
use fastn_store::History;

use super::ledger::{Ledger, effect, function};

/// One life of a process.
#[derive(Debug)]
pub(super) struct Life {
    /// What steps did in it.
    pub(super) noted: BTreeMap<String, usize>,
    /// The run as it was in the store at its end.
    pub(super) history: Option<History>,
    /// How many runs it has started.
    pub(super) started: usize,
    /// Whether the host was told that the run has started.
    pub(super) acknowledged: bool,
    pub(super) died: bool,
}

/// All lives it took to finish one run.
pub(super) struct Lives<'a> {
    pub(super) plan: &'a Plan,
    pub(super) lives: &'a [Life],
    /// The run as it is without a death; the same as the last life if there was none.
    pub(super) undisturbed: &'a Life,
}

type Kept = Result<(), String>;

impl Lives<'_> {
    /// Checks every promise.
    ///
    /// # Errors
    /// The first that was not kept.
    pub(super) fn check(&self) -> Kept {
        self.known_effects()?;
        let mut before: Option<&History> = None;
        for life in self.lives {
            self.nothing_is_lost(before, life)?;
            self.nothing_recorded_runs_again(before, life)?;
            self.successors_wait(life)?;
            before = life.history.as_ref();
        }
        let last = before.ok_or("the run is not in the store")?;
        let outcome = last.outcome().ok_or("the run has not ended")?;
        let ledger = Ledger::new(self.plan, &last.records);
        self.same_end(outcome, &ledger)?;
        let started = self.lives.last().map_or(0, |life| life.started);
        if started != self.undisturbed.started && ledger.unknown() == 0 {
            return Err(format!("it has started {started} runs; without a death: {}", self.undisturbed.started));
        }
        self.counts(outcome, &ledger)
    }

    /// Effects are those of steps, so that none goes unchecked for a slip of the pen.
    fn known_effects(&self) -> Kept {
        let unknown = |name: &&String| self.plan.find(function(name).0).is_none();
        match self.lives.iter().flat_map(|life| life.noted.keys()).find(unknown) {
            None => Ok(()),
            Some(name) => Err(format!("`{name}` was noted, and is the path of no step")),
        }
    }

    fn nothing_is_lost(&self, before: Option<&History>, life: &Life) -> Kept {
        let now = life.history.as_ref();
        if life.acknowledged && now.is_none() {
            return Err("the start was acknowledged, and the run is not in the store".to_owned());
        }
        let was = before.map_or(&[][..], |history| &history.records);
        let is = now.map_or(&[][..], |history| &history.records);
        if is.starts_with(was) { Ok(()) } else { Err("what was recorded is no longer there as it was".to_owned()) }
    }

    /// In one life runs what is recorded in it, and at most once for each instance what its death cut off.
    fn nothing_recorded_runs_again(&self, before: Option<&History>, life: &Life) -> Kept {
        let was = Ledger::new(self.plan, before.map_or(&[], |history| &history.records));
        let is = Ledger::new(self.plan, life.history.as_ref().map_or(&[], |history| &history.records));
        for (name, noted) in &life.noted {
            let recorded = is.of(name).attempts.saturating_sub(was.of(name).attempts);
            // One whose success was recorded before this life was not begun in it.
            let cut_off = if life.died { self.instances(name).saturating_sub(was.of(name).succeeded) } else { 0 };
            if *noted > recorded.saturating_add(cut_off) {
                return Err(format!("`{name}` ran {noted} times in a life in which {recorded} attempts were recorded"));
            }
        }
        Ok(())
    }

    /// How many instances of a function there are without a death.
    fn instances(&self, name: &str) -> usize {
        let records = self.undisturbed.history.as_ref().map_or(&[][..], |history| &history.records);
        // A step that runs only because of a death has one instance at least.
        Ledger::new(self.plan, records).instances(name).max(1)
    }

    fn successors_wait(&self, life: &Life) -> Kept {
        let ledger = Ledger::new(self.plan, life.history.as_ref().map_or(&[], |history| &history.records));
        for name in life.noted.keys() {
            let (path, Part::Work) = function(name) else { continue };
            let Some(node) = self.plan.find(path).filter(|_| self.instances(name) == 1) else { continue };
            let predecessors = (0_u32..).map(NodeIx).zip(self.plan.nodes());
            for (ix, before) in predecessors.filter(|(ix, _)| self.plan.successors(*ix).any(|next| next == node)) {
                let records =
                    matches!(before.kind, NodeKind::Step | NodeKind::Call(_) | NodeKind::Sleep(_) | NodeKind::Run(_));
                if !records || before.policy.durability == Durability::Relaxed {
                    continue;
                }
                let path = self.plan.path(ix);
                let done =
                    [Part::Work, Part::OnError].iter().any(|part| ledger.of(&effect(&path, *part)).succeeded > 0);
                if !done {
                    return Err(format!("`{name}` ran before the result of `{path}` was recorded"));
                }
            }
        }
        Ok(())
    }

    fn same_end(&self, outcome: &Outcome, ledger: &Ledger) -> Kept {
        let expected = self.undisturbed.history.as_ref().and_then(History::outcome);
        let same = match (outcome, expected) {
            (Outcome::Succeeded(found), Some(Outcome::Succeeded(expected))) => found == expected,
            (found, Some(expected)) => std::mem::discriminant(found) == std::mem::discriminant(expected),
            (_, None) => false,
        };
        if same || ledger.unknown() > 0 {
            return Ok(());
        }
        let expected = expected.map_or("no end".to_owned(), Outcome::to_string);
        Err(format!("the run ended differently: {outcome}; without a death: {expected}"))
    }

    fn counts(&self, outcome: &Outcome, ledger: &Ledger) -> Kept {
        for (ix, node) in (0_u32..).map(NodeIx).zip(self.plan.nodes()) {
            let name = self.plan.path(ix);
            for part in [Part::Work, Part::OnError, Part::Undo, Part::Finally] {
                let name = effect(&name, part);
                let (noted, recorded) = (self.noted(&name), ledger.of(&name));
                // Of a step that notes nothing without a death, nothing can be said.
                let notes = self.undisturbed.noted.contains_key(&name);
                if notes && noted < recorded.succeeded {
                    return Err(format!(
                        "`{name}` succeeded {} times by the records, and ran {noted} times",
                        recorded.succeeded
                    ));
                }
                let once = part == Part::Work && node.policy.durability == Durability::AtMostOnce;
                if once && noted > ledger.instances(&name) {
                    return Err(format!("`{name}` is at most once, and ran {noted} times"));
                }
            }
            if matches!(&node.kind, NodeKind::Try(guarded) if guarded.finally.is_some()) {
                let records = self.undisturbed.history.as_ref().map_or(&[][..], |history| &history.records);
                let finally = effect(&name, Part::Finally);
                let [found, expected] =
                    [ledger, &Ledger::new(self.plan, records)].map(|ledger| ledger.of(&finally).succeeded);
                if found != expected && ledger.unknown() == 0 {
                    return Err(format!("`{finally}` is over {found} times; without a death: {expected}"));
                }
            }
            if node.policy.undo.is_some() {
                let [work, undo] = [Part::Work, Part::Undo].map(|part| ledger.of(&effect(&name, part)));
                // Work that was cut off and never answered may have taken place all the same.
                let unanswered = work.attempts == 0 && self.noted(&name) > 0;
                let (work, undo) = (work.succeeded, undo.succeeded);
                match outcome {
                    Outcome::Succeeded(_) if undo > work || (undo > 0 && !self.is_contained(ix)) => {
                        return Err(format!("`{name}` was undone in a run that succeeded"));
                    }
                    Outcome::Failed(_) | Outcome::Cancelled(_) if unanswered => {
                        return Err(format!("`{name}` took place, and nothing is recorded of it that could be undone"));
                    }
                    Outcome::Failed(_) | Outcome::Cancelled(_) if undo != work => {
                        return Err(format!("`{name}` was done {work} times and undone {undo} times"));
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }

    /// Whether a node stands in a scope that contains failure, so that it may be undone although all ends well.
    fn is_contained(&self, node: NodeIx) -> bool {
        let mut scope = self.plan.node(node).scope;
        while let Some((owner, number)) = self.plan.scope(scope).owner {
            if self.plan.node(owner).kind.contains_failure(number) {
                return true;
            }
            scope = self.plan.node(owner).scope;
        }
        false
    }

    /// Whether the outcome of a step stayed unknown.
    pub(super) fn unknown(&self) -> bool {
        let last = self.lives.last().and_then(|life| life.history.as_ref());
        last.is_some_and(|history| Ledger::new(self.plan, &history.records).unknown() > 0)
    }

    /// How often an effect took place in all lives.
    pub(super) fn noted(&self, name: &str) -> usize {
        self.lives.iter().filter_map(|life| life.noted.get(name)).sum()
    }
}
