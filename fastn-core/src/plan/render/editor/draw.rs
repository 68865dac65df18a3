//! From a plan to the JSON.

use super::form::{EdgeData, Graph, GraphData, GraphEdge, GraphHandler, GraphNode};
use crate::plan::graph::escaped;
use crate::plan::{Handler, NodeKind, Plan, Position, ScopeIx, Source};
use crate::{Error, ErrorKind, Result, StepPolicy, Tolerance};

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
            requires: self.requires().iter().map(ToString::to_string).collect(),
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
        let at_end = graph.nodes.len();
        graph.nodes.push(end("output", layers.len() + 1));
        for (column, layer) in layers.iter().enumerate() {
            for (row, ix) in layer.iter().enumerate() {
                let node = self.node(*ix);
                let id = id_of(prefix, node.name.as_str());
                let mut data = GraphData {
                    label: node.name.to_string(),
                    arm: arm.map(str::to_owned),
                    code: node.code.clone(),
                    policy: (node.policy != StepPolicy::default()).then(|| node.policy.clone()),
                    ..GraphData::default()
                };
                match &node.kind {
                    NodeKind::Step => {}
                    NodeKind::Call(action) => data.action = Some(action.clone()),
                    NodeKind::Sleep(span) => data.sleep = Some(*span),
                    NodeKind::Wait(signal) => data.signal = Some(signal.clone()),
                    NodeKind::Run(child) => data.child = Some(child.clone()),
                    NodeKind::Repeat { most, .. } => data.most = Some(*most),
                    NodeKind::Each { concurrency, tolerance, .. } => {
                        data.concurrency = Some(*concurrency);
                        data.tolerance = Some(*tolerance).filter(|some| *some != Tolerance::None);
                    }
                    NodeKind::When(arms) => data.arms = Some(arms.iter().map(|arm| arm.label.clone()).collect()),
                    NodeKind::Race { arms, join } => {
                        data.arms = Some(arms.iter().map(|arm| arm.label.clone()).collect());
                        data.join = Some(*join);
                    }
                    NodeKind::Try(guarded) => {
                        let handlers = guarded.handlers.iter();
                        let handler =
                            |one: &Handler| GraphHandler { label: one.label.clone(), kinds: one.kinds.clone() };
                        data.handlers = Some(handlers.map(handler).collect());
                        data.finally.clone_from(&guarded.finally);
                    }
                    NodeKind::Fail(kind) => data.failure = Some(kind.clone()),
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
                    NodeKind::When(arms) | NodeKind::Race { arms, .. } => {
                        for arm in arms {
                            self.draw_arm(arm.scope, &id, &arm.label, graph)?;
                        }
                    }
                    NodeKind::Try(guarded) => {
                        self.draw_scope(guarded.body, Some(&id), None, &format!("{id}/"), graph)?;
                        for handler in &guarded.handlers {
                            self.draw_arm(handler.scope, &id, &handler.label, graph)?;
                        }
                    }
                    NodeKind::Each { body, .. } | NodeKind::Repeat { body, .. } => {
                        self.draw_scope(*body, Some(&id), None, &format!("{id}/"), graph)?;
                    }
                    NodeKind::Step
                    | NodeKind::Call(_)
                    | NodeKind::Sleep(_)
                    | NodeKind::Wait(_)
                    | NodeKind::Run(_)
                    | NodeKind::Fail(_) => {}
                }
            }
        }
        let output = format!("{prefix}@output");
        let mut data = GraphData::default();
        self.draw_edge(&scope.output, prefix, &output, Some(0), graph, &mut data)?;
        if let Some(node) = graph.nodes.get_mut(at_end) {
            node.data.constants = data.constants;
        }
        Ok(())
    }

    /// A scope of a node that has several, each with its label.
    fn draw_arm(&self, scope: ScopeIx, id: &str, label: &str, graph: &mut Graph) -> Result<()> {
        let inside = format!("{id}.{}/", escaped(label, SPECIAL));
        self.draw_scope(scope, Some(id), Some(label), &inside, graph)
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
            Source::Node(from) => id_of(prefix, self.node(*from).name.as_str()),
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

/// What means something in an id, so that it stands behind a backslash in names: no two things have the same id.
const SPECIAL: &[char] = &['/', '.', '@'];

fn id_of(prefix: &str, name: &str) -> String {
    format!("{prefix}{}", escaped(name, SPECIAL))
}
