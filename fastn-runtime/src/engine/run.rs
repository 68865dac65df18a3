//! One run in memory.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use fastn_core::{
    Definition, Durability, Error, ErrorKind, Event, Failure, Outcome, Part, Payload, Result, RunId, Timestamp,
    WorkflowName,
};
use fastn_store::{RunKey, RunNo, Then, Turn as StoreTurn};
use tokio::sync::Notify;
use tracing::Span;

use super::abort::Abort;
use super::command::Command;
use super::pending::Pending;
use super::services::Services;
use super::suspicion::Suspect;
use super::tenure::Tenure;
use super::watch::Watch;
use crate::journal::Ticket;
use crate::machine::{Action, AttemptId, Machine, Task, Turn};

pub(super) struct Run {
    pub(super) key: RunKey,
    pub(super) no: RunNo,
    pub(super) definition: Definition,
    /// Under which it is in memory.
    pub(super) tenure: Arc<Tenure>,
    pub(super) watch: Arc<Watch>,
    /// Work under way is to stop.
    pub(super) abort: Abort,
    pub(super) span: Span,
    /// When the whole run is to be over.
    deadline: Option<Timestamp>,
    state: Mutex<State>,
    /// No attempt is in work.
    idle: Notify,
}

struct State {
    machine: Machine,
    /// The sequence number of the next record.
    next: u64,
    /// When the engine's timers will look at this run.
    alarm: Option<Timestamp>,
    /// Since when it waits for nothing that has a time.
    idle_since: Option<Timestamp>,
    /// Attempts that were handed to strands and not answered yet.
    in_work: u32,
    /// The last write. When it is durable, all of the run is.
    last: Option<Ticket>,
    /// If the last write may become durable later, the one before it that what follows has to wait for all the same: it
    /// may follow from others as well.
    relaxed: Option<Option<Ticket>>,
    /// It is no longer in this engine's memory, or was lost to it: whoever still has it must not go on with it, since
    /// it may have been loaded again.
    left: bool,
    /// There until it got further, if it may kill.
    suspect: Option<Suspect>,
}

/// What became of something that a run was told.
pub(super) enum Told {
    /// It led to this.
    Turn(Pending),
    /// It means nothing to the run as it stands.
    Nothing,
    /// The run left memory meanwhile: it is to be loaded again.
    Left,
}

impl Run {
    pub(super) fn new(
        key: RunKey,
        no: RunNo,
        definition: Definition,
        created_at: Timestamp,
        (tenure, watch): (Arc<Tenure>, Arc<Watch>),
        (machine, next): (Machine, u64),
    ) -> Self {
        let plan = definition.plan();
        let span = tracing::info_span!(
            "run",
            tenant = %key.tenant,
            run = %key.run,
            workflow = %plan.name(),
            version = plan.version().0,
            outcome = tracing::field::Empty,
        );
        let deadline = plan.deadline().map(|most| created_at.plus(most));
        Self {
            key,
            no,
            tenure,
            watch,
            abort: Abort::default(),
            span,
            deadline,
            state: Mutex::new(State {
                machine,
                next,
                alarm: None,
                idle_since: None,
                in_work: 0,
                last: None,
                relaxed: None,
                left: false,
                suspect: None,
            }),
            idle: Notify::new(),
            definition,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the result of an attempt.
    pub(super) fn answer(&self, services: &Services, task: &Task, result: Result<Payload, Failure>) -> Result<Pending> {
        let now = services.clock.now();
        let mut state = self.state();
        if state.machine.disowns(task) {
            state.in_work = state.in_work.saturating_sub(1);
            let then = if state.left { Then::Run } else { state.machine.then() };
            drop(state);
            self.idle.notify_waiters();
            return Ok(Pending { ticket: None, actions: Vec::new(), then, outcome: None });
        }
        if state.left {
            return Err(Error::new(ErrorKind::Closed, "answer attempt").with("run", self.key.run));
        }
        self.abort.answered(|| AttemptId { at: task.at.clone(), part: task.part, attempt: task.attempt });
        // A number that all runs share is drawn only where it is needed.
        let chance = if result.is_err() { services.chance.next() } else { 0 };
        let event = state.machine.judge(task, result, now, chance);
        state.in_work = state.in_work.saturating_sub(1);
        let relaxed = self.is_relaxed(task).then(|| state.relaxed.clone().unwrap_or_else(|| state.last.clone()));
        let first = state.next;
        let mut pending = self.turn(services, &mut state, now, |machine, turn| machine.advance(event, turn));
        if let (Ok(pending), Some(before)) = (&mut pending, relaxed)
            && pending.may_relax(self.definition.plan())
            // Nothing but its result: what a wait is given at once is as durable as any wait.
            && state.next == first + 1
        {
            pending.ticket.clone_from(&before);
            state.relaxed = Some(before);
        }
        let idle = state.in_work == 0;
        drop(state);
        if idle {
            self.idle.notify_waiters();
        }
        pending
    }

    /// Whether a task's result may become durable later.
    fn is_relaxed(&self, task: &Task) -> bool {
        let node = self.definition.plan().get(task.at.node);
        task.part == Part::Work && node.is_some_and(|node| node.policy.durability == Durability::Relaxed)
    }

    /// Takes an event from outside, if it means anything to the run as it stands.
    pub(super) fn tell(&self, services: &Services, event: impl FnOnce(&Machine) -> Option<Event>) -> Result<Told> {
        let mut state = self.state();
        if state.left {
            return Ok(Told::Left);
        }
        let Some(event) = event(&state.machine) else { return Ok(Told::Nothing) };
        self.turn(services, &mut state, services.clock.now(), |machine, turn| machine.advance(event, turn))
            .map(Told::Turn)
    }

    /// Does what is due, if anything is.
    pub(super) fn wake(&self, services: &Services) -> Result<Told> {
        let now = services.clock.now();
        let mut state = self.state();
        if state.left {
            return Ok(Told::Left);
        }
        state.alarm = None;
        let expired = self.deadline.is_some_and(|deadline| deadline <= now);
        let expired = expired.then(|| state.machine.expire()).flatten();
        self.turn(services, &mut state, now, |machine, turn| match expired {
            Some(event) => machine.advance(event, turn),
            None => machine.wake(turn),
        })
        .map(Told::Turn)
    }

    /// Goes on after the run was read from a store, with what it was told before anything of it begins.
    pub(super) fn resume(&self, services: &Services, beforehand: &[([u8; 16], Command)]) -> Result<Pending> {
        let mut state = self.state();
        self.turn(services, &mut state, services.clock.now(), |machine, turn| {
            for (id, command) in beforehand {
                if let Some(event) = command.event(*id, machine) {
                    machine.advance(event, turn)?;
                }
            }
            machine.resume(turn)
        })
    }

    /// Ends a run that was read from a store and is not begun once more, in this way.
    pub(super) fn end(&self, services: &Services, end: Event) -> Result<Pending> {
        let mut state = self.state();
        self.turn(services, &mut state, services.clock.now(), |machine, turn| machine.advance(end, turn))
    }

    /// Takes the first turn of a run that was just created.
    pub(super) fn begin(&self, services: &Services, turn: Turn) -> Result<Pending> {
        let mut state = self.state();
        self.record(services, &mut state, turn)
    }

    fn turn(
        &self,
        services: &Services,
        state: &mut State,
        now: Timestamp,
        change: impl FnOnce(&mut Machine, &mut Turn) -> Result<()>,
    ) -> Result<Pending> {
        let mut turn = Turn::new(now);
        // Drawn only where it may be needed.
        if self.definition.plan().tries() {
            turn.chance = services.chance.next();
        }
        change(&mut state.machine, &mut turn)?;
        self.record(services, state, turn)
    }

    /// Hands a turn's records to the journal, in the order of the machine's events because the state is locked.
    fn record(&self, services: &Services, state: &mut State, turn: Turn) -> Result<Pending> {
        let then = state.machine.then();
        let count = u32::try_from(turn.records.len()).unwrap_or(u32::MAX);
        let ticket = match self.tenure.journal() {
            Some(journal) if count > 0 => {
                let written = StoreTurn { run: self.no, first: state.next, count, records: Bytes::new(), then };
                let ticket = journal.turn(written, &turn.records)?;
                state.next += u64::from(count);
                state.last = Some(ticket.clone());
                if let Some(suspect) = state.suspect.take() {
                    self.clear(suspect, ticket.clone());
                }
                Some(ticket)
            }
            // What it leads to follows from what was recorded before, which may be on its way still.
            _ => state.last.clone(),
        };
        state.relaxed = None;
        let before = state.idle_since.take();
        state.idle_since = match then {
            // What changes nothing does not begin the wait anew.
            Then::Wait(Timestamp::MAX) => before.filter(|_| count == 0).or(Some(turn.time)),
            _ => None,
        };
        if let Some(since) = before.filter(|_| before != state.idle_since) {
            services.alarms.unset(since.plus(services.limits.park_after), self.key.clone());
        }
        let runs = turn.actions.iter().filter(|action| matches!(action, Action::Run(_))).count();
        state.in_work += u32::try_from(runs).unwrap_or(u32::MAX);
        self.set_alarm(services, state);
        let outcome = state.machine.outcome().cloned().map(Box::new);
        Ok(Pending { ticket, actions: turn.actions, then, outcome })
    }

    /// The run may kill: it is begun only while no other such run is under way.
    pub(super) fn is_suspect(&self, suspect: Suspect) {
        self.state().suspect = Some(suspect);
    }

    /// It got further, and is no suspect any more when that is durable.
    fn clear(&self, suspect: Suspect, ticket: Ticket) {
        self.tenure.tasks.spawn(Box::pin(async move {
            // Whoever waits for the turn itself is told why it failed.
            let _ = ticket.durable().await;
            drop(suspect);
        }));
    }

    /// Sees to it that the timers look at this run when something happens by itself.
    fn set_alarm(&self, services: &Services, state: &mut State) {
        let deadline = self.deadline.filter(|_| state.machine.expire().is_some());
        let next = state.machine.wakes_at().into_iter().chain(deadline).min();
        let next = next.filter(|_| state.machine.outcome().is_none());
        // An alarm that is too early does no harm; it is not worth being moved.
        if let (Some(alarm), Some(next)) = (state.alarm, next)
            && alarm <= next
        {
            return;
        }
        let old = std::mem::replace(&mut state.alarm, next);
        if let Some(time) = old {
            services.alarms.unset(time, self.key.clone());
        }
        if let Some(time) = next {
            services.alarms.set(time, self.key.clone());
        }
    }

    /// When it has waited for so long for nothing that has a time; `None` if it does not.
    pub(super) fn idle_for(&self, span: Duration) -> Option<Timestamp> {
        self.state().idle_since.map(|since| since.plus(span))
    }

    /// Leaves memory, if nothing happens unless it comes from outside and all that happened is durable.
    pub(super) fn leave(&self) -> bool {
        let mut state = self.state();
        let waits = matches!(state.machine.then(), Then::Wait(_)) && state.in_work == 0;
        let leaves = waits && state.last.as_ref().is_none_or(Ticket::is_durable);
        state.left |= leaves;
        leaves
    }

    /// Leaves memory before these actions are done, if nothing else is under way, all that happened is durable, and the
    /// actions follow from it once more when the run is loaded.
    pub(super) fn leave_before(&self, actions: &[Action]) -> bool {
        let again = |task: &Task| {
            let node = self.definition.plan().get(task.at.node);
            task.part != Part::Work || node.is_some_and(|node| node.policy.durability != Durability::AtMostOnce)
        };
        let tasks =
            || actions.iter().filter_map(|action| if let Action::Run(task) = action { Some(task) } else { None });
        let mut state = self.state();
        let leaves = state.machine.outcome().is_none()
            && usize::try_from(state.in_work) == Ok(tasks().count())
            && tasks().all(again)
            && state.last.as_ref().is_none_or(Ticket::is_durable);
        if leaves {
            state.left = true;
            state.in_work = 0;
            drop(state);
            self.idle.notify_waiters();
        }
        leaves
    }

    /// When this is durable, all that the run was told until now is.
    pub(super) fn last(&self) -> Option<Ticket> {
        self.state().last.clone()
    }

    /// How the run ended, if that is durable.
    pub(super) fn recorded_end(&self) -> Option<Outcome> {
        let state = self.state();
        state.machine.outcome().filter(|_| state.last.as_ref().is_none_or(Ticket::is_durable)).cloned()
    }

    /// Nobody goes on with this run as it is in memory.
    pub(super) fn give_up(&self) {
        let mut state = self.state();
        state.left = true;
        // What comes of the attempts under way is heeded no more.
        state.in_work = 0;
        drop(state);
        self.idle.notify_waiters();
    }

    /// Another run of the same tenant.
    pub(super) fn relative(&self, run: RunId) -> RunKey {
        RunKey { tenant: self.key.tenant.clone(), run }
    }

    /// Whether it has neither ended nor begun to.
    pub(super) fn goes(&self) -> bool {
        self.state().machine.goes()
    }

    /// Whether it is a run of this workflow.
    pub(super) fn is_of(&self, workflow: &WorkflowName) -> bool {
        self.definition.plan().name() == workflow
    }

    /// Whether it was started with this input.
    pub(super) fn was_given(&self, input: &Payload) -> bool {
        self.state().machine.input().is_some_and(|given| given.is_same_value(input))
    }

    /// Completes when no attempt is in work.
    pub(super) async fn idle(&self) {
        loop {
            let idle = self.idle.notified();
            tokio::pin!(idle);
            idle.as_mut().enable();
            if self.state().in_work == 0 {
                return;
            }
            idle.await;
        }
    }

    /// An attempt that was handed out is not made, because the engine is stopping.
    pub(super) fn forgo(&self) {
        let mut state = self.state();
        state.in_work = state.in_work.saturating_sub(1);
        drop(state);
        self.idle.notify_waiters();
    }

    /// What is next for the run.
    pub(super) fn then(&self) -> Then {
        self.state().machine.then()
    }
}

#[cfg(test)]
mod tests {
    use fastn_connectors::Registry;
    use fastn_core::{ExecutorId, TenantId};
    use fastn_store::{LeaseAsk, MemoryStore, Store};
    use fastn_testkit::sketch;
    use std::sync::atomic::AtomicU64;

    use super::super::alarms::Alarms;
    use super::super::core::Core;
    use super::super::services::{Keeper, Limits};
    use super::*;
    use crate::chance::Chance;
    use crate::clock::SystemClock;
    use crate::journal::Journal;
    use crate::tasks::{Spawner, TokioSpawner};

    fn spawner() -> Arc<dyn Spawner> {
        Arc::new(TokioSpawner(tokio::runtime::Handle::current()))
    }

    /// Those of an ephemeral engine.
    fn services(tenure: &Arc<Tenure>) -> Services {
        let limits = Limits {
            payload: 1_000,
            grace: Duration::ZERO,
            park_after: Duration::ZERO,
            poison_after: 0,
            keep_audit: Duration::ZERO,
            suspends: false,
        };
        let (clock, chance) = (Arc::new(SystemClock), Chance::seeded(1));
        let keeper = Keeper::Ephemeral { next: AtomicU64::new(1), tenure: tenure.clone() };
        Services { keeper, clock, chance, alarms: Alarms::default(), limits }
    }

    /// A run that begins with a long sleep.
    fn asleep(services: &Services, tenure: &Arc<Tenure>) -> Run {
        begun("rest(input) sleep 1000\n -> rest", services, tenure)
    }

    fn begun(text: &str, services: &Services, tenure: &Arc<Tenure>) -> Run {
        let plan = sketch::draft(text).check().expect("a faultless draft");
        let (definition, now) = (Definition::new(plan, Vec::new()), services.clock.now());
        let (machine, turn) =
            Machine::start(definition.plan().clone(), Payload::null(), now).expect("a plan can be started");
        let key = RunKey { tenant: TenantId::default(), run: RunId::named("one") };
        let run = Run::new(key, RunNo(1), definition, now, (tenure.clone(), Arc::default()), (machine, 0));
        run.begin(services, turn).expect("it begins");
        run
    }

    #[tokio::test]
    async fn a_run_that_came_and_went_is_not_begun_from_what_was_read_before() {
        let tenure = Arc::new(Tenure::endless(spawner()));
        let core = Core::new(services(&tenure), Registry::default(), foldhash::HashMap::default(), spawner());
        let run = Arc::new(asleep(&core.services, &tenure));
        let begin = |_| Ok((run.clone(), run.resume(&core.services, &[])?));

        let watch = core.watch(&run.key);
        let seen = watch.times_begun();
        let admitted = core.admit(&tenure, &run.key, begin);
        assert!(matches!(admitted, Ok(Some((_, Some(_))))), "one brings it into memory");
        let found = core.admit_since(&tenure, &run.key, &watch, seen, begin);
        assert!(matches!(found, Ok(Some((_, None)))), "another, who read it before, finds it there");
        core.dismiss(&run, Ok(Outcome::Succeeded(Payload::null())));
        let late = core.admit_since(&tenure, &run.key, &watch, seen, begin);
        assert!(matches!(late, Ok(None)), "a third, who is late, is sent to read it again");
        assert!(core.find(&run.key).is_none());
    }

    #[tokio::test]
    async fn nothing_comes_into_memory_under_a_lease_that_was_lost() {
        let tenure = Arc::new(Tenure::endless(spawner()));
        let core = Core::new(services(&tenure), Registry::default(), foldhash::HashMap::default(), spawner());
        let run = Arc::new(asleep(&core.services, &tenure));
        tenure.end();
        let admitted = core.admit(&tenure, &run.key, |_| Ok((run.clone(), run.resume(&core.services, &[])?)));
        assert!(matches!(admitted, Ok(None)));
        assert!(core.find(&run.key).is_none());
    }

    #[tokio::test]
    async fn how_long_a_run_has_waited_without_an_end_counts_from_what_happened_last() {
        let tenure = Arc::new(Tenure::endless(spawner()));
        let services = services(&tenure);
        assert_eq!(asleep(&services, &tenure).idle_for(Duration::ZERO), None, "its wait has an end");
        services.alarms.clear();

        let run = begun("one(input) wait payment\n two(one) wait payment\n-> two", &services, &tenure);
        let since = run.idle_for(Duration::ZERO).expect("it waits");
        assert!(matches!(run.wake(&services), Ok(Told::Turn(_))));
        assert_eq!(run.idle_for(Duration::from_secs(5)), Some(since.plus(Duration::from_secs(5))), "nothing happened");
        // As whoever would have it leave memory by then.
        services.alarms.set(since, run.key.clone());
        while services.clock.now() <= since {
            std::thread::yield_now();
        }
        let pay = |id| run.tell(&services, |machine| machine.signal([id; 16], "payment", &Payload::null()));
        assert!(matches!(pay(1), Ok(Told::Turn(_))));
        assert!(run.idle_for(Duration::ZERO) > Some(since), "it waits anew");
        assert!(matches!(pay(2), Ok(Told::Turn(_))));
        assert_eq!(run.idle_for(Duration::ZERO), None, "it has ended");
        assert_eq!(services.alarms.due(Timestamp::MAX), (Vec::new(), None), "and nobody looks at it");
    }

    #[tokio::test]
    async fn nobody_goes_on_with_a_run_that_has_left() {
        let tenure = Arc::new(Tenure::endless(spawner()));
        let services = services(&tenure);
        let run = asleep(&services, &tenure);
        assert!(run.leave(), "it waits");
        let cancel = run.tell(&services, |machine| machine.cancel("no"));
        assert!(matches!(cancel, Ok(Told::Left)), "whoever has it still is sent to load it again");
        assert!(matches!(run.wake(&services), Ok(Told::Left)));
        assert!(matches!(run.then(), Then::Wait(_)), "it is as it was");
    }

    #[tokio::test]
    async fn a_run_stays_as_long_as_something_of_it_is_on_its_way_to_the_store() {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let executor = ExecutorId::new("test").expect("a name");
        let ask = LeaseAsk { executor, now: Timestamp::EPOCH, ttl: Duration::MAX };
        let lease = store.acquire(ask).await.expect("memory gives leases");
        // Nobody commits what it takes.
        let journal = Journal::new(store, lease.clone(), Arc::new(SystemClock), Duration::ZERO);
        let tenure = Arc::new(Tenure::under(lease, journal, spawner(), Duration::MAX));
        assert!(!asleep(&services(&tenure), &tenure).leave());
    }
}
