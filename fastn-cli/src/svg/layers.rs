//! Which layer everything stands in, and in which order.

use std::collections::{HashMap, HashSet};

use fastn::core::Plan;
use fastn::core::plan::{NodeIx, ScopeIx, Source};

/// Where an edge begins or ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum End {
    Input,
    Node(NodeIx),
    Output,
}

/// An edge that is drawn.
#[derive(Clone, Copy, Debug)]
pub(super) struct Edge {
    pub(super) from: End,
    pub(super) to: End,
    /// Whether nothing comes by it.
    pub(super) dashed: bool,
}

/// What stands in a layer: a node, or the lane of an edge that passes through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Item {
    Node(NodeIx),
    Lane(usize),
}

/// A scope in layers.
pub(super) struct Layers {
    pub(super) edges: Vec<Edge>,
    pub(super) items: Vec<Vec<Item>>,
}

/// How many lanes there are at most.
const MOST_LANES: usize = 5_000;

impl Layers {
    pub(super) fn of(plan: &Plan, scope: ScopeIx) -> Self {
        let nodes = plan.layers(scope);
        let edges = edges(plan, scope);
        let mut levels: HashMap<End, usize> = HashMap::from([(End::Input, 0), (End::Output, nodes.len() + 1)]);
        for (level, layer) in nodes.iter().enumerate() {
            levels.extend(layer.iter().map(|node| (End::Node(*node), level + 1)));
        }
        let level = |end: End| levels.get(&end).copied().unwrap_or(0);
        let mut items: Vec<Vec<Item>> =
            nodes.into_iter().map(|layer| layer.into_iter().map(Item::Node).collect()).collect();
        let between = |edge: &Edge| level(edge.from) + 1..level(edge.to);
        // Where there are more lanes than anybody could follow, edges go straight.
        if edges.iter().map(|edge| between(edge).len()).sum::<usize>() <= MOST_LANES {
            for (number, edge) in edges.iter().enumerate() {
                for at in between(edge) {
                    if let Some(layer) = items.get_mut(at - 1) {
                        layer.push(Item::Lane(number));
                    }
                }
            }
        }
        let mut into: HashMap<End, Vec<usize>> = HashMap::new();
        edges.iter().enumerate().for_each(|(number, edge)| into.entry(edge.to).or_default().push(number));
        let mut above: HashMap<Item, f64> = HashMap::new();
        for (number, layer) in items.iter_mut().enumerate() {
            // Whether an edge comes from the layer above by itself, or in its lane there.
            let rank = |at: usize| {
                let edge = edges.get(at)?;
                match edge.from {
                    End::Node(node) if level(edge.from) == number => above.get(&Item::Node(node)).copied(),
                    End::Input if number == 0 => Some(0.5),
                    _ => above.get(&Item::Lane(at)).copied(),
                }
            };
            let ranked = |item: &Item| match item {
                Item::Lane(at) => rank(*at).unwrap_or(0.5),
                Item::Node(node) => {
                    let edges = into.get(&End::Node(*node)).map(Vec::as_slice).unwrap_or_default();
                    let ranks: Vec<f64> = edges.iter().filter_map(|at| rank(*at)).collect();
                    if ranks.is_empty() { 0.5 } else { ranks.iter().sum::<f64>() / ranks.len() as f64 }
                }
            };
            let mut order: Vec<(f64, Item)> = layer.iter().map(|item| (ranked(item), *item)).collect();
            order.sort_by(|a, b| a.0.total_cmp(&b.0));
            *layer = order.into_iter().map(|(_, item)| item).collect();
            let count = layer.len() as f64;
            above = layer.iter().enumerate().map(|(at, item)| (*item, (at as f64 + 0.5) / count)).collect();
        }
        Self { edges, items }
    }
}

fn edges(plan: &Plan, scope: ScopeIx) -> Vec<Edge> {
    let (mut edges, mut known) = (Vec::new(), HashSet::new());
    let mut add = |from, to, dashed| {
        if known.insert((from, to)) {
            edges.push(Edge { from, to, dashed });
        }
    };
    let end = |source: &Source| match source {
        Source::Input => Some(End::Input),
        Source::Node(node) => Some(End::Node(*node)),
        Source::Constant(_) => None,
    };
    for ix in plan.scope(scope).nodes() {
        let node = plan.node(ix);
        // That a node sees the input of its scope too is no news where it takes something else.
        let takes_nodes = node.inputs.iter().any(|input| matches!(input, Source::Node(_)));
        for from in node.inputs.iter().filter_map(end).filter(|from| !takes_nodes || *from != End::Input) {
            add(from, End::Node(ix), false);
        }
        node.after.iter().for_each(|from| add(End::Node(*from), End::Node(ix), true));
    }
    if let Some(from) = end(&plan.scope(scope).output) {
        add(from, End::Output, false);
    }
    edges
}
