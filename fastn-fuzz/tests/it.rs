//! The corpus that is kept, replayed in every run of the tests, and changed for a moment.
//!
//! `FASTN_FUZZ_SECONDS=60` changes it for that long per target; `FASTN_FUZZ_SEED=7` begins elsewhere, and
//! `FASTN_FUZZ_TARGET=machine` changes what is kept for that one only. What is found is told with the bytes in hexadecimal
//! digits: a file of them belongs into `fuzz/corpus/<target>`.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "tests may fail, and tell how they went"
)]

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use fastn_fuzz::{Chance, TARGETS, Target, corpus, corpus_of, mutate};

/// Without a longer time to spend, so many changed inputs per target, whatever the machine, but no longer than this.
const CASES: u64 = 4_000;
const LONGEST: Duration = Duration::from_secs(3);

/// The stack of an ordinary thread. What needs more for hostile bytes is a defect.
const STACK: usize = 2 << 20;

/// One input may take this long, on any machine.
const PATIENCE: Duration = Duration::from_secs(5);

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Gives bytes to a target; says whose and which they are if something does not hold.
fn check(target: &Target, whose: &str, bytes: &[u8]) {
    let began = Instant::now();
    let held = catch_unwind(AssertUnwindSafe(|| (target.run)(bytes))).is_ok() && began.elapsed() < PATIENCE;
    let text = String::from_utf8_lossy(bytes);
    assert!(held, "{}, {whose}, {:?}: {}\n{text}", target.name, began.elapsed(), hex(bytes));
}

/// Runs something on a thread with the stack of an ordinary one.
fn on_a_small_stack(work: impl FnOnce() + Send + 'static) {
    let thread = thread::Builder::new().stack_size(STACK).spawn(work).unwrap();
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

#[test]
fn what_is_kept_holds() {
    on_a_small_stack(|| {
        for target in TARGETS {
            let kept = corpus(target).unwrap();
            assert!(!kept.is_empty(), "nothing is kept for {}", target.name);
            for (name, bytes) in kept {
                check(target, &name, &bytes);
            }
        }
    });
}

/// Two threads, so that a slow target does not hold up the others.
#[test]
fn what_is_nearly_what_is_kept_holds() {
    let only = std::env::var("FASTN_FUZZ_TARGET").ok();
    let chosen = TARGETS.iter().filter(|target| only.as_ref().is_none_or(|only| target.name == only));
    let (first, second): (Vec<_>, Vec<_>) = chosen.enumerate().partition(|(i, _)| i % 2 == 0);
    assert!(!first.is_empty(), "there is no target {only:?}");
    let work = |targets: Vec<(usize, &'static Target)>| {
        move || targets.into_iter().for_each(|(_, target)| on_a_small_stack(move || change(target)))
    };
    let other = thread::spawn(work(second));
    work(first)();
    if let Err(panic) = other.join() {
        std::panic::resume_unwind(panic);
    }
}

fn change(target: &Target) {
    let seed = number("FASTN_FUZZ_SEED").unwrap_or(1);
    let seconds = number("FASTN_FUZZ_SECONDS");
    let longest = seconds.map_or(LONGEST, Duration::from_secs);
    let kept: Vec<Vec<u8>> = corpus(target).unwrap().into_iter().map(|(_, bytes)| bytes).collect();
    let (began, mut case) = (Instant::now(), 0_u64);
    while (seconds.is_some() || case < CASES) && began.elapsed() < longest {
        // Each case by a seed of its own: it can be had again without those before it.
        let mut chance = Chance::new(seed.wrapping_mul(0x0001_0000_0000_01B3).wrapping_add(case));
        let mut bytes = kept[chance.below(kept.len())].clone();
        mutate(&mut bytes, &kept, target.words, &mut chance);
        check(target, &format!("seed {seed}, case {case}"), &bytes);
        case += 1;
    }
    println!("{}: {case} cases of seed {seed} in {:?}", target.name, began.elapsed());
}

#[test]
fn every_target_has_its_program_and_few_kept_bytes() {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz");
    let manifest = fs::read_to_string(fuzz.join("Cargo.toml")).unwrap();
    let mut total = 0;
    for target in TARGETS {
        let program = fs::read_to_string(fuzz.join(format!("fuzz_targets/{}.rs", target.name))).unwrap();
        assert!(program.contains(&format!("target(\"{}\", bytes)", target.name)), "{}", target.name);
        assert!(manifest.contains(&format!("name = \"{}\"", target.name)), "{}", target.name);
        let kept = corpus(target).unwrap();
        assert!(kept.len() < 200, "{} files in {}", kept.len(), corpus_of(target).display());
        total += kept.iter().map(|(_, bytes)| bytes.len()).sum::<usize>();
    }
    assert!(total < 500_000, "the corpus has {total} bytes");
    let folders = fs::read_dir(fuzz.join("corpus")).unwrap().count();
    assert_eq!(folders, TARGETS.len(), "a folder that no target reads");
}

/// What a target says when something does not hold is worth nothing if it is not noticed.
#[test]
fn a_target_that_finds_something_is_heard() {
    let broken = Target { name: "broken", run: |bytes| assert!(bytes.is_empty()), words: &[] };
    let heard = catch_unwind(|| check(&broken, "seed 1, case 2", b"\x07!")).unwrap_err();
    let heard = heard.downcast_ref::<String>().unwrap();
    assert!(heard.contains("broken, seed 1, case 2") && heard.contains("0721"), "{heard}");
}
