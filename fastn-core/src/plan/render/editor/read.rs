//! From the JSON to a draft.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::value::RawValue;

use super::form::{Graph, GraphEdge, GraphHandler, GraphNode};
use crate::plan::{Draft, DraftHandler, DraftKind, DraftNode, DraftScope, DraftSource, Limits};
use crate::{Error, ErrorKind, Payload, Result};

/// No label is longer: an edge copies the label of its source, and a few long ones must not fill the memory.
const LONGEST_LABEL: usize = 1024;

impl Draft {
    /// Reads back what [`Plan::to_editor_json`](super::super::super::Plan::to_editor_json) wrote and a person may have
    /// changed. The nodes have no functions.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if the text is not such JSON, or if something in it is nowhere or twice: a node inside of
    /// nothing, an edge from or to nothing, two nodes with one id. What is wrong with the workflow itself,
    /// [`Draft::check`] says.
    pub fn from_editor_json(text: &str) -> Result<Self> {
        let mut graph: Graph =
            serde_json::from_str(text).map_err(|e| Error::new(ErrorKind::Invalid, "read graph").caused_by(e))?;
        let mut reader = Reader::default();
        for node in std::mem::take(&mut graph.nodes) {
            reader.add_node(node)?;
        }
        for edge in std::mem::take(&mut graph.edges) {
            reader.add_edge(edge)?;
        }
        let root = reader.scope(&(None, None), 0)?;
        match reader.scopes.values().flatten().next() {
            Some(lost) => Err(invalid(&lost.id, "it stands inside of nothing")),
            None => {
                let Graph { workflow: name, version, deadline, requires, .. } = graph;
                Ok(Self { name, version, deadline, requires, root })
            }
        }
    }
}

fn invalid(id: &str, why: impl fmt::Display) -> Error {
    Error::new(ErrorKind::Invalid, "read graph").with("node", id).caused_by(why.to_string())
}

/// A node and an arm of it: where a scope stands.
type Place = (Option<String>, Option<String>);

/// What edges must know of a node.
struct End {
    place: Place,
    kind: String,
    label: String,
}

#[derive(Default)]
struct Reader {
    scopes: BTreeMap<Place, Vec<GraphNode>>,
    ends: BTreeMap<String, End>,
    /// Edges by target.
    edges: BTreeMap<String, Vec<GraphEdge>>,
}

impl Reader {
    fn add_node(&mut self, node: GraphNode) -> Result<()> {
        if node.data.label.len() > LONGEST_LABEL {
            return Err(invalid(&node.id, "its label is too long"));
        }
        let place = (node.parent_id.clone(), node.data.arm.clone());
        match self.ends.entry(node.id.clone()) {
            Entry::Occupied(_) => return Err(invalid(&node.id, "there are two nodes with this id")),
            Entry::Vacant(free) => {
                let (kind, label) = (node.kind.clone(), node.data.label.clone());
                free.insert(End { place: place.clone(), kind, label });
            }
        }
        self.scopes.entry(place).or_default().push(node);
        Ok(())
    }

    fn add_edge(&mut self, edge: GraphEdge) -> Result<()> {
        let end = |id: &str| self.ends.get(id).ok_or_else(|| invalid(id, "an edge ends here, where nothing is"));
        let (source, target) = (end(&edge.source)?, end(&edge.target)?);
        if source.place != target.place {
            return Err(invalid(&edge.source, "an edge leads from here to another scope"));
        }
        if source.kind == "output" || target.kind == "input" {
            return Err(invalid(&edge.source, "an edge leads from an output or to an input"));
        }
        self.edges.entry(edge.target.clone()).or_default().push(edge);
        Ok(())
    }

    fn scope(&mut self, place: &Place, depth: usize) -> Result<DraftScope> {
        if depth > Limits::default().depth {
            return Err(invalid(place.0.as_deref().unwrap_or_default(), "nested too deeply"));
        }
        let mut scope = DraftScope::default();
        let mut ends = BTreeSet::new();
        for mut node in self.scopes.remove(place).unwrap_or_default() {
            let (inputs, after) = self.wires(&node.id, std::mem::take(&mut node.data.constants))?;
            if matches!(node.kind.as_str(), "input" | "output") {
                if !ends.insert(node.kind.clone()) {
                    return Err(invalid(&node.id, format!("its scope has another {}", node.kind)));
                }
                if node.kind == "output" {
                    scope.output = inputs.into_iter().next();
                }
                continue;
            }
            let kind = self.kind(&mut node, depth)?;
            scope.nodes.push(DraftNode {
                inputs,
                after,
                code: node.data.code,
                policy: node.data.policy.unwrap_or_default(),
                position: Some(node.position),
                ..DraftNode::new(node.data.label, kind)
            });
        }
        Ok(scope)
    }

    /// What a node does, with the scopes inside it.
    fn kind(&mut self, node: &mut GraphNode, depth: usize) -> Result<DraftKind> {
        let missing = |what: &str| invalid(&node.id, format!("a {} needs `{what}`", node.kind));
        let inside = |arm: Option<&str>| (Some(node.id.clone()), arm.map(str::to_owned));
        Ok(match node.kind.as_str() {
            "step" => DraftKind::Step,
            "call" => DraftKind::Call(node.data.action.take().ok_or_else(|| missing("action"))?),
            "sleep" => DraftKind::Sleep(node.data.sleep.ok_or_else(|| missing("sleep"))?),
            "wait" => DraftKind::Wait(node.data.signal.take().ok_or_else(|| missing("signal"))?),
            "run" => DraftKind::Run(node.data.child.take().ok_or_else(|| missing("child"))?),
            "repeat" => DraftKind::Repeat {
                most: node.data.most.ok_or_else(|| missing("most"))?,
                body: self.scope(&inside(None), depth + 1)?,
            },
            "each" => DraftKind::Each {
                concurrency: node.data.concurrency.ok_or_else(|| missing("concurrency"))?,
                tolerance: node.data.tolerance.unwrap_or_default(),
                body: self.scope(&inside(None), depth + 1)?,
            },
            "when" | "race" => {
                let labels = node.data.arms.take().ok_or_else(|| missing("arms"))?;
                let arm = |label: String| {
                    let scope = self.scope(&inside(Some(&label)), depth + 1)?;
                    Ok((label, scope))
                };
                let arms = labels.into_iter().map(arm).collect::<Result<_>>()?;
                if node.kind == "when" {
                    DraftKind::When(arms)
                } else {
                    DraftKind::Race { arms, join: node.data.join.ok_or_else(|| missing("join"))? }
                }
            }
            "try" => {
                let body = self.scope(&inside(None), depth + 1)?;
                let handler = |GraphHandler { label, kinds }| {
                    let scope = self.scope(&inside(Some(&label)), depth + 1)?;
                    Ok(DraftHandler { label, kinds, scope })
                };
                let handlers = node.data.handlers.take().unwrap_or_default().into_iter();
                let handlers = handlers.map(handler).collect::<Result<_>>()?;
                DraftKind::Try { body, handlers, finally: node.data.finally.take() }
            }
            "fail" => DraftKind::Fail(node.data.failure.take().ok_or_else(|| missing("failure"))?),
            other => return Err(invalid(&node.id, format!("{other:?} is no kind of node"))),
        })
    }

    /// What is wired to a node: its inputs by port, and those it only waits for. An edge to a port comes before a
    /// constant of that port.
    fn wires(
        &mut self,
        target: &str,
        constants: BTreeMap<usize, Box<RawValue>>,
    ) -> Result<(Vec<DraftSource>, Vec<String>)> {
        let mut ports: BTreeMap<usize, DraftSource> = BTreeMap::new();
        let mut after = Vec::new();
        for edge in self.edges.remove(target).unwrap_or_default() {
            let Some(source) = self.ends.get(&edge.source) else { continue };
            let source = match source.kind.as_str() {
                "input" => DraftSource::Input,
                _ => DraftSource::Node(source.label.clone()),
            };
            match (edge.data.port, source) {
                (Some(port), source) => {
                    if ports.insert(port, source).is_some() {
                        return Err(invalid(target, format!("two edges lead to its input {port}")));
                    }
                }
                (None, DraftSource::Node(name)) => after.push(name),
                // The input of a scope is there when the scope is.
                (None, _) => {}
            }
        }
        for (port, raw) in constants {
            ports.entry(port).or_insert_with(|| DraftSource::Constant(Payload::json(raw.get().to_owned())));
        }
        Ok((ports.into_values().collect(), after))
    }
}
