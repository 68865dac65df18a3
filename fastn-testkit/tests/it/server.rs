//! A private PostgreSQL server works, and is gone when its process is.

use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use fastn_testkit::server::{PostgresSettings, PrivatePostgres};

/// Set in the copies of this program that the tests start: what they are to do.
const ACT: &str = "FASTN_TEST_SERVER_ACT";

/// Where a server was.
struct Place {
    folder: PathBuf,
    port: u16,
}

impl Place {
    fn of(server: &PrivatePostgres) -> Self {
        let url = server.url("postgres");
        let port = url.rsplit(':').next().unwrap().split('/').next().unwrap();
        Self { folder: server.folder().unwrap().to_owned(), port: port.parse().unwrap() }
    }

    fn is_in_use(&self) -> bool {
        self.folder.exists() || TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_ok()
    }
}

fn is_alive(process: u32) -> bool {
    Command::new("kill").args(["-0", &process.to_string()]).stderr(Stdio::null()).status().unwrap().success()
}

/// This test once more, in a process of its own that does something else.
fn copy(test: &str, act: &str) -> Command {
    let mut copy = Command::new(std::env::current_exe().unwrap());
    copy.args(["--exact", "--nocapture", &format!("server::{test}")]).env(ACT, act);
    copy
}

fn act() -> Option<String> {
    std::env::var(ACT).ok()
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn servers_stand_beside_each_other_and_leave_nothing() {
    let durable = PrivatePostgres::start().unwrap();
    let settings = PostgresSettings::default().fsync(false).synchronous_commit(false).max_connections(7);
    let fast = PrivatePostgres::start_with(&settings.shared_buffers("16MB").set("work_mem", "1MB")).unwrap();

    for name in ["fsync", "synchronous_commit"] {
        assert_eq!(durable.sql("postgres", &format!("SHOW {name}")).unwrap(), "on");
        assert_eq!(fast.sql("postgres", &format!("SHOW {name}")).unwrap(), "off");
    }
    for (name, value) in [("max_connections", "7"), ("shared_buffers", "16MB"), ("work_mem", "1MB")] {
        assert_eq!(fast.sql("postgres", &format!("SHOW {name}")).unwrap(), value);
    }
    let url = durable.database("here").unwrap();
    assert!(url.ends_with("/here"), "{url}");
    assert!(fast.sql("here", "SELECT 1").is_err());

    let (place, process) = (Place::of(&durable), durable.process_id().unwrap());
    assert!(place.is_in_use() && is_alive(process));
    drop(durable);
    assert!(!place.is_in_use() && !is_alive(process));
    assert_eq!(fast.sql("postgres", "SELECT 6 * 7").unwrap(), "42");
}

#[test]
fn databases_of_the_shared_server_are_empty_and_nobody_elses() {
    let server = PrivatePostgres::shared().unwrap();
    let beside = std::thread::spawn(|| PrivatePostgres::shared().unwrap().process_id()).join().unwrap();
    assert_eq!(server.process_id(), beside);

    for name in ["one", "other"] {
        server.database(name).unwrap();
        server.sql(name, "CREATE TABLE things (name text)").unwrap();
    }
    assert!(server.database("one").unwrap_err().chain().join("\n").contains("already exists"));
    server.sql("one", "INSERT INTO things VALUES ('cup')").unwrap();
    assert_eq!(server.sql("one", "SELECT name, 1 FROM things").unwrap(), "cup|1");
    assert_eq!(server.sql("other", "SELECT * FROM things").unwrap(), "");
    server.drop_database("one").unwrap();
    assert!(server.sql("one", "SELECT 1").is_err());
}

#[test]
fn whoever_connects_needs_the_password() {
    let server = PrivatePostgres::shared().unwrap();
    let rules = server.sql("postgres", "SELECT DISTINCT auth_method FROM pg_hba_file_rules").unwrap();
    assert_eq!(rules, "scram-sha-256");
    assert!(
        PrivatePostgres::start().unwrap().url("postgres").split('@').next() != server.url("postgres").split('@').next()
    );
}

#[test]
fn a_panic_stops_the_server() {
    let (tell, told) = std::sync::mpsc::channel();
    let test = std::thread::spawn(move || {
        let server = PrivatePostgres::start().unwrap();
        tell.send(Place::of(&server)).unwrap();
        panic!("as tests do");
    });
    test.join().unwrap_err();
    assert!(!told.recv().unwrap().is_in_use());
}

#[test]
fn a_server_does_not_outlive_its_process_however_that_ends() {
    if act().is_some() {
        // The shared server is never dropped.
        let place = Place::of(PrivatePostgres::shared().unwrap());
        println!("\nholds {} {}", place.port, place.folder.display());
        std::io::stdin().read_line(&mut String::new()).unwrap();
        return;
    }
    for killed in [true, false] {
        let mut holder = copy("a_server_does_not_outlive_its_process_however_that_ends", "hold");
        let mut holder = holder.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(holder.stdout.take().unwrap()).lines();
        let held = lines.find_map(|line| line.unwrap().strip_prefix("holds ").map(str::to_owned)).unwrap();
        let (port, folder) = held.split_once(' ').unwrap();
        let place = Place { folder: PathBuf::from(folder), port: port.parse().unwrap() };
        assert!(place.is_in_use());

        if killed {
            holder.kill().unwrap();
        }
        drop(holder.stdin.take());
        holder.wait().unwrap();
        // What stops the server is a process that nobody here can wait for.
        let began = Instant::now();
        while place.is_in_use() {
            assert!(began.elapsed() < Duration::from_secs(20), "{} is still in use", place.folder.display());
            std::thread::yield_now();
        }
    }
}

#[test]
fn where_no_server_can_be_had_the_error_says_what_to_do() {
    const TEST: &str = "where_no_server_can_be_had_the_error_says_what_to_do";
    if act().is_some() {
        drop(PrivatePostgres::start().unwrap());
        return;
    }
    let check = |copy: &mut Command, said: &[&str]| {
        let output = copy.output().unwrap();
        let text = text(&output);
        assert!(!output.status.success(), "{text}");
        said.iter().for_each(|said| assert!(text.contains(said), "not {said}: {text}"));
    };
    check(
        copy(TEST, "start").env("FASTN_POSTGRES_BIN", "/nowhere"),
        &["FASTN_POSTGRES_BIN", "not all in /nowhere", "initdb, postgres and psql"],
    );
    // Found, but no server.
    let folder = std::env::temp_dir().join(format!("fastn-no-server-{}", std::process::id()));
    std::fs::create_dir(&folder).unwrap();
    for name in ["initdb", "postgres", "psql"] {
        write_program(&folder.join(name), "#!/bin/sh\necho no such thing here >&2\nexit 3\n");
    }
    check(
        copy(TEST, "start").env("FASTN_POSTGRES_BIN", &folder),
        &["start a private PostgreSQL", "no such thing here"],
    );
    std::fs::remove_dir_all(&folder).unwrap();
}

fn write_program(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}
