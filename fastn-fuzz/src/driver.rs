//! A run driven to its end by steps that give back what they are given.

use fastn_core::plan::NodeKind;
use fastn_core::{Outcome, Part, Payload, Record, Result};
use fastn_runtime::machine::{Action, Machine, Task, Turn};

/// What a step gives: its first argument; a `when` chooses its first arm.
pub(crate) fn answer(machine: &Machine, task: &Task) -> Payload {
    let chooses = task.part == Part::Work && matches!(machine.plan().node(task.at.node).kind, NodeKind::When(_));
    if chooses { Payload::json("0") } else { task.args.first().cloned().unwrap_or_else(Payload::null) }
}

/// Makes every attempt and lets time pass until the run has ended; adds what is recorded.
///
/// # Panics
/// If it does not end.
///
/// # Errors
/// Those of the machine.
pub(crate) fn drive(
    machine: &mut Machine,
    first: Turn,
    tasks: &mut Vec<Task>,
    records: &mut Vec<Record>,
) -> Result<()> {
    let mut now = first.time;
    take(first, tasks, records);
    // Every step takes the run on, and there are no more of them than nodes, items and what is undone.
    for _ in 0..100_000 {
        if machine.outcome().is_some() {
            return Ok(());
        }
        let mut turn = Turn::new(now);
        if let Some(task) = tasks.pop() {
            let event = machine.judge(&task, Ok(answer(machine, &task)), now, 0);
            machine.advance(event, &mut turn)?;
        } else if let Some(time) = machine.wakes_at() {
            now = now.max(time);
            turn = Turn::new(now);
            machine.wake(&mut turn)?;
        } else {
            break;
        }
        take(turn, tasks, records);
    }
    panic!("a run that does not end: {machine:?}");
}

/// What a turn brought.
pub(crate) fn take(turn: Turn, tasks: &mut Vec<Task>, records: &mut Vec<Record>) {
    tasks.extend(turn.actions.into_iter().filter_map(|action| match action {
        Action::Run(task) => Some(task),
        Action::AbortAll | Action::Await(_) | Action::EndChild(..) => None,
    }));
    records.extend(turn.records);
}

/// The output of a run that was just started; `None` if it did not succeed.
pub(crate) fn settle(mut machine: Machine, first: Turn) -> Option<Payload> {
    drive(&mut machine, first, &mut Vec::new(), &mut Vec::new()).expect("the machine's own events");
    match machine.outcome() {
        Some(Outcome::Succeeded(output)) => Some(output.clone()),
        _ => None,
    }
}
