//! Where PostgreSQL's programs are.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use fastn_core::{Error, ErrorKind, Result};

use super::install;

/// Names the folder of the programs, in place of looking for it.
const VARIABLE: &str = "FASTN_POSTGRES_BIN";

/// What a private server needs.
const NEEDED: [&str; 3] = ["initdb", "postgres", "psql"];

/// The folder of the programs; installs them if there is none.
pub(super) fn find(root: bool) -> Result<PathBuf> {
    // Several servers that are started at the same time install it once.
    static ONE: Mutex<()> = Mutex::new(());
    let _one_at_a_time = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(named) = std::env::var_os(VARIABLE) {
        let named = PathBuf::from(named);
        return if is_whole(&named) {
            Ok(named)
        } else {
            let missing = format!("initdb, postgres and psql are not all in {}", named.display());
            Err(Error::new(ErrorKind::NotFound, "find PostgreSQL").with(VARIABLE, missing))
        };
    }
    if let Some(found) = present(root) {
        return Ok(found);
    }
    install::install(root)
        .and_then(|()| {
            present(root).ok_or_else(|| "what was installed has no initdb, postgres and psql in one folder".into())
        })
        .map_err(|why| {
            let to_do = format!(
                "install PostgreSQL 14 or later (Debian: apt-get install postgresql), or set {VARIABLE} to the folder \
                 of its programs initdb, postgres and psql"
            );
            Error::new(ErrorKind::NotFound, "find or install PostgreSQL").with("to do", to_do).caused_by(why)
        })
}

/// On the path, where distributions put what they keep off it, or where it was installed before.
fn present(root: bool) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // A link on the path leads to the folder where all of them are.
    let on_path = std::env::split_paths(&path)
        .filter_map(|folder| fs::canonicalize(folder.join("initdb")).ok())
        .filter_map(|initdb| initdb.parent().map(Path::to_owned))
        .find(|folder| is_whole(folder));
    on_path.or_else(|| newest(Path::new("/usr/lib/postgresql"), "bin")).or_else(|| below(&install::kept(root)))
}

/// Anywhere below a folder, as far as packages nest it.
fn below(folder: &Path) -> Option<PathBuf> {
    fn search(folder: &Path, depth: usize) -> Option<PathBuf> {
        if is_whole(folder) {
            return Some(folder.to_owned());
        }
        let deeper = depth.checked_sub(1)?;
        subfolders(folder).into_iter().find_map(|folder| search(&folder, deeper))
    }
    search(folder, 4)
}

/// Of `base/*/name` the one with the largest number.
fn newest(base: &Path, name: &str) -> Option<PathBuf> {
    let version = |folder: &PathBuf| folder.file_name().and_then(|name| name.to_str()?.parse::<f64>().ok());
    let mut versions: Vec<_> = subfolders(base).into_iter().filter_map(|at| Some((version(&at)?, at))).collect();
    versions.sort_by(|(one, _), (other, _)| other.total_cmp(one));
    versions.into_iter().map(|(_, folder)| folder.join(name)).find(|folder| is_whole(folder))
}

fn subfolders(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut folders: Vec<_> = entries.filter(|path| path.is_dir()).collect();
    folders.sort();
    folders
}

fn is_whole(folder: &Path) -> bool {
    NEEDED.iter().all(|name| folder.join(name).is_file())
}
