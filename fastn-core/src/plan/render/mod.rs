//! A plan as people and tools see it: a text tree, Mermaid, DOT, and JSON for graph editors.

mod dot;
mod editor;
mod mermaid;
mod text;
mod tree;
