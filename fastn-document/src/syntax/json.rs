//! JSON (RFC 8259) with places. Without recursion: what is open stands in a list.

use std::collections::HashSet;

use super::number::number;
use super::tree::{Counter, Entry, Tree, Value};
use crate::fault::{FaultKind, Found};
use crate::limits::Limits;
use crate::place::Span;

/// A list or map that is not over yet.
enum Open {
    List(usize, Vec<Tree>),
    Map { start: usize, entries: Vec<Entry>, known: HashSet<String>, key: Option<(String, Span)> },
}

/// Where it stopped, and what should be there.
struct Wrong(Span, &'static str);

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

pub(crate) fn parse(text: &str, limits: &Limits, found: &mut Found) -> Option<Tree> {
    let mut parser = Parser { text, at: 0 };
    if text.starts_with('\u{feff}') {
        parser.at = '\u{feff}'.len_utf8();
    }
    match parser.document(limits, found) {
        Ok(tree) => tree,
        Err(Wrong(span, what)) => {
            found.add(FaultKind::Syntax, span, format!("this is no JSON: {what}"));
            None
        }
    }
}

impl Parser<'_> {
    fn document(&mut self, limits: &Limits, found: &mut Found) -> Result<Option<Tree>, Wrong> {
        let mut counter = Counter::new(limits);
        let mut open: Vec<Open> = Vec::new();
        loop {
            self.space();
            let start = self.at;
            let full = match open.last() {
                Some(Open::List(_, items)) => items.len() + 1,
                Some(Open::Map { entries, .. }) => entries.len() + 1,
                None => 0,
            };
            if !counter.value(open.len(), full, Span::new(start, start + 1), found) {
                return Ok(None);
            }
            let mut done = match self.peek() {
                Some(b'[') => {
                    self.at += 1;
                    self.space();
                    if self.peek() != Some(b']') {
                        open.push(Open::List(start, Vec::new()));
                        continue;
                    }
                    self.at += 1;
                    Tree { value: Value::List(Vec::new()), span: Span::new(start, self.at) }
                }
                Some(b'{') => {
                    self.at += 1;
                    self.space();
                    if self.peek() != Some(b'}') {
                        let key = Some(self.key()?);
                        open.push(Open::Map { start, entries: Vec::new(), known: HashSet::new(), key });
                        continue;
                    }
                    self.at += 1;
                    Tree { value: Value::Map(Vec::new()), span: Span::new(start, self.at) }
                }
                _ => self.scalar()?,
            };
            // What is done belongs to the innermost that is open, which may be done by that.
            loop {
                match open.pop() {
                    None => {
                        self.space();
                        let rest = Span::new(self.at, self.text.len());
                        return if self.at == self.text.len() {
                            Ok(Some(done))
                        } else {
                            Err(Wrong(rest, "it ends before this"))
                        };
                    }
                    Some(Open::List(start, mut items)) => {
                        items.push(done);
                        if self.goes_on(b']')? {
                            open.push(Open::List(start, items));
                            break;
                        }
                        done = Tree { value: Value::List(items), span: Span::new(start, self.at) };
                    }
                    Some(Open::Map { start, mut entries, mut known, key }) => {
                        if let Some((key, span)) = key {
                            if known.insert(key.clone()) {
                                entries.push(Entry { key, span, tree: done });
                            } else {
                                found.add(
                                    FaultKind::Duplicate,
                                    span,
                                    format!("the key `{}` stands there twice", shown(&key)),
                                );
                            }
                        }
                        if self.goes_on(b'}')? {
                            self.space();
                            let key = Some(self.key()?);
                            open.push(Open::Map { start, entries, known, key });
                            break;
                        }
                        done = Tree { value: Value::Map(entries), span: Span::new(start, self.at) };
                    }
                }
            }
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    fn here(&self) -> Span {
        let end = self.text.get(self.at..).and_then(|rest| rest.chars().next()).map_or(0, char::len_utf8);
        Span::new(self.at, self.at + end)
    }

    /// Whether a comma follows, and not the end.
    fn goes_on(&mut self, end: u8) -> Result<bool, Wrong> {
        self.space();
        let next = self.peek();
        if next == Some(b',') || next == Some(end) {
            self.at += 1;
            return Ok(next == Some(b','));
        }
        Err(Wrong(self.here(), if end == b']' { "here should be `,` or `]`" } else { "here should be `,` or `}`" }))
    }

    fn key(&mut self) -> Result<(String, Span), Wrong> {
        if self.peek() != Some(b'"') {
            return Err(Wrong(self.here(), "here should be a key in double quotes"));
        }
        let start = self.at;
        let key = self.string()?;
        let span = Span::new(start, self.at);
        self.space();
        if self.peek() != Some(b':') {
            return Err(Wrong(self.here(), "here should be `:`"));
        }
        self.at += 1;
        Ok((key, span))
    }

    fn scalar(&mut self) -> Result<Tree, Wrong> {
        let start = self.at;
        if self.peek() == Some(b'"') {
            let text = self.string()?;
            return Ok(Tree { value: Value::Text(text), span: Span::new(start, self.at) });
        }
        while self.peek().is_some_and(|c| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'+' | b'.')) {
            self.at += 1;
        }
        let span = if self.at == start { self.here() } else { Span::new(start, self.at) };
        let value = match self.text.get(start..self.at).unwrap_or_default() {
            "null" => Value::Null,
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            word if is_number(word) => Value::Number(number(word).ok_or(Wrong(span, "this number is too large"))?),
            _ => return Err(Wrong(span, "here should be a value")),
        };
        Ok(Tree { value, span })
    }

    fn string(&mut self) -> Result<String, Wrong> {
        let start = self.at;
        self.at += 1;
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    break;
                }
                Some(b'\\') => self.at += 2,
                Some(0..0x20) | None => return Err(Wrong(self.here(), "a text must end on its line with `\"`")),
                Some(_) => self.at += 1,
            }
        }
        let span = Span::new(start, self.at);
        let raw = self.text.get(start..self.at).unwrap_or_default();
        serde_json::from_str(raw).map_err(|_| Wrong(span, "there is an escape in this text that means nothing"))
    }
}

/// A number as JSON writes it, which is stricter than YAML.
fn is_number(word: &str) -> bool {
    serde_json::from_str::<serde::de::IgnoredAny>(word).is_ok()
        && word.starts_with(|c: char| c == '-' || c.is_ascii_digit())
}

/// The beginning of a key that may be long.
pub(super) fn shown(key: &str) -> String {
    let short: String = key.chars().take(64).collect();
    if short.len() < key.len() { format!("{short}...") } else { short }
}
