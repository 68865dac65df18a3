//! A plan in the DOT language of Graphviz.

use std::fmt::{self, Write};

use super::text::{one_line, tolerated};
use crate::plan::{NodeIx, NodeKind, Plan, ScopeIx, Source};

impl Plan {
    /// The plan in the DOT language.
    pub fn to_dot(&self) -> String {
        let mut out = format!("digraph \"{}\" {{\n    node [shape=box];\n", quoted(self.name().as_str()));
        // Writing to a text cannot fail.
        let _ = write_scope(&mut out, self, ScopeIx(0), 1);
        out.push_str("}\n");
        out
    }
}

fn write_scope(out: &mut String, plan: &Plan, at: ScopeIx, depth: usize) -> fmt::Result {
    let pad = "    ".repeat(depth);
    writeln!(out, "{pad}in{} [label=\"input\", shape=plaintext];", at.0)?;
    writeln!(out, "{pad}out{} [label=\"output\", shape=plaintext];", at.0)?;
    for ix in plan.in_order(at) {
        let node = plan.node(ix);
        let (label, shape) = match &node.kind {
            NodeKind::Step => (String::new(), "box"),
            NodeKind::Call(action) => (format!("\\n{}", quoted(&action.to_string())), "component"),
            NodeKind::When(_) => (String::new(), "diamond"),
            NodeKind::Each { concurrency, tolerance, .. } => {
                (format!("\\neach, {concurrency} at a time{}", tolerated(*tolerance)), "box3d")
            }
            NodeKind::Repeat { most, .. } => (format!("\\nrepeat, at most {most} times"), "box3d"),
            NodeKind::Sleep(span) => (format!("\\nsleep {span:?}"), "oval"),
            NodeKind::Wait(signal) => (format!("\\nwait for {}", quoted(&signal.to_string())), "oval"),
            NodeKind::Run(child) => (format!("\\nrun {}", quoted(&child.to_string())), "folder"),
            NodeKind::Try(_) => ("\\ntry".to_owned(), "box3d"),
            NodeKind::Race { join, .. } => (format!("\\nrace, {join}"), "box3d"),
            NodeKind::Fail(kind) => (format!("\\nfail {}", quoted(kind.as_str())), "octagon"),
        };
        writeln!(out, "{pad}n{} [label=\"{}{label}\", shape={shape}];", ix.0, quoted(node.name.as_str()))?;
        for input in &node.inputs {
            edge(out, &pad, at, input, &format!("n{}", ix.0))?;
        }
        for from in &node.after {
            writeln!(out, "{pad}n{} -> n{} [style=dashed];", from.0, ix.0)?;
        }
        for (label, scope) in node.kind.labelled() {
            write_inside(out, plan, ix, scope, &label, depth)?;
        }
    }
    edge(out, &pad, at, &plan.scope(at).output, &format!("out{}", at.0))
}

fn edge(out: &mut String, pad: &str, scope: ScopeIx, from: &Source, to: &str) -> fmt::Result {
    match from {
        Source::Input => writeln!(out, "{pad}in{} -> {to};", scope.0),
        Source::Node(from) => writeln!(out, "{pad}n{} -> {to};", from.0),
        Source::Constant(_) => Ok(()),
    }
}

fn write_inside(
    out: &mut String,
    plan: &Plan,
    owner: NodeIx,
    scope: ScopeIx,
    label: &str,
    depth: usize,
) -> fmt::Result {
    let pad = "    ".repeat(depth);
    let label = quoted(label);
    writeln!(out, "{pad}subgraph cluster_{} {{\n{pad}    label=\"{label}\";", scope.0)?;
    write_scope(out, plan, scope, depth + 1)?;
    writeln!(out, "{pad}}}\n{pad}n{} -> in{} [label=\"{label}\", style=dotted];", owner.0, scope.0)
}

fn quoted(text: &str) -> String {
    one_line(text).replace('\\', "\\\\").replace('"', "\\\"")
}
