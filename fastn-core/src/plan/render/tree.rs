//! A plan as an indented text.

use std::fmt::{self, Write as _};

use super::text::{one_line, tolerated};
use crate::plan::{Node, NodeIx, NodeKind, Plan, ScopeIx, Source};

impl fmt::Display for Plan {
    /// A line per node, in an order in which they could run, with what it takes and how it is done:
    ///
    /// ```text
    /// checkout v3
    /// ├─ fetch(input)
    /// ├─ price(fetch)
    /// └─ charge(price) retry 5
    /// -> charge
    /// ```
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name(), self.version())?;
        for (place, tag) in self.requires().iter().enumerate() {
            write!(f, "{} {}", if place == 0 { " requires" } else { "," }, one_line(tag.as_str()))?;
        }
        writeln!(f)?;
        write_scope(f, self, ScopeIx(0), "")?;
        write!(f, "-> {}", source(self, &self.root().output))
    }
}

fn write_scope(f: &mut fmt::Formatter<'_>, plan: &Plan, scope: ScopeIx, indent: &str) -> fmt::Result {
    let order = plan.in_order(scope);
    for (i, ix) in order.iter().enumerate() {
        let last = i + 1 == order.len();
        let node = plan.node(*ix);
        writeln!(f, "{indent}{} {}", if last { "└─" } else { "├─" }, line(plan, node)?)?;
        let indent = format!("{indent}{}  ", if last { " " } else { "│" });
        for (label, inside) in node.kind.labelled() {
            writeln!(f, "{indent}{} -> {}", one_line(&label), source(plan, &plan.scope(inside).output))?;
            write_scope(f, plan, inside, &format!("{indent}  "))?;
        }
    }
    Ok(())
}

/// A node in one line.
fn line(plan: &Plan, node: &Node) -> Result<String, fmt::Error> {
    let inputs: Vec<String> = node.inputs.iter().map(|input| source(plan, input)).collect();
    let mut text = format!("{}({})", node.name, inputs.join(", "));
    match &node.kind {
        NodeKind::Step => {}
        NodeKind::Call(action) => write!(text, " calls {}", one_line(&action.to_string()))?,
        NodeKind::When(_) => text.push_str(" when"),
        NodeKind::Each { concurrency, tolerance, .. } => {
            write!(text, " each, {concurrency} at a time{}", tolerated(*tolerance))?;
        }
        NodeKind::Repeat { most, .. } => write!(text, " repeats, at most {most} times")?,
        NodeKind::Sleep(span) => write!(text, " sleeps {span:?}")?,
        NodeKind::Wait(signal) => write!(text, " waits for {}", one_line(&signal.to_string()))?,
        NodeKind::Run(child) => write!(text, " runs {}", one_line(&child.to_string()))?,
        NodeKind::Try(_) => text.push_str(" tries"),
        NodeKind::Race { join, .. } => write!(text, " races, {join}")?,
        NodeKind::Fail(kind) => write!(text, " fails with {}", one_line(kind.as_str()))?,
    }
    if !node.after.is_empty() {
        let after: Vec<&str> = node.after.iter().map(|ix| plan.node(*ix).name.as_str()).collect();
        write!(text, " after {}", after.join(", "))?;
    }
    let policy = &node.policy;
    match policy.retry.most_attempts() {
        1 => {}
        u32::MAX => text.push_str(" retry"),
        most => write!(text, " retry {}", most - 1)?,
    }
    if let Some(within) = policy.within {
        write!(text, " within {within:?}")?;
    }
    if let Some(deadline) = policy.deadline {
        write!(text, " deadline {deadline:?}")?;
    }
    if policy.undo.is_some() {
        text.push_str(" undo");
    }
    if policy.on_error {
        text.push_str(" on_error");
    }
    if matches!(&node.kind, NodeKind::Try(guarded) if guarded.finally.is_some()) {
        text.push_str(" finally");
    }
    Ok(text)
}

fn source(plan: &Plan, source: &Source) -> String {
    match source {
        Source::Input => "input".to_owned(),
        Source::Node(ix) => plan.node(*ix).name.to_string(),
        Source::Constant(value) => one_line(&String::from_utf8_lossy(value.bytes())),
    }
}

impl Plan {
    /// The nodes of a scope in an order in which they could run one after the other, ties by name.
    pub fn in_order(&self, scope: ScopeIx) -> Vec<NodeIx> {
        self.layers(scope).into_iter().flatten().collect()
    }

    /// The nodes of a scope in layers: every node stands one layer behind the last of those it waits for.
    pub fn layers(&self, scope: ScopeIx) -> Vec<Vec<NodeIx>> {
        let scope = self.scope(scope);
        let local = |ix: NodeIx| (ix.0 - scope.first().0) as usize;
        let mut waiting: Vec<u32> = scope.nodes().map(|ix| self.node(ix).in_degree()).collect();
        let mut layer: Vec<NodeIx> = scope.nodes().filter(|ix| self.node(*ix).in_degree() == 0).collect();
        let mut layers = Vec::new();
        while !layer.is_empty() {
            let mut next = Vec::new();
            for successor in layer.iter().flat_map(|ix| self.successors(*ix)) {
                if let Some(count) = waiting.get_mut(local(successor)) {
                    *count -= 1;
                    if *count == 0 {
                        next.push(successor);
                    }
                }
            }
            next.sort_unstable();
            layers.push(std::mem::replace(&mut layer, next));
        }
        layers
    }
}
