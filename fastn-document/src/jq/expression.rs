//! From a text to something that can be evaluated.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::thread;

use jaq_core::data::HasLut;
use jaq_core::load::{Arena, File, Loader, lex, parse};
use jaq_core::{Compiler, Ctx, DataT, Exn, Filter, Lut, Vars};
use serde_json::Value as Json;

use super::meter::{self, Stop};
use super::natives::{Needed, definitions, functions};
use super::refs::{Plain, VARIABLES, plain, refs};
use super::value::Val;
use crate::limits::Fuel;

/// The interpreter with our values, and with a meter at its table of terms.
struct Jq;

#[derive(Clone, Copy)]
struct Metered<'a>(&'a Lut<Jq>);

impl DataT for Jq {
    type V<'a> = Val;
    type Data<'a> = Metered<'a>;
}

impl<'a> HasLut<'a, Jq> for Metered<'a> {
    fn lut(&self) -> &'a Lut<Jq> {
        meter::term();
        self.0
    }
}

/// The stack on which paths are followed, in bytes. What is not used of it takes no memory.
const STACK: usize = 256 << 20;

/// A compiled expression. Cloning is cheap.
#[derive(Clone)]
pub(crate) struct Expression {
    filter: Arc<Filter<Jq>>,
    /// Whether it follows paths. The interpreter keeps each as a list of links, one for each part of it, and forgets one link inside
    /// of forgetting the one before: a path is as long as there are steps, and only a stack to match holds that.
    paths: bool,
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Expression")
    }
}

/// An expression with what was found in it.
#[derive(Debug)]
pub(crate) struct Compiled {
    pub(crate) expression: Expression,
    /// The nodes that it takes something from, each with the part of the text where it does.
    pub(crate) nodes: BTreeMap<String, Range<usize>>,
    /// Whether it looks at `$error`.
    pub(crate) error: bool,
    /// What it passes on as it is, if it does nothing else.
    pub(crate) plain: Option<Plain>,
}

/// What is wrong with an expression, and the part of the text that is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Wrong {
    pub(crate) at: Range<usize>,
    pub(crate) message: String,
}

/// Compiles an expression. Uses as much stack as the text is nested, which its length bounds: for a thread that has enough.
pub(crate) fn compile(text: &str) -> Result<Compiled, Vec<Wrong>> {
    let arena = Arena::default();
    let at = |part: &str| place(text, part);
    let term = read(text)?;
    let (found, plain) = (refs(&term), plain(&term));
    let file = File { path: (), code: text };
    let Needed { definitions, paths } = definitions(&found.calls);
    let modules = Loader::new(definitions)
        .load(&arena, file)
        .map_err(|errors| errors.into_iter().flat_map(|(_, error)| unread(error, &at)).collect::<Vec<_>>())?;
    let mut wrong: Vec<Wrong> =
        found.wrong.iter().map(|(word, why)| Wrong { at: at(word), message: (*why).to_owned() }).collect();
    let compiler = Compiler::default().with_funs(functions::<Jq>()).with_global_vars(VARIABLES);
    match compiler.compile(modules) {
        Ok(filter) if wrong.is_empty() => Ok(Compiled {
            expression: Expression { filter: Arc::new(filter), paths },
            nodes: found.nodes.into_iter().map(|(name, word)| (name, at(word))).collect(),
            error: found.error,
            plain,
        }),
        Ok(_) => Err(wrong),
        Err(errors) => {
            let undefined = errors.into_iter().flat_map(|(_, errors)| errors);
            wrong.extend(undefined.map(|(name, kind)| {
                let message = match kind {
                    jaq_core::compile::Undefined::Filter(0) => {
                        format!("there is no function `{name}` without arguments")
                    }
                    jaq_core::compile::Undefined::Filter(n) => {
                        format!("there is no function `{name}` of {n} arguments")
                    }
                    other => format!("there is no {} `{name}`", other.as_str()),
                };
                Wrong { at: at(name), message }
            }));
            Err(wrong)
        }
    }
}

/// Reads an expression, which may use what is not there.
pub(crate) fn syntax(text: &str) -> Result<(), Vec<Wrong>> {
    read(text).map(drop)
}

fn read(text: &str) -> Result<parse::Term<&str>, Vec<Wrong>> {
    if let Some(term) = jaq_core::load::parse(text, |p| p.term()) {
        return Ok(term);
    }
    // Read once more for what is wrong with it.
    let arena = Arena::default();
    let errors = Loader::new([]).load(&arena, File { path: (), code: text }).err().unwrap_or_default();
    let at = |part: &str| place(text, part);
    let mut wrong: Vec<Wrong> = errors.into_iter().flat_map(|(_, error)| unread(error, &at)).collect();
    if wrong.is_empty() {
        wrong.push(Wrong { at: 0..text.len(), message: "imports are not supported".into() });
    }
    Err(wrong)
}

/// Where a part of a text stands in it. What is no part of it stands for its end.
fn place(text: &str, part: &str) -> Range<usize> {
    let start = (part.as_ptr() as usize).wrapping_sub(text.as_ptr() as usize);
    if start <= text.len() { start..(start + part.len()).min(text.len()) } else { text.len()..text.len() }
}

fn unread<'s>(error: jaq_core::load::Error<&'s str>, at: &impl Fn(&'s str) -> Range<usize>) -> Vec<Wrong> {
    use jaq_core::load::Error;
    match error {
        Error::Io(errors) => errors
            .into_iter()
            .map(|(path, _)| Wrong { at: at(path), message: "imports are not supported".into() })
            .collect(),
        Error::Lex(errors) => errors.into_iter().map(|(expected, part)| lexed(&expected, at(part))).collect(),
        Error::Parse(errors) => errors
            .into_iter()
            .map(|(expected, part)| Wrong { at: at(part), message: format!("here should be {}", expected.as_str()) })
            .collect(),
    }
}

fn lexed(expected: &lex::Expect<&str>, at: Range<usize>) -> Wrong {
    let message = match expected {
        lex::Expect::Delim(open) => format!("`{open}` is not closed"),
        other => format!("here should be {}", other.as_str()),
    };
    Wrong { at, message }
}

/// Why there is no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Evaluation {
    /// It failed by itself, or gives not exactly one value.
    Failed(String),
    /// It would cost more than it may.
    TooMuch(&'static str),
}

impl Expression {
    /// The value it has for an input, the results of nodes, and the failure that is handled.
    pub(crate) fn evaluate(
        &self,
        input: &Json,
        nodes: &Json,
        error: &Json,
        fuel: &mut Fuel,
    ) -> Result<Json, Evaluation> {
        if !self.paths {
            return self.evaluate_here(input, nodes, error, fuel);
        }
        let broken = || Err(Evaluation::Failed("there is no thread to evaluate it on".to_owned()));
        thread::scope(|scope| {
            let builder = thread::Builder::new().name("fastn expression".to_owned()).stack_size(STACK);
            let thread = builder.spawn_scoped(scope, || self.evaluate_here(input, nodes, error, fuel));
            thread.map_or_else(|_| broken(), |thread| thread.join().unwrap_or_else(|_| broken()))
        })
    }

    fn evaluate_here(&self, input: &Json, nodes: &Json, error: &Json, fuel: &mut Fuel) -> Result<Json, Evaluation> {
        // What comes from the engine is bounded by the engine.
        let [input, nodes, error] = [input, nodes, error].map(Val::of);
        let most = fuel.output;
        let value = meter::within(fuel, || {
            let vars = Vars::new([input.clone(), nodes, error]);
            let mut values = self.filter.id.run((Ctx::<Jq>::new(Metered(&self.filter.lut), vars), input));
            let value = one(values.next(), || values.next()).map_err(told)?;
            // Shared parts are written as often as they stand there.
            value.walk();
            Ok((value.weight() <= 4 * most as u64).then(|| value.into_json()))
        });
        match value {
            Ok(Ok(Some(json))) => Ok(json),
            Ok(Ok(None)) => Err(Evaluation::TooMuch("its value is too large")),
            Ok(Err(message)) => Err(Evaluation::Failed(message)),
            Err(Some(stop)) => Err(Evaluation::TooMuch(match stop {
                Stop::Steps => "it takes too many steps",
                Stop::Bytes => "it makes too large values",
                Stop::Stack => "it calls itself too deeply",
                Stop::Depth => "its values are nested too deeply",
            })),
            Err(None) => Err(Evaluation::Failed("the interpreter broke off".to_owned())),
        }
    }
}

/// The only value there is.
fn one<'a>(
    first: Option<Result<Val, Exn<'a, Val>>>,
    next: impl FnOnce() -> Option<Result<Val, Exn<'a, Val>>>,
) -> Result<Val, Exn<'a, Val>> {
    let first = first.unwrap_or_else(|| Err(failed("it gives no value")))?;
    match next() {
        Some(Err(error)) => Err(error),
        Some(Ok(_)) => Err(failed("it gives more than one value; `[...]` makes one list of them")),
        None => Ok(first),
    }
}

fn failed<'a>(why: &str) -> Exn<'a, Val> {
    jaq_core::Error::str(why).into()
}

fn told(exn: Exn<'_, Val>) -> String {
    match exn.get_err().map(jaq_core::Error::into_val) {
        Ok(Val::Str(text)) => text.chars().take(1_000).collect(),
        Ok(value) => value.to_string(),
        Err(_) => "it broke out of a label that is not there".to_owned(),
    }
}
