//! Every example runs, and prints what is written beside this file.
//!
//! `cargo test` builds the examples before it runs this; `cargo test --test examples` takes those that are there. With
//! `UPDATE_EXPECT=1` what they print now is written down.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests may fail")]

mod program;
mod wfcommons;

use std::path::Path;
use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

fn main() -> ExitCode {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    // Read from the folder, so that none can be forgotten.
    let files = std::fs::read_dir(here.join("examples")).expect("the folder of the examples can be read");
    let files = files.map(|file| file.unwrap().path()).filter(|file| file.extension().is_some_and(|ext| ext == "rs"));
    let mut trials: Vec<Trial> = files
        .map(|file| {
            let name = file.file_stem().unwrap().to_str().unwrap().to_owned();
            let expected = here.join("tests/examples/expected").join(format!("{name}.txt"));
            Trial::test(format!("{name}_prints_what_is_expected"), move || {
                let output = program::run(&name, &[]);
                assert_eq!(output.code, Some(0), "{name} failed:\n{}{}", output.stdout, output.stderr);
                expect_test::expect_file![expected].assert_eq(&output.stdout);
                Ok(())
            })
        })
        .collect();
    assert!(!trials.is_empty(), "there are no examples");
    trials.extend(wfcommons::trials(here));
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}
