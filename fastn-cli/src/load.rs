//! Documents from files.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use fastn::core::plan::NodeKind;
use fastn::core::{Error, ErrorKind, Result, Workflow};
use fastn::documents::{Document, Tasks};
use serde_json::Value;

use crate::draw::draw;
use crate::said::{colours, tell};

/// A document and the workflow that it describes.
pub(crate) struct Loaded {
    pub(crate) document: Document,
    pub(crate) workflow: Workflow<Value, Value>,
}

/// How much of a file is read at most: more is no document.
const MOST: u64 = 16 << 20;

/// Reads a file, and tells what is wrong with it. Nothing, if it was told.
pub(crate) fn load(path: &Path, tasks: &Tasks) -> Result<Option<Loaded>> {
    let wrong = |kind| Error::new(kind, "read document").with("file", path.display());
    let size = fs::metadata(path).map_err(|why| wrong(ErrorKind::NotFound).caused_by(why))?.len();
    if size > MOST {
        return Err(wrong(ErrorKind::TooLarge).with("bytes", size));
    }
    let bytes = fs::read(path).map_err(|why| wrong(ErrorKind::Unavailable).caused_by(why))?;
    let text = String::from_utf8(bytes).map_err(|why| wrong(ErrorKind::Invalid).caused_by(why))?;
    let read = Document::read(&path.display().to_string(), &text);
    let loaded = read.and_then(|document| {
        let workflow = document.workflow(tasks)?;
        Ok(Loaded { document, workflow })
    });
    Ok(match loaded {
        Ok(loaded) => Some(loaded),
        Err(faults) => {
            tell(draw(&faults, &text, colours()));
            None
        }
    })
}

/// The documents of a folder, in order of their names.
pub(crate) fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let wrong = |why| Error::new(ErrorKind::NotFound, "read folder").with("path", folder.display()).caused_by(why);
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(wrong)? {
        let path = entry.map_err(wrong)?.path();
        let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
        if matches!(ending, "yaml" | "yml" | "json") && path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// The workflows of a folder. Nothing, if what is wrong with one was told.
pub(crate) fn folder(folder: &Path) -> Result<Option<Vec<Workflow<Value, Value>>>> {
    let (tasks, mut workflows, mut faulty) = (Tasks::new(), Vec::new(), false);
    for file in files(folder)? {
        match load(&file, &tasks)? {
            Some(loaded) => workflows.push(loaded.workflow),
            None => faulty = true,
        }
    }
    if workflows.is_empty() && !faulty {
        let why = "there are no documents in it";
        return Err(Error::new(ErrorKind::Invalid, "read folder").with("path", folder.display()).caused_by(why));
    }
    Ok((!faulty).then_some(workflows))
}

/// The workflows that a document runs, from the documents beside it. What is not there, the engine says.
pub(crate) fn beside(path: &Path, first: &Loaded, tasks: &Tasks) -> Result<Vec<Workflow<Value, Value>>> {
    let mut wanted = children(&first.workflow);
    wanted.remove(first.document.name());
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut rest = Vec::new();
    for file in files(folder)?.iter().filter(|file| *file != path) {
        let Ok(text) = fs::read_to_string(file) else { continue };
        // What is wrong with documents that nobody asked for is nobody's concern.
        let Ok(document) = Document::read(&file.display().to_string(), &text) else { continue };
        if let Ok(workflow) = document.workflow(tasks) {
            rest.push((document.name().to_owned(), workflow));
        }
    }
    let mut found = Vec::new();
    while let Some(at) = rest.iter().position(|(name, _)| wanted.contains(name)) {
        let (_, workflow) = rest.swap_remove(at);
        wanted.extend(children(&workflow));
        found.push(workflow);
    }
    Ok(found)
}

fn children(workflow: &Workflow<Value, Value>) -> BTreeSet<String> {
    let child = |kind: &NodeKind| match kind {
        NodeKind::Run(child) => Some(child.workflow.to_string()),
        _ => None,
    };
    workflow.plan().nodes().iter().filter_map(|node| child(&node.kind)).collect()
}
