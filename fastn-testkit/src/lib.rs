//! What proves fastn, for hosts to use on their own workflows and stores.
//!
//! [`sketch`] writes drafts of workflows in a line per node, so that a test shows the graph it is about.

pub mod sketch;
