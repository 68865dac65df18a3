//! Every way in which a small plan can go: each order of answers, each outcome, with a cancellation and a death at every
//! point. States that are alike are looked at once.
//!
//! All plans of one node and of two. Of three nodes there are 5,832, with some eighteen million points, which take the
//! better part of an hour of one core in the profile of the tests: so there is a sample of them, and of those of four, which
//! looks at other kinds of nodes with each next plan. Of plans that contain failure there are more points, and a sample of two. `FASTN_EVERY_PLAN=3` looks at every plan of up to three nodes.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt::Write;
use std::hash::{DefaultHasher, Hasher};
use std::sync::Arc;

use fastn_core::plan::NodeKind;
use fastn_core::{
    Address, By, Decision, Draft, Durability, Event, Failure, FailureKind, Join, Outcome, Part, Payload, Plan, Record,
    RunId, Timestamp, Tolerance,
};
use fastn_runtime::machine::{Action, Doing, Machine, Task, Turn};
use fastn_testkit::sketch::{attempt, draft, each, race, tolerant, when};

use crate::world::{T0, is_next};

/// What a node can be. Two of them are not steps.
const KINDS: &[&str] = &["", "undo", "retry 1", "on_error", "sleep 1", "at_most_once", "relaxed undo", "when", "each"];

/// The kinds that contain failure, and some to stand beside them.
const CONTAINING: &[&str] = &["try", "race", "some", "undo", "", "sleep 1"];

/// The plan with these kinds of nodes, in which each waits for those before it whose bit is set.
fn plan(kinds: &[&str], edges: u32) -> Draft {
    let (mut text, mut inner, mut bit) = (String::new(), Vec::new(), 0);
    for (number, kind) in kinds.iter().enumerate() {
        let before = (0..number).filter(|other| edges >> (bit + other) & 1 == 1).map(|other| format!("n{other}"));
        let before: Vec<String> = before.collect();
        bit += number;
        let (name, first) = (format!("n{number}"), before.first().map_or("input", String::as_str));
        match *kind {
            "when" => {
                let mut node = when(&name, first, &[("one", "a(input) undo\n-> a"), ("two", "-> input")]);
                node.after = before;
                inner.push(node);
            }
            "each" => {
                let mut node = each(&name, "'[1,2]'", 2, "a(input) undo\n-> a");
                node.after = before;
                inner.push(node);
            }
            "try" => {
                let body = "a(input) undo\n b(a)\n-> b";
                let mut node = attempt(&name, first, "finally", body, &[("*", "-> input")]);
                node.after = before;
                inner.push(node);
            }
            "race" => {
                let arms = [("one", "a(input) undo\n-> a"), ("two", "b(input) undo\n-> b")];
                let mut node = race(&name, first, Join::First, &arms);
                node.after = before;
                inner.push(node);
            }
            "some" => {
                let mut node = tolerant(&name, "'[1,2]'", 2, Tolerance::Failures(1), "a(input) undo\n-> a");
                node.after = before;
                inner.push(node);
            }
            "sleep 1" => writeln!(text, "{name}({first}) sleep 1 after {}", before.join(" ")).unwrap(),
            adverbs => writeln!(text, "{name}({}) {adverbs}", before.join(", ")).unwrap(),
        }
    }
    let mut draft = draft(&format!("{text}-> 'null'"));
    draft.root.nodes.extend(inner);
    draft
}

/// A run at some point.
#[derive(Clone)]
struct Point {
    machine: Machine,
    records: Vec<Record>,
    tasks: Vec<Task>,
    now: Timestamp,
    /// What succeeded, in order, and how often each attempt was asked for.
    done: Vec<(Address, Part)>,
    can_cancel: bool,
    can_die: bool,
    /// How the run came here, for people.
    way: String,
}

/// The ways of one plan.
struct Ways {
    plan: Arc<Plan>,
    input: Payload,
    seen: HashSet<u64>,
    ends: BTreeMap<&'static str, usize>,
}

/// Hashes what is written.
struct Digest(DefaultHasher);

impl Write for Digest {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.0.write(text.as_bytes());
        Ok(())
    }
}

impl Ways {
    fn explore(draft: Draft) -> Self {
        let plan = Arc::new(draft.check().unwrap());
        let input = Payload::json("[]");
        let (machine, turn) = Machine::start(plan.clone(), input.clone(), T0).unwrap();
        let mut first = Point {
            machine,
            records: Vec::new(),
            tasks: Vec::new(),
            now: T0,
            done: Vec::new(),
            can_cancel: true,
            can_die: true,
            way: String::new(),
        };
        let mut ways = Self { plan, input, seen: HashSet::new(), ends: BTreeMap::new() };
        ways.take(&mut first, turn);
        let mut open = vec![first];
        while let Some(point) = open.pop() {
            if ways.is_new(&point) {
                ways.look(&point);
                ways.go_on(&point, &mut open);
            }
        }
        ways
    }

    fn is_new(&mut self, point: &Point) -> bool {
        let mut digest = Digest(DefaultHasher::new());
        let undone_last: BTreeSet<_> = point.done.iter().map(|(at, part)| (at, part.as_str())).collect();
        let tasks: Vec<_> = point.tasks.iter().map(|task| (&task.at, task.part, task.attempt)).collect();
        let Point { machine, now, can_cancel, can_die, .. } = point;
        write!(digest, "{machine:?}{tasks:?}{now:?}{undone_last:?}{can_cancel}{can_die}").unwrap();
        self.seen.insert(digest.0.finish())
    }

    /// Every next point.
    fn go_on(&self, point: &Point, open: &mut Vec<Point>) {
        if point.machine.outcome().is_some() {
            return;
        }
        for place in 0..point.tasks.len() {
            let task = &point.tasks[place];
            for answer in self.answers(task) {
                let mut next = point.clone();
                next.tasks.remove(place);
                write!(next.way, " {}{}", self.name(task), if answer.is_ok() { "" } else { "!" }).unwrap();
                let event = next.machine.judge(task, answer, next.now, 0);
                self.tell(&mut next, event);
                open.push(next);
            }
        }
        if let Some(time) = point.machine.wakes_at() {
            let mut next = point.clone();
            next.now = next.now.max(time);
            next.way.push_str(" time");
            let mut turn = Turn::new(next.now);
            next.machine.wake(&mut turn).unwrap();
            self.take(&mut next, turn);
            open.push(next);
        }
        self.decide(point, open);
        if let Some(event) = point.machine.cancel("enough").filter(|_| point.can_cancel) {
            let mut next = point.clone();
            next.can_cancel = false;
            next.way.push_str(" cancel");
            self.tell(&mut next, event);
            open.push(next);
        }
        if point.can_die {
            let mut next = point.clone();
            next.can_die = false;
            next.way.push_str(" death");
            let turn = self.reborn(&mut next);
            self.take(&mut next, turn);
            open.push(next);
        }
    }

    /// Whatever a person may say of a step whose executor died.
    fn decide(&self, point: &Point, open: &mut Vec<Point>) {
        if point.machine.doubts() == 0 {
            return;
        }
        let activities = point.machine.activities().unwrap().into_iter();
        let held: BTreeSet<String> = activities
            .filter(|activity| matches!(activity.doing, Doing::Doubt { .. }))
            .map(|activity| activity.node)
            .collect();
        let unknown = Failure::new(FailureKind::OUTCOME_UNKNOWN, "nobody knows").permanent();
        for decision in [Decision::Gave(Payload::json("7")), Decision::Failed(unknown), Decision::Again] {
            for (path, at, part, attempt) in point.machine.attempts().unwrap() {
                let doubted = held.contains(&path);
                let id = *RunId::named(&format!("{path} {}", point.records.len())).as_bytes();
                let event = point.machine.decide(id, (&at, part, attempt), &decision, &By::default());
                let Some(event) = event.filter(|_| doubted) else { continue };
                let mut next = point.clone();
                write!(next.way, " {path} {}", decision.as_str()).unwrap();
                self.tell(&mut next, event);
                open.push(next);
            }
        }
    }

    /// The same run, from its records.
    fn reborn(&self, point: &mut Point) -> Turn {
        point.tasks.clear();
        point.machine = Machine::replay(self.plan.clone(), self.input.clone(), T0, &point.records).unwrap();
        let mut turn = Turn::new(point.now);
        point.machine.resume(&mut turn).unwrap();
        turn
    }

    fn answers(&self, task: &Task) -> Vec<Result<Payload, Failure>> {
        let no = Err(Failure::new(FailureKind::ERROR, "no"));
        match &self.plan.node(task.at.node).kind {
            NodeKind::When(_) if task.part == Part::Work => vec![Ok(Payload::json("0")), Ok(Payload::json("1")), no],
            _ => vec![Ok(Payload::json("7")), no],
        }
    }

    fn tell(&self, point: &mut Point, event: Event) {
        let mut turn = Turn::new(point.now);
        point.machine.advance(event, &mut turn).unwrap_or_else(|error| panic!("{error:?}\n{}", self.told(point)));
        self.take(point, turn);
    }

    fn take(&self, point: &mut Point, turn: Turn) {
        for record in &turn.records {
            if let Event::Succeeded { at, part, .. } = &record.event {
                let function = (at.clone(), *part);
                assert!(
                    !point.done.contains(&function),
                    "{} succeeds again\n{}",
                    self.plan.path_at(at),
                    self.told(point)
                );
                point.done.push(function);
            }
        }
        point.records.extend(turn.records);
        for action in turn.actions {
            if let Action::Run(task) = action {
                let answered = point.done.contains(&(task.at.clone(), task.part));
                assert!(!answered, "{} runs again\n{}", self.name(&task), self.told(point));
                point.tasks.push(task);
            }
        }
    }

    /// Holds a point against what is promised.
    fn look(&mut self, point: &Point) {
        let told = || self.told(point);
        match point.machine.outcome() {
            None => {
                let goes_on =
                    !point.tasks.is_empty() || point.machine.wakes_at().is_some() || point.machine.doubts() > 0;
                assert!(goes_on, "nothing can happen any more\n{}", told());
                assert_eq!(point.machine.running() as usize, point.tasks.len(), "{}", told());
            }
            Some(outcome) => {
                assert!(point.tasks.is_empty(), "the run ended, and something is under way\n{}", told());
                self.undone(point, outcome);
                let kind = match outcome {
                    Outcome::Succeeded(_) => "succeeded",
                    Outcome::Failed(_) => "failed",
                    Outcome::Cancelled(_) => "cancelled",
                    _ => "stuck",
                };
                *self.ends.entry(kind).or_default() += 1;
            }
        }
        self.folds(point);
    }

    /// Exactly if something did not end well, all that was done in it was undone or could not be, last first.
    fn undone(&self, point: &Point, outcome: &Outcome) {
        let mut done: Vec<&Address> = Vec::new();
        let (mut stuck, mut uncalled) = (false, false);
        for (place, record) in point.records.iter().enumerate() {
            match &record.event {
                Event::Succeeded { at, part: Part::Undo, .. }
                | Event::Failed { at, part: Part::Undo, retry_at: None, .. } => {
                    let next = is_next(&self.plan, &point.records[place..], &done, at);
                    assert!(next, "undone out of order\n{}", self.told(point));
                    done.retain(|done| *done != at);
                    stuck |= matches!(record.event, Event::Failed { .. });
                }
                Event::Failed { part: Part::Finally, retry_at: None, .. } => uncalled = true,
                Event::Decided { at, decision: Decision::Gave(_), .. } | Event::Succeeded { at, .. }
                    if self.plan.node(at.node).policy.undo.is_some() =>
                {
                    done.push(at);
                }
                _ => {}
            }
        }
        match outcome {
            Outcome::Succeeded(_) => assert!(!stuck),
            _ => assert!(done.is_empty(), "{done:?} was not undone\n{}", self.told(point)),
        }
        // What could not be called in the end of what went well is a failure like others.
        let is_stuck = matches!(outcome, Outcome::Stuck(_));
        assert!(is_stuck == stuck || (is_stuck && uncalled), "{}", self.told(point));
    }

    /// Folding the records gives what living gave: the same end, or the same things to do.
    fn folds(&self, point: &Point) {
        let mut folded = point.clone();
        folded.machine = Machine::replay(self.plan.clone(), self.input.clone(), T0, &point.records).unwrap();
        assert_eq!(folded.machine.outcome(), point.machine.outcome(), "{}", self.told(point));
        // A run that is ending, or has been read from its records, looks the same less often.
        if point.machine.outcome().is_some() || point.machine.cancel("").is_none() || !point.can_die {
            return;
        }
        // Nor does a scope that is given up.
        if format!("{:?}", point.machine).contains("Unwinding {") {
            return;
        }
        let first = |task: &Task| task.attempt.0 == 1;
        if point.tasks.iter().all(first) {
            assert_eq!(format!("{:?}", folded.machine), format!("{:?}", point.machine), "{}", self.told(point));
        }
        let once = |task: &Task| {
            self.plan.node(task.at.node).policy.durability == Durability::AtMostOnce && task.part == Part::Work
        };
        if point.tasks.iter().any(once) {
            return;
        }
        let turn = self.reborn(&mut folded);
        self.take(&mut folded, turn);
        let mut turn = Turn::new(folded.now);
        folded.machine.wake(&mut turn).unwrap();
        self.take(&mut folded, turn);
        let tasks = |point: &Point| {
            let task = |task: &Task| (task.at.clone(), task.part.as_str(), task.attempt, format!("{:?}", task.args));
            point.tasks.iter().map(task).collect::<BTreeSet<_>>()
        };
        let (lived, again) = (tasks(point), tasks(&folded));
        assert!(lived.is_subset(&again), "{lived:?} became {again:?}\n{}", self.told(point));
    }

    fn name(&self, task: &Task) -> String {
        format!("{}:{}#{}", task.part.as_str(), self.plan.path_at(&task.at), task.attempt)
    }

    fn told(&self, point: &Point) -> String {
        format!("{}\nby{}\n{:#?}", self.plan, point.way, point.records)
    }
}

/// How many ways there are for the edges of so many nodes.
fn shapes(nodes: usize) -> usize {
    1 << (nodes * (nodes - 1) / 2)
}

/// How many plans there are of so many nodes.
fn count(kinds: &[&str], nodes: usize) -> usize {
    kinds.len().pow(u32::try_from(nodes).unwrap()) * shapes(nodes)
}

/// Plans of so many nodes, of all these kinds and with all edges between them, in an order that mixes them, until so many points
/// were looked at: every one of them if `FASTN_EVERY_PLAN` says so. Gives how many plans and points there were.
fn check(of: &[&str], nodes: usize, most: usize) -> (usize, usize) {
    let (shapes, all) = (shapes(nodes), count(of, nodes));
    let every = std::env::var("FASTN_EVERY_PLAN").map_or(0, |nodes| nodes.parse().unwrap());
    let most = if nodes <= every { usize::MAX } else { most };
    let (mut plans, mut points) = (0, 0);
    // A prime that divides none of the counts, so that each plan has its turn once.
    for number in (0..all).map(|place| place * 7_919 % all) {
        if points >= most {
            break;
        }
        let (mut choice, edges) = (number / shapes, u32::try_from(number % shapes).unwrap());
        let kinds: Vec<&str> = (0..nodes)
            .map(|_| {
                let kind = of[choice % of.len()];
                choice /= of.len();
                kind
            })
            .collect();
        let ways = Ways::explore(plan(&kinds, edges));
        assert!(ways.ends.contains_key("succeeded") && ways.ends.contains_key("cancelled"), "{:?}", ways.ends);
        plans += 1;
        points += ways.seen.len();
    }
    (plans, points)
}

#[test]
fn every_way_of_every_plan_of_one_node() {
    assert_eq!(check(KINDS, 1, usize::MAX).0, 9);
    assert_eq!(check(CONTAINING, 1, usize::MAX).0, 6);
}

#[test]
fn every_way_of_every_plan_of_two_nodes() {
    let (plans, points) = check(KINDS, 2, usize::MAX);
    assert_eq!(plans, 162);
    assert!(points > 50_000, "{points}");
}

#[test]
fn every_way_of_plans_that_contain_failure() {
    let (plans, points) = check(CONTAINING, 2, 100_000);
    assert!(plans > 10 && points > 50_000, "{plans} {points}");
}

#[test]
fn every_way_of_plans_of_three_nodes() {
    assert_eq!(count(KINDS, 3), 5_832, "as it is said above");
    let (plans, _) = check(KINDS, 3, 300_000);
    assert!(plans > 80, "{plans}");
}

#[test]
fn every_way_of_plans_of_four_nodes() {
    let (plans, _) = check(KINDS, 4, 50_000);
    assert!(plans > 1, "{plans}");
}
