//! A world for machines to live in.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write;
use std::sync::Arc;

use fastn_core::{Draft, Event, Failure, FailureKind, Outcome, Part, Payload, Plan, Record, Timestamp};
use fastn_runtime::machine::{Action, Machine, Task, Turn};

pub(crate) const T0: Timestamp = Timestamp::EPOCH;

/// What the steps answer: by path, part and attempt, written `charge#2` or `undo reserve#1`. What is not listed gives its
/// own path as a text.
pub(crate) type Answers = BTreeMap<&'static str, Result<&'static str, &'static str>>;

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
    /// What the next attempt answers, whatever is listed.
    pub(crate) next: Option<Result<&'static str, &'static str>>,
}

impl World {
    pub(crate) fn new(draft: Draft, input: &str, answers: Answers) -> Self {
        let plan = Arc::new(draft.check().expect("a faultless draft"));
        let input = Payload::json(input.to_owned());
        let (machine, turn) = Machine::start(plan.clone(), input.clone(), T0).expect("a plan can be started");
        let (records, tasks) = (Vec::new(), VecDeque::new());
        let mut world = Self { plan, input, answers, machine, records, tasks, now: T0, log: String::new(), next: None };
        world.take(turn);
        world
    }

    pub(crate) fn take(&mut self, turn: Turn) {
        for action in turn.actions {
            match action {
                Action::Run(task) => self.tasks.push_back(task),
                Action::AbortAll => self.log.push_str("abort all\n"),
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
            _ => "undo ",
        };
        format!("{part}{}#{}", self.plan.path_at(&task.at), task.attempt)
    }

    pub(crate) fn result(&self, task: &Task) -> Result<Payload, Failure> {
        match self.next.as_ref().or_else(|| self.answers.get(self.name(task).as_str())) {
            Some(Ok(text)) => Ok(Payload::json(*text)),
            Some(Err(message)) => Err(Failure::new(FailureKind::ERROR, *message)),
            None => Ok(Payload::encode(&self.plan.path_at(&task.at)).expect("a text is JSON")),
        }
    }

    pub(crate) fn event(&mut self, event: Event) {
        let mut turn = Turn::new(self.now);
        self.machine.advance(event, &mut turn).expect("the event fits");
        self.take(turn);
    }

    /// Makes the next attempt, after letting time pass to the next timer if there is none. False when the run is over.
    pub(crate) fn step(&mut self) -> bool {
        if self.tasks.is_empty() {
            let Some(time) = self.machine.wakes_at() else { return false };
            self.now = self.now.max(time);
            let mut turn = Turn::new(self.now);
            self.machine.wake(&mut turn).expect("a timer can go off");
            self.take(turn);
        }
        if let Some(task) = self.tasks.pop_front() {
            let args: Vec<_> = task.args.iter().map(|arg| String::from_utf8_lossy(arg.bytes()).into_owned()).collect();
            let result = self.result(&task);
            let verb = if result.is_ok() { "" } else { " fails" };
            let (second, name) = (self.now.as_millis() / 1_000, self.name(&task));
            let _ = writeln!(self.log, "{second:>2}s {name}({}){verb}", args.join(", "));
            let event = self.machine.judge(&task, result, self.now, 0);
            self.event(event);
        }
        true
    }

    /// The process dies, and another goes on from what was recorded.
    pub(crate) fn crash(&mut self) {
        self.tasks.clear();
        self.machine =
            Machine::replay(self.plan.clone(), self.input.clone(), T0, &self.records).expect("our own records");
        if self.machine.outcome().is_none() {
            let mut turn = Turn::new(self.now);
            self.machine.resume(&mut turn).expect("our own records");
            self.take(turn);
        }
    }
}
