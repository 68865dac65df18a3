//! A world for machines to live in.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write;
use std::sync::Arc;

use fastn_core::plan::NodeKind;
use fastn_core::{
    Address, Bond, By, Decision, Draft, Durability, Event, Failure, FailureKind, Outcome, Part, Payload, Plan, Record,
    RunId, Timestamp,
};
use fastn_runtime::machine::{Action, AttemptId, Machine, Task, Turn};

pub(crate) const T0: Timestamp = Timestamp::EPOCH;

/// What the steps answer: by path, part and attempt, written `charge#2` or `undo reserve#1`. What is not listed gives its
/// own path as a text. What a run that was started ends with is written `end ship#1`. A loop goes on as long as
/// its value is a number above 0.
pub(crate) type Answers = BTreeMap<&'static str, Result<&'static str, &'static str>>;

/// A scope that contains failure: the node it stands in, and which of the node's it is, as [`Event::Unwound`] says it; with how
/// often the body of a `try` was done before.
pub(crate) type Container = (Address, u32, u32);

/// The scopes around an instance of a node that contain failure, outermost first.
pub(crate) fn containers(plan: &Plan, at: &Address) -> Vec<Container> {
    let (mut found, mut items) = (Vec::new(), at.items.clone());
    let mut scope = plan.node(at.node).scope;
    while let Some((owner, number)) = plan.scope(scope).owner {
        let kind = &plan.node(owner).kind;
        let item = if kind.opens_again(number) { items.pop() } else { None };
        if kind.contains_failure(number) {
            let (which, times) = if let NodeKind::Each { .. } = kind { (item, None) } else { (Some(number), item) };
            found.push((Address { node: owner, items: items.clone() }, which.unwrap_or(0), times.unwrap_or(0)));
        }
        scope = plan.node(owner).scope;
    }
    found.reverse();
    found
}

/// Whether this is the next to be undone of what was done, which is in its order: the last, but for what is outside of a scope
/// around it that is given up, as what is recorded from here on says.
pub(crate) fn is_next(plan: &Plan, from_here: &[Record], done: &[&Address], at: &Address) -> bool {
    let Some(place) = done.iter().rposition(|done| *done == at) else { return false };
    let around = containers(plan, at);
    done[place + 1..].iter().all(|later| {
        let other = containers(plan, later);
        around.iter().filter(|scope| !other.contains(scope)).any(|(owner, number, _)| {
            let over = |record: &Record| matches!(&record.event, Event::Unwound { at, which, .. } if (at, which) == (owner, number));
            from_here.iter().any(over)
        })
    })
}

/// A run that was started by the run.
pub(crate) struct Child {
    pub(crate) name: String,
    pub(crate) own: bool,
    pub(crate) at: Address,
    pub(crate) cancelled: bool,
}

/// A world that makes attempts one at a time, in the order in which they were asked for.
pub(crate) struct World {
    pub(crate) plan: Arc<Plan>,
    pub(crate) input: Payload,
    pub(crate) answers: Answers,
    pub(crate) machine: Machine,
    pub(crate) records: Vec<Record>,
    pub(crate) tasks: VecDeque<Task>,
    pub(crate) now: Timestamp,
    pub(crate) log: String,
    /// The runs that were started and have not ended, with the names of the attempts that started them.
    pub(crate) children: BTreeMap<RunId, Child>,
    /// Those whose ends the machine waits for, in the order in which it asked.
    pub(crate) awaited: VecDeque<RunId>,
    /// What the run will be told, and when, in seconds.
    pub(crate) signals: VecDeque<(i64, &'static str, &'static str)>,
    told: u8,
    /// What a person says of steps whose executor died, if there is one.
    pub(crate) person: Option<Decision>,
    /// What the next attempt answers, whatever is listed.
    pub(crate) next: Option<Result<&'static str, &'static str>>,
}

impl World {
    pub(crate) fn new(draft: Draft, input: &str, answers: Answers) -> Self {
        let plan = Arc::new(draft.check().expect("a faultless draft"));
        Self::begin(plan, Payload::json(input.to_owned()), answers)
    }

    /// A run that is given this, which may be what another one has done.
    pub(crate) fn begin(plan: Arc<Plan>, input: Payload, answers: Answers) -> Self {
        let (machine, turn) = Machine::start(plan.clone(), input.clone(), T0).expect("a plan can be started");
        let mut world = Self {
            plan,
            input,
            answers,
            machine,
            records: Vec::new(),
            tasks: VecDeque::new(),
            now: T0,
            log: String::new(),
            children: BTreeMap::new(),
            awaited: VecDeque::new(),
            signals: VecDeque::new(),
            told: 0,
            person: None,
            next: None,
        };
        world.take(turn);
        world
    }

    pub(crate) fn take(&mut self, turn: Turn) {
        for action in turn.actions {
            match action {
                Action::Run(task) => {
                    assert!(self.machine.paused().is_none(), "{} begins while the run is paused", self.name(&task));
                    let innermost = containers(&self.plan, &task.at).pop();
                    let inside = |child: &Child| {
                        let around = containers(&self.plan, &child.at);
                        innermost.as_ref().is_none_or(|innermost| around.contains(innermost))
                    };
                    let alive = self.children.values().any(|child| child.own && inside(child));
                    assert!(task.part != Part::Undo || !alive, "something is undone before a child has ended");
                    self.tasks.push_back(task);
                }
                Action::Await(run) => {
                    if !self.awaited.contains(&run) {
                        self.awaited.push_back(run);
                    }
                }
                Action::EndChild(run, _) => {
                    // One that it started may have ended before.
                    if let Some(child) = self.children.get_mut(&run) {
                        child.cancelled = true;
                    }
                }
                Action::AbortAll => self.log.push_str("abort all\n"),
                Action::Abort(attempts) => {
                    for AttemptId { at, part, attempt } in attempts {
                        let under_way = |task: &Task| (&task.at, task.part, task.attempt) == (&at, part, attempt);
                        // That of one of which nobody knows whether it took place is told in the same turn.
                        let once = self.plan.node(at.node).policy.durability == Durability::AtMostOnce;
                        assert!(once || self.tasks.iter().any(under_way), "what is stopped is under way");
                        let _ = writeln!(self.log, "stop {}#{attempt}", self.plan.path_at(&at));
                    }
                }
            }
        }
        for record in &turn.records {
            if let Event::Finished { outcome } = &record.event {
                let _ = match outcome {
                    Outcome::Succeeded(output) => {
                        writeln!(self.log, "succeeded {}", String::from_utf8_lossy(output.bytes()))
                    }
                    other => writeln!(self.log, "{other}"),
                };
            }
        }
        self.records.extend(turn.records);
    }

    pub(crate) fn name(&self, task: &Task) -> String {
        let part = match task.part {
            Part::Work => "",
            Part::OnError => "on_error ",
            Part::Finally => "finally ",
            _ => "undo ",
        };
        format!("{part}{}#{}", self.plan.path_at(&task.at), task.attempt)
    }

    pub(crate) fn result(&self, task: &Task) -> Result<Payload, Failure> {
        match self.next.as_ref().or_else(|| self.answers.get(self.name(task).as_str())) {
            Some(Ok(text)) => Ok(Payload::json(*text)),
            Some(Err(message)) => Err(Failure::new(FailureKind::ERROR, *message)),
            None if task.part == Part::Work && matches!(self.plan.node(task.at.node).kind, NodeKind::Repeat { .. }) => {
                let left = task.args.first().and_then(|value| value.decode::<i64>().ok());
                Ok(Payload::json(if left.is_some_and(|left| left > 0) { "true" } else { "false" }))
            }
            None if self.starts(task).is_some() => Ok(Payload::encode(&self.child_of(task)).expect("an id is JSON")),
            None => Ok(Payload::encode(&self.plan.path_at(&task.at)).expect("a text is JSON")),
        }
    }

    /// Whether an attempt starts a run, and how the two are bound.
    pub(crate) fn starts(&self, task: &Task) -> Option<Bond> {
        match &self.plan.node(task.at.node).kind {
            NodeKind::Run(child) if task.part == Part::Work => Some(child.bond),
            _ => None,
        }
    }

    fn child_of(&self, task: &Task) -> RunId {
        RunId::named(&self.name(task))
    }

    /// An attempt that starts a run has done so, whether or not anybody hears of it.
    pub(crate) fn start_child(&mut self, task: &Task, bond: Bond) {
        let (id, name) = (self.child_of(task), self.name(task));
        let known = self.records.iter().any(|record| matches!(&record.event, Event::Child { run, .. } if *run == id));
        assert!(!known, "{name} is started again although it is on record");
        let at = task.at.clone();
        self.children.entry(id).or_insert(Child { name, own: bond == Bond::Own, at, cancelled: false });
    }

    /// A run that is awaited ends; in failure, if that is said.
    pub(crate) fn end_child(&mut self, run: RunId, fails: bool) {
        let Some(child) = self.children.remove(&run) else { return };
        let key = format!("end {}", child.name);
        let outcome = match self.answers.get(key.as_str()) {
            Some(Err(message)) => Outcome::Failed(Failure::new(FailureKind::ERROR, *message)),
            _ if fails => Outcome::Failed(Failure::new(FailureKind::ERROR, "it fails")),
            _ if child.cancelled => Outcome::Cancelled(Failure::new(FailureKind::CANCELLED, "told to")),
            Some(Ok(text)) => Outcome::Succeeded(Payload::json(*text)),
            None => Outcome::Succeeded(Payload::encode(&child.name).expect("a text is JSON")),
        };
        let second = self.now.as_millis() / 1_000;
        let _ = writeln!(self.log, "{second:>2}s {key}: {}", if child.cancelled { "cancelled" } else { "by itself" });
        if let Some(event) = self.machine.child_ended(run, &outcome, self.now, 0) {
            self.event(event);
        }
    }

    /// The run is told something; as what it was told before, if this is not the first time.
    pub(crate) fn tell(&mut self, id: [u8; 16], signal: &str, value: &str) -> bool {
        let event = self.machine.signal(id, signal, &Payload::json(value.to_owned()));
        let heard = event.is_some();
        event.into_iter().for_each(|event| self.event(event));
        heard
    }

    pub(crate) fn event(&mut self, event: Event) {
        let mut turn = Turn::new(self.now);
        self.machine.advance(event, &mut turn).expect("the event fits");
        self.take(turn);
    }

    /// Makes the next attempt, after letting something else happen if there is none. False when the run is over.
    pub(crate) fn step(&mut self) -> bool {
        if self.tasks.is_empty() && !self.pass() {
            return false;
        }
        if let Some(task) = self.tasks.pop_front() {
            let args: Vec<_> = task.args.iter().map(|arg| String::from_utf8_lossy(arg.bytes()).into_owned()).collect();
            let result = self.result(&task);
            if let (Some(bond), Ok(_)) = (self.starts(&task), &result) {
                self.start_child(&task, bond);
            }
            let verb = if result.is_ok() { "" } else { " fails" };
            let (second, name) = (self.now.as_millis() / 1_000, self.name(&task));
            let _ = writeln!(self.log, "{second:>2}s {name}({}){verb}", args.join(", "));
            let event = self.machine.judge(&task, result, self.now, 0);
            self.event(event);
        }
        true
    }

    /// Lets another run end, a signal come, or time pass to the next timer. False if there is nothing of these.
    pub(crate) fn pass(&mut self) -> bool {
        if let Some(run) = self.awaited.pop_front() {
            self.end_child(run, false);
            return true;
        }
        let wakes = self.machine.wakes_at();
        let due = self.signals.front().map(|(second, ..)| Timestamp::from_millis(second * 1_000));
        if let Some(due) = due.filter(|due| wakes.is_none_or(|wakes| *due <= wakes))
            && let Some((second, signal, value)) = self.signals.pop_front()
        {
            self.now = self.now.max(due);
            self.told += 1;
            let id = [self.told; 16];
            let heard = if self.tell(id, signal, value) { "" } else { " in vain" };
            assert!(!self.tell(id, signal, value), "what it was told it is not told again");
            let _ = writeln!(self.log, "{second:>2}s {signal} is told {value}{heard}");
            return true;
        }
        let Some(time) = wakes else { return self.decide() };
        self.now = self.now.max(time);
        let mut turn = Turn::new(self.now);
        self.machine.wake(&mut turn).expect("a timer can go off");
        self.take(turn);
        true
    }

    /// Somebody says what became of a step whose executor died.
    fn decide(&mut self) -> bool {
        let Some(decision) = self.person.clone().filter(|_| self.machine.doubts() > 0) else { return false };
        let id = *RunId::named(&format!("decision {}", self.records.len())).as_bytes();
        let by = By::new("ann", "the bank says so");
        let attempts = self.machine.attempts().expect("our own records");
        let decided = attempts.iter().find_map(|(path, at, part, attempt)| {
            let event = self.machine.decide(id, (at, *part, *attempt), &decision, &by)?;
            let _ = writeln!(self.log, "ann says that {path} {}", decision.as_str());
            Some(event)
        });
        // One that is ending or paused does not wait for it.
        let Some(event) = decided else { return false };
        self.event(event);
        true
    }

    /// The process dies, and another goes on from what was recorded.
    pub(crate) fn crash(&mut self) {
        self.tasks.clear();
        self.awaited.clear();
        self.machine =
            Machine::replay(self.plan.clone(), self.input.clone(), T0, &self.records).expect("our own records");
        if self.machine.outcome().is_none() {
            let mut turn = Turn::new(self.now);
            self.machine.resume(&mut turn).expect("our own records");
            self.take(turn);
        }
    }
}
