//! The examples of the Serverless Workflow specification: each is read, or what it says that is not yet supported is named.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "tests may fail")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use fastn_document::{Document, FaultKind};
use libtest_mimic::{Arguments, Trial};

/// Third-party material: of this environment variable's folder, or of the one beside the project's.
const FIXTURES: &str = "FASTN_FIXTURES";

/// Those that are read; all others say something that is not yet supported.
const READ: [&str; 13] = [
    "call-http-endpoint-interpolation-shorthand.yaml",
    "call-http-endpoint-interpolation.yaml",
    "call-http-query-headers-expressions.yaml",
    "call-http-query-parameters.yaml",
    "call-http-redirect.yaml",
    "do-multiple.yaml",
    "do-single.yaml",
    "fork.yaml",
    "run-subflow.yaml",
    "star-wars-homeworld.yaml",
    "switch-then-string.yaml",
    "wait-duration-inline.yaml",
    "wait-duration-iso8601.yaml",
];

fn main() -> ExitCode {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let fixtures = std::env::var_os(FIXTURES).map_or_else(|| package.join("../../shared/fixtures"), PathBuf::from);
    let folder = fixtures.join("serverless-workflow/examples");
    // Left out by name where they are not.
    let absent = !folder.is_dir();
    let trial = Trial::test("every_example_is_read_or_what_is_not_yet_supported_is_named_with_its_place", move || {
        check(&folder);
        Ok(())
    });
    libtest_mimic::run(&Arguments::from_args(), vec![trial.with_ignored_flag(absent)]).exit_code()
}

fn check(folder: &Path) {
    let (mut read, mut wrong, mut all) = (Vec::new(), Vec::new(), 0);
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    for file in files {
        let name = file.file_name().unwrap().to_str().unwrap().to_owned();
        all += 1;
        match Document::read(&name, &fs::read_to_string(&file).unwrap()) {
            Ok(_) => read.push(name),
            Err(faults) => {
                let other = faults.faults.iter().filter(|fault| fault.kind != FaultKind::Unsupported);
                wrong.extend(other.map(|fault| format!("{name}:{fault}")));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(read, READ);
    assert_eq!(all, 66);
}
