//! What a PostgreSQL server needs before it is there: a folder, who removes it, and the programs.

use std::path::{Path, PathBuf};
use std::process::Child;

use fastn_core::{BoxError, Error, ErrorKind, Result};

use super::binaries;
use super::command::output;
use super::folder::Folder;
use super::guard::Guard;
use super::launch::{initialise, launch};
use super::settings::PostgresSettings;

/// A place for a server.
#[derive(Debug)]
pub(super) struct Ground {
    // Dropped first to last; the guard removes what the others use.
    pub(super) guard: Guard,
    pub(super) folder: Folder,
    pub(super) programs: PathBuf,
}

impl Ground {
    /// From here on the folder is removed, whatever happens.
    pub(super) fn clear(settings: &PostgresSettings) -> Result<Self> {
        let base = settings.folder.clone().unwrap_or_else(std::env::temp_dir);
        let folder = Folder::create(&base, "postgres", false).map_err(|why| failed(why.into()))?;
        let guard = Guard::over(folder.path(), "QUIT", "data/postmaster.pid").map_err(|why| failed(why.into()))?;
        let programs = binaries::find(folder.is_of_root())?;
        Ok(Self { guard, folder, programs })
    }

    /// Makes the server's data, and gives the password of its user `postgres`.
    pub(super) fn initialise(&self) -> Result<String> {
        initialise(&self.folder, &self.programs).map_err(failed)
    }

    /// Takes over the data of a server that was never started, to follow it when it is.
    pub(super) fn follow(&self, other: &Self) -> Result<()> {
        let copied = || -> Result<(), BoxError> {
            let mut copy = self.folder.program(Path::new("/bin/cp"));
            copy.arg("-a").arg(other.folder.path().join("data")).arg(self.folder.path().join("data"));
            output(&mut copy)?;
            self.folder.write("data/standby.signal", "")?;
            Ok(())
        };
        copied().map_err(failed)
    }

    /// Starts the server at this port, or at a free one, which comes with it.
    pub(super) fn launch(&mut self, settings: &PostgresSettings, port: Option<u16>) -> Result<(Child, u16)> {
        launch(&self.folder, &self.programs, settings, port, &mut self.guard).map_err(failed)
    }
}

pub(super) fn failed(why: BoxError) -> Error {
    Error::new(ErrorKind::Unavailable, "start a private PostgreSQL").caused_by(why)
}
