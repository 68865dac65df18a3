//! Faults of a document with the spot underlined.

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use fastn::documents::Faults;

/// All faults, one below the other.
pub(crate) fn draw(faults: &Faults, text: &str, colours: bool) -> String {
    let renderer = if colours { Renderer::styled() } else { Renderer::plain() };
    let drawn = faults.faults.iter().map(|fault| {
        let end = fault.span.end.max(fault.span.start + 1).min(text.len());
        let start = fault.span.start.min(end);
        let spot = AnnotationKind::Primary.span(start..end);
        let snippet = Snippet::source(text).path(&faults.file).line_start(1).annotation(spot);
        let title = Level::ERROR.primary_title(printable(&fault.message)).element(snippet);
        let report = match &fault.help {
            Some(help) => title.element(Level::HELP.message(printable(help))),
            None => title,
        };
        renderer.render(&[report])
    });
    drawn.collect::<Vec<_>>().join("\n\n")
}

/// What a document says must not steer the terminal.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
