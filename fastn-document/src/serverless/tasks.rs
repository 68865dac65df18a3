//! What each task does.

use fastn_core::Join;
use serde_json::json;

use super::envelope::{Here, constant, joined, node, of, part};
use crate::fault::FaultKind;
use crate::model::{Arm, Chooser, Kind, Node};
use crate::place::Span;
use crate::read::{Fields, Reader};
use crate::syntax::{Entry, Value};

/// What every task may say besides.
const COMMON: [&str; 6] = ["if", "input", "output", "export", "then", "metadata"];

impl Reader<'_> {
    /// A task with all that is around it. Gives where it goes on behind it.
    pub(super) fn task(
        &mut self,
        entry: &Entry,
        fields: &Fields<'_>,
        prefix: &str,
        here: &Here,
        nodes: &mut Vec<Node>,
    ) -> Option<Here> {
        let name = format!("{prefix}{}", entry.key);
        if here.depth >= fastn_core::plan::Limits::default().depth {
            return self.wrong(FaultKind::Limit, entry.span, "choices and loops stand too deep in each other");
        }
        let Some(when) = fields.get("if") else { return self.task_itself(entry, fields, &name, here, nodes) };
        let test = self.with(here.inside().before(), |reader| reader.loose(when))?;
        let mut inside = Vec::new();
        let end = self.task_itself(entry, fields, &entry.key, &here.inside(), &mut inside)?;
        let done = Arm { label: "then".to_owned(), scope: self.scope_of(inside, &end, entry.span)? };
        let passed = Arm { label: "else".to_owned(), scope: self.scope_of(Vec::new(), &here.inside(), entry.span)? };
        let by = Chooser::Expressions { tests: vec![test], until: false };
        let input = self.ours(&of(here.from.as_deref()), entry.span)?;
        nodes.push(node(&*name, entry.span, Kind::Switch { by, arms: vec![done, passed] }, Some(input)));
        Some(here.behind(name))
    }

    fn task_itself(
        &mut self,
        entry: &Entry,
        fields: &Fields<'_>,
        name: &str,
        here: &Here,
        nodes: &mut Vec<Node>,
    ) -> Option<Here> {
        let span = entry.span;
        let mut here = here.clone();
        if let Some(input) = fields.get("input") {
            let input = self.map_in(input, "`input`")?;
            self.only(&input, &["from"])?;
            if let Some(from) = input.get("from") {
                let data = self.with(here.before(), |reader| reader.loose(from))?;
                here = self.passes(&format!("{name} (input)"), span, &here, data, None, nodes)?;
            }
        }
        let own = |keys: &[&'static str]| -> Vec<&'static str> { [keys, &COMMON[..]].concat() };
        let kinds = ["set", "do", "for", "fork", "wait", "call", "run"];
        let kind =
            kinds.into_iter().find(|kind| fields.get(kind).is_some() && (*kind != "do" || fields.get("for").is_none()));
        let done = match kind {
            Some("set") => {
                self.only(fields, &own(&["set"]))?;
                let tree = self.must(fields, "set", "a task")?;
                let data = self.with(here.before(), |reader| reader.template(tree))?;
                self.passes(name, span, &here, data, None, nodes)?
            }
            Some("do") => {
                self.only(fields, &own(&["do"]))?;
                let tasks = self.must(fields, "do", "a task").and_then(|tree| self.tasks(tree, false))?;
                self.tasks_flat(&tasks, &format!("{name}/"), &here, nodes)?
            }
            Some("for") => {
                self.only(fields, &own(&["for", "while", "do"]))?;
                self.for_task(fields, name, span, &here, nodes)?
            }
            Some("fork") => {
                self.only(fields, &own(&["fork"]))?;
                self.fork_task(fields, name, span, &here, nodes)?
            }
            Some("wait") => {
                self.only(fields, &own(&["wait"]))?;
                self.wait_task(fields, name, span, &here, nodes)?
            }
            Some("call") => {
                self.only(fields, &own(&["call", "with"]))?;
                self.call_task(fields, name, span, &here, nodes)?
            }
            Some("run") => {
                self.only(fields, &own(&["run"]))?;
                self.run_task(fields, name, span, &here, nodes)?
            }
            _ => {
                self.only(fields, &COMMON)?;
                return self.wrong(FaultKind::Missing, span, "the task says nothing of what it does");
            }
        };
        self.given_on(fields, name, span, &here, done, nodes)
    }

    /// `output.as` and `export.as`, over what the task gave and what it was given.
    fn given_on(
        &mut self,
        fields: &Fields<'_>,
        name: &str,
        span: Span,
        here: &Here,
        mut done: Here,
        nodes: &mut Vec<Node>,
    ) -> Option<Here> {
        for (key, suffix) in [("output", "output"), ("export", "export")] {
            let Some(tree) = fields.get(key) else { continue };
            let said = self.map_in(tree, "it")?;
            self.only(&said, &["as"])?;
            let Some(tree) = said.get("as") else { continue };
            let last = done.from.clone().unwrap_or_default();
            let made = self.with(here.before_output(&last), |reader| reader.loose(tree))?;
            let name = format!("{name} ({suffix})");
            done = if key == "output" {
                self.passes(&name, span, &done, made, None, nodes)?
            } else {
                let data = self.ours(&part(Some(&last), "d"), span)?;
                self.passes(&name, span, &done, data, Some(made), nodes)?
            };
        }
        Some(done)
    }

    /// A node that passes data on.
    pub(super) fn passes(
        &mut self,
        name: &str,
        span: Span,
        here: &Here,
        data: crate::template::Template,
        context: Option<crate::template::Template>,
        nodes: &mut Vec<Node>,
    ) -> Option<Here> {
        let made = self.envelope(here, data, context)?;
        nodes.push(node(name, span, Kind::Transform(made), None));
        Some(here.behind(name))
    }

    /// One iteration after the other, each with what the one before gave.
    fn for_task(
        &mut self,
        fields: &Fields<'_>,
        name: &str,
        span: Span,
        here: &Here,
        nodes: &mut Vec<Node>,
    ) -> Option<Here> {
        let said = self.must(fields, "for", "a task")?;
        let said = self.map_in(said, "`for`")?;
        self.only(&said, &["each", "in", "at"])?;
        let mut variable = |key: &str, usual: &str| match said.get(key) {
            Some(tree) => self.text_in(tree, key).and_then(|text| self.variable(text, tree.span)),
            None => Some(usual.to_owned()),
        };
        let (each, at) = (variable("each", "item")?, variable("at", "index")?);
        let items = self.must(&said, "in", "a for")?;
        let items = self.with(here.before(), |reader| reader.loose(items))?;
        let envelope = self.ours(&of(here.from.as_deref()), span)?;
        let begin = joined(span, vec![("i", constant(span, json!(0))), ("items", items), ("env", envelope)]);
        let first = format!("{name} (items)");
        nodes.push(node(&*first, span, Kind::Transform(begin), None));

        let mut inner = here.inside();
        inner.vars.extend([each.clone(), at.clone()]);
        let item = format!("$__s.env | .e.vars += {{\"{each}\": $__s.items[$__s.i], \"{at}\": $__s.i}}");
        let more = ". as $__s | ($__s.i < ($__s.items | length))";
        let goes_on = match fields.get("while") {
            None => self.ours(more, span)?,
            Some(tree) => {
                let before = format!("{more} as $__more | ({item}) | {}$__more and ", inner.before());
                self.with(before, |reader| reader.loose(tree))?
            }
        };
        let item = format!(". as $__s | {item}");
        let item = self.ours(&item, span)?;
        let tasks = self.must(fields, "do", "a for").and_then(|tree| self.tasks(tree, false))?;
        let mut body = vec![node("(item)", span, Kind::Transform(item), None)];
        let end = self.tasks_flat(&tasks, "", &inner.behind("(item)"), &mut body)?;
        let last = of(end.from.as_deref());
        let gives = format!(
            ". as $__s | {{i: ($__s.i + 1), items: $__s.items, env: {{d: {last}.d, e: ({last}.e + {{vars: $__s.env.e.vars}})}}}}"
        );
        let gives = self.ours(&gives, span)?;
        let names = body.iter().map(|node| node.name.it.clone()).collect();
        let body = crate::model::Scope { span, nodes: body, names, gives: Some(gives) };
        let by = Chooser::Expressions { tests: vec![goes_on], until: false };
        let input = self.ours(&of(Some(&first)), span)?;
        nodes.push(node(name, span, Kind::Repeat { by, at_most: u32::MAX, body }, Some(input)));
        let done = self.ours(&part(Some(name), "env"), span)?;
        let behind = format!("{name} (done)");
        nodes.push(node(&*behind, span, Kind::Transform(done), None));
        Some(here.behind(behind))
    }

    /// The name of a variable of jq.
    fn variable(&mut self, text: String, span: Span) -> Option<String> {
        let fits = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if fits {
            Some(text)
        } else {
            self.wrong(FaultKind::Value, span, "a variable has a name of letters, digits and `_`")
        }
    }

    /// Branches beside each other, each with the same; gives the list of what they give, or what the first gives of those that
    /// compete.
    fn fork_task(
        &mut self,
        fields: &Fields<'_>,
        name: &str,
        span: Span,
        here: &Here,
        nodes: &mut Vec<Node>,
    ) -> Option<Here> {
        let said = self.must(fields, "fork", "a task")?;
        let said = self.map_in(said, "`fork`")?;
        self.only(&said, &["branches", "compete"])?;
        let competes = match said.get("compete").map(|tree| (&tree.value, tree.span)) {
            None | Some((Value::Bool(false), _)) => false,
            Some((Value::Bool(true), _)) => true,
            Some((_, span)) => return self.wrong(FaultKind::Value, span, "`compete` is `true` or `false`"),
        };
        let tree = self.must(&said, "branches", "a fork")?;
        let (mut ends, mut arms) = (Vec::new(), Vec::new());
        for item in self.list_in(tree, "branches")? {
            let Value::Map(map) = &item.value else {
                return self.wrong(FaultKind::Value, item.span, "a branch is a map of one key, its name");
            };
            for entry in map {
                self.counts(entry.span).then_some(())?;
                let branch = self.map_in(&entry.tree, "a branch")?;
                if competes {
                    let mut inside = Vec::new();
                    let end = self.task(entry, &branch, "", &here.inside(), &mut inside)?;
                    arms.push(Arm { label: entry.key.clone(), scope: self.scope_of(inside, &end, entry.span)? });
                    continue;
                }
                let end = self.task(entry, &branch, &format!("{name}/"), here, nodes)?;
                ends.push(part(end.from.as_deref(), "d"));
            }
        }
        if competes {
            let input = self.ours(&of(here.from.as_deref()), span)?;
            nodes.push(node(name, span, Kind::Race { arms, join: Join::First }, Some(input)));
            return Some(here.behind(name));
        }
        let data = self.ours(&format!("[{}]", ends.join(", ")), span)?;
        self.passes(name, span, here, data, None, nodes)
    }
}
