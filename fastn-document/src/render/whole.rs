//! The whole document.

use fastn_core::plan::{Plan, ScopeIx};
use fastn_core::{Error, ErrorKind, Result};

use super::policies::span;
use super::print::{map, number, print, text, tree};
use super::scopes::scope;
use crate::document::Document;
use crate::syntax::Value;
use crate::tasks::Tasks;

/// A plan as a document, in JSON, which is YAML too. Read back it is a plan of the same [hash](Plan::hash). The functions of a typed
/// workflow are tasks, which have the names of their nodes: `pack/box` for the node `box` in the body of `pack`, `pack/box.undo` for
/// what undoes it, and `pack/box.on_error` for what takes over.
///
/// # Errors
/// [`Unsupported`](ErrorKind::Unsupported) for what documents cannot say: a constant that is not JSON, a name that a document reads as
/// something else, more than the [limits](crate::Limits) of a document allow.
pub fn render(plan: &Plan) -> Result<String> {
    let (nodes, gives) = scope(plan, ScopeIx(0), "")?;
    let requires: Vec<_> = plan.requires().iter().map(|tag| text(tag.as_str())).collect();
    let document = print(&map([
        ("fastn", Some(text("1"))),
        ("name", Some(text(plan.name().as_str()))),
        ("version", Some(number(plan.version().0))),
        ("deadline", plan.deadline().map(span).transpose()?),
        ("requires", (!requires.is_empty()).then(|| tree(Value::List(requires)))),
        ("nodes", nodes),
        ("gives", Some(gives)),
    ]));
    let unsaid = || Error::new(ErrorKind::Unsupported, "render plan").with("workflow", plan.name());
    let read = Document::read("rendered.json", &document).map_err(|why| unsaid().caused_by(why))?;
    let same = read.definition(&Tasks::any()).map_err(|why| unsaid().caused_by(why))?;
    if same.plan().hash() == plan.hash() {
        Ok(document)
    } else {
        Err(unsaid().caused_by("a document can only say something else"))
    }
}
