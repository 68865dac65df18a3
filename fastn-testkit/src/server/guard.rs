//! The process that stops a server and removes its folder.

use std::io::{self, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Reads the server's process id, and on until its input ends, which it does in whatever way this process ends. Then the
/// server gets a signal that ends it: nothing of its data is kept. A server that keeps a file until its last deed is waited
/// for by that file; a process whose parent is gone may be there longer, since not every container has somebody who reaps it.
const SCRIPT: &str = r#"
trap '' HUP INT TERM
server=
while read -r line; do server=$line; done
if [ -n "$server" ]; then
    kill -"$2" "$server"
    left=100
    while [ $left -gt 0 ] && kill -0 "$server" && [ -e "$1/$3" ]; do
        left=$((left - 1))
        sleep 0.05
    done
    [ $left -gt 0 ] || kill -KILL "$server"
fi
rm -rf -- "$1"
"#;

/// A shell that outlives this process by a moment.
#[derive(Debug)]
pub(super) struct Guard(Child);

impl Guard {
    /// Watches over this folder, which is removed in the end, and over a server that this signal stops, with a file in the
    /// folder that is there until it has.
    pub(super) fn over(folder: &Path, signal: &str, file: &str) -> io::Result<Self> {
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", SCRIPT, "fastn-server-guard"]).arg(folder).args([signal, file]);
        shell.current_dir("/").process_group(0);
        shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().map(Self)
    }

    /// Watches over this server, too.
    pub(super) fn watch(&mut self, server: &Child) -> io::Result<()> {
        self.tell(&server.id().to_string())
    }

    /// The server that it watched is gone and reaped: its number may soon be another's.
    pub(super) fn forget(&mut self) -> io::Result<()> {
        self.tell("")
    }

    fn tell(&mut self, line: &str) -> io::Result<()> {
        self.0.stdin.as_mut().map_or(Ok(()), |input| writeln!(input, "{line}"))
    }

    /// Has the server stopped, which the caller reaps.
    pub(super) fn stop(&mut self) {
        drop(self.0.stdin.take());
    }
}

impl Drop for Guard {
    /// Returns when the folder is gone.
    fn drop(&mut self) {
        self.stop();
        let _ = self.0.wait();
    }
}
