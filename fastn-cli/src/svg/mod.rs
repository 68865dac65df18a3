//! A plan as an SVG image (SVG 1.1), by a layout of its own: nodes in layers, downwards, edges in lanes through the layers that they
//! pass, and scopes as boxes inside of their nodes.

mod image;
mod layers;
mod pens;
mod shapes;
mod size;

pub(crate) use image::svg;
