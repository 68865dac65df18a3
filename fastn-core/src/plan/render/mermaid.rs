//! A plan as a Mermaid flowchart.

use std::fmt::{self, Write};

use super::text::tolerated;
use crate::plan::{Node, NodeIx, NodeKind, Plan, ScopeIx, Source};

impl Plan {
    /// The plan in the notation of Mermaid's flowcharts.
    pub fn to_mermaid(&self) -> String {
        let mut out = String::from("flowchart TD\n");
        // Writing to a text cannot fail.
        let _ = write_scope(&mut out, self, ScopeIx(0), 1);
        out
    }
}

fn write_scope(out: &mut String, plan: &Plan, at: ScopeIx, depth: usize) -> fmt::Result {
    let scope = plan.scope(at);
    let pad = "    ".repeat(depth);
    writeln!(out, "{pad}in{}([input])", at.0)?;
    for ix in plan.in_order(at) {
        let node = plan.node(ix);
        write_node(out, plan, ix, node, depth)?;
        for input in &node.inputs {
            match input {
                Source::Input => writeln!(out, "{pad}in{} --> n{}", at.0, ix.0)?,
                Source::Node(from) => writeln!(out, "{pad}n{} --> n{}", from.0, ix.0)?,
                Source::Constant(_) => {}
            }
        }
        for from in &node.after {
            writeln!(out, "{pad}n{} -.-> n{}", from.0, ix.0)?;
        }
    }
    writeln!(out, "{pad}out{}([output])", at.0)?;
    match &scope.output {
        Source::Input => writeln!(out, "{pad}in{0} --> out{0}", at.0)?,
        Source::Node(from) => writeln!(out, "{pad}n{} --> out{}", from.0, at.0)?,
        Source::Constant(_) => {}
    }
    Ok(())
}

fn write_node(out: &mut String, plan: &Plan, ix: NodeIx, node: &Node, depth: usize) -> fmt::Result {
    let pad = "    ".repeat(depth);
    let name = quoted(node.name.as_str());
    match &node.kind {
        NodeKind::Step => writeln!(out, "{pad}n{}[\"{name}\"]", ix.0)?,
        NodeKind::Call(action) => {
            writeln!(out, "{pad}n{}[[\"{name}<br/>{}\"]]", ix.0, quoted(&action.to_string()))?;
        }
        NodeKind::Sleep(span) => writeln!(out, "{pad}n{}([\"{name}<br/>{span:?}\"])", ix.0)?,
        NodeKind::Wait(signal) => {
            writeln!(out, "{pad}n{}([\"{name}<br/>wait for {}\"])", ix.0, quoted(&signal.to_string()))?;
        }
        NodeKind::Run(child) => {
            writeln!(out, "{pad}n{}[[\"{name}<br/>run {}\"]]", ix.0, quoted(&child.to_string()))?;
        }
        NodeKind::When(arms) => {
            writeln!(out, "{pad}n{}{{\"{name}\"}}", ix.0)?;
            for arm in arms {
                write_inside(out, plan, ix, arm.scope, &arm.label, depth)?;
            }
        }
        NodeKind::Each { body, concurrency, tolerance } => {
            writeln!(out, "{pad}n{}[/\"{name}\"/]", ix.0)?;
            write_inside(
                out,
                plan,
                ix,
                *body,
                &format!("each item, {concurrency} at a time{}", tolerated(*tolerance)),
                depth,
            )?;
        }
        NodeKind::Fail(kind) => writeln!(out, "{pad}n{}{{{{\"{name}<br/>fail {}\"}}}}", ix.0, quoted(kind.as_str()))?,
        NodeKind::Try(_) | NodeKind::Race { .. } => {
            let what =
                if let NodeKind::Race { join, .. } = &node.kind { format!("race, {join}") } else { "try".to_owned() };
            writeln!(out, "{pad}n{}[/\"{name}<br/>{what}\"/]", ix.0)?;
            for (label, scope) in node.kind.labelled() {
                write_inside(out, plan, ix, scope, &label, depth)?;
            }
        }
        NodeKind::Repeat { body, most } => {
            writeln!(out, "{pad}n{}[/\"{name}\"/]", ix.0)?;
            write_inside(out, plan, ix, *body, &format!("again, at most {most} times"), depth)?;
        }
    }
    Ok(())
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
    writeln!(out, "{pad}subgraph s{}[\"{label}\"]", scope.0)?;
    write_scope(out, plan, scope, depth + 1)?;
    writeln!(out, "{pad}end\n{pad}n{} -- \"{label}\" --> in{}", owner.0, scope.0)
}

/// Mermaid reads entities inside quotes; everything that could end the quote or start markup becomes one.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' | '<' | '>' | '&' | '#' | ';' | '`' => {
                out.push('#');
                out.push_str(&u32::from(c).to_string());
                out.push(';');
            }
            // Whoever wrote it must not be able to write lines of ours.
            c if c.is_control() => out.extend(c.escape_default()),
            c => out.push(c),
        }
    }
    out
}
