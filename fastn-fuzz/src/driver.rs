//! A run driven to its end by steps that give back what they are given.

use fastn_core::plan::NodeKind;
use fastn_core::{By, Decision, Event, Outcome, Part, Payload, Record, Result, RunId, Timestamp};
use fastn_runtime::machine::{Action, Machine, Task, Turn};

/// How often all loops of a run together go on where nobody says otherwise.
const ROUNDS: u32 = 5;

/// What a run is up to, and what was recorded of it.
#[derive(Debug, Default)]
pub(crate) struct Doings {
    pub(crate) tasks: Vec<Task>,
    /// The runs whose ends it waits for.
    pub(crate) children: Vec<RunId>,
    pub(crate) records: Vec<Record>,
    /// How often a loop went on.
    pub(crate) rounds: u32,
    /// How many signals there were.
    pub(crate) signals: u64,
}

impl Doings {
    /// What a turn brought.
    pub(crate) fn take(&mut self, turn: Turn) {
        for action in turn.actions {
            match action {
                Action::Run(task) => self.tasks.push(task),
                Action::Await(child) => self.children.push(child),
                Action::AbortAll | Action::Abort(_) | Action::EndChild(..) => {}
            }
        }
        self.records.extend(turn.records);
    }

    /// What an attempt gives: a step its first argument, a `when` its first arm, a loop whether it goes on, the start of a
    /// run its id.
    pub(crate) fn answer(&mut self, machine: &Machine, task: &Task, again: bool) -> Payload {
        match &machine.plan().node(task.at.node).kind {
            NodeKind::When(_) if task.part == Part::Work => Payload::json("0"),
            NodeKind::Repeat { .. } if task.part == Part::Work => Payload::json(if again { "true" } else { "false" }),
            NodeKind::Run(_) if task.part == Part::Work => {
                let id = RunId::named(&format!("{:?} {:?}", task.at, task.attempt));
                Payload::encode(&id).expect("an id is JSON")
            }
            _ => task.args.first().cloned().unwrap_or_else(Payload::null),
        }
    }

    /// A signal that was not told before, if the run has use for one: `which` of those of its plan.
    pub(crate) fn signal(&mut self, machine: &Machine, which: usize) -> Option<Event> {
        let names: Vec<_> = machine.plan().signals().keys().collect();
        let name = names.get(which.checked_rem(names.len())?)?;
        self.signals += 1;
        // Not the id of one that a hostile journal has.
        let id = u128::from(self.signals) << 64 | 0xfa57;
        machine.signal(id.to_be_bytes(), name, &Payload::json("[[7]]"))
    }

    /// How one of the runs that are waited for ended.
    pub(crate) fn child_ended(&mut self, machine: &Machine, how: &Outcome, now: Timestamp) -> Option<Event> {
        machine.child_ended(self.children.pop()?, how, now, 0)
    }
}

/// Makes every attempt, tells what is waited for and lets time pass until the run has ended; adds what is recorded.
///
/// # Panics
/// If it does not end.
///
/// # Errors
/// Those of the machine.
pub(crate) fn drive(machine: &mut Machine, first: Turn, doings: &mut Doings) -> Result<()> {
    let mut now = first.time;
    doings.take(first);
    // Every step takes the run on, and there are no more of them than nodes, items, rounds and what is undone.
    for _ in 0..100_000 {
        if machine.outcome().is_some() {
            return Ok(());
        }
        let mut turn = Turn::new(now);
        if doings.tasks.is_empty()
            && let Some(event) = machine.unpause(RunId::named("go on").as_bytes().to_owned(), &By::default())
        {
            machine.advance(event, &mut turn)?;
        } else if let (true, Some(event)) = (doings.tasks.is_empty(), doubt(machine, doings.records.len())?) {
            machine.advance(event, &mut turn)?;
        } else if let Some(task) = doings.tasks.pop() {
            doings.rounds += 1;
            let again = doings.rounds < ROUNDS;
            let given = doings.answer(machine, &task, again);
            let event = machine.judge(&task, Ok(given), now, 0);
            machine.advance(event, &mut turn)?;
        } else if !doings.children.is_empty() {
            if let Some(event) = doings.child_ended(machine, &Outcome::Succeeded(Payload::json("[]")), now) {
                machine.advance(event, &mut turn)?;
            }
        } else if let Some(time) = machine.wakes_at() {
            now = now.max(time);
            turn = Turn::new(now);
            machine.wake(&mut turn)?;
        } else {
            // Each in its turn: nobody may wait for the first, and it is kept all the same.
            let (signals, turns) = (machine.plan().signals().len(), usize::try_from(doings.signals).unwrap_or(0));
            let Some(event) = (0..signals).find_map(|which| doings.signal(machine, turns + which)) else { break };
            machine.advance(event, &mut turn)?;
        }
        doings.take(turn);
    }
    panic!("a run that does not end: {machine:?}");
}

/// What a person says of a step whose executor died.
fn doubt(machine: &Machine, so_far: usize) -> Result<Option<Event>> {
    if machine.doubts() == 0 {
        return Ok(None);
    }
    let gave = Decision::Gave(Payload::json("[]"));
    let decided = machine.attempts()?.into_iter().find_map(|(path, at, part, attempt)| {
        let id = *RunId::named(&format!("{path} {so_far}")).as_bytes();
        machine.decide(id, (&at, part, attempt), &gave, &By::default())
    });
    Ok(decided)
}

/// The output of a run that was just started; `None` if it did not succeed.
pub(crate) fn settle(mut machine: Machine, first: Turn) -> Option<Payload> {
    drive(&mut machine, first, &mut Doings::default()).expect("the machine's own events");
    match machine.outcome() {
        Some(Outcome::Succeeded(output)) => Some(output.clone()),
        _ => None,
    }
}
