//! Which attempts need not wait until the turn that hands them out is durable: items of an `each` that begin because
//! another one is done. Nothing else.

use std::sync::Arc;

use fastn_core::{Draft, Payload, Timestamp};
use fastn_runtime::machine::{Action, Machine, Task, Turn};
use fastn_testkit::sketch::{draft, each};

/// A run, and the attempts that are under way in it.
struct Walk {
    machine: Machine,
    tasks: Vec<Task>,
}

impl Walk {
    fn start(draft: Draft, input: &'static str) -> Self {
        let plan = Arc::new(draft.check().unwrap());
        let (machine, turn) = Machine::start(plan, Payload::json(input), Timestamp::EPOCH).unwrap();
        let mut walk = Self { machine, tasks: Vec::new() };
        walk.take(turn);
        walk
    }

    fn take(&mut self, turn: Turn) {
        self.tasks.extend(turn.actions.into_iter().filter_map(|action| match action {
            Action::Run(task) => Some(task),
            _ => None,
        }));
    }

    /// Answers the oldest attempt; gives the paths of those that follow, with a `+` if they are ahead.
    fn answer(&mut self, output: &'static str) -> Vec<String> {
        let task = self.tasks.remove(0);
        let event = self.machine.judge(&task, Ok(Payload::json(output)), Timestamp::EPOCH, 0);
        let (known, mut turn) = (self.tasks.len(), Turn::new(Timestamp::EPOCH));
        self.machine.advance(event, &mut turn).unwrap();
        self.take(turn);
        let plan = self.machine.plan();
        let show = |task: &Task| format!("{}{}", plan.path_at(&task.at), if task.ahead { "+" } else { "" });
        self.tasks[known..].iter().map(show).collect()
    }
}

#[test]
fn the_next_item_is_ahead_and_what_follows_in_an_item_or_after_all_is_not() {
    let mut draft = draft("list(input)\nsum(items)\n-> sum");
    draft.root.nodes.push(each("items", "list", 1, "a(input)\nb(a)\n-> b"));
    let mut walk = Walk::start(draft, "0");
    assert_eq!(walk.answer("[1,2]"), ["items[0]/a"], "the first item follows from the list");
    assert_eq!(walk.answer("1"), ["items[0]/b"]);
    assert_eq!(walk.answer("1"), ["items[1]/a+"], "the second does not follow from the first");
    assert_eq!(walk.answer("2"), ["items[1]/b"]);
    assert_eq!(walk.answer("2"), ["sum"]);
}

#[test]
fn an_item_of_a_list_as_new_as_the_turn_is_not_ahead_even_if_those_before_it_are_done_at_once() {
    let mut inner = draft("-> inner");
    inner.root.nodes.push(each("inner", "input", 1, "a(input)\n-> a"));
    let mut outer = draft("list(input)\n-> outer");
    let mut items = each("outer", "list", 1, "");
    items.kind =
        fastn_core::plan::DraftKind::Each { body: inner.root, concurrency: 1, tolerance: fastn_core::Tolerance::None };
    outer.root.nodes.push(items);
    let mut walk = Walk::start(outer, "0");
    assert_eq!(walk.answer("[[],[1],[2,3]]"), ["outer[1]/inner[0]/a"], "the empty one is done within the turn");
    assert_eq!(walk.answer("1"), ["outer[2]/inner[0]/a+"], "this list is known since long");
    assert_eq!(walk.answer("2"), ["outer[2]/inner[1]/a+"]);
}

#[test]
fn an_item_that_may_happen_only_once_is_not_ahead() {
    let mut draft = draft("list(input)\n-> items");
    draft.root.nodes.push(each("items", "list", 1, "a(input) at_most_once\n-> a"));
    let mut walk = Walk::start(draft, "0");
    assert_eq!(walk.answer("[1,2]"), ["items[0]/a"]);
    assert_eq!(walk.answer("1"), ["items[1]/a"], "its start has to be recorded");
}
