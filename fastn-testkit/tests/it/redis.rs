//! A private Redis server works, and is gone when its process is.

use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, TcpStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use fastn_testkit::server::{Answer, PrivateRedis};

/// Set in the copies of this program that the tests start: what they are to do.
const ACT: &str = "FASTN_TEST_REDIS_ACT";

fn copy(test: &str, act: &str) -> Command {
    let mut copy = Command::new(std::env::current_exe().unwrap());
    copy.args(["--exact", "--nocapture", &format!("redis::{test}")]).env(ACT, act).env_remove("FASTN_TEST_REDIS");
    copy
}

fn is_in_use(port: u16) -> bool {
    TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
}

#[test]
fn a_server_keeps_what_it_is_told_and_forgets_it_when_it_is_stopped() {
    let mut server = PrivateRedis::start_with(&[("maxmemory-policy", "noeviction")]).unwrap();
    let (port, folder) = (server.port(), server.folder().unwrap().to_owned());
    assert_eq!(server.command(&[b"SET", b"key", b"a\r\nvalue"]).unwrap(), Answer::Word("OK".to_owned()));
    assert_eq!(server.command(&[b"GET", b"key"]).unwrap(), Answer::Bytes(b"a\r\nvalue".to_vec()));
    assert_eq!(server.command(&[b"GET", b"none"]).unwrap(), Answer::Nothing);
    let policy = server.command(&[b"CONFIG", b"GET", b"maxmemory-policy"]).unwrap();
    assert_eq!(policy.text(), "maxmemory-policy\nnoeviction");
    assert!(server.command(&[b"NONSENSE"]).unwrap_err().chain().join("\n").contains("unknown command"));
    server.wipe().unwrap();
    assert_eq!(server.command(&[b"DBSIZE"]).unwrap(), Answer::Number(0));

    server.command(&[b"SET", b"key", b"value"]).unwrap();
    server.stop().unwrap();
    assert!(!is_in_use(port) && server.process_id().is_none() && server.stop().is_err());
    server.start_again().unwrap();
    assert!(server.start_again().is_err(), "it runs");
    assert_eq!((server.port(), server.command(&[b"DBSIZE"]).unwrap()), (port, Answer::Number(0)));

    drop(server);
    assert!(!is_in_use(port) && !folder.exists());
}

#[test]
fn whoever_connects_needs_the_password() {
    let server = PrivateRedis::shared().unwrap();
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, server.port())).unwrap();
    std::io::Write::write_all(&mut stream, b"PING\r\n").unwrap();
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).unwrap();
    assert!(line.starts_with("-NOAUTH"), "{line}");
    assert_ne!(server.url(0), PrivateRedis::start().unwrap().url(0));
}

/// Whether a process stops, which it does a moment after it was told to. Where there is no `/proc` nobody knows.
fn is_stopped(process: u32) -> bool {
    let until = Instant::now() + Duration::from_secs(10);
    let state = || std::fs::read_to_string(format!("/proc/{process}/stat"));
    while state().is_ok_and(|state| !state.contains(") T ")) {
        if Instant::now() > until {
            return false;
        }
        std::thread::yield_now();
    }
    true
}

#[test]
fn a_server_that_is_paused_answers_when_it_goes_on_and_can_be_dropped() {
    let server = PrivateRedis::start().unwrap();
    server.pause().unwrap();
    let (url, port) = (server.url(0), server.port());
    assert!(is_in_use(port), "{url}");
    assert!(is_stopped(server.process_id().unwrap()));
    server.resume().unwrap();
    assert_eq!(server.command(&[b"PING"]).unwrap().text(), "PONG");
    server.pause().unwrap();
    drop(server);
    assert!(!is_in_use(port));
}

#[test]
fn a_server_does_not_outlive_its_process_however_that_ends() {
    if std::env::var(ACT).is_ok() {
        // The shared server is never dropped.
        let server = PrivateRedis::shared().unwrap();
        println!("\nholds {} {}", server.port(), server.folder().unwrap().display());
        std::io::stdin().read_line(&mut String::new()).unwrap();
        return;
    }
    for killed in [true, false] {
        let mut holder = copy("a_server_does_not_outlive_its_process_however_that_ends", "hold");
        let mut holder = holder.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(holder.stdout.take().unwrap()).lines();
        let held = lines.find_map(|line| line.unwrap().strip_prefix("holds ").map(str::to_owned)).unwrap();
        let (port, folder) = held.split_once(' ').unwrap();
        let (port, folder) = (port.parse().unwrap(), std::path::PathBuf::from(folder));
        assert!(is_in_use(port) && folder.exists());
        if killed {
            holder.kill().unwrap();
        }
        drop(holder.stdin.take());
        holder.wait().unwrap();
        // What stops the server is a process that nobody here can wait for.
        let began = Instant::now();
        while is_in_use(port) || folder.exists() {
            assert!(began.elapsed() < Duration::from_secs(20), "{} is still in use", folder.display());
            std::thread::yield_now();
        }
    }
}

#[test]
fn where_no_server_can_be_had_the_error_says_what_to_do() {
    const TEST: &str = "where_no_server_can_be_had_the_error_says_what_to_do";
    if let Ok(act) = std::env::var(ACT) {
        if act == "shared" {
            PrivateRedis::shared().unwrap();
        } else {
            drop(PrivateRedis::start().unwrap());
        }
        return;
    }
    let check = |copy: &mut Command, said: &[&str]| {
        let output = copy.output().unwrap();
        let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(!output.status.success(), "{text}");
        said.iter().for_each(|said| assert!(text.contains(said), "not {said}: {text}"));
    };
    check(copy(TEST, "start").env("FASTN_REDIS_SERVER", "/nowhere"), &["FASTN_REDIS_SERVER", "no such file"]);
    // Neither one nor a way to get one.
    let nowhere = std::env::temp_dir().join(format!("fastn-no-redis-{}", std::process::id()));
    let without = &mut copy(TEST, "start");
    without.env("PATH", "/nowhere").env("XDG_CACHE_HOME", &nowhere).env("HOME", &nowhere);
    if ["/usr/bin/redis-server", "/usr/local/bin/redis-server"].iter().all(|path| !std::path::Path::new(path).exists())
    {
        check(without, &["find or install Redis", "FASTN_REDIS_SERVER", "apt-get"]);
    }
    let _ = std::fs::remove_dir_all(&nowhere);
    // Found, but no server.
    check(copy(TEST, "start").env("FASTN_REDIS_SERVER", "/bin/false"), &["start a private Redis", "does not accept"]);
    check(copy(TEST, "shared").env("FASTN_TEST_REDIS", "http://u:secret@h"), &["FASTN_TEST_REDIS", "redis://USER"]);
}

#[test]
fn a_server_that_is_given_is_used_and_left_alone() {
    const TEST: &str = "a_server_that_is_given_is_used_and_left_alone";
    if std::env::var(ACT).is_ok() {
        let server = PrivateRedis::shared().unwrap();
        assert!(server.process_id().is_none() && server.folder().is_none() && server.pause().is_err());
        server.command(&[b"SET", b"left by", b"the copy"]).unwrap();
        return;
    }
    let server = PrivateRedis::start().unwrap();
    let output = copy(TEST, "use").env("FASTN_TEST_REDIS", server.url(0)).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(server.command(&[b"GET", b"left by"]).unwrap().text(), "the copy");
}
