//! From values with places to what they say of a workflow.
//!
//! | room | what is there |
//! |---|---|
//! | `reader` | what is common: faults, expressions, names |
//! | `fields` | the keys of a map |
//! | `span` | how long something takes |
//! | `values` | values with expressions in them |
//! | `policy` | how a node's work is done |
//! | `kinds` | what each kind of node says |
//! | `contained` | nodes that contain failure |
//! | `nodes` | scopes and their nodes |
//! | `flow` | the whole document |

mod contained;
mod fields;
mod flow;
mod kinds;
mod nodes;
mod policy;
mod reader;
mod span;
mod values;

pub(crate) use fields::Fields;
pub(crate) use flow::flow;
pub(crate) use nodes::{BELONGS, KEYS, KINDS, beginning};
pub(crate) use reader::Reader;
pub use span::parse_span;
pub(crate) use span::write_span;
