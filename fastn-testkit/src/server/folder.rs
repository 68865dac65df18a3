//! The folder a server lives in, and the user it runs as.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// A folder that only the server's user, and root, can look into.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    /// Whose the folder becomes when it is root's and the server refuses to run as root, as PostgreSQL does.
    other: Option<(u32, u32)>,
}

impl Folder {
    /// Makes a new one inside `base`, and `base` if it is not there, for a server of this name that runs as root or does not.
    pub(super) fn create(base: &Path, server: &str, as_root: bool) -> io::Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        fs::create_dir_all(base)?;
        let base = fs::canonicalize(base)?;
        let path = loop {
            let number = COUNT.fetch_add(1, Relaxed);
            let path = base.join(format!("fastn-{server}-{}-{number}", std::process::id()));
            match DirBuilder::new().mode(0o700).create(&path) {
                Err(why) if why.kind() == ErrorKind::AlreadyExists => {}
                made => break made.map(|()| path)?,
            }
        };
        // Whoever made it is this process's user.
        let other = if !as_root && fs::metadata(&path)?.uid() == 0 { Some(somebody()?) } else { None };
        let folder = Self { path, other };
        folder.hand_over(&folder.path)?;
        Ok(folder)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether this process is root's, and the server is not.
    #[cfg(feature = "postgres-server")]
    pub(super) fn is_of_root(&self) -> bool {
        self.other.is_some()
    }

    /// A program that runs as the server's user, and is not interrupted together with this process.
    #[cfg(feature = "postgres-server")]
    pub(super) fn program(&self, path: &Path) -> Command {
        self.dressed(super::command::program(path))
    }

    /// The same of a command.
    pub(super) fn dressed(&self, mut command: Command) -> Command {
        if let Some((user, group)) = self.other {
            command.uid(user).gid(group);
        }
        command.current_dir(&self.path).process_group(0);
        command
    }

    /// A new file in it that the server's user can read.
    pub(super) fn write(&self, name: &str, text: &str) -> io::Result<PathBuf> {
        let path = self.path.join(name);
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?.write_all(text.as_bytes())?;
        self.hand_over(&path)?;
        Ok(path)
    }

    fn hand_over(&self, path: &Path) -> io::Result<()> {
        self.other.map_or(Ok(()), |(user, group)| chown(path, Some(user), Some(group)))
    }
}

/// The user and group that a server of root's runs as.
fn somebody() -> io::Result<(u32, u32)> {
    let users = fs::read_to_string("/etc/passwd")?;
    let numbers = |name: &str| {
        let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut numbers = line.split(':').skip(2).map(str::parse);
        Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
    };
    ["postgres", "nobody"].into_iter().find_map(numbers).ok_or_else(|| {
        io::Error::other("PostgreSQL does not run as root, and there is no user `postgres` or `nobody` to run it as")
    })
}
