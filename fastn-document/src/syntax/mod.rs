//! From text to values that know where they stand. Nothing here knows what a workflow is.

mod json;
mod number;
mod parse;
mod tree;
mod yaml;

pub(crate) use parse::parse;
pub(crate) use tree::{Entry, Tree, Value};
