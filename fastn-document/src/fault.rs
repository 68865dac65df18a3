//! What is wrong with a document, and where.

use std::fmt;

use fastn_core::{Error, ErrorKind};

use crate::place::{Lines, Place, Span};

/// What kind of fault it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FaultKind {
    /// The text is neither JSON nor YAML.
    Syntax,
    /// It is larger, deeper or more than is allowed.
    Limit,
    /// A key or a name stands there twice.
    Duplicate,
    /// There is no such key or name.
    Unknown,
    /// Something that must be said is not.
    Missing,
    /// A value of another type, or one that means nothing here.
    Value,
    /// An expression that is none.
    Expression,
    /// Something that this version does not do.
    Unsupported,
    /// The workflow that is described cannot be.
    Plan,
}

impl FaultKind {
    /// The kind in a word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Syntax => "syntax",
            Self::Limit => "limit",
            Self::Duplicate => "duplicate",
            Self::Unknown => "unknown",
            Self::Missing => "missing",
            Self::Value => "value",
            Self::Expression => "expression",
            Self::Unsupported => "unsupported",
            Self::Plan => "plan",
        }
    }
}

/// One fault of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What kind it is.
    pub kind: FaultKind,
    /// The part of the text that is meant, in bytes.
    pub span: Span,
    /// Where that begins.
    pub place: Place,
    /// What is wrong, in one line.
    pub message: String,
    /// What could be done about it, such as the name that was probably meant.
    pub help: Option<String>,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)?;
        self.help.as_ref().map_or(Ok(()), |help| write!(f, "; {help}"))
    }
}

/// Every fault of a document, by place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Faults {
    /// The file, as it was named.
    pub file: String,
    /// The faults; at least one.
    pub faults: Vec<Fault>,
}

impl fmt::Display for Faults {
    /// A line each: `FILE:LINE:COLUMN: what is wrong`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, fault) in self.faults.iter().enumerate() {
            write!(f, "{}{}:{fault}", if i == 0 { "" } else { "\n" }, self.file)?;
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}

impl From<Faults> for Error {
    fn from(faults: Faults) -> Self {
        Self::new(ErrorKind::Invalid, "load document").with("file", &faults.file).caused_by(faults)
    }
}

/// No document is told more faults than this: a hostile one could have as many as it has characters.
const MOST: usize = 100;

/// Faults as they are found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    faults: Vec<(FaultKind, Span, String, Option<String>)>,
    untold: usize,
}

impl Found {
    pub(crate) fn add(&mut self, kind: FaultKind, span: Span, message: impl Into<String>) {
        self.add_with(kind, span, message, None);
    }

    pub(crate) fn add_with(&mut self, kind: FaultKind, span: Span, message: impl Into<String>, help: Option<String>) {
        if self.faults.len() < MOST {
            self.faults.push((kind, span, message.into(), help));
        } else {
            self.untold += 1;
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.faults.is_empty()
    }

    /// Them all by place, each once.
    pub(crate) fn told(mut self, file: &str, text: &str) -> Faults {
        let lines = Lines::of(text);
        self.faults.sort_by_key(|fault| fault.1);
        self.faults.dedup();
        let mut faults: Vec<Fault> = self
            .faults
            .into_iter()
            .map(|(kind, span, message, help)| Fault { kind, span, place: lines.place(span.start), message, help })
            .collect();
        if self.untold > 0 {
            let message = format!("there are {} faults more", self.untold);
            let end = Span::new(text.len(), text.len());
            faults.push(Fault {
                kind: FaultKind::Limit,
                span: end,
                place: lines.place(end.start),
                message,
                help: None,
            });
        }
        Faults { file: file.to_owned(), faults }
    }
}
