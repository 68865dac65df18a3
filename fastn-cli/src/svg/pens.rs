//! Rectangles, lines and texts.

use std::fmt::Write;

use super::size::{PAD, TERMINAL, wide};

pub(super) fn rectangle(x: f64, y: f64, width: f64, height: f64, fill: &str, stroke: &str, out: &mut String) {
    let _ = writeln!(
        out,
        "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" rx=\"6\" fill=\"{fill}\" stroke=\"{stroke}\"/>"
    );
}

/// From point to point, each curve leaving and arriving upright. Each point but the first is where a curve ends, and where the next
/// one begins.
pub(super) fn edge(points: &[(f64, f64, f64)], dashed: bool, out: &mut String) {
    let dash = if dashed { " stroke-dasharray=\"4 3\"" } else { "" };
    let mut path = String::new();
    let mut from: Option<(f64, f64)> = None;
    for &(x, top, bottom) in points {
        match from {
            None => drop(write!(path, "M{x:.1} {bottom:.1}")),
            Some((x0, y0)) => {
                let half = (y0 + top) / 2.0;
                let _ = write!(path, " C{x0:.1} {half:.1} {x:.1} {half:.1} {x:.1} {top:.1}");
                if bottom > top {
                    let _ = write!(path, " L{x:.1} {bottom:.1}");
                }
            }
        }
        from = Some((x, bottom));
    }
    let _ = writeln!(out, "<path d=\"{path}\" fill=\"none\" stroke=\"#64748b\"{dash} marker-end=\"url(#tip)\"/>");
}

pub(super) fn terminal(label: &str, x: f64, y: f64, out: &mut String) {
    let width = wide(label) + 2.0 * PAD;
    let _ = writeln!(
        out,
        "<rect x=\"{:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{TERMINAL}\" rx=\"11\" fill=\"#f1f5f9\" stroke=\"#94a3b8\"/>\n\
         <text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\" fill=\"#475569\">{label}</text>",
        x - width / 2.0,
        y + TERMINAL * 0.7,
    );
}

/// The beginning of a text that may be long.
pub(super) fn short(text: &str) -> String {
    const MOST: usize = 40;
    let beginning: String = text.chars().take(MOST).collect();
    if beginning.len() < text.len() { format!("{beginning}…") } else { beginning }
}

pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            // No other control character may stand in XML.
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}
