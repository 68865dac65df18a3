//! Instances of scopes and nodes in a running machine.

use fastn_core::plan::NodeIx;

/// An open scope of a machine; numbers of closed ones are used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct ScopeId(pub(super) u32);

/// An instance of a node in a running machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Slot {
    pub(super) scope: ScopeId,
    pub(super) node: NodeIx,
}
