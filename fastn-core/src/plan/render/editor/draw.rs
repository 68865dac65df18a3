//! A plan as JSON for graph editors, and back.
//!
//! The shape is that of xyflow (React Flow): `nodes` with `id`, `position` and `data`, `edges` with `source` and
//! `target`. Wiring is read from the edges and everything else from the nodes' data, so what a person redraws is what
//! comes back. Every scope has two nodes that are no steps: its input and its output.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::plan::{Draft, DraftKind, DraftNode, DraftScope, DraftSource, NodeKind, Plan, Position, ScopeIx, Source};
use crate::{ActionRef, Error, ErrorKind, Payload, Result, StepPolicy, Version};

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Graph {
    fastn: String,
    workflow: String,
    version: Version,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    deadline: Option<Duration>,
    nodes: Vec<GraphNode>,
    edges: Vec<GraphEdge>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct GraphNode {
    id: String,
    #[serde(rename = "type")]
    kind: String,
    position: Position,
    /// The node this one is shown inside of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    parent_id: Option<String>,
    data: GraphData,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct GraphData {
    label: String,
    /// Which arm of its parent it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    arm: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    action: Option<ActionRef>,
    /// The labels of a `when`'s arms, in order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    arms: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    concurrency: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sleep: Option<Duration>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    policy: Option<StepPolicy>,
    /// Inputs that are always the same, by port.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    constants: BTreeMap<usize, Box<RawValue>>,
}

#[derive(Serialize, Deserialize)]
struct GraphEdge {
    id: String,
    source: String,
    target: String,
    #[serde(default)]
    data: EdgeData,
}

#[derive(Clone, Copy, Default, Serialize, Deserialize)]
struct EdgeData {
    /// Which input of the target; none, if the target only waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    port: Option<usize>,
}

impl Plan {
    /// The plan as JSON for a graph editor.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] if a constant is not JSON.
    pub fn to_editor_json(&self) -> Result<String> {
        let mut graph = Graph {
            fastn: "1".to_owned(),
            workflow: self.name().to_string(),
            version: self.version(),
            deadline: self.deadline(),
            nodes: Vec::with_capacity(self.nodes().len() + 2),
            edges: Vec::new(),
        };
        self.draw_scope(ScopeIx(0), None, None, "", &mut graph)?;
        serde_json::to_string_pretty(&graph).map_err(|e| Error::new(ErrorKind::Internal, "write graph").caused_by(e))
    }

    fn draw_scope(
        &self,
        at: ScopeIx,
        parent: Option<&str>,
        arm: Option<&str>,
        prefix: &str,
        graph: &mut Graph,
    ) -> Result<()> {
        let scope = self.scope(at);
        let layers = self.layers(at);
        let end = |kind: &str, column: usize| GraphNode {
            id: format!("{prefix}@{kind}"),
            kind: kind.to_owned(),
            position: Position { x: column as f64 * 240.0, y: 0.0 },
            parent_id: parent.map(str::to_owned),
            data: GraphData { label: kind.to_owned(), arm: arm.map(str::to_owned), ..GraphData::default() },
        };
        graph.nodes.push(end("input", 0));
        graph.nodes.push(end("output", layers.len() + 1));
        for (column, layer) in layers.iter().enumerate() {
            for (row, ix) in layer.iter().enumerate() {
                let node = self.node(*ix);
                let id = format!("{prefix}{}", node.name);
                let mut data = GraphData {
                    label: node.name.to_string(),
                    arm: arm.map(str::to_owned),
                    policy: (node.policy != StepPolicy::default()).then(|| node.policy.clone()),
                    ..GraphData::default()
                };
                match &node.kind {
                    NodeKind::Step => {}
                    NodeKind::Call(action) => data.action = Some(action.clone()),
                    NodeKind::Sleep(span) => data.sleep = Some(*span),
                    NodeKind::Each { concurrency, .. } => data.concurrency = Some(*concurrency),
                    NodeKind::When(arms) => data.arms = Some(arms.iter().map(|arm| arm.label.clone()).collect()),
                }
                for (port, source) in node.inputs.iter().enumerate() {
                    self.draw_edge(source, prefix, &id, Some(port), graph, &mut data)?;
                }
                for from in &node.after {
                    self.draw_edge(&Source::Node(*from), prefix, &id, None, graph, &mut data)?;
                }
                graph.nodes.push(GraphNode {
                    kind: node.kind.as_str().to_owned(),
                    position: node
                        .position
                        .unwrap_or(Position { x: (column + 1) as f64 * 240.0, y: row as f64 * 100.0 }),
                    parent_id: parent.map(str::to_owned),
                    data,
                    id: id.clone(),
                });
                match &node.kind {
                    NodeKind::When(arms) => {
                        for arm in arms {
                            let inside = format!("{id}.{}/", arm.label);
                            self.draw_scope(arm.scope, Some(&id), Some(&arm.label), &inside, graph)?;
                        }
                    }
                    NodeKind::Each { body, .. } => {
                        self.draw_scope(*body, Some(&id), None, &format!("{id}/"), graph)?;
                    }
                    NodeKind::Step | NodeKind::Call(_) | NodeKind::Sleep(_) => {}
                }
            }
        }
        let output = format!("{prefix}@output");
        let mut data = GraphData::default();
        self.draw_edge(&scope.output, prefix, &output, Some(0), graph, &mut data)?;
        if let Some(node) = graph.nodes.iter_mut().find(|node| node.id == output) {
            node.data.constants = data.constants;
        }
        Ok(())
    }

    fn draw_edge(
        &self,
        source: &Source,
        prefix: &str,
        target: &str,
        port: Option<usize>,
        graph: &mut Graph,
        data: &mut GraphData,
    ) -> Result<()> {
        let source = match source {
            Source::Input => format!("{prefix}@input"),
            Source::Node(from) => format!("{prefix}{}", self.node(*from).name),
            Source::Constant(value) => {
                let raw =
                    value.decode().map_err(|e| Error::new(ErrorKind::Unsupported, "draw constant").caused_by(e))?;
                data.constants.insert(port.unwrap_or(0), raw);
                return Ok(());
            }
        };
        graph.edges.push(GraphEdge {
            id: format!("{source}->{target}#{}", port.map_or_else(|| "after".to_owned(), |port| port.to_string())),
            source,
            target: target.to_owned(),
            data: EdgeData { port },
        });
        Ok(())
    }
}

impl Draft {
    /// Reads back what [`Plan::to_editor_json`] wrote and a person may have changed. The nodes have no functions.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if the text is not such JSON. What is wrong with the workflow itself,
    /// [`Draft::check`] says.
    pub fn from_editor_json(text: &str) -> Result<Self> {
        let invalid = || Error::new(ErrorKind::Invalid, "read graph");
        let graph: Graph = serde_json::from_str(text).map_err(|e| invalid().caused_by(e))?;
        let mut reader = Reader::default();
        for node in graph.nodes {
            let scope = (node.parent_id.clone(), node.data.arm.clone());
            reader.names.insert(node.id.clone(), node.data.label.clone());
            reader.kinds.insert(node.id.clone(), node.kind.clone());
            reader.scopes.entry(scope).or_default().push(node);
        }
        for edge in graph.edges {
            reader.edges.entry(edge.target.clone()).or_default().push(edge);
        }
        let root = reader.scope(&(None, None), 0)?;
        Ok(Self { name: graph.workflow, version: graph.version, deadline: graph.deadline, root })
    }
}

/// A node and an arm of it: where a scope stands.
type Place = (Option<String>, Option<String>);

#[derive(Default)]
struct Reader {
    scopes: BTreeMap<Place, Vec<GraphNode>>,
    /// Edges by target.
    edges: BTreeMap<String, Vec<GraphEdge>>,
    names: BTreeMap<String, String>,
    kinds: BTreeMap<String, String>,
}

impl Reader {
    fn scope(&mut self, place: &Place, depth: usize) -> Result<DraftScope> {
        let invalid = |id: &str| Error::new(ErrorKind::Invalid, "read graph").with("node", id);
        if depth > super::super::Limits::default().depth {
            return Err(invalid(place.0.as_deref().unwrap_or_default()).caused_by("nested too deeply"));
        }
        let mut scope = DraftScope::default();
        for mut node in self.scopes.remove(place).unwrap_or_default() {
            let (inputs, after) = self.wires(&node.id, std::mem::take(&mut node.data.constants));
            let missing = |what: &'static str| invalid(&node.id).caused_by(format!("a {} needs `{what}`", node.kind));
            let kind = match node.kind.as_str() {
                "input" => continue,
                "output" => {
                    scope.output = inputs.into_iter().next();
                    continue;
                }
                "step" => DraftKind::Step,
                "call" => DraftKind::Call(node.data.action.clone().ok_or_else(|| missing("action"))?),
                "sleep" => DraftKind::Sleep(node.data.sleep.ok_or_else(|| missing("sleep"))?),
                "each" => DraftKind::Each {
                    concurrency: node.data.concurrency.ok_or_else(|| missing("concurrency"))?,
                    body: self.scope(&(Some(node.id.clone()), None), depth + 1)?,
                },
                "when" => {
                    let labels = node.data.arms.clone().ok_or_else(|| missing("arms"))?;
                    let arm = |label: String| {
                        let place = (Some(node.id.clone()), Some(label.clone()));
                        Ok((label, self.scope(&place, depth + 1)?))
                    };
                    DraftKind::When(labels.into_iter().map(arm).collect::<Result<_>>()?)
                }
                other => return Err(invalid(&node.id).caused_by(format!("{other:?} is no kind of node"))),
            };
            scope.nodes.push(DraftNode {
                inputs,
                after,
                policy: node.data.policy.unwrap_or_default(),
                position: Some(node.position),
                ..DraftNode::new(node.data.label, kind)
            });
        }
        Ok(scope)
    }

    /// What is wired to a node: its inputs by port, and those it only waits for.
    fn wires(&mut self, target: &str, constants: BTreeMap<usize, Box<RawValue>>) -> (Vec<DraftSource>, Vec<String>) {
        let mut ports: BTreeMap<usize, DraftSource> = constants
            .into_iter()
            .map(|(port, raw)| (port, DraftSource::Constant(Payload::json(raw.get().to_owned()))))
            .collect();
        let mut after = Vec::new();
        for edge in self.edges.remove(target).unwrap_or_default() {
            let is_input = self.kinds.get(&edge.source).is_some_and(|kind| kind == "input");
            // An edge from a node that is not there keeps its words, so that the check names them.
            let name = self.names.get(&edge.source).cloned().unwrap_or(edge.source);
            match edge.data.port {
                Some(port) if is_input => drop(ports.insert(port, DraftSource::Input)),
                Some(port) => drop(ports.insert(port, DraftSource::Node(name))),
                None => after.push(name),
            }
        }
        (ports.into_values().collect(), after)
    }
}
