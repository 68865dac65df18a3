//! What an expression refers to.
//!
//! `.` and `$input` are the input of the scope, `$nodes.NAME` is the result of a node. A node's name must stand there as it is:
//! what an expression needs is known before anything runs, and the edges of the plan follow from it.

use std::collections::{BTreeMap, BTreeSet};

use jaq_core::load::lex::StrPart;
use jaq_core::load::parse::{BinaryOp, Def, Pattern, Term};
use jaq_core::path::Part;

/// The variables that every expression has.
pub(super) const VARIABLES: [&str; 3] = ["$input", "$nodes", "$error"];

/// What was found in an expression.
#[derive(Debug, Default)]
pub(super) struct Refs<'s> {
    /// The nodes it takes something from, each with a word of the text where it does.
    pub(super) nodes: BTreeMap<String, &'s str>,
    /// The functions it calls, by name.
    pub(super) calls: BTreeSet<&'s str>,
    /// Whether it looks at the failure.
    pub(super) error: bool,
    /// What is wrong, and the word where.
    pub(super) wrong: Vec<(&'s str, &'static str)>,
    /// The definitions that are being looked at and take functions: name and number of arguments.
    open: Vec<(&'s str, usize)>,
}

/// A value as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Plain {
    /// The input of the scope: `.` or `$input`.
    Input,
    /// The result of a node: `$nodes.NAME`.
    Node(String),
}

/// What an expression passes on, if it does nothing else.
pub(super) fn plain(term: &Term<&str>) -> Option<Plain> {
    match term {
        Term::Id | Term::Var("$input") => Some(Plain::Input),
        Term::Path(of, path) => match (&**of, path.0.as_slice()) {
            (Term::Var("$nodes"), [(Part::Index(name), _)]) => constant(name).map(|(name, _)| Plain::Node(name)),
            _ => None,
        },
        _ => None,
    }
}

/// Looks through an expression. As deep as the parser went.
pub(super) fn refs<'s>(term: &Term<&'s str>) -> Refs<'s> {
    let mut refs = Refs::default();
    refs.term(term);
    refs
}

/// The text that a term says, if it is nothing but that.
fn constant<'s>(term: &Term<&'s str>) -> Option<(String, Option<&'s str>)> {
    let Term::Str(None, parts) = term else { return None };
    let mut text = String::new();
    let mut word = None;
    for part in parts {
        match part {
            StrPart::Str(part) => {
                text.push_str(part);
                word = word.or(Some(*part));
            }
            StrPart::Char(c) => text.push(*c),
            StrPart::Term(_) => return None,
        }
    }
    Some((text, word))
}

impl<'s> Refs<'s> {
    fn term(&mut self, term: &Term<&'s str>) {
        match term {
            Term::Id | Term::Recurse | Term::Num(_) | Term::Break(_) => {}
            Term::Str(format, parts) => {
                self.calls.extend(format);
                for part in parts {
                    if let StrPart::Term(inside) = part {
                        self.term(inside);
                    }
                }
            }
            Term::Arr(inside) => inside.iter().for_each(|inside| self.term(inside)),
            Term::Obj(entries) => {
                for (key, value) in entries {
                    // `{$nodes}` is short for `{nodes: $nodes}`.
                    self.term(key);
                    value.iter().for_each(|value| self.term(value));
                }
            }
            Term::Neg(inside) | Term::Label(_, inside) => self.term(inside),
            Term::BinOp(left, op, right) => {
                self.term(left);
                if let BinaryOp::Pipe(Some(pattern)) = op {
                    self.pattern(pattern);
                }
                self.term(right);
            }
            Term::Fold(_, over, pattern, rest) => {
                self.term(over);
                self.pattern(pattern);
                rest.iter().for_each(|part| self.term(part));
            }
            Term::TryCatch(inside, catch) => {
                self.term(inside);
                catch.iter().for_each(|catch| self.term(catch));
            }
            Term::IfThenElse(branches, otherwise) => {
                for (when, then) in branches {
                    self.term(when);
                    self.term(then);
                }
                otherwise.iter().for_each(|otherwise| self.term(otherwise));
            }
            Term::Def(defs, inside) => {
                defs.iter().for_each(|def| self.def(def));
                self.term(inside);
            }
            Term::Call(name, args) => {
                // Each call would wrap the functions it is given once more, and what is wrapped deeply enough cannot even be
                // forgotten again.
                if self.open.contains(&(*name, args.len())) {
                    self.wrong.push((name, "a function that is given functions may not call itself"));
                }
                self.calls.insert(name);
                args.iter().for_each(|arg| self.term(arg));
            }
            Term::Var("$error") => self.error = true,
            Term::Var(word @ "$nodes") => self.wrong.push((word, "a node must be named right here: `$nodes.NAME`")),
            Term::Var(_) => {}
            Term::Path(of, path) => {
                let mut parts = path.0.iter();
                if let Term::Var(word @ "$nodes") = &**of {
                    match parts.next().map(|(part, _)| part) {
                        Some(Part::Index(name)) if constant(name).is_some() => {
                            let (name, place) = constant(name).unwrap_or_default();
                            self.nodes.entry(name).or_insert(place.unwrap_or(word));
                        }
                        _ => self.wrong.push((word, "a node must be named right here: `$nodes.NAME`")),
                    }
                } else {
                    self.term(of);
                }
                for (part, _) in parts {
                    match part {
                        Part::Index(index) => self.term(index),
                        Part::Range(from, to) => from.iter().chain(to).for_each(|end| self.term(end)),
                    }
                }
            }
        }
    }

    /// Looks through a definition.
    pub(super) fn def(&mut self, def: &Def<&'s str, Term<&'s str>>) {
        def.args.iter().for_each(|arg| self.bound(arg));
        let takes_functions = def.args.iter().any(|arg| !arg.starts_with('$'));
        if takes_functions {
            self.open.push((def.name, def.args.len()));
        }
        self.term(&def.body);
        if takes_functions {
            self.open.pop();
        }
    }

    fn pattern(&mut self, pattern: &Pattern<&'s str>) {
        match pattern {
            Pattern::Var(name) => self.bound(name),
            Pattern::Arr(inside) => inside.iter().for_each(|inside| self.pattern(inside)),
            Pattern::Obj(entries) => {
                for (key, inside) in entries {
                    self.term(key);
                    self.pattern(inside);
                }
            }
        }
    }

    fn bound(&mut self, name: &'s str) {
        if name == "$nodes" {
            self.wrong.push((name, "this name means something already"));
        }
    }
}
