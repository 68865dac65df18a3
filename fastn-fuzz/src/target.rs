//! The list of targets.

use crate::targets::{
    address, body, books, cached, document, editor, expression, failure, items, journal, kept, lines, listed, machine,
    names,
};
use crate::targets::{
    output, postgres_url, queue_rules, records, redirect, redis_url, retry_after, schedule, store_url, url,
};

/// A parser, and what must hold of it whatever the bytes.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// The name, which is also that of its program in `fuzz/` and of its folder in the corpus.
    pub name: &'static str,
    /// Gives it bytes. Panics if something does not hold.
    pub run: fn(&[u8]),
    /// Words that the parser knows.
    pub words: &'static [&'static str],
}

/// All targets.
pub const TARGETS: &[Target] = &[
    Target { name: "address", run: address::run, words: address::WORDS },
    Target { name: "body", run: body::run, words: body::WORDS },
    Target { name: "books", run: books::run, words: books::WORDS },
    Target { name: "cached", run: cached::run, words: &[] },
    Target { name: "document", run: document::run, words: document::WORDS },
    Target { name: "editor", run: editor::run, words: editor::WORDS },
    Target { name: "expression", run: expression::run, words: expression::WORDS },
    Target { name: "failure", run: failure::run, words: &[] },
    Target { name: "items", run: items::run, words: items::WORDS },
    Target { name: "journal", run: journal::run, words: &[] },
    Target { name: "kept", run: kept::run, words: kept::WORDS },
    Target { name: "lines", run: lines::run, words: &["\r\n", "\n", "\r", "{}"] },
    Target { name: "listed", run: listed::run, words: listed::WORDS },
    Target { name: "machine", run: machine::run, words: &[] },
    Target { name: "names", run: names::run, words: names::WORDS },
    Target { name: "output", run: output::run, words: output::WORDS },
    Target { name: "postgres_url", run: postgres_url::run, words: postgres_url::WORDS },
    Target { name: "queue_rules", run: queue_rules::run, words: queue_rules::WORDS },
    Target { name: "records", run: records::run, words: records::WORDS },
    Target { name: "redirect", run: redirect::run, words: url::WORDS },
    Target { name: "redis_url", run: redis_url::run, words: redis_url::WORDS },
    Target { name: "retry_after", run: retry_after::run, words: retry_after::WORDS },
    Target { name: "schedule", run: schedule::run, words: schedule::WORDS },
    Target { name: "store_url", run: store_url::run, words: store_url::WORDS },
    Target { name: "url", run: url::run, words: url::WORDS },
];

/// Gives bytes to the target of this name.
///
/// # Panics
/// If something does not hold, or there is no such target.
pub fn target(name: &str, bytes: &[u8]) {
    let found = TARGETS.iter().find(|target| target.name == name).expect("a target of this name");
    (found.run)(bytes);
}
