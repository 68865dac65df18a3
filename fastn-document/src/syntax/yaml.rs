//! YAML 1.2 with places. What JSON does not have is refused by name: aliases, tags, several documents, keys that are no texts.

use std::collections::HashSet;

use saphyr_parser::{Event, Parser, ScalarStyle, Span as Marks};

use super::json::shown;
use super::number::plain;
use super::tree::{Counter, Entry, Tree, Value};
use crate::fault::{FaultKind, Found};
use crate::limits::Limits;
use crate::place::Span;

/// A list or map that is not over yet.
enum Open {
    List(Span, Vec<Tree>),
    Map { span: Span, entries: Vec<Entry>, known: HashSet<String>, key: Option<(String, Span)> },
}

pub(crate) fn parse(text: &str, limits: &Limits, found: &mut Found) -> Option<Tree> {
    let offsets = Offsets::of(text);
    let mut builder = Builder { counter: Counter::new(limits), open: Vec::new(), root: None, found, refused: false };
    for event in Parser::new_from_str(text) {
        let (event, marks) = match event {
            Ok(event) => event,
            Err(error) => {
                let at = offsets.at(error.marker().index());
                let end = text.get(at..).and_then(|rest| rest.chars().next()).map_or(0, char::len_utf8);
                let message = format!("this is no YAML: {}", error.info());
                builder.found.add(FaultKind::Syntax, Span::new(at, at + end), message);
                return None;
            }
        };
        if !builder.take(event, offsets.span(marks)) {
            return None;
        }
    }
    let Builder { root, refused, found, .. } = builder;
    if root.is_none() && !refused {
        found.add(FaultKind::Syntax, Span::new(0, 0), "the document is empty");
    }
    root
}

struct Builder<'a> {
    counter: Counter<'a>,
    open: Vec<Open>,
    root: Option<Tree>,
    found: &'a mut Found,
    refused: bool,
}

impl Builder<'_> {
    /// `false` if it is to end here.
    fn take(&mut self, event: Event<'_>, span: Span) -> bool {
        match event {
            Event::Scalar(text, style, _, tag) => {
                self.tagged(tag.is_some(), span);
                let value = if style == ScalarStyle::Plain { plain(&text) } else { Value::Text(text.into_owned()) };
                self.value(Tree { value, span }, matches!(style, ScalarStyle::Plain))
            }
            Event::Alias(_) => {
                self.refuse(span, "an alias is not supported: a document says everything where it is meant");
                self.value(Tree { value: Value::Null, span }, false)
            }
            Event::SequenceStart(_, tag) => {
                self.tagged(tag.is_some(), span);
                let fits = self.counted(span);
                self.open.push(Open::List(span, Vec::new()));
                fits
            }
            Event::MappingStart(_, tag) => {
                self.tagged(tag.is_some(), span);
                let fits = self.counted(span);
                self.open.push(Open::Map { span, entries: Vec::new(), known: HashSet::new(), key: None });
                fits
            }
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(Open::List(start, items)) => {
                    let last = items.last().map(|last| last.span.end);
                    self.place(Tree { value: Value::List(items), span: whole(start, span, last) })
                }
                Some(Open::Map { span: start, entries, .. }) => {
                    let last = entries.last().map(|last| last.tree.span.end);
                    self.place(Tree { value: Value::Map(entries), span: whole(start, span, last) })
                }
                None => true,
            },
            Event::DocumentStart(_) if self.root.is_some() => {
                self.refuse(span, "a file is one document, and here begins another");
                false
            }
            _ => true,
        }
    }

    fn refuse(&mut self, span: Span, why: &str) {
        self.refused = true;
        self.found.add(FaultKind::Syntax, span, why);
    }

    fn tagged(&mut self, tagged: bool, span: Span) {
        if tagged {
            self.refuse(span, "a tag is not supported");
        }
    }

    /// Whether one value more may be here.
    fn counted(&mut self, span: Span) -> bool {
        let entries = match self.open.last() {
            Some(Open::List(_, items)) => items.len() + 1,
            Some(Open::Map { entries, .. }) => entries.len() + 1,
            None => 0,
        };
        self.counter.value(self.open.len(), entries, span, self.found)
    }

    fn value(&mut self, tree: Tree, plain: bool) -> bool {
        let fits = self.counted(tree.span);
        // A key that looks like a number is a text all the same: names may be numbers.
        if let Some(Open::Map { key: key @ None, .. }) = self.open.last_mut() {
            let text = match &tree.value {
                Value::Text(text) => Some(text.clone()),
                Value::Number(number) if plain => Some(number.to_string()),
                Value::Bool(value) if plain => Some(value.to_string()),
                _ => None,
            };
            let known = text.is_some();
            *key = Some((text.unwrap_or_default(), tree.span));
            if !known {
                self.refuse(tree.span, "a key must be a text");
            }
            return fits;
        }
        fits && self.place(tree)
    }

    /// Puts what is done into what is open.
    fn place(&mut self, tree: Tree) -> bool {
        match self.open.last_mut() {
            None => self.root = Some(tree),
            Some(Open::List(_, items)) => items.push(tree),
            Some(Open::Map { entries, known, key, .. }) => match key.take() {
                Some((key, span)) if known.insert(key.clone()) => entries.push(Entry { key, span, tree }),
                Some((key, span)) => {
                    self.found.add(FaultKind::Duplicate, span, format!("the key `{}` stands there twice", shown(&key)));
                }
                // A list or map in the place of a key.
                None => {
                    *key = Some((String::new(), tree.span));
                    self.refuse(tree.span, "a key must be a text");
                }
            },
        }
        true
    }
}

/// From the beginning of a list or map to its bracket, or to the end of the last thing in it.
fn whole(start: Span, end: Span, last: Option<usize>) -> Span {
    Span::new(start.start, if end.end > end.start { end.end } else { last.unwrap_or(end.end) })
}

/// From characters, which the parser counts, to bytes.
struct Offsets {
    /// Where each character begins; nothing for a text in which all are one byte.
    starts: Option<Vec<usize>>,
    len: usize,
}

impl Offsets {
    fn of(text: &str) -> Self {
        let starts = (!text.is_ascii()).then(|| text.char_indices().map(|(at, _)| at).collect());
        Self { starts, len: text.len() }
    }

    fn at(&self, character: usize) -> usize {
        match &self.starts {
            Some(starts) => starts.get(character).copied().unwrap_or(self.len),
            None => character.min(self.len),
        }
    }

    fn span(&self, marks: Marks) -> Span {
        Span::new(self.at(marks.start.index()), self.at(marks.end.index()))
    }
}
