//! How large a document may be.

/// What a document may be at most. Held before anything is made of what is larger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// The bytes of its text.
    pub bytes: usize,
    /// How deep lists and maps may stand in each other.
    pub depth: usize,
    /// The values in it, those inside of others counted too.
    pub values: usize,
    /// The entries of one list or map.
    pub entries: usize,
    /// The nodes of all scopes together.
    pub nodes: usize,
    /// The bytes of one expression.
    pub expression: usize,
    /// The expressions of all nodes together.
    pub expressions: usize,
    /// What the evaluation of a value, with all expressions in it, may cost.
    pub fuel: Fuel,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bytes: 1 << 20,
            depth: 64,
            values: 100_000,
            entries: 20_000,
            nodes: 2_000,
            expression: 4_096,
            expressions: 4_000,
            fuel: Fuel::default(),
        }
    }
}

/// What the evaluation of a value may cost, whatever its expressions are given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fuel {
    /// Steps: a term that is evaluated, an item that is gone through, eight bytes that are compared are one each.
    pub steps: u64,
    /// Bytes of all values that are made on the way, those that are forgotten again counted too.
    pub bytes: u64,
    /// Bytes of the result as JSON.
    pub output: usize,
}

impl Default for Fuel {
    fn default() -> Self {
        Self { steps: 1_000_000, bytes: 64 << 20, output: 4 << 20 }
    }
}
