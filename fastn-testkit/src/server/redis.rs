//! A Redis server that only this process knows.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::Child;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use fastn_core::{BoxError, Error, ErrorKind, Result};

use super::command::{output, program};
use super::folder::Folder;
use super::guard::Guard;
use super::patience::{comes_about, ends, secret};
use super::redis_program::Program;
use super::redis_words::{Answer, say};

/// How long a server may take to accept connections.
const PATIENCE: Duration = Duration::from_secs(30);

/// Names a server that tests may use.
const GIVEN: &str = "FASTN_TEST_REDIS";

/// A Redis server of one's own, on a loopback port and behind a password that nobody else has. It keeps nothing on disk.
///
/// Its program is the one that `FASTN_REDIS_SERVER` names, or `redis-server` or `valkey-server` on the path. Where there is
/// none, Debian's package is unpacked into a cache folder.
///
/// Where `FASTN_TEST_REDIS` has the URL of a server, [`PrivateRedis::shared`] is that one: nothing is started and nothing
/// stopped.
///
/// When it is dropped, the server stops and its folder is removed; and so it is, by another process, when this one ends in any
/// other way, be it killed.
#[derive(Debug)]
pub struct PrivateRedis {
    own: Option<Own>,
    place: Place,
}

/// What is there of a server that was started here.
#[derive(Debug)]
struct Own {
    // Dropped first to last; the guard removes what the others use.
    server: Option<Child>,
    guard: Guard,
    folder: Folder,
    program: Program,
}

#[derive(Debug)]
struct Place {
    host: String,
    port: u16,
    user: String,
    password: String,
}

impl PrivateRedis {
    /// Starts one.
    ///
    /// # Errors
    ///
    /// There is no Redis and it cannot be installed; the error says what to do. Or the server does not start, and the error has
    /// the end of its log.
    pub fn start() -> Result<Self> {
        Self::start_with(&[])
    }

    /// The server that all tests of this process share.
    ///
    /// # Errors
    ///
    /// As of [`PrivateRedis::start`].
    pub fn shared() -> Result<&'static Self> {
        static STARTING: Mutex<()> = Mutex::new(());
        static SHARED: OnceLock<PrivateRedis> = OnceLock::new();
        let _one_at_a_time = STARTING.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(server) = SHARED.get() {
            return Ok(server);
        }
        let server = match std::env::var(GIVEN) {
            Ok(url) => Self { own: None, place: Place::of(&url)? },
            Err(_) => Self::start()?,
        };
        Ok(SHARED.get_or_init(|| server))
    }

    /// Starts one with these settings of `redis.conf` besides.
    ///
    /// # Errors
    ///
    /// As of [`PrivateRedis::start`].
    pub fn start_with(settings: &[(&str, &str)]) -> Result<Self> {
        let failed = |why: BoxError| Error::new(ErrorKind::Unavailable, "start a private Redis").caused_by(why);
        let program = Program::find()?;
        let folder = Folder::create(&std::env::temp_dir(), "redis", true).map_err(|why| failed(why.into()))?;
        // From here on the folder is removed, whatever happens. A server that was stopped hears no gentler signal.
        let guard = Guard::over(folder.path(), "KILL", "gone").map_err(|why| failed(why.into()))?;
        let password = secret().map_err(failed)?;
        let mut said = format!("bind 127.0.0.1\nsave \"\"\nappendonly no\nrequirepass {password}\n");
        for (name, value) in settings {
            said.push_str(&format!("{name} {value}\n"));
        }
        folder.write("redis.conf", &said).map_err(|why| failed(why.into()))?;
        let place = Place { host: "127.0.0.1".to_owned(), port: 0, user: String::new(), password };
        let mut redis = Self { own: Some(Own { server: None, guard, folder, program }), place };
        let mut tries = 3;
        loop {
            let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|free| free.local_addr());
            redis.place.port = port.map_err(|why| failed(why.into()))?.port();
            tries -= 1;
            match redis.launch() {
                // Somebody else may have taken the port in between.
                Err(why) if tries > 0 && why.chain().join("\n").contains("Address already in use") => {}
                launched => return launched.map(|()| redis),
            }
        }
    }

    /// Starts the server again that was [stopped](PrivateRedis::stop), at the same port and with nothing in it.
    ///
    /// # Errors
    ///
    /// It was not started here, runs already, or does not start again.
    pub fn start_again(&mut self) -> Result<()> {
        self.launch()
    }

    fn launch(&mut self) -> Result<()> {
        let failed = |why: BoxError| Error::new(ErrorKind::Unavailable, "start a private Redis").caused_by(why);
        let own = self.own.as_mut().ok_or_else(|| failed("it is not ours".into()))?;
        if own.server.is_some() {
            return Err(failed("it runs".into()));
        }
        let log = own.folder.path().join("log");
        let started = || -> Result<Child, BoxError> {
            let file = fs::File::create(&log)?;
            let mut command = own.folder.dressed(own.program.command());
            command.arg(own.folder.path().join("redis.conf")).args(["--port", &self.place.port.to_string()]);
            let server = command.stdout(file.try_clone()?).stderr(file).spawn()?;
            Ok(server)
        };
        let mut server = started().map_err(failed)?;
        own.guard.watch(&server).map_err(|why| failed(why.into()))?;
        let place = &self.place;
        let ready = comes_about(PATIENCE, || match place.say(&[&[b"PING"]]) {
            Ok(_) => Some(true),
            Err(_) => ends(&mut server, Duration::ZERO).then_some(false),
        });
        if ready == Some(true) {
            own.server = Some(server);
            return Ok(());
        }
        let _ = server.kill();
        let _ = server.wait();
        own.guard.forget().map_err(|why| failed(why.into()))?;
        let said = fs::read_to_string(&log).unwrap_or_default();
        Err(failed(format!("it does not accept connections; it said:\n{}", said.trim()).into()))
    }

    /// Kills the server, and everything in it.
    ///
    /// # Errors
    ///
    /// It was not started here, or does not run.
    pub fn stop(&mut self) -> Result<()> {
        let failed = |why: BoxError| Error::new(ErrorKind::Unavailable, "stop a private Redis").caused_by(why);
        let own = self.own.as_mut().ok_or_else(|| failed("it is not ours".into()))?;
        let mut server = own.server.take().ok_or_else(|| failed("it does not run".into()))?;
        server.kill().and_then(|()| server.wait()).map_err(|why| failed(why.into()))?;
        own.guard.forget().map_err(|why| failed(why.into()))
    }

    /// Stops the server in its tracks: it accepts connections and answers nothing.
    ///
    /// # Errors
    ///
    /// It was not started here, or does not run.
    pub fn pause(&self) -> Result<()> {
        self.signal("-STOP")
    }

    /// Lets a server go on that was [paused](PrivateRedis::pause).
    ///
    /// # Errors
    ///
    /// It was not started here, or does not run.
    pub fn resume(&self) -> Result<()> {
        self.signal("-CONT")
    }

    fn signal(&self, signal: &str) -> Result<()> {
        let failed = |why: BoxError| Error::new(ErrorKind::Unavailable, "signal a private Redis").caused_by(why);
        let process = self.process_id().ok_or_else(|| failed("it does not run here".into()))?.to_string();
        output(program(Path::new("/bin/kill")).args([signal, &process])).map(drop).map_err(|why| failed(why.into()))
    }

    /// Deletes everything in it.
    ///
    /// # Errors
    ///
    /// It does not answer.
    pub fn wipe(&self) -> Result<()> {
        self.command(&[b"FLUSHALL"]).map(drop)
    }

    /// Says something to it, in database 0, and gives the answer.
    ///
    /// # Errors
    ///
    /// It does not answer, or refuses.
    pub fn command(&self, words: &[&[u8]]) -> Result<Answer> {
        self.place.say(&[words]).map_err(|why| {
            let word = words.first().map(|word| String::from_utf8_lossy(word).into_owned()).unwrap_or_default();
            Error::new(ErrorKind::Unavailable, "ask a private Redis").with("command", word).caused_by(why)
        })
    }

    /// The URL of one of its databases; there are 16.
    pub fn url(&self, database: u8) -> String {
        let Place { host, port, user, password } = &self.place;
        let who = if password.is_empty() { String::new() } else { format!("{user}:{password}@") };
        format!("redis://{who}{host}:{port}/{database}")
    }

    /// The same, by another way to it, such as a [`Proxy`](super::Proxy).
    pub fn url_by(&self, port: u16, database: u8) -> String {
        let Place { user, password, .. } = &self.place;
        format!("redis://{user}:{password}@127.0.0.1:{port}/{database}")
    }

    /// The port it listens at.
    pub fn port(&self) -> u16 {
        self.place.port
    }

    /// The process id of the server; `None` if it was not started here, or is stopped.
    pub fn process_id(&self) -> Option<u32> {
        self.own.as_ref()?.server.as_ref().map(Child::id)
    }

    /// The folder it lives in; `None` if it was not started here.
    pub fn folder(&self) -> Option<&Path> {
        self.own.as_ref().map(|own| own.folder.path())
    }
}

impl Place {
    /// The server at a URL.
    fn of(url: &str) -> Result<Self> {
        let wrong = || {
            let why = "it should be as redis://USER:PASSWORD@HOST:PORT";
            Error::new(ErrorKind::Invalid, "find the Redis for tests").with("variable", GIVEN).caused_by(why)
        };
        let rest = url.strip_prefix("redis://").ok_or_else(wrong)?;
        let (who, place) = rest.rsplit_once('@').unwrap_or(("", rest));
        let (user, password) = who.split_once(':').unwrap_or((who, ""));
        let place = place.split('/').next().unwrap_or_default();
        let (host, port) = place.rsplit_once(':').unwrap_or((place, "6379"));
        let port = port.parse().map_err(|_| wrong())?;
        Ok(Self { host: host.to_owned(), port, user: user.to_owned(), password: password.to_owned() })
    }

    fn say(&self, commands: &[&[&[u8]]]) -> std::io::Result<Answer> {
        let mut said: Vec<Vec<&[u8]>> = Vec::new();
        match (self.user.as_str(), self.password.as_str()) {
            (_, "") => {}
            ("", password) => said.push(vec![b"AUTH", password.as_bytes()]),
            (user, password) => said.push(vec![b"AUTH", user.as_bytes(), password.as_bytes()]),
        }
        said.extend(commands.iter().map(|words| words.to_vec()));
        say(&self.host, self.port, &said)
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        self.guard.stop();
        let Some(server) = &mut self.server else { return };
        // Where the guard does not get at it, killing it is all that is left.
        if !ends(server, Duration::from_secs(10)) {
            let _ = server.kill();
            let _ = server.wait();
        }
    }
}
