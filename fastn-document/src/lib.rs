//! Workflows as documents: JSON and YAML with jq expressions in, a checked plan with its functions out.
//!
//! A [`Document`] is read from a text, which may be a stranger's: whatever it is, it costs as much as [`Limits`] say at most, and all
//! that is wrong with it is told at once, each [`Fault`] with its place. What it describes is a plan like any other.
//!
//! # The language
//!
//! ```yaml
//! fastn: "1"
//! name: order
//! nodes:
//!   price:
//!     transform: { cents: "${ [.lines[] | .cents] | add }" }
//!   charge:
//!     task: charge                          # a function of the host's
//!     in: { amount: "${ $nodes.price.cents }", to: "${ .customer }" }
//!     retry: 5
//!     within: 10s
//! gives: ${ $nodes.charge }
//! ```
//!
//! * A node is of the kind whose key it has: `task`, `call`, `transform`, `switch`, `each`, `repeat`, `wait`, `sleep`, `run`.
//! * A text that is `${ … }` from its beginning to its end is an expression of jq. In it `.` and `$input` are the input of the scope,
//!   and `$nodes.NAME` is what a node gave. Variables, because `.` changes its meaning inside of jq and they do not. What a node takes
//!   from others are the edges of the plan; `needs` adds those by which nothing comes.
//! * `gives` is what a scope gives: the workflow, an arm of a `switch`, the body of an `each` or a `repeat`. If it is not said, it is
//!   what the only node gives that no other one takes.
//! * Inside of an arm or a body nothing from outside is seen: what is needed there is passed on by `in`, and is `.` there.

mod build;
mod document;
mod fault;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod jq;
mod limits;
mod model;
mod place;
mod read;
mod render;
mod schema;
mod serverless;
mod suggest;
mod syntax;
mod tasks;
mod template;

pub use crate::document::Document;
pub use crate::fault::{Fault, FaultKind, Faults};
pub use crate::limits::{Fuel, Limits};
pub use crate::place::{Lines, Place, Span};
pub use crate::read::parse_span;
pub use crate::render::render;
pub use crate::schema::schema;
pub use crate::tasks::Tasks;
