//! Where Redis's program is, and how it is got where there is none.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use fastn_core::{BoxError, Error, ErrorKind, Result};

use super::command::{output, program};

/// Names the program, in place of looking for it.
const VARIABLE: &str = "FASTN_REDIS_SERVER";

/// What it is called, by those who make it and by those who make its like.
const NAMES: [&str; 2] = ["redis-server", "valkey-server"];

/// The package of Debian and of those who build on it.
const PACKAGE: &str = "redis-server";

/// A program, and where it finds what it is linked to.
#[derive(Clone, Debug)]
pub(super) struct Program {
    path: PathBuf,
    libraries: Option<OsString>,
}

impl Program {
    /// Finds it; installs it if there is none.
    pub(super) fn find() -> Result<Self> {
        // Several servers that are started at the same time install it once.
        static ONE: Mutex<()> = Mutex::new(());
        let _one_at_a_time = ONE.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(named) = std::env::var_os(VARIABLE).map(PathBuf::from) {
            let missing = || Error::new(ErrorKind::NotFound, "find Redis").with(VARIABLE, "there is no such file");
            return if named.is_file() { Ok(Self::at(named)) } else { Err(missing()) };
        }
        if let Some(found) = present() {
            return Ok(found);
        }
        install().and_then(|()| present().ok_or_else(|| "what was installed has no redis-server".into())).map_err(
            |why| {
                let to_do =
                    format!("install Redis (Debian: apt-get install {PACKAGE}), or set {VARIABLE} to its program");
                Error::new(ErrorKind::NotFound, "find or install Redis").with("to do", to_do).caused_by(why)
            },
        )
    }

    fn at(path: PathBuf) -> Self {
        Self { path, libraries: None }
    }

    /// To be run.
    pub(super) fn command(&self) -> Command {
        let mut command = program(&self.path);
        if let Some(libraries) = &self.libraries {
            command.env("LD_LIBRARY_PATH", libraries);
        }
        command
    }
}

/// On the path, or unpacked before.
fn present() -> Option<Program> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/bin".into(), "/usr/local/bin".into()]);
    let found = folders.flat_map(|folder| NAMES.map(|name| folder.join(name))).find(|path| path.is_file());
    found.map(Program::at).or_else(|| unpacked(&kept()))
}

fn unpacked(folder: &Path) -> Option<Program> {
    let path = folder.join("usr/bin").join(PACKAGE);
    let folders = ["usr/lib", "lib"].into_iter().flat_map(|name| fs::read_dir(folder.join(name))).flatten().flatten();
    let libraries = std::env::join_paths(folders.map(|entry| entry.path()).filter(|path| path.is_dir())).ok();
    path.is_file().then_some(Program { path, libraries })
}

/// Where the packages are unpacked, so that they are got once.
fn kept() -> PathBuf {
    cache().join("unpacked")
}

fn cache() -> PathBuf {
    let named = |variable| std::env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = named("XDG_CACHE_HOME").or_else(|| Some(named("HOME")?.join(".cache")));
    base.unwrap_or_else(std::env::temp_dir).join("fastn-redis")
}

/// Gets the package, and those it needs that are not there, and unpacks them: nothing of the system is changed, and no right
/// to is needed.
fn install() -> Result<(), BoxError> {
    let (cache, finished) = (cache(), kept());
    // Put there in one move: others may look at the same time.
    let unfinished = cache.join(format!(".{}", std::process::id()));
    fs::create_dir_all(&unfinished)?;
    let installed = unpack_into(&unfinished).and_then(|()| {
        fs::rename(unfinished.join("all"), &finished)
            .or_else(|why| if finished.exists() { Ok(()) } else { Err(why.into()) })
    });
    let _ = fs::remove_dir_all(&unfinished);
    installed
}

fn unpack_into(folder: &Path) -> Result<(), BoxError> {
    let (all, state) = (folder.join("all"), folder.join("apt"));
    for made in [&all, &state.join("lists/partial"), &state.join("archives/partial")] {
        fs::create_dir_all(made)?;
    }
    // The system's lists of packages may be missing or old, and are not ours to renew.
    let own = |name: &str| format!("{name}={}", state.display());
    let own = [format!("{}/lists", own("Dir::State::Lists")), own("Dir::Cache"), "Debug::NoLocking=1".to_owned()];
    let get = |own: &[String]| -> Result<(), BoxError> {
        let apt = |args: &[&str]| {
            let mut apt = program(Path::new("apt-get"));
            apt.args(own.iter().flat_map(|option| ["-o", option])).args(args).current_dir(folder);
            output(&mut apt)
        };
        if !own.is_empty() {
            apt(&["update", "--quiet"])?;
        }
        let plan = apt(&["install", "--simulate", "--quiet", "--no-install-recommends", PACKAGE])?;
        let names = plan.lines().filter_map(|line| line.strip_prefix("Inst ")?.split(' ').next());
        apt(&[&["download", "--quiet"], &names.collect::<Vec<_>>()[..]].concat())?;
        Ok(())
    };
    get(&[]).or_else(|first| get(&own).map_err(|second| BoxError::from(format!("{first}; {second}"))))?;
    for file in fs::read_dir(folder)? {
        let file = file?.path();
        if file.extension().is_some_and(|ending| ending == "deb") {
            output(program(Path::new("dpkg-deb")).arg("--extract").arg(&file).arg(&all))?;
        }
    }
    Ok(())
}
