//! `fastn graph`: draws a document.

use std::fs;
use std::path::Path;

use fastn::core::{Error, ErrorKind, Result};
use fastn::documents::Tasks;

use crate::args::Picture;
use crate::load::load;
use crate::said::{Exit, say};
use crate::svg::svg;

pub(crate) fn graph(file: &Path, format: Picture, out: Option<&Path>) -> Result<Exit> {
    let Some(loaded) = load(file, &Tasks::any())? else { return Ok(Exit::Usage) };
    let plan = loaded.workflow.plan();
    let picture = match format {
        Picture::Tree => plan.to_string(),
        Picture::Mermaid => plan.to_mermaid(),
        Picture::Dot => plan.to_dot(),
        Picture::Json => plan.to_editor_json()?,
        Picture::Svg => svg(plan),
    };
    match out {
        Some(path) => fs::write(path, picture + "\n").map_err(|why| {
            Error::new(ErrorKind::Unavailable, "write picture").with("file", path.display()).caused_by(why)
        })?,
        None => say(&picture)?,
    }
    Ok(Exit::Well)
}
