//! `fastn check`: says what is wrong with documents.

use std::path::PathBuf;

use fastn::core::Result;
use fastn::documents::Tasks;

use crate::load::load;
use crate::record::one_line;
use crate::said::{Exit, say};

pub(crate) fn check(files: &[PathBuf]) -> Result<Exit> {
    let mut exit = Exit::Well;
    for file in files {
        match load(file, &Tasks::any())? {
            Some(loaded) => {
                let nodes = loaded.workflow.plan().nodes().len();
                let (name, version) = (loaded.document.name(), loaded.document.version());
                let plural = if nodes == 1 { "" } else { "s" };
                say(&one_line(&format!("{}: {name} {version}, {nodes} node{plural}", file.display())))?;
            }
            None => exit = Exit::Usage,
        }
    }
    Ok(exit)
}
