//! The graph of a workflow: described as a [`Draft`], checked, and from then on a [`Plan`] that cannot be wrong.

mod check;
mod draft;
mod fault;
mod graph;
mod hash;
mod ids;
mod kind;
mod render;

pub use check::Limits;
pub use draft::{Draft, DraftHandler, DraftKind, DraftNode, DraftScope, DraftSource, Position};
pub use fault::{PlanFault, PlanFaults};
pub use graph::{Node, Plan, Scope, Source};
pub use ids::{NodeIx, PlanHash, ScopeIx, WorkIx};
pub use kind::{Arm, Guarded, Handler, NodeKind};
