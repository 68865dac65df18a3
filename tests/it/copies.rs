//! Copies of this program that do what one of its functions does, until something happens to them or the test is over.

use std::io::{BufRead as _, BufReader, Lines, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// A copy of this program. It is killed when it is dropped.
pub(crate) struct Copy {
    child: Child,
    said: Lines<BufReader<ChildStdout>>,
    ear: ChildStdin,
}

impl Copy {
    /// One that does what the test of this path does when it finds this variable.
    pub(crate) fn begin(test: &str, variable: &str, told: &str) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", test, "--nocapture", "--test-threads=1"])
            .env(variable, told)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (said, ear) = (BufReader::new(child.stdout.take().unwrap()).lines(), child.stdin.take().unwrap());
        Self { child, said, ear }
    }

    /// Waits until it says this line, and gives the lines before.
    pub(crate) fn until(&mut self, line: &str) -> Vec<String> {
        let mut before = Vec::new();
        for said in self.said.by_ref().map(Result::unwrap) {
            if said == line {
                return before;
            }
            before.push(said);
        }
        panic!("it ended before it said {line}: {before:#?}")
    }

    /// Tells it a line.
    pub(crate) fn tell(&mut self, line: &str) {
        writeln!(self.ear, "{line}").unwrap();
    }

    pub(crate) fn signal(&self, name: &str) {
        let process = self.id().to_string();
        assert!(Command::new("/bin/kill").args([name, &process]).status().unwrap().success());
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Kills it, so that nothing of it goes on.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
