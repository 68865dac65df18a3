//! The whole image.

use std::fmt::Write;

use fastn::core::Plan;
use fastn::core::plan::ScopeIx;

use super::pens::escaped;
use super::shapes::Boxed;
use super::size::{LINE, PAD, wide};

/// The image.
pub(crate) fn svg(plan: &Plan) -> String {
    let scope = Boxed::of(plan, ScopeIx(0));
    let title = format!("{} {}", plan.name(), plan.version());
    let (width, height) = (scope.width.max(wide(&title)) + 2.0 * PAD, scope.height + 2.0 * PAD + LINE + PAD);
    let mut out = String::new();
    // Writing to a text cannot fail.
    let _ = writeln!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" viewBox=\"0 0 {width:.0} {height:.0}\" \
         font-family=\"ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace\" font-size=\"12\">\n\
         <title>{0}</title>\n\
         <defs><marker id=\"tip\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" markerWidth=\"7\" markerHeight=\"7\" orient=\"auto\">\
         <path d=\"M0 0 L8 4 L0 8 z\" fill=\"#64748b\"/></marker></defs>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n\
         <text x=\"{PAD}\" y=\"{1:.1}\" font-weight=\"bold\" fill=\"#0f172a\">{0}</text>",
        escaped(&title),
        PAD + LINE * 0.75,
    );
    scope.draw(plan, PAD, 2.0 * PAD + LINE, &mut out);
    out.push_str("</svg>");
    out
}
