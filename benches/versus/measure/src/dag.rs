//! The graphs of the case `dag`.

use crate::{Ask, Fallible};

/// How often a graph is run in one process, after once that does not count; the figure is the median.
pub const PASSES: usize = 5;

/// A graph of 10,000 nodes that do nothing but await once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Each needs the one before.
    Chain,
    /// None needs another.
    Independent,
    /// Layers of 100; each node needs three of the layer before.
    Layered,
}

impl Shape {
    pub fn of(ask: &Ask) -> Fallible<Self> {
        match ask.case.as_str() {
            "dag-chain" => Ok(Self::Chain),
            "dag-independent" => Ok(Self::Independent),
            "dag-layered" => Ok(Self::Layered),
            _ => ask.unknown(),
        }
    }

    /// The nodes that this one needs; all have smaller numbers.
    pub fn needs(self, node: usize) -> Vec<usize> {
        const WIDE: usize = 100;
        match self {
            Self::Chain => node.checked_sub(1).into_iter().collect(),
            Self::Layered if node >= WIDE => {
                let (layer, place) = (node / WIDE, node % WIDE);
                [0, 1, 2].map(|more| (layer - 1) * WIDE + (place + more) % WIDE).to_vec()
            }
            Self::Independent | Self::Layered => Vec::new(),
        }
    }
}
