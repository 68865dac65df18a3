//! Sizes, in pixels.

pub(super) const LINE: f64 = 16.0;
pub(super) const PAD: f64 = 12.0;
pub(super) const GAP: f64 = 28.0;
pub(super) const BETWEEN: f64 = 46.0;
pub(super) const TERMINAL: f64 = 22.0;
/// What an edge takes in a layer that it passes through.
pub(super) const LANE: f64 = 10.0;

/// How wide a text is in the font that is used.
pub(super) fn wide(text: &str) -> f64 {
    text.chars().count() as f64 * 7.2
}
