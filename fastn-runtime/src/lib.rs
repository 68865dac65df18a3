//! Runs workflows.

pub mod machine;
