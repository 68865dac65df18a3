//! The JSON, field by field.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::plan::Position;
use crate::{ActionRef, ChildRef, FailureKind, Join, Retry, SignalRef, StepPolicy, Tolerance, Version};

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Graph {
    pub(super) fastn: String,
    pub(super) workflow: String,
    pub(super) version: Version,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) deadline: Option<Duration>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) requires: Vec<String>,
    pub(super) nodes: Vec<GraphNode>,
    pub(super) edges: Vec<GraphEdge>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct GraphNode {
    pub(super) id: String,
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) position: Position,
    /// The node this one is shown inside of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) parent_id: Option<String>,
    pub(super) data: GraphData,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct GraphData {
    pub(super) label: String,
    /// Which arm of its parent it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) arm: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) action: Option<ActionRef>,
    /// The labels of the arms of a `when` or a `race`, in order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) arms: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) concurrency: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) sleep: Option<Duration>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) signal: Option<SignalRef>,
    /// The workflow that is run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) child: Option<ChildRef>,
    /// How often it is repeated at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) most: Option<u32>,
    /// How many of the items may fail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) tolerance: Option<Tolerance>,
    /// How many arms of a race must succeed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) join: Option<Join>,
    /// The handlers of a `try`, in order; each is an arm of its label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) handlers: Option<Vec<GraphHandler>>,
    /// When the `finally` of a `try` is tried again, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) finally: Option<Retry>,
    /// The kind with which a `fail` fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) failure: Option<FailureKind>,
    /// What its functions are, where that is a text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) code: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) policy: Option<StepPolicy>,
    /// Inputs that are always the same, by port.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) constants: BTreeMap<usize, Box<RawValue>>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct GraphHandler {
    pub(super) label: String,
    /// The kinds that it takes; all, if there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) kinds: Vec<FailureKind>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct GraphEdge {
    pub(super) id: String,
    pub(super) source: String,
    pub(super) target: String,
    #[serde(default)]
    pub(super) data: EdgeData,
}

#[derive(Clone, Copy, Default, Serialize, Deserialize)]
pub(super) struct EdgeData {
    /// Which input of the target; none, if the target only waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) port: Option<usize>,
}
