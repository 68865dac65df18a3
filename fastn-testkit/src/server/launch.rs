//! From an empty folder to a server that accepts connections.

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::Child;
use std::time::Duration;

use fastn_core::BoxError;

use super::command::output;
use super::folder::Folder;
use super::guard::Guard;
use super::patience::{comes_about, ends, secret};
use super::settings::PostgresSettings;

/// How long a server may take to accept connections.
const PATIENCE: Duration = Duration::from_secs(60);

/// Makes the server's data, and gives the password of its user `postgres`.
pub(super) fn initialise(folder: &Folder, programs: &Path) -> Result<String, BoxError> {
    let password = secret()?;
    let file = folder.write("password", &password)?;
    let mut initdb = folder.program(&programs.join("initdb"));
    initdb.args(["--username=postgres", "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync"]);
    initdb.arg("--pwfile").arg(file).arg("--pgdata").arg(folder.path().join("data"));
    output(&mut initdb)?;
    Ok(password)
}

/// Starts the server on this port, or on a free one, which comes with it, and waits until it accepts connections.
pub(super) fn launch(
    folder: &Folder,
    programs: &Path,
    settings: &PostgresSettings,
    port: Option<u16>,
    guard: &mut Guard,
) -> Result<(Child, u16), BoxError> {
    let log = folder.path().join("log");
    let mut tries: u32 = 3;
    loop {
        tries = tries.saturating_sub(1);
        let port = match port {
            Some(port) => port,
            None => TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port(),
        };
        let mut command = folder.program(&programs.join("postgres"));
        command.arg("-D").arg(folder.path().join("data"));
        for (name, value) in &settings.values {
            command.arg("-c").arg(format!("{name}={value}"));
        }
        command.args(["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-p", &port.to_string()]);
        let file = File::create(&log)?;
        let mut server = command.stdout(file.try_clone()?).stderr(file).spawn()?;
        guard.watch(&server)?;
        if is_ready(&mut server, folder) {
            return Ok((server, port));
        }
        let _ = server.kill();
        server.wait()?;
        guard.forget()?;
        let said = fs::read_to_string(&log)?;
        // Somebody else may have taken the port in between.
        if tries == 0 || !said.contains("could not bind") {
            return Err(format!("it does not accept connections; it said:\n{}", said.trim()).into());
        }
    }
}

/// Waits until the server accepts connections: it says so in the last line of its file. Not if it ends, or takes too long.
fn is_ready(server: &mut Child, folder: &Folder) -> bool {
    let file = folder.path().join("data/postmaster.pid");
    let own = server.id().to_string();
    comes_about(PATIENCE, || {
        if ends(server, Duration::ZERO) {
            return Some(false);
        }
        let text = fs::read_to_string(&file).unwrap_or_default();
        let is_own = text.lines().next() == Some(own.as_str());
        let status = text.lines().nth(7).unwrap_or_default();
        (is_own && status.trim() == "ready").then_some(true)
    })
    .unwrap_or(false)
}
