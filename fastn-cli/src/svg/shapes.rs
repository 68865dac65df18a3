//! Scopes and nodes with their sizes, and how they are drawn.

use std::collections::HashMap;
use std::fmt::Write;

use fastn::core::Plan;
use fastn::core::Tolerance;
use fastn::core::plan::{NodeIx, NodeKind, ScopeIx};

use super::layers::{End, Item, Layers};
use super::pens::{edge, escaped, rectangle, short, terminal};
use super::size::{BETWEEN, GAP, LANE, LINE, PAD, TERMINAL, wide};

/// A scope with the sizes of all that is in it.
pub(super) struct Boxed {
    layers: Layers,
    shapes: HashMap<NodeIx, Shape>,
    pub(super) width: f64,
    pub(super) height: f64,
}

/// A node with its size.
struct Shape {
    node: NodeIx,
    lines: Vec<String>,
    inside: Vec<(String, Boxed)>,
    width: f64,
    height: f64,
}

impl Boxed {
    /// As deep as scopes are nested, which is bounded.
    pub(super) fn of(plan: &Plan, scope: ScopeIx) -> Self {
        let layers = Layers::of(plan, scope);
        let shapes: HashMap<NodeIx, Shape> =
            plan.scope(scope).nodes().map(|node| (node, Shape::of(plan, node))).collect();
        let mut boxed = Self { layers, shapes, width: 0.0, height: 0.0 };
        let rows: Vec<(f64, f64)> = boxed.layers.items.iter().map(|layer| boxed.row(layer)).collect();
        boxed.width = rows.iter().map(|(width, _)| *width).fold(wide("output") + 2.0 * PAD, f64::max);
        boxed.height = rows.iter().map(|(_, height)| height + BETWEEN).sum::<f64>() + BETWEEN + 2.0 * TERMINAL;
        boxed
    }

    fn size(&self, item: &Item) -> (f64, f64) {
        match item {
            Item::Node(node) => self.shapes.get(node).map_or((0.0, 0.0), |shape| (shape.width, shape.height)),
            Item::Lane(_) => (LANE, 0.0),
        }
    }

    /// How wide and how high a layer is.
    fn row(&self, layer: &[Item]) -> (f64, f64) {
        let sizes = || layer.iter().map(|item| self.size(item));
        let width: f64 = sizes().map(|(width, _)| width).sum();
        (width + layer.len().saturating_sub(1) as f64 * GAP, sizes().map(|(_, height)| height).fold(0.0, f64::max))
    }

    pub(super) fn draw(&self, plan: &Plan, x: f64, y: f64, out: &mut String) {
        let middle = x + self.width / 2.0;
        let end = y + self.height - TERMINAL;
        // The middle, the top and the bottom of each thing; a lane is as high as its layer.
        let mut nodes: HashMap<NodeIx, (f64, f64, f64)> = HashMap::new();
        let mut lanes: HashMap<(usize, usize), (f64, f64, f64)> = HashMap::new();
        let mut top = y + TERMINAL + BETWEEN;
        for (number, layer) in self.layers.items.iter().enumerate() {
            let (width, height) = self.row(layer);
            let mut left = middle - width / 2.0;
            for item in layer {
                let (wide, high) = self.size(item);
                let center = left + wide / 2.0;
                match item {
                    Item::Node(node) => {
                        let down = top + (height - high) / 2.0;
                        nodes.insert(*node, (center, down, down + high));
                    }
                    Item::Lane(edge) => drop(lanes.insert((*edge, number), (center, top, top + height))),
                }
                left += wide + GAP;
            }
            top += height + BETWEEN;
        }
        let place = |at: End| match at {
            End::Input => Some((middle, y, y + TERMINAL)),
            End::Output => Some((middle, end, end)),
            // An arrow ends where it arrives.
            End::Node(node) => nodes.get(&node).copied(),
        };
        for (number, drawn) in self.layers.edges.iter().enumerate() {
            let (Some(from), Some((x, top, _))) = (place(drawn.from), place(drawn.to)) else { continue };
            let layers = 0..self.layers.items.len();
            let between = layers.filter_map(|layer| lanes.get(&(number, layer)).copied());
            let points: Vec<_> = std::iter::once(from).chain(between).chain([(x, top, top)]).collect();
            edge(&points, drawn.dashed, out);
        }
        terminal("input", middle, y, out);
        terminal("output", middle, end, out);
        for item in self.layers.items.iter().flatten() {
            if let Item::Node(node) = item
                && let (Some(shape), Some((x, top, _))) = (self.shapes.get(node), nodes.get(node))
            {
                shape.draw(plan, x - shape.width / 2.0, *top, out);
            }
        }
    }
}

impl Shape {
    fn of(plan: &Plan, ix: NodeIx) -> Self {
        let node = plan.node(ix);
        // What the only scope of a node is need not be said.
        let named = !matches!(node.kind, NodeKind::Each { .. } | NodeKind::Repeat { .. });
        let scopes = node.kind.labelled().into_iter();
        let label = |label: String| if named { label } else { String::new() };
        let inside: Vec<(String, Boxed)> = scopes.map(|(word, scope)| (label(word), Boxed::of(plan, scope))).collect();
        let mut lines = vec![short(node.name.as_str())];
        lines.push(short(&match &node.kind {
            NodeKind::Step => String::new(),
            NodeKind::Call(action) => format!("calls {action}"),
            NodeKind::When(_) => "chooses".to_owned(),
            NodeKind::Each { concurrency, tolerance: Tolerance::None, .. } => format!("each, {concurrency} at a time"),
            NodeKind::Each { concurrency, tolerance, .. } => format!("each, {concurrency} at a time, {tolerance}"),
            NodeKind::Try(_) => "tries".to_owned(),
            NodeKind::Race { join, .. } => format!("races, {join}"),
            NodeKind::Fail(kind) => format!("fails with {kind}"),
            NodeKind::Repeat { most, .. } => format!("repeats, at most {most} times"),
            NodeKind::Sleep(span) => format!("sleeps {span:?}"),
            NodeKind::Wait(signal) => format!("waits for {signal}"),
            NodeKind::Run(child) => format!("runs {child}"),
            other => other.as_str().to_owned(),
        }));
        lines.retain(|line| !line.is_empty());
        let text = lines.iter().map(|line| wide(line)).fold(0.0, f64::max) + 2.0 * PAD;
        let scopes: f64 = inside.iter().map(|(_, scope)| scope.width + 2.0 * PAD).sum();
        let gaps = inside.len().saturating_sub(1) as f64 * PAD;
        let tallest = inside.iter().map(|(_, scope)| scope.height + LINE + 2.0 * PAD).fold(0.0, f64::max);
        let width = if inside.is_empty() { text } else { text.max(scopes + gaps + 2.0 * PAD) };
        let height = lines.len() as f64 * LINE + PAD + if inside.is_empty() { 0.0 } else { tallest + PAD };
        Self { node: ix, lines, inside, width, height }
    }

    fn draw(&self, plan: &Plan, x: f64, y: f64, out: &mut String) {
        let node = plan.node(self.node);
        let (fill, stroke) = match node.kind {
            NodeKind::Step => ("#eff6ff", "#3b82f6"),
            NodeKind::Call(_) => ("#ecfdf5", "#10b981"),
            NodeKind::When(_) => ("#fffbeb", "#f59e0b"),
            NodeKind::Try(_) | NodeKind::Race { .. } => ("#f0fdfa", "#14b8a6"),
            NodeKind::Fail(_) => ("#fef2f2", "#ef4444"),
            NodeKind::Each { .. } | NodeKind::Repeat { .. } => ("#f5f3ff", "#8b5cf6"),
            NodeKind::Run(_) => ("#fdf2f8", "#ec4899"),
            _ => ("#f8fafc", "#64748b"),
        };
        rectangle(x, y, self.width, self.height, fill, stroke, out);
        for (number, line) in self.lines.iter().enumerate() {
            let weight = if number == 0 { " font-weight=\"bold\"" } else { "" };
            let (x, y) = (x + self.width / 2.0, y + PAD / 2.0 + (number as f64 + 0.75) * LINE);
            let _ = writeln!(
                out,
                "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"middle\"{weight} fill=\"#0f172a\">{}</text>",
                escaped(line)
            );
        }
        let mut left = x + PAD;
        let top = y + self.lines.len() as f64 * LINE + PAD;
        for (label, scope) in &self.inside {
            let (width, height) = (scope.width + 2.0 * PAD, scope.height + LINE + 2.0 * PAD);
            rectangle(left, top, width, height, "#ffffff", "#cbd5e1", out);
            let _ = writeln!(
                out,
                "<text x=\"{:.1}\" y=\"{:.1}\" fill=\"#475569\">{}</text>",
                left + PAD / 2.0,
                top + LINE * 0.9,
                escaped(&short(label))
            );
            scope.draw(plan, left + PAD, top + LINE + PAD, out);
            left += width + PAD;
        }
    }
}
