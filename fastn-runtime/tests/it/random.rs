//! Random plans, random outcomes, random orders, signals, ends of other runs, deaths and cancellations: whatever happens, a run
//! ends, what succeeded is not done again, what is to be undone is undone once and after what it has started has ended, nothing is
//! left of what is given up, what is to be called in the end is called once, and the records tell the whole story.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use fastn_core::plan::{DraftKind, DraftNode, NodeKind};
use fastn_core::{Address, By, Decision, Draft, Event, Failure, FailureKind, Join, Outcome, Part, Payload, Tolerance};
use fastn_runtime::machine::Machine;
use fastn_testkit::sketch::{attempt, draft, each, race, repeat, tolerant, when};
use proptest::prelude::*;

use crate::forking;
use crate::world::{Answers, Container, T0, World, containers, is_next};

/// One node of a random plan.
#[derive(Clone, Debug)]
struct Sketch {
    inputs: Vec<prop::sample::Index>,
    adverbs: &'static str,
    shape: u8,
}

fn sketch() -> impl Strategy<Value = Sketch> {
    let adverbs = prop::sample::select(vec![
        "",
        "",
        "undo",
        "undo",
        "retry 2",
        "retry 1 undo",
        "on_error",
        "retry 1 on_error undo",
        "sleep",
        "relaxed",
        "at_most_once",
        "at_most_once on_error",
        "wait each",
        "wait each within 2",
        "wait each within 1 retry 1 on_error",
        "first once",
        "run other",
        "run other retry 1 undo",
        "run other within 2",
        "leave other on_error",
        "detach other",
    ]);
    (prop::collection::vec(any::<prop::sample::Index>(), 0..3), adverbs, 0..16_u8)
        .prop_map(|(inputs, adverbs, shape)| Sketch { inputs, adverbs, shape })
}

fn plan(nodes: &[Sketch]) -> Draft {
    let mut text = String::new();
    let mut inner = Vec::new();
    for (i, node) in nodes.iter().enumerate() {
        let input = |index: &prop::sample::Index| match index.index(i + 1) {
            0 => "input".to_owned(),
            n => format!("n{}", n - 1),
        };
        match node.shape {
            0 => {
                let body = format!("a(input) {}\n b(a) undo\n-> b", node.adverbs.replace("sleep", "sleep 1"));
                inner.push(each(&format!("n{i}"), "'[1,2,3]'", 2, &body));
            }
            1 => {
                let from = node.inputs.first().map_or_else(|| "input".to_owned(), input);
                let arm = format!("c(input) {}\n-> c", node.adverbs);
                inner.push(when(&format!("n{i}"), &from, &[("yes", &arm), ("no", "-> input")]));
            }
            2 => {
                let from = node.inputs.first().map_or_else(|| "input".to_owned(), input);
                let body = format!("d(input) {}\n e(d) undo\n-> e", node.adverbs);
                inner.push(repeat(&format!("n{i}"), &from, 3, &body));
            }
            3..=6 => {
                let from = node.inputs.first().map_or_else(|| "input".to_owned(), input);
                inner.push(contained(&format!("n{i}"), &from, node));
            }
            _ => {
                let one = ["sleep", "run", "leave", "detach"].iter().any(|verb| node.adverbs.starts_with(verb));
                let inputs: Vec<String> = match one {
                    true => vec![node.inputs.first().map_or_else(|| "input".to_owned(), input)],
                    _ => node.inputs.iter().map(input).collect(),
                };
                writeln!(text, "n{i}({}) {}", inputs.join(", "), node.adverbs).expect("memory does not fail");
            }
        }
    }
    let mut draft = draft(&format!("{text}-> 'null'"));
    draft.root.nodes.extend(inner);
    draft
}

/// A node that contains failure, perhaps with another one inside.
fn contained(name: &str, from: &str, node: &Sketch) -> DraftNode {
    let body = format!("f(input) undo\n g(f) {}\n h(input) undo\n-> g", node.adverbs.replace("sleep", "sleep 1"));
    let finally = if node.inputs.len() > 1 { "finally" } else { "" };
    let arms = [
        ("one", body.as_str()),
        ("two", "i(input) undo\n j(i) sleep 1\n k(j) undo\n-> k"),
        ("three", "l(input)\n-> l"),
    ];
    let mut outer = match node.shape {
        3 => attempt(name, from, &format!("retry 1 {finally}"), &body, &[("error", "m(input) undo\n-> m")]),
        4 => race(name, from, Join::First, &arms),
        5 => race(name, from, Join::Of(2), &arms),
        _ => tolerant(name, "'[1,2,3]'", 2, Tolerance::Failures(1), &body),
    };
    if node.inputs.is_empty() {
        let mut inside = race("o", "input", Join::First, &arms);
        if node.adverbs.contains("undo") {
            inside = attempt("o", "input", &format!("{finally} retry 1"), &body, &[]);
        }
        match &mut outer.kind {
            DraftKind::Try { body, .. } | DraftKind::Each { body, .. } => body.nodes.push(inside),
            DraftKind::Race { arms, .. } => arms[2].1.nodes.push(inside),
            _ => {}
        }
    }
    outer
}

/// What happens next.
#[derive(Clone, Debug)]
enum Step {
    /// An attempt is answered: which of those under way, and whether it succeeds.
    Answer(prop::sample::Index, bool),
    /// It is told one of its signals; the second of them once more what it was told last.
    Signal(u8),
    /// A run that it has started ends, and whether well.
    ChildEnds(prop::sample::Index, bool),
    Crash,
    Cancel,
    Expire,
    /// It is paused, or goes on if it is.
    Pause,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        30 => (any::<prop::sample::Index>(), prop::bool::weighted(0.8)).prop_map(|(which, well)| Step::Answer(which, well)),
        4 => (0..3_u8).prop_map(Step::Signal),
        5 => (any::<prop::sample::Index>(), prop::bool::weighted(0.7)).prop_map(|(which, well)| Step::ChildEnds(which, well)),
        3 => Just(Step::Crash),
        1 => Just(Step::Cancel),
        1 => Just(Step::Expire),
        4 => Just(Step::Pause),
    ]
}

/// Answers an attempt; a `when` is told one of its two arms, and a `repeat` to go on or not.
fn answer(world: &mut World, which: prop::sample::Index, well: bool) {
    if !world.tasks.is_empty() {
        let at = which.index(world.tasks.len());
        world.tasks.swap(0, at);
        let task = &world.tasks[0];
        world.next = match &world.plan.node(task.at.node).kind {
            _ if !well => Some(Err("no")),
            _ if task.part != Part::Work => Some(Ok("7")),
            NodeKind::When(_) => Some(Ok(if which.index(2) > 0 { "1" } else { "0" })),
            NodeKind::Repeat { .. } => Some(Ok(if which.index(3) > 0 { "true" } else { "false" })),
            // The id of its own run.
            NodeKind::Run(_) => None,
            _ => Some(Ok("7")),
        };
    }
    let went_on = if world.tasks.is_empty() { world.pass() } else { world.step() };
    if !went_on && world.machine.outcome().is_none() {
        // It waits for what only others can tell it.
        tell(world, 0);
        tell(world, 2);
    }
}

/// Pauses it, or lets it go on.
fn pause(world: &mut World) {
    let mut id = [255; 16];
    id[..8].copy_from_slice(&world.records.len().to_le_bytes());
    let by = By::new("ann", "why not");
    let event = world.machine.pause(id, &by).or_else(|| world.machine.unpause(id, &by));
    event.into_iter().for_each(|event| world.event(event));
}

/// Tells it something new, or once more what it was told last.
fn tell(world: &mut World, which: u8) {
    let told = world.records.iter().filter(|record| matches!(record.event, Event::Signalled { .. })).count();
    if which == 1 && told == 0 {
        return;
    }
    let mut id = [0; 16];
    id[..8].copy_from_slice(&(told + usize::from(which != 1)).to_le_bytes());
    let heard = world.tell(id, if which == 2 { "once" } else { "each" }, "7");
    assert!(which != 1 || !heard, "it was told the same twice\n{}", world.log);
}

/// What was done and is to be undone if it does not end well, as the records tell it.
struct Told<'a> {
    world: &'a World,
    done: BTreeMap<Address, Vec<Part>>,
    /// In the order in which it was done.
    to_undo: Vec<&'a Address>,
    /// The `finally` of these was called, for better or worse.
    called: BTreeSet<&'a Address>,
    /// How often the body of each `try` was given up.
    given_up: BTreeMap<&'a Address, u32>,
}

impl<'a> Told<'a> {
    fn around(&self, at: &Address) -> Vec<Container> {
        containers(&self.world.plan, at)
    }

    fn path(&self, at: &Address) -> String {
        self.world.plan.path_at(at)
    }

    fn take(&mut self, place: usize, event: &'a Event) {
        let world = self.world;
        match event {
            Event::Succeeded { at, part: Part::Finally, .. }
            | Event::Failed { at, part: Part::Finally, retry_at: None, .. } => {
                assert!(self.called.insert(at), "{} is called in the end twice\n{}", self.path(at), world.log);
            }
            Event::Succeeded { at, part: Part::Undo, .. }
            | Event::Failed { at, part: Part::Undo, retry_at: None, .. } => self.undone(place, at),
            Event::Decided { at, part, decision: Decision::Gave(_), .. } | Event::Succeeded { at, part, .. } => {
                let node = world.plan.node(at.node);
                if matches!(node.kind, NodeKind::Repeat { .. }) {
                    return;
                }
                if node.policy.undo.is_some() && !self.done.contains_key(at) {
                    self.to_undo.push(at);
                }
                let parts = self.done.entry(at.clone()).or_default();
                assert!(!parts.contains(part), "{} succeeded twice\n{}", world.plan.path_at(at), world.log);
                parts.push(*part);
            }
            // Nothing is left of what was given up; what ended well only had something called.
            Event::Unwound { at, which, .. } if !self.called.contains(at) => {
                let tries = matches!(world.plan.node(at.node).kind, NodeKind::Try(_));
                let times = *self.given_up.entry(at).or_default() * u32::from(tries);
                *self.given_up.entry(at).or_default() += 1;
                let scope = (at.clone(), *which, times);
                let left = self.to_undo.iter().find(|done| self.around(done).contains(&scope));
                assert!(left.is_none(), "{left:?} was left of {scope:?}\n{}", world.log);
            }
            _ => {}
        }
    }

    /// What is undone is the last of what was done, but for what is outside of a scope that is given up.
    fn undone(&mut self, record: usize, at: &'a Address) {
        let node = self.path(at);
        assert!(self.done.contains_key(at), "{node} was undone before it was done\n{}", self.world.log);
        let place = self.to_undo.iter().rposition(|done| *done == at);
        let place = place.unwrap_or_else(|| panic!("{node} was undone twice\n{}", self.world.log));
        let next = is_next(&self.world.plan, &self.world.records[record..], &self.to_undo, at);
        assert!(next, "{node} was undone out of its order\n{}", self.world.log);
        self.to_undo.remove(place);
    }
}

fn check(world: &World) {
    assert!(world.children.values().all(|child| !child.own), "it has ended before what it started\n{}", world.log);
    let mut told =
        Told { world, done: BTreeMap::new(), to_undo: Vec::new(), called: BTreeSet::new(), given_up: BTreeMap::new() };
    for (place, record) in world.records.iter().enumerate() {
        let undone = matches!(&record.event, Event::Succeeded { part: Part::Undo, .. });
        told.take(place, &record.event);
        if let (true, Event::Succeeded { at, .. }) = (undone, &record.event) {
            let contained = !told.around(at).is_empty();
            let well = matches!(world.machine.outcome(), Some(Outcome::Succeeded(_)));
            assert!(!well || contained, "{} was undone although all is well\n{}", told.path(at), world.log);
        }
    }
    if !matches!(
        world.machine.outcome().unwrap_or_else(|| panic!("it did not end\n{}", world.log)),
        Outcome::Succeeded(_)
    ) {
        assert!(told.to_undo.is_empty(), "{}\n{}", world.plan, world.log);
    }
    // What is to be called in the end is, of everything that was begun.
    for record in &world.records {
        let (Event::Succeeded { at, .. } | Event::Failed { at, .. } | Event::Sleeping { at, .. }) = &record.event
        else {
            continue;
        };
        for (owner, ..) in told.around(at) {
            let calls =
                matches!(&world.plan.node(owner.node).kind, NodeKind::Try(guarded) if guarded.finally.is_some());
            assert!(!calls || told.called.contains(&owner), "{} is over\n{}", told.path(&owner), world.log);
        }
    }
    let told = Machine::replay(world.plan.clone(), world.input.clone(), T0, &world.records).expect("our own records");
    assert_eq!(told.outcome(), world.machine.outcome());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn whatever_happens_a_run_ends_and_its_records_tell_how(
        nodes in prop::collection::vec(sketch(), 1..9),
        steps in prop::collection::vec(step(), 0..80),
        fork in 0..100_usize,
    ) {
        let mut world = World::new(plan(&nodes), "[]", Answers::new());
        let unknown = Failure::new(FailureKind::OUTCOME_UNKNOWN, "nobody knows").permanent();
        world.person = Some(if nodes.len() % 2 == 0 { Decision::Failed(unknown) } else { Decision::Gave(Payload::json("7")) });
        for step in steps {
            match step {
                Step::Answer(which, well) => answer(&mut world, which, well),
                Step::Signal(which) => tell(&mut world, which),
                Step::ChildEnds(which, well) => {
                    if !world.awaited.is_empty() {
                        let run = world.awaited.remove(which.index(world.awaited.len())).expect("it is there");
                        world.end_child(run, !well);
                    }
                }
                Step::Crash => world.crash(),
                Step::Cancel => {
                    if let Some(event) = world.machine.cancel("enough") {
                        world.event(event);
                    }
                }
                Step::Pause => pause(&mut world),
                Step::Expire => {
                    if let Some(event) = world.machine.expire() {
                        world.event(event);
                    }
                }
            }
        }
        if world.machine.paused().is_some() {
            pause(&mut world);
        }
        // From here on all goes well, so it must come to its end.
        for _ in 0..2_000 {
            if world.machine.outcome().is_some() {
                break;
            }
            answer(&mut world, any_first(), true);
        }
        check(&world);
        if !world.plan.has_containers() {
            forking::any(&world, fork);
        }
    }
}

/// The first of whatever there is.
fn any_first() -> prop::sample::Index {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    any::<prop::sample::Index>().new_tree(&mut runner).expect("an index").current()
}
