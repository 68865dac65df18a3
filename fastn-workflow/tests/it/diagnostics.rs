//! What the compiler says of wrong flows, kept word for word.

use std::process::Command;

/// The messages are kept as this compiler writes them; others break lines elsewhere.
const KEPT_FOR: &str = "rustc 1.95.";

#[test]
fn what_the_compiler_says_is_as_kept_for_rustc_1_95() {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version = Command::new(rustc).arg("--version").output().expect("a compiler that tells its version").stdout;
    let version = String::from_utf8_lossy(&version);
    if !version.starts_with(KEPT_FOR) {
        println!("SKIPPED what_the_compiler_says_is_as_kept_for_rustc_1_95: this is {version}");
        return;
    }
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
