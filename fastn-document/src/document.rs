//! Documents, and what becomes of them.

use std::thread;

use fastn_core::{Definition, Version, Workflow};
use serde_json::Value as Json;

use crate::build::build;
use crate::fault::{FaultKind, Faults, Found};
use crate::limits::Limits;
use crate::model::Flow;
use crate::place::Span;
use crate::read::{Reader, flow};
use crate::serverless::{is_serverless, serverless};
use crate::syntax::parse;
use crate::tasks::Tasks;

/// A workflow that was written as JSON or YAML, and was understood.
///
/// ```
/// use fastn_document::{Document, Tasks};
///
/// let document = Document::read("total.yaml", "
/// fastn: \"1\"
/// name: total
/// nodes:
///   prices: {transform: '${ [.lines[] | .price * .count] }'}
///   total: {transform: {cents: '${ $nodes.prices | add }'}}
/// ")?;
/// let workflow = document.workflow(&Tasks::new())?;
/// assert_eq!(
///     workflow.plan().to_string(),
///     "total v1\n\
///      ├─ prices(input)\n\
///      └─ total(input, prices)\n\
///      -> total"
/// );
/// # Ok::<(), fastn_document::Faults>(())
/// ```
#[derive(Clone, Debug)]
pub struct Document {
    file: String,
    text: String,
    flow: Flow,
    limits: Limits,
}

impl Document {
    /// Reads a document under the default [`Limits`]. A file that ends in `.json` is JSON and one that ends in `.yaml` or `.yml` is
    /// YAML; of any other the text decides.
    ///
    /// # Errors
    /// [`Faults`]: everything that is wrong with it, at once, each with its place. That the functions it calls are there is for
    /// [`Document::workflow`].
    pub fn read(file: &str, text: &str) -> Result<Self, Faults> {
        Self::read_within(file, text, Limits::default())
    }

    /// Reads a document under these limits.
    ///
    /// # Errors
    /// As [`Document::read`].
    pub fn read_within(file: &str, text: &str, limits: Limits) -> Result<Self, Faults> {
        let mut found = Found::default();
        let flow = on_a_deep_stack(&mut found, |found| {
            let tree = parse(file, text, &limits, found)?;
            let mut reader = Reader::new(text, &limits, found);
            let flow = if is_serverless(&tree) { serverless(&mut reader, &tree)? } else { flow(&mut reader, &tree)? };
            build(&flow, &Tasks::any(), &limits, found)?;
            Some(flow)
        });
        match flow {
            Some(flow) if found.is_empty() => Ok(Self { file: file.to_owned(), text: text.to_owned(), flow, limits }),
            _ => Err(found.told(file, text)),
        }
    }

    /// The workflow that it describes, with the functions that it calls.
    ///
    /// # Errors
    /// [`Faults`]: every function that is not there, with its place.
    pub fn workflow(&self, tasks: &Tasks) -> Result<Workflow<Json, Json>, Faults> {
        self.definition(tasks).map(Workflow::assume)
    }

    /// As [`Document::workflow`], without types.
    ///
    /// # Errors
    /// As there.
    pub fn definition(&self, tasks: &Tasks) -> Result<Definition, Faults> {
        let mut found = Found::default();
        build(&self.flow, tasks, &self.limits, &mut found).ok_or_else(|| found.told(&self.file, &self.text))
    }

    /// The file, as it was named.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The name of the workflow.
    pub fn name(&self) -> &str {
        &self.flow.name.it
    }

    /// Its version.
    pub const fn version(&self) -> Version {
        Version(self.flow.version)
    }

    /// What runs take, as a JSON Schema, if the document says so.
    pub const fn input_schema(&self) -> Option<&Json> {
        self.flow.input.as_ref()
    }

    /// What runs give, as a JSON Schema, if the document says so.
    pub const fn output_schema(&self) -> Option<&Json> {
        self.flow.output.as_ref()
    }
}

/// The stack on which documents are read, in bytes. Whoever parses expressions goes as deep as they are nested, which is bounded by
/// how long they may be.
const STACK: usize = 64 << 20;

fn on_a_deep_stack<T: Send>(found: &mut Found, read: impl FnOnce(&mut Found) -> Option<T> + Send) -> Option<T> {
    let read_it = thread::scope(|scope| {
        let thread = thread::Builder::new().name("fastn document".to_owned()).stack_size(STACK);
        thread.spawn_scoped(scope, || read(found)).ok()?.join().ok()
    });
    if read_it.is_none() {
        found.add(FaultKind::Limit, Span::default(), "there is no thread to read the document on");
    }
    read_it.flatten()
}
