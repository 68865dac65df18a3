//! The bytes that are kept: beginnings to change, and one for each bug that was found.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::target::Target;

/// The folder of what is kept for a target.
pub fn corpus_of(target: &Target) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target.name)
}

/// What is kept for a target: the names of the files, and their bytes, in the order of the names.
///
/// # Errors
/// Those of reading the folder.
pub fn corpus(target: &Target) -> io::Result<Vec<(String, Vec<u8>)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(corpus_of(target))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        found.push((name, fs::read(&path)?));
    }
    found.sort();
    Ok(found)
}
