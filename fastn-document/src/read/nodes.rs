//! Scopes and their nodes.

use fastn_core::Tolerance;
use fastn_core::plan::Position;

use super::fields::Fields;
use super::reader::Reader;
use crate::fault::FaultKind;
use crate::model::{Arm, At, Chooser, Kind, Node, Scope};
use crate::place::Span;
use crate::syntax::{Entry, Tree, Value};
use crate::template::Template;

/// The kinds of nodes, each by the key that makes a node one of it.
pub(crate) const KINDS: [&str; 12] =
    ["task", "call", "transform", "switch", "each", "repeat", "try", "race", "wait", "sleep", "run", "fail"];

/// Kinds that documents have and plans do not have yet.
pub(crate) const LATER: [&str; 3] = ["approve", "emit", "state"];

/// What else may be said of a node.
pub(crate) const KEYS: [&str; 19] = [
    "in",
    "args",
    "by",
    "at_most",
    "nodes",
    "gives",
    "tolerate",
    "catch",
    "finally",
    "quorum",
    "needs",
    "retry",
    "within",
    "deadline",
    "durability",
    "undo",
    "on_error",
    "position",
    "note",
];

/// Keys that mean something for some kinds only.
pub(crate) const BELONGS: [(&str, &[&str]); 13] = [
    ("in", &["task", "call", "switch", "repeat", "try", "race", "sleep", "run", "fail"]),
    ("args", &["task", "wait"]),
    ("by", &["switch"]),
    ("at_most", &["each"]),
    ("nodes", &["each", "repeat"]),
    ("gives", &["each", "repeat"]),
    ("tolerate", &["each"]),
    ("catch", &["try"]),
    ("finally", &["try"]),
    ("quorum", &["race"]),
    ("retry", &["task", "call", "wait", "run", "try"]),
    ("undo", &["task", "call", "run"]),
    ("durability", &["task", "call", "transform"]),
];

/// How many items of a list are worked on at a time if nothing is said, as in the typed language.
const AT_MOST: u32 = 16;

impl Reader<'_> {
    /// `nodes` and `gives` of something. What stands around them is read elsewhere.
    pub(super) fn scope(&mut self, fields: &Fields<'_>, prefix: &str, depth: usize) -> Scope {
        let entries = fields.get("nodes").and_then(|tree| self.map_in(tree, "`nodes`"));
        let mut nodes = Vec::new();
        for entry in entries.iter().flat_map(Fields::entries) {
            if !self.counts(entry.span) {
                break;
            }
            nodes.extend(self.node(entry, prefix, depth));
        }
        let gives = fields.get("gives").and_then(|tree| self.template(tree));
        let names =
            entries.iter().flat_map(Fields::entries).take(self.limits.nodes).map(|entry| entry.key.clone()).collect();
        Scope { span: Span::new(fields.span.start, fields.span.start + 1), nodes, names, gives }
    }

    fn node(&mut self, entry: &Entry, prefix: &str, depth: usize) -> Option<Node> {
        let path = format!("{prefix}{}", beginning(&entry.key));
        let fields = self.map_in(&entry.tree, "a node")?;
        let mut kinds = fields.entries().iter().filter(|key| KINDS.contains(&key.key.as_str()));
        let kind = kinds.next();
        if let (Some(first), Some(second)) = (kind, kinds.next()) {
            let message = format!("a node is of one kind, and this is a `{}` and a `{}`", first.key, second.key);
            self.found.add(FaultKind::Value, second.span, message);
        }
        let mut told = kind.is_some();
        for key in fields.entries() {
            let word = key.key.as_str();
            if LATER.contains(&word) {
                self.found.add(FaultKind::Unsupported, key.span, format!("`{word}` is not yet supported"));
                told = true;
            } else if !KINDS.contains(&word) && !KEYS.contains(&word) {
                self.unknown(key.span, "key of a node", word, KINDS.into_iter().chain(KEYS));
                told = true;
            }
        }
        let Some(kind) = kind else {
            if !told {
                let message =
                    format!("the node `{}` says nothing of what it does: {}", shown(&entry.key), KINDS.join(", "));
                self.found.add(FaultKind::Missing, entry.span, message);
            }
            return None;
        };
        self.belongs(&fields, &kind.key, &BELONGS);
        self.note(&fields);
        let policy = self.policy(&fields, &path);
        let input = match kind.key.as_str() {
            "each" => self.template(&kind.tree),
            _ => fields.get("in").and_then(|tree| self.template(tree)),
        };
        let needs = fields.get("needs").map(|tree| self.names(tree, "needs")).unwrap_or_default();
        let position = fields.get("position").and_then(|tree| self.position(tree));
        let kind = self.kind(kind, &fields, &path, depth)?;
        if fields.get("in").is_some() && input.is_none() {
            return None;
        }
        let name = At { span: entry.span, it: entry.key.clone() };
        Some(Node { name, kind, input, needs, policy, position })
    }

    fn kind(&mut self, entry: &Entry, fields: &Fields<'_>, path: &str, depth: usize) -> Option<Kind> {
        let tree = &entry.tree;
        Some(match entry.key.as_str() {
            "task" => {
                let task = self.task_name(tree, "task", path.to_owned())?;
                let args = match fields.entry("args") {
                    Some(args) if fields.get("in").is_some() => {
                        let message = "a task is given either `in` or `args`";
                        return self.wrong(FaultKind::Value, args.span, message);
                    }
                    Some(args) => Some(self.args(&args.tree)?),
                    None => None,
                };
                Kind::Task { task, args }
            }
            "call" => Kind::Call(self.action(tree)?),
            "transform" => Kind::Transform(self.template(tree)?),
            "wait" => {
                let args = match fields.get("args") {
                    Some(args) => Some(self.args(args)?),
                    None => None,
                };
                Kind::Wait { signal: self.signal(tree)?, args }
            }
            "sleep" => Kind::Sleep(self.span(tree, "sleep")?),
            "run" => Kind::Run(self.child(tree)?),
            "each" => {
                let at_most = match fields.get("at_most") {
                    Some(tree) => self.count_in(tree, "at_most")?,
                    None => AT_MOST,
                };
                let tolerance = match fields.get("tolerate") {
                    Some(tree) => self.tolerance(tree)?,
                    None => Tolerance::None,
                };
                Kind::Each { at_most, tolerance, body: self.inner(fields, &format!("{path}/"), depth)? }
            }
            "repeat" => {
                let chosen = self.repeat(entry, path);
                let body = self.inner(fields, &format!("{path}/"), depth)?;
                let (by, at_most) = chosen?;
                Kind::Repeat { by, at_most, body }
            }
            "try" => self.attempt(entry, fields, path, depth)?,
            "race" => self.race(entry, fields, path, depth)?,
            "fail" => Kind::Fail(self.failure(tree, "fail")?),
            _ => self.switch(entry, fields, path, depth)?,
        })
    }

    /// A scope inside a node.
    pub(super) fn inner(&mut self, fields: &Fields<'_>, prefix: &str, depth: usize) -> Option<Scope> {
        // A plan has fewer scopes in each other than a document has maps.
        if depth + 1 >= fastn_core::plan::Limits::default().depth {
            return self.wrong(FaultKind::Limit, fields.span, "scopes stand too deep in each other");
        }
        Some(self.scope(fields, prefix, depth + 1))
    }

    fn switch(&mut self, entry: &Entry, fields: &Fields<'_>, path: &str, depth: usize) -> Option<Kind> {
        let items = self.list_in(&entry.tree, "switch")?;
        let by = fields.get("by");
        let (mut arms, mut tests) = (Vec::new(), Vec::<Option<Template>>::new());
        for (number, item) in items.iter().enumerate() {
            let last = number + 1 == items.len();
            let arm = self.fields_in(item, "an arm of a switch", &["when", "name", "nodes", "gives", "note"]);
            let Some(arm) = arm else { continue };
            self.note(&arm);
            let label = match arm.get("name") {
                Some(tree) => self.text_in(tree, "name").unwrap_or_default(),
                None if last && by.is_none() => "else".to_owned(),
                None => (number + 1).to_string(),
            };
            match arm.entry("when") {
                Some(when) if by.is_some() => {
                    self.found.add(FaultKind::Value, when.span, "`when` means nothing where `by` chooses");
                }
                Some(when) if last => {
                    let message = "the last arm of a switch has no `when`: it is taken when no other is";
                    self.found.add(FaultKind::Missing, when.span, message);
                }
                Some(when) => tests.push(self.test(&when.tree, "when")),
                None if last || by.is_some() => {}
                None => {
                    let at = Span::new(item.span.start, item.span.start + 1);
                    self.found.add(FaultKind::Missing, at, "an arm of a switch needs `when`; only the last has none");
                }
            }
            let prefix = format!("{path}.{}/", beginning(&label));
            arms.push(self.inner(&arm, &prefix, depth).map(|scope| Arm { label, scope }));
        }
        if items.is_empty() {
            return self.wrong(FaultKind::Missing, entry.tree.span, "a switch needs arms");
        }
        let by = match by {
            Some(tree) => Chooser::Task(self.task_name(tree, "by", path.to_owned())?),
            None => Chooser::Expressions { tests: tests.into_iter().collect::<Option<_>>()?, until: false },
        };
        Some(Kind::Switch { by, arms: arms.into_iter().collect::<Option<_>>()? })
    }

    /// A list of names.
    pub(super) fn names(&mut self, tree: &Tree, of: &str) -> Vec<At<String>> {
        let items = self.list_in(tree, of).unwrap_or_default();
        items.iter().filter_map(|item| Some(Self::spanned(item.span, self.text_in(item, of)?))).collect()
    }

    /// What is for people is a text.
    pub(super) fn note(&mut self, fields: &Fields<'_>) {
        if let Some(tree) = fields.get("note") {
            self.text_in(tree, "note");
        }
    }

    fn position(&mut self, tree: &Tree) -> Option<Position> {
        let fields = self.fields_in(tree, "`position`", &["x", "y"])?;
        let (x, y) = (self.must(&fields, "x", "a position")?, self.must(&fields, "y", "a position")?);
        let number = |tree: &Tree| if let Value::Number(number) = &tree.value { number.as_f64() } else { None };
        match (number(x), number(y)) {
            (Some(x), Some(y)) => Some(Position { x, y }),
            _ => self.wrong(FaultKind::Value, tree.span, "a position is two numbers, `x` and `y`"),
        }
    }
}

/// The beginning of a name that may be long, for messages.
fn shown(name: &str) -> &str {
    name.char_indices().nth(80).and_then(|(end, _)| name.get(..end)).unwrap_or(name)
}

/// A name, or the beginning of what is too long to be one, as paths have it.
pub(crate) fn beginning(name: &str) -> &str {
    name.char_indices().nth(256).and_then(|(end, _)| name.get(..end)).unwrap_or(name)
}
