//! What the compiler says of wrong flows, kept word for word.
#![allow(clippy::expect_used, clippy::print_stdout, reason = "tests may fail and speak")]

use std::process::{Command, ExitCode};

use libtest_mimic::{Arguments, Trial};

/// The messages are kept as this compiler writes them; others break lines elsewhere.
const KEPT_FOR: &str = "rustc 1.95.";

fn main() -> ExitCode {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version = Command::new(rustc).arg("--version").output().expect("a compiler that tells its version").stdout;
    let version = String::from_utf8_lossy(&version);
    let other = !version.starts_with(KEPT_FOR);
    if other {
        println!("the messages are kept for {KEPT_FOR}x, and this is {}: they are not compared", version.trim());
    }
    let trial = Trial::test("what_the_compiler_says_is_as_kept_for_rustc_1_95", || {
        trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
        Ok(())
    });
    libtest_mimic::run(&Arguments::from_args(), vec![trial.with_ignored_flag(other)]).exit_code()
}
