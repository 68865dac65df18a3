//! jq's own tests, less a written list of what is different here and why.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may fail")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use fastn_document::fuzzing::evaluate;
use libtest_mimic::{Arguments, Trial};
use serde_json::Value;

/// Third-party material: of this environment variable's folder, or of the one beside the project's.
const FIXTURES: &str = "FASTN_FIXTURES";

const FILES: [&str; 5] = ["jq.test", "man.test", "onig.test", "base64.test", "uri.test"];

fn main() -> ExitCode {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let fixtures = std::env::var_os(FIXTURES).map_or_else(|| package.join("../../shared/fixtures"), PathBuf::from);
    let folder = fixtures.join("expressions/jq");
    // Left out by name where they are not.
    let absent = !folder.is_dir();
    let trials = FILES.map(|file| {
        let path = folder.join(file);
        Trial::test(format!("what_jq_tests_in_{file}_is_so_here_but_for_the_list"), move || {
            check(file, &fs::read_to_string(&path).unwrap());
            Ok(())
        })
        .with_ignored_flag(absent)
    });
    libtest_mimic::run(&Arguments::from_args(), trials.into()).exit_code()
}

struct Case {
    program: String,
    input: Value,
    outputs: Vec<Value>,
}

/// Groups of lines: a program, its input, and what it gives. A program that is to be refused has another shape and says how jq puts
/// it, which is nobody's concern here.
fn cases(text: &str) -> Vec<Case> {
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    let mut found = Vec::new();
    for group in lines.split(|line| line.trim().is_empty()).filter(|group| group.len() >= 2) {
        let json = |line: &&str| serde_json::from_str::<Value>(line.trim_start_matches('\u{feff}'));
        let [program, input, outputs @ ..] = group else { continue };
        let outputs: Result<Vec<Value>, _> = outputs.iter().map(json).collect();
        // What is not JSON, such as nan, no payload can be.
        if let (Ok(input), Ok(outputs)) = (json(input), outputs)
            && !program.starts_with("%%FAIL")
        {
            found.push(Case { program: (*program).to_owned(), input, outputs });
        }
    }
    found
}

/// Numbers that are equal are the same, however they are written.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| same(a, b)))
        }
        _ => a == b,
    }
}

fn check(file: &str, text: &str) {
    let list = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/jq_differences.txt");
    let known = fs::read_to_string(&list).unwrap_or_default();
    let known: BTreeSet<&str> = known.lines().filter(|line| !line.starts_with('#')).collect();
    let (mut other, mut settled, mut well) = (Vec::new(), Vec::new(), 0);
    let cases = cases(text);
    for case in &cases {
        let given = evaluate(&format!("[{}\n]", case.program), &case.input);
        let holds = matches!(&given, Some(Ok(value)) if same(value, &Value::Array(case.outputs.clone())));
        let line = format!("{}\t{}", case.program, case.input);
        match (holds, known.contains(line.as_str())) {
            (true, false) => well += 1,
            (true, true) => settled.push(line),
            (false, true) => {}
            (false, false) => {
                let expected = Value::Array(case.outputs.clone());
                other.push(format!("{line}\n#    {given:?}\n#    instead of {expected}"));
            }
        }
    }
    assert!(other.is_empty(), "{file}: {} of {} are different:\n{}", other.len(), cases.len(), other.join("\n"));
    assert!(settled.is_empty(), "{file}: these are not different any more:\n{}", settled.join("\n"));
    assert!(well > 0, "{file} has no cases");
}
