//! Scopes and nodes, as a document says them.

use fastn_core::plan::{NodeIx, NodeKind, Plan, ScopeIx, Source};
use fastn_core::{Bond, Durability, Error, ErrorKind, Join, Result, Retry, StepPolicy, Take, Tolerance};
use serde_json::Value as Json;

use super::policies::{retry, span};
use super::print::{map, number, of_json, text, tree};
use crate::fault::Found;
use crate::limits::Limits;
use crate::place::Span;
use crate::read::beginning;
use crate::syntax::{Entry, Tree, Value, parse};
use crate::template::quoted;

/// The nodes of a scope, and what it gives.
pub(super) fn scope(plan: &Plan, at: ScopeIx, prefix: &str) -> Result<(Option<Tree>, Tree)> {
    let mut nodes = Vec::new();
    for ix in plan.in_order(at) {
        let key = plan.node(ix).name.to_string();
        nodes.push(Entry { key, span: Span::default(), tree: node(plan, ix, prefix)? });
    }
    let nodes = (!nodes.is_empty()).then(|| tree(Value::Map(nodes)));
    Ok((nodes, source(plan, &plan.scope(at).output)?))
}

/// What the text of a node's functions says.
struct Code(Json);

impl Code {
    fn of(text: Option<&str>) -> Result<Self> {
        let read = text.map_or(Ok(Json::Null), serde_json::from_str);
        read.map(Self).map_err(|why| Error::new(ErrorKind::Unsupported, "render plan").caused_by(why))
    }

    fn get(&self, key: &str) -> Option<Tree> {
        self.0.get(key).map(of_json)
    }

    /// A name, or the usual one.
    fn name(&self, key: &str, usual: String) -> Tree {
        self.get(key).unwrap_or_else(|| text(usual))
    }

    /// One of the expressions of a node.
    fn test(&self, key: &str, number: usize) -> Option<Tree> {
        self.0.get(key).and_then(|tests| tests.get(number)).map(of_json)
    }
}

fn node(plan: &Plan, ix: NodeIx, prefix: &str) -> Result<Tree> {
    let node = plan.node(ix);
    let path = format!("{prefix}{}", beginning(node.name.as_str()));
    let code = Code::of(node.code.as_deref())?;
    let inputs = node.inputs.iter().map(|input| source(plan, input)).collect::<Result<Vec<Tree>>>()?;
    let only = if node.inputs.len() == 1 { inputs.first().cloned() } else { None };
    // The input of the scope goes without saying.
    let given = only.clone().filter(|_| node.inputs.first() != Some(&Source::Input));
    let args = || Some(tree(Value::List(inputs.clone())));
    let mut said: Vec<(&'static str, Option<Tree>)> = match &node.kind {
        NodeKind::Step => match code.get("transform") {
            Some(template) => vec![("transform", Some(template))],
            None => {
                let task = ("task", Some(code.name("task", path.clone())));
                match (code.get("in"), &only) {
                    (Some(template), _) => vec![task, ("in", Some(template))],
                    (None, Some(_)) => vec![task, ("in", given)],
                    (None, None) => vec![task, ("args", args())],
                }
            }
        },
        NodeKind::Call(action) => vec![("call", Some(text(action.to_string()))), ("in", given)],
        NodeKind::Sleep(time) => vec![("sleep", Some(span(*time)?)), ("in", given)],
        NodeKind::Wait(signal) => {
            let take = (signal.take == Take::First).then(|| text("first"));
            let wait = map([("signal", Some(text(&*signal.name))), ("take", take)]);
            vec![("wait", Some(wait)), ("args", args().filter(|_| !inputs.is_empty()))]
        }
        NodeKind::Run(child) => {
            let version = child.version.map(|version| number(version.0));
            let bond = (child.bond != Bond::Own).then(|| text(child.bond.as_str()));
            let run = [("workflow", Some(text(&*child.workflow))), ("version", version), ("bond", bond)];
            vec![("run", Some(map(run))), ("in", given)]
        }
        NodeKind::When(arms) => {
            let by = code.get("when").is_none().then(|| code.name("by", path.clone()));
            let mut items = Vec::new();
            for (i, arm) in arms.iter().enumerate() {
                let inside = format!("{path}.{}/", beginning(&arm.label));
                let (nodes, gives) = scope(plan, arm.scope, &inside)?;
                let arm = [
                    ("name", Some(text(&*arm.label))),
                    ("when", code.test("when", i)),
                    ("nodes", nodes),
                    ("gives", Some(gives)),
                ];
                items.push(map(arm));
            }
            vec![("switch", Some(tree(Value::List(items)))), ("by", by), ("in", given)]
        }
        NodeKind::Each { body, concurrency, tolerance } => {
            let (nodes, gives) = scope(plan, *body, &format!("{path}/"))?;
            let tolerate = match tolerance {
                Tolerance::None => None,
                Tolerance::Failures(most) => Some(number(*most)),
                Tolerance::Percent(share) => Some(text(format!("{share}%"))),
                Tolerance::All => Some(text("all")),
                _ => return Err(Error::new(ErrorKind::Unsupported, "render plan").with("node", &path)),
            };
            let at_most = Some(number(*concurrency));
            vec![("each", only), ("at_most", at_most), ("tolerate", tolerate), ("nodes", nodes), ("gives", Some(gives))]
        }
        NodeKind::Try(guarded) => {
            let (nodes, gives) = scope(plan, guarded.body, &format!("{path}/"))?;
            let body = map([("nodes", nodes), ("gives", Some(gives))]);
            let mut handlers = Vec::new();
            for handler in &guarded.handlers {
                let (nodes, gives) = scope(plan, handler.scope, &format!("{path}.{}/", beginning(&handler.label)))?;
                let kinds: Vec<Tree> = handler.kinds.iter().map(|kind| text(kind.as_str())).collect();
                let kinds = (!kinds.is_empty()).then(|| tree(Value::List(kinds)));
                let name = Some(text(&*handler.label));
                handlers.push(map([("kinds", kinds), ("name", name), ("nodes", nodes), ("gives", Some(gives))]));
            }
            let catch = (!handlers.is_empty()).then(|| tree(Value::List(handlers)));
            let finally = match &guarded.finally {
                None => None,
                Some(again) => {
                    let task = code.name("finally", format!("{path}.finally"));
                    Some(map([("task", Some(task)), ("retry", Some(retry(again)?))]))
                }
            };
            vec![("try", Some(body)), ("in", given), ("catch", catch), ("finally", finally)]
        }
        NodeKind::Race { arms, join } => {
            let mut items = Vec::new();
            for arm in arms {
                let (nodes, gives) = scope(plan, arm.scope, &format!("{path}.{}/", beginning(&arm.label)))?;
                items.push(map([("name", Some(text(&*arm.label))), ("nodes", nodes), ("gives", Some(gives))]));
            }
            let quorum = if let Join::Of(count) = join { Some(number(*count)) } else { None };
            vec![("race", Some(tree(Value::List(items)))), ("quorum", quorum), ("in", given)]
        }
        NodeKind::Fail(kind) => vec![("fail", Some(text(kind.as_str()))), ("in", given)],
        NodeKind::Repeat { body, most } => {
            let (nodes, gives) = scope(plan, *body, &format!("{path}/"))?;
            let (when, until) = (code.test("while", 0), code.test("until", 0));
            let by = (when.is_none() && until.is_none()).then(|| code.name("by", path.clone()));
            let repeat = map([("while", when), ("until", until), ("by", by), ("at_most", Some(number(*most)))]);
            vec![("repeat", Some(repeat)), ("in", given), ("nodes", nodes), ("gives", Some(gives))]
        }
        _ => return Err(Error::new(ErrorKind::Unsupported, "render plan").with("node", &path)),
    };
    let needs: Vec<Tree> = node.after.iter().map(|ix| text(plan.node(*ix).name.as_str())).collect();
    said.push(("needs", (!needs.is_empty()).then(|| tree(Value::List(needs)))));
    said.extend(policy(&node.policy, &code, &path)?);
    said.push(("position", node.position.map(|at| of_json(&Json::from_iter([("x", at.x), ("y", at.y)])))));
    Ok(map(said))
}

fn policy(policy: &StepPolicy, code: &Code, path: &str) -> Result<Vec<(&'static str, Option<Tree>)>> {
    let durability = match policy.durability {
        Durability::Strict => None,
        Durability::Relaxed => Some("relaxed"),
        Durability::AtMostOnce => Some("at_most_once"),
        _ => return Err(Error::new(ErrorKind::Unsupported, "render plan").with("node", path)),
    };
    let undo = match &policy.undo {
        None => None,
        Some(tries) => {
            let tries = if *tries == StepPolicy::default_undo() { None } else { Some(retry(tries)?) };
            Some(map([("task", Some(code.name("undo", format!("{path}.undo")))), ("retry", tries)]))
        }
    };
    let on_error = policy.on_error.then(|| match code.get("gives") {
        Some(gives) => map([("gives", Some(gives))]),
        None => map([("task", Some(code.name("on_error", format!("{path}.on_error"))))]),
    });
    let tries = if policy.retry == Retry::none() { None } else { Some(retry(&policy.retry)?) };
    Ok(vec![
        ("retry", tries),
        ("within", policy.within.map(span).transpose()?),
        ("deadline", policy.deadline.map(span).transpose()?),
        ("durability", durability.map(text)),
        ("undo", undo),
        ("on_error", on_error),
    ])
}

/// Where a value comes from, as a value of the document.
fn source(plan: &Plan, source: &Source) -> Result<Tree> {
    Ok(match source {
        Source::Input => text("${ . }"),
        Source::Node(ix) => text(format!("${{ $nodes{} }}", index(plan.node(*ix).name.as_str()))),
        Source::Constant(value) => {
            let mut found = Found::default();
            let written = std::str::from_utf8(value.bytes()).unwrap_or_default();
            let read = parse("constant.json", written, &Limits::default(), &mut found);
            let opaque =
                || Error::new(ErrorKind::Unsupported, "render constant").with("content", value.content().as_str());
            quoted(read.ok_or_else(opaque)?)
        }
    })
}

/// How an expression names a node.
fn index(name: &str) -> String {
    let mut chars = name.chars();
    let plain = chars.next().is_some_and(|c| c.is_ascii_lowercase() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
        && !KEYWORDS.contains(&name);
    if plain { format!(".{name}") } else { format!("[{}]", Json::from(name)) }
}

/// Words that mean something in jq.
const KEYWORDS: [&str; 19] = [
    "and", "as", "break", "catch", "def", "elif", "else", "end", "foreach", "if", "import", "include", "label",
    "module", "not", "or", "reduce", "then", "try",
];
