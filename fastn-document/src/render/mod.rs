//! From a plan back to a document.

mod policies;
mod print;
mod scopes;
mod whole;

pub use whole::render;
