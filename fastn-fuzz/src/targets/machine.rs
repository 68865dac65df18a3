//! A run, and a journal that may not be that of any run.

use std::sync::{Arc, OnceLock};

use fastn_core::{
    Address, Attempt, By, Draft, Event, Failure, FailureKind, Join, Outcome, Part, Payload, Plan, Record, RunId,
    Timestamp, Tolerance,
    plan::{DraftKind, NodeIx},
};
use fastn_runtime::machine::{Machine, Turn};
use fastn_testkit::sketch::{attempt, draft, each, race, repeat, tolerant, when};

use crate::driver::{Doings, drive};

const T0: Timestamp = Timestamp::EPOCH;

/// The work of scopes that contain failure.
const WORK: &str = "a(input) undo\n b(a) undo retry 1\n c(input) sleep 1\n d(b, c) on_error\n-> d";

fn plans() -> &'static [Arc<Plan>] {
    static PLANS: OnceLock<Vec<Arc<Plan>>> = OnceLock::new();
    let with = |text: &str, nodes: Vec<fastn_core::plan::DraftNode>| {
        let mut draft: Draft = draft(text);
        draft.root.nodes.extend(nodes);
        Arc::new(draft.check().expect("a faultless draft"))
    };
    PLANS.get_or_init(|| {
        let mut nested = each("outer", "input", 2, "first(input) undo\n-> inner");
        if let DraftKind::Each { body, .. } = &mut nested.kind {
            body.nodes.push(each("inner", "input", 1, "x(input) undo retry 1\n-> x"));
        }
        let mut nested_try =
            attempt("t", "input", "finally", "a(input) undo\n-> u", &[("*", "f(input) fail odd\n-> f")]);
        if let DraftKind::Try { body, .. } = &mut nested_try.kind {
            body.nodes.push(attempt("u", "a", "retry 2 finally", WORK, &[("timeout", "-> input")]));
        }
        let mut raced = tolerant("all", "input", 2, Tolerance::All, "-> r");
        if let DraftKind::Each { body, .. } = &mut raced.kind {
            body.nodes.push(race(
                "r",
                "input",
                Join::First,
                &[("one", WORK), ("two", "w(input) wait go within 1\n-> w")],
            ));
        }
        let chosen = when("chosen", "a", &[("yes", "b(input) undo\n s(b) sleep\n-> s"), ("no", "-> input")]);
        vec![
            with("a(input) undo retry 1\n b(a) undo\n c(b) on_error retry 1\n-> c", vec![]),
            with("-> all", vec![each("all", "input", 2, "a(input) undo retry 1\n b(a) on_error\n-> b")]),
            with("a(input)\n z(chosen)\n-> z", vec![chosen]),
            with("a(input)\n s(a) sleep 5\n b(s) undo\n t(input) sleep 5\n c(b, t)\n-> c", vec![]),
            with("a(input) at_most_once on_error\n b(a) at_most_once\n c(a) relaxed undo\n-> b", vec![]),
            with("-> outer", vec![nested]),
            with("s(input) sleep\n none()\n a(all) undo\n-> a", vec![each("all", "'[]'", 1, "-> input")]),
            with("-> 'null'", vec![]),
            with("w(input) wait go\n a(w) undo\n-> a", vec![]),
            with("w(input) wait go within 5 retry 1 on_error\n f(input) first news\n j(w, f) undo\n-> j", vec![]),
            with("v(input) wait go\n w(input) wait go within 2\n j(v, w)\n-> j", vec![]),
            with("r(input) run other undo within 5 retry 1\n a(r)\n-> a", vec![]),
            with("r(input) leave other on_error\n d(input) detach other\n a(input) undo\n-> r", vec![]),
            with("a(loop) undo\n-> a", vec![repeat("loop", "input", 3, "b(input) undo retry 1\n-> b")]),
            with("-> loop", vec![repeat("loop", "input", 9, "w(input) wait go\n r(w) run other\n-> r")]),
            with("-> all", vec![each("all", "input", 2, "w(input) wait go within 1 on_error\n r(w) run other\n-> r")]),
            with(
                "a(t) undo\n-> a",
                vec![attempt("t", "input", "retry 1 finally", WORK, &[("error", "h(input) undo\n-> h")])],
            ),
            with(
                "-> r",
                vec![race(
                    "r",
                    "input",
                    Join::First,
                    &[
                        ("one", WORK),
                        ("two", "w(input) wait go\n-> w"),
                        ("three", "s(input) sleep 2\n r(s) run other\n-> r"),
                    ],
                )],
            ),
            with(
                "-> r",
                vec![race(
                    "r",
                    "input",
                    Join::Of(2),
                    &[("one", WORK), ("two", "o(input) at_most_once undo\n-> o"), ("three", "-> input")],
                )],
            ),
            with("-> all", vec![tolerant("all", "input", 2, Tolerance::Failures(1), WORK)]),
            with("-> t", vec![nested_try]),
            with("-> all", vec![raced]),
            with("f(input) fail odd\n s(input) sleep 1\n-> f", vec![]),
        ]
    })
}

/// The first byte says which plan, by five bits, and whether the rest is a journal or what happens to a run.
pub(crate) fn run(bytes: &[u8]) {
    let Some((first, rest)) = bytes.split_first() else { return };
    let plan =
        Arc::clone(&plans()[usize::from(*first & 7 | (*first & 0x40) >> 3 | (*first & 0x20) >> 1) % plans().len()]);
    if *first & 0x80 == 0 {
        return story(plan, rest.get(..512).unwrap_or(rest));
    }
    let Ok(records) = Record::read_all(rest) else { return };
    let records = records.get(..1_000).unwrap_or(&records);
    if let Ok(machine) = Machine::replay(plan, input(), T0, records) {
        to_the_end(machine, T0, Doings { records: records.to_vec(), ..Doings::default() });
    }
}

fn input() -> Payload {
    Payload::json("[[1,2],[],[3]]")
}

/// Goes on with a run from what is recorded of it; the records then tell how it ended.
fn to_the_end(mut machine: Machine, now: Timestamp, mut doings: Doings) {
    let plan = Arc::clone(machine.plan());
    if machine.outcome().is_none() {
        let mut turn = Turn::new(now);
        machine.resume(&mut turn).expect("what could be replayed goes on");
        drive(&mut machine, turn, &mut doings).expect("what could be replayed goes on");
    }
    let told = Machine::replay(plan, input(), T0, &doings.records).expect("its own records");
    assert_eq!(told.outcome(), machine.outcome());
}

struct Story {
    machine: Machine,
    doings: Doings,
    now: Timestamp,
}

fn story(plan: Arc<Plan>, bytes: &[u8]) {
    let (machine, turn) = Machine::start(plan, input(), T0).expect("a plan can be started");
    let mut story = Story { machine, doings: Doings::default(), now: T0 };
    story.doings.take(turn);
    let mut bytes = bytes.iter().copied();
    while let (Some(byte), None) = (bytes.next(), story.machine.outcome()) {
        let more = usize::from(byte >> 4);
        match byte & 15 {
            0..=3 => story.answer(more, None),
            4 => story.signal(more),
            5 => story.child(more),
            6 => story.answer(more, Some(Failure::new(FailureKind::ERROR, "no"))),
            7 => story.answer(more, Some(Failure::new(FailureKind::ERROR, "never").permanent())),
            8 => story.wake(),
            9 => story.crash(),
            10 => story.event_of(|machine| machine.cancel("enough")),
            11 => story.event_of(Machine::expire),
            15 if more > 7 => story.pause(),
            12 => story.hostile([(); 4].map(|()| bytes.next().unwrap_or(0))),
            13 | 14 => story.tamper(more, bytes.next().unwrap_or(0)),
            _ => story.now = story.now.plus(std::time::Duration::from_secs(1)),
        }
    }
    let Story { machine, doings, now } = story;
    // Told again from the beginning it is the same run.
    let told = Machine::replay(Arc::clone(machine.plan()), input(), T0, &doings.records).expect("its own records");
    assert_eq!(told.outcome(), machine.outcome());
    to_the_end(told, now, Doings { tasks: Vec::new(), children: Vec::new(), ..doings });
}

impl Story {
    fn turn(&mut self, event: Event) -> fastn_core::Result<()> {
        let mut turn = Turn::new(self.now);
        self.machine.advance(event, &mut turn)?;
        self.doings.take(turn);
        Ok(())
    }

    fn answer(&mut self, which: usize, failure: Option<Failure>) {
        let Some(place) = which.checked_rem(self.doings.tasks.len()) else { return };
        let task = self.doings.tasks.swap_remove(place);
        let given = self.doings.answer(&self.machine, &task, which % 2 == 1);
        let result = failure.map_or(Ok(given), Err);
        let event = self.machine.judge(&task, result, self.now, 0);
        self.turn(event).expect("an answer to an attempt");
    }

    /// It is told something, once more if it was told before.
    fn signal(&mut self, which: usize) {
        let Some(event) = self.doings.signal(&self.machine, which) else { return };
        if let Event::Signalled { id, signal, value, .. } = &event {
            let (id, signal, value) = (*id, signal.clone(), value.clone());
            self.turn(event).expect("what it has use for");
            assert!(self.machine.has_heard(&id) || self.machine.outcome().is_some());
            assert!(self.machine.signal(id, &signal, &value).is_none(), "it is told once");
        }
    }

    /// It is paused, or goes on.
    fn pause(&mut self) {
        let mut id = [0xee; 16];
        id[..8].copy_from_slice(&self.doings.records.len().to_le_bytes());
        let by = By::new("ann", "why not");
        self.event_of(|machine| machine.pause(id, &by).or_else(|| machine.unpause(id, &by)));
    }

    fn child(&mut self, how: usize) {
        let failure = Failure::new(FailureKind::ERROR, "no");
        let outcome = match how % 4 {
            0 | 1 => Outcome::Succeeded(Payload::json("[]")),
            2 => Outcome::Failed(failure),
            _ => Outcome::Cancelled(failure),
        };
        if let Some(event) = self.doings.child_ended(&self.machine, &outcome, self.now) {
            self.turn(event).expect("the end of a run that it waits for");
        }
    }

    fn event_of(&mut self, event: impl Fn(&Machine) -> Option<Event>) {
        if let Some(event) = event(&self.machine) {
            self.turn(event).expect("an event of the machine's own");
        }
    }

    fn wake(&mut self) {
        let Some(time) = self.machine.wakes_at() else { return };
        self.now = self.now.max(time);
        let mut turn = Turn::new(self.now);
        self.machine.wake(&mut turn).expect("a timer can go off");
        self.doings.take(turn);
    }

    fn crash(&mut self) {
        let records = self.doings.records.clone();
        assert!(self.go_on_from(records), "its own records");
    }

    /// An event from nowhere. One that cannot be is refused; either way the run goes on from what is recorded, since an
    /// attempt that is under way may have been answered.
    fn hostile(&mut self, bytes: [u8; 4]) {
        let _ = self.turn(event(bytes));
        self.crash();
    }

    /// A record is lost, doubled, or changes places with the next. Mostly this is noticed.
    fn tamper(&mut self, at: usize, how: u8) {
        let mut records = self.doings.records.clone();
        let Some(at) = at.checked_rem(records.len()) else { return };
        match how & 3 {
            0 => drop(records.remove(at)),
            1 => records.insert(at, records[at].clone()),
            2 if at + 1 < records.len() => records.swap(at, at + 1),
            _ => records.truncate(at),
        }
        self.go_on_from(records);
    }

    fn go_on_from(&mut self, records: Vec<Record>) -> bool {
        let plan = Arc::clone(self.machine.plan());
        let Ok(machine) = Machine::replay(plan, input(), T0, &records) else { return false };
        self.machine = machine;
        self.doings.records = records;
        self.doings.tasks.clear();
        self.doings.children.clear();
        if self.machine.outcome().is_none() {
            let mut turn = Turn::new(self.now);
            self.machine.resume(&mut turn).expect("what could be replayed goes on");
            self.doings.take(turn);
        }
        true
    }
}

fn event([kind, node, items, how]: [u8; 4]) -> Event {
    let items = match items & 3 {
        0 => vec![],
        1 => vec![u32::from(items >> 2) & 3],
        2 => vec![u32::from(items >> 2) & 3, u32::from(items >> 4) & 3],
        _ => vec![u32::MAX - u32::from(items >> 2)],
    };
    let at = Address { node: NodeIx(u32::from(node % 12)), items };
    let attempt = Attempt(u32::from(how & 3));
    let part = [Part::Work, Part::OnError, Part::Undo, Part::Finally][usize::from((how >> 2) & 3)];
    let retry_at = (how & 16 != 0).then(|| Timestamp::from_millis(i64::from(how) * 100));
    let failure = Failure::new(FailureKind::ERROR, "from nowhere");
    let (id, by) = ([how | 0x80; 16], By::from(""));
    match kind % 15 {
        0 => Event::Started { at, attempt },
        1 => Event::Succeeded { at, part, attempt, output: Payload::json(if how & 32 == 0 { "0" } else { "[1]" }) },
        2 => Event::Failed { at, part, attempt, failure, retry_at },
        3 => Event::Sleeping { at, until: Timestamp::from_millis(i64::from(how) * 100) },
        4 => Event::Woke { at },
        5 => Event::CancelRequested { reason: String::new(), actor: None },
        6 => Event::Expired,
        7 => Event::Finished { outcome: Outcome::Succeeded(Payload::null()) },
        8 => Event::Waiting { at, attempt, until: retry_at },
        9 => {
            let signal = if how & 4 == 0 { "go" } else { "news" }.to_owned();
            Event::Signalled { id: [how & 3; 16], signal, value: Payload::json("[]"), by: None }
        }
        12 => Event::Paused { id, by },
        13 => Event::Resumed { id, by },
        10 => Event::Child { at, attempt, run: RunId::named(if how & 4 == 0 { "a" } else { "b" }), until: retry_at },
        14 => Event::Unwound { at, which: u32::from(how & 3), retry_at },
        _ => Event::Finished { outcome: Outcome::Failed(failure) },
    }
}
