//! Tasks one after the other, and where they go on.

use super::envelope::{Here, node, of};
use crate::fault::FaultKind;
use crate::model::{Arm, Chooser, Kind, Node, Scope};
use crate::place::Span;
use crate::read::{Fields, Reader};
use crate::syntax::{Entry, Tree, Value};
use crate::template::Template;

/// The tasks of a list, each a map of one key.
pub(super) struct Tasks<'t> {
    entries: Vec<&'t Entry>,
    /// Whether `then: end` may stand here: it ends the whole workflow.
    pub(super) outermost: bool,
}

impl<'t> Tasks<'t> {
    fn at(&self, name: &str) -> Option<usize> {
        self.entries.iter().position(|entry| entry.key == name)
    }
}

/// Where a task goes on.
enum Next {
    Task(usize),
    Done,
}

impl Reader<'_> {
    /// A list of tasks.
    pub(super) fn tasks<'t>(&mut self, tree: &'t Tree, outermost: bool) -> Option<Tasks<'t>> {
        let mut entries: Vec<&'t Entry> = Vec::new();
        for item in self.list_in(tree, "do")? {
            match &item.value {
                Value::Map(map) if map.len() == 1 => entries.extend(map),
                _ => self.found.add(FaultKind::Value, item.span, "a task is a map of one key, its name"),
            }
        }
        Some(Tasks { entries, outermost })
    }

    /// The nodes of a list of tasks that follow one another here; gives where it goes on behind them.
    pub(super) fn tasks_flat(
        &mut self,
        tasks: &Tasks<'_>,
        prefix: &str,
        here: &Here,
        nodes: &mut Vec<Node>,
    ) -> Option<Here> {
        let (mut here, mut done) = (here.clone(), Vec::new());
        let mut next = Next::Task(0);
        while let Next::Task(at) = next {
            let Some(entry) = tasks.entries.get(at) else { break };
            self.goes_forward(entry, at, &mut done)?;
            let fields = self.map_in(&entry.tree, "a task")?;
            if fields.get("switch").is_some() {
                // What follows a choice stands in its arms.
                let name = format!("{prefix}{}", entry.key);
                let made = self.switch_task(tasks, at, &fields, &name, &here, &done)?;
                let behind = here.behind(&*made.name.it);
                nodes.push(made);
                return Some(behind);
            }
            here = self.task(entry, &fields, prefix, &here, nodes)?;
            next = self.next(tasks, at, fields.get("then"))?;
        }
        Some(here)
    }

    fn sequence(
        &mut self,
        tasks: &Tasks<'_>,
        first: Next,
        here: &Here,
        span: Span,
        done: &mut Vec<usize>,
    ) -> Option<Scope> {
        // Each choice stands in an arm of the one before, and a plan has fewer scopes in each other.
        if here.depth >= fastn_core::plan::Limits::default().depth {
            return self.wrong(FaultKind::Limit, span, "choices and loops stand too deep in each other");
        }
        let (mut nodes, mut here, mut next) = (Vec::new(), here.clone(), first);
        while let Next::Task(at) = next {
            let Some(entry) = tasks.entries.get(at) else { break };
            self.goes_forward(entry, at, done)?;
            let fields = self.map_in(&entry.tree, "a task")?;
            if fields.get("switch").is_some() {
                let made = self.switch_task(tasks, at, &fields, &entry.key, &here, done)?;
                here = here.behind(&*made.name.it);
                nodes.push(made);
                break;
            }
            here = self.task(entry, &fields, "", &here, &mut nodes)?;
            next = self.next(tasks, at, fields.get("then"))?;
        }
        self.scope_of(nodes, &here, span)
    }

    /// A scope of these nodes that gives what flows on behind them.
    pub(super) fn scope_of(&mut self, nodes: Vec<Node>, here: &Here, span: Span) -> Option<Scope> {
        let gives = self.ours(&of(here.from.as_deref()), span)?;
        let names = nodes.iter().map(|node| node.name.it.clone()).collect();
        Some(Scope { span, nodes, names, gives: Some(gives) })
    }

    /// What was done is not gone back to: a plan has no such edges.
    fn goes_forward(&mut self, entry: &Entry, at: usize, done: &mut Vec<usize>) -> Option<()> {
        if done.contains(&at) {
            let message = format!("to go back to the task `{}` is not supported: `for` and `while` repeat", entry.key);
            return self.wrong(FaultKind::Unsupported, entry.span, message);
        }
        done.push(at);
        self.counts(entry.span).then_some(())
    }

    /// Where it goes on: with the next task, or as `then` says.
    fn next(&mut self, tasks: &Tasks<'_>, at: usize, then: Option<&Tree>) -> Option<Next> {
        let Some(tree) = then else { return Some(Next::Task(at + 1)) };
        let text = self.text_in(tree, "then")?;
        match text.as_str() {
            "continue" => Some(Next::Task(at + 1)),
            "exit" => Some(Next::Done),
            "end" if tasks.outermost => Some(Next::Done),
            "end" => {
                let message = "`then: end` inside of another task is not supported; `exit` ends the task around it";
                self.wrong(FaultKind::Unsupported, tree.span, message)
            }
            name => match tasks.at(name) {
                Some(at) => Some(Next::Task(at)),
                None => {
                    self.unknown(tree.span, "task", name, tasks.entries.iter().map(|entry| entry.key.as_str()));
                    None
                }
            },
        }
    }

    /// A choice: each case goes on in an arm of its own, with all that follows.
    fn switch_task(
        &mut self,
        tasks: &Tasks<'_>,
        at: usize,
        fields: &Fields<'_>,
        name: &str,
        here: &Here,
        done: &[usize],
    ) -> Option<Node> {
        self.only(fields, &["switch", "then", "metadata"])?;
        let span = fields.span;
        let tree = self.must(fields, "switch", "a switch")?;
        let cases = self.tasks(tree, false)?;
        let (mut tests, mut arms, mut otherwise) = (Vec::<Template>::new(), Vec::new(), None);
        for entry in &cases.entries {
            let case = self.fields_in(&entry.tree, "a case of a switch", &["when", "then"])?;
            let next = self.next(tasks, at, case.get("then"))?;
            let scope = self.sequence(tasks, next, &here.inside(), entry.span, &mut done.to_vec())?;
            let label = entry.key.clone();
            match case.get("when") {
                Some(when) => {
                    tests.push(self.with(here.inside().before(), |reader| reader.loose(when))?);
                    arms.push(Arm { label, scope });
                }
                None => otherwise = Some(Arm { label, scope }),
            }
        }
        let last = match otherwise {
            Some(arm) => arm,
            None => {
                let next = self.next(tasks, at, fields.get("then"))?;
                let scope = self.sequence(tasks, next, &here.inside(), span, &mut done.to_vec())?;
                Arm { label: "(no case)".to_owned(), scope }
            }
        };
        arms.push(last);
        let by = Chooser::Expressions { tests, until: false };
        let input = self.ours(&of(here.from.as_deref()), span)?;
        Some(node(name, span, Kind::Switch { by, arms }, Some(input)))
    }

    /// What else is said is not supported, and named.
    pub(super) fn only(&mut self, fields: &Fields<'_>, keys: &[&str]) -> Option<()> {
        let mut all = Some(());
        for entry in fields.entries().iter().filter(|entry| !keys.contains(&entry.key.as_str())) {
            let shown: String = entry.key.chars().take(80).collect();
            all = self.wrong(FaultKind::Unsupported, entry.span, format!("`{shown}` is not yet supported here"));
        }
        all
    }
}
