//! A plan as JSON for graph editors, and back.
//!
//! The shape is that of xyflow (React Flow): `nodes` with `id`, `position` and `data`, `edges` with `source` and
//! `target`. Wiring is read from the edges and everything else from the nodes' data, so what a person redraws is what
//! comes back. Every scope has two nodes that are no steps: its input and its output.

mod draw;
mod form;
mod read;
