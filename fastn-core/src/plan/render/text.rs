//! Texts of strangers in pictures.

use crate::Tolerance;

/// What is said of an `each` some of whose items may fail.
pub(super) fn tolerated(tolerance: Tolerance) -> String {
    match tolerance {
        Tolerance::None => String::new(),
        some => format!(", {some}"),
    }
}

/// A text on one line: it must neither break lines nor steer a terminal.
pub(super) fn one_line(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}
