//! Durable workflows and connectors as a library.

pub mod prelude;

pub use fastn_connectors as connectors;
pub use fastn_core as core;
pub use fastn_runtime as runtime;
pub use fastn_store as store;
pub use fastn_workflow as flow;
