//! The keys of a map.

use super::reader::Reader;
use crate::fault::FaultKind;
use crate::place::Span;
use crate::syntax::{Entry, Tree, Value};

/// The keys of a map, each to be taken once.
pub(crate) struct Fields<'t> {
    pub(crate) span: Span,
    entries: &'t [Entry],
}

impl<'t> Fields<'t> {
    pub(crate) fn get(&self, key: &str) -> Option<&'t Tree> {
        self.entry(key).map(|entry| &entry.tree)
    }

    pub(crate) fn entry(&self, key: &str) -> Option<&'t Entry> {
        self.entries.iter().find(|entry| entry.key == key)
    }

    pub(crate) const fn entries(&self) -> &'t [Entry] {
        self.entries
    }
}

impl Reader<'_> {
    pub(crate) fn map_in<'t>(&mut self, tree: &'t Tree, of: &str) -> Option<Fields<'t>> {
        match &tree.value {
            Value::Map(entries) => Some(Fields { span: tree.span, entries }),
            _ => self.wrong(FaultKind::Value, tree.span, format!("{of} is a map, and this is {}", tree.what())),
        }
    }

    /// A map that may have these keys only.
    pub(crate) fn fields_in<'t>(&mut self, tree: &'t Tree, of: &str, keys: &[&str]) -> Option<Fields<'t>> {
        let fields = self.map_in(tree, of)?;
        for entry in fields.entries().iter().filter(|entry| !keys.contains(&entry.key.as_str())) {
            self.unknown(entry.span, &format!("key of {of}"), &entry.key, keys.iter().copied());
        }
        Some(fields)
    }

    /// What must be said.
    pub(crate) fn must<'t>(&mut self, fields: &Fields<'t>, key: &str, of: &str) -> Option<&'t Tree> {
        match fields.get(key) {
            Some(tree) => Some(tree),
            None => {
                // A map may be as long as the document, and its beginning says which one is meant.
                let at = Span::new(fields.span.start, fields.span.start + 1);
                self.wrong(FaultKind::Missing, at, format!("{of} needs `{key}`"))
            }
        }
    }
}
