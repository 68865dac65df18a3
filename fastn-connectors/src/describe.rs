//! What a connector says about itself.

use std::borrow::Cow;

use serde::Serialize;

/// A connector, described for registries, checks and people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Description {
    /// The name flows know it by.
    pub name: Cow<'static, str>,
    /// What it is for, one line.
    pub summary: Cow<'static, str>,
    /// What it can do.
    pub actions: Vec<Action>,
}

impl Description {
    /// A connector without actions.
    pub fn new(name: impl Into<Cow<'static, str>>) -> Self {
        Self { name: name.into(), summary: Cow::Borrowed(""), actions: Vec::new() }
    }

    /// The same with this summary.
    #[must_use]
    pub fn summary(mut self, summary: impl Into<Cow<'static, str>>) -> Self {
        self.summary = summary.into();
        self
    }

    /// The same with one more action.
    #[must_use]
    pub fn action(mut self, action: Action) -> Self {
        self.actions.push(action);
        self
    }

    /// What is wrong with the description, all of it.
    pub(crate) fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if !is_name(&self.name) {
            faults.push(format!("{:?} is no name for a connector", self.name));
        }
        for (i, action) in self.actions.iter().enumerate() {
            if !is_name(&action.name) {
                faults.push(format!("{:?} is no name for an action", action.name));
            }
            // The first of two with a name is fine; the second is the fault.
            if self.actions.iter().take(i).any(|earlier| earlier.name == action.name) {
                faults.push(format!("there are two actions {}.{}", self.name, action.name));
            }
        }
        faults
    }
}

/// An action of a connector.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Action {
    /// Its name, unique in its connector.
    pub name: Cow<'static, str>,
    /// What it does, one line.
    pub summary: Cow<'static, str>,
    /// Whether doing it twice with the same idempotency key is the same as doing it once.
    pub idempotent: bool,
}

impl Action {
    /// An action that is not idempotent.
    pub fn new(name: impl Into<Cow<'static, str>>) -> Self {
        Self { name: name.into(), summary: Cow::Borrowed(""), idempotent: false }
    }

    /// The same with this summary.
    #[must_use]
    pub fn summary(mut self, summary: impl Into<Cow<'static, str>>) -> Self {
        self.summary = summary.into();
        self
    }

    /// The same, and doing it twice is doing it once.
    #[must_use]
    pub fn idempotent(mut self) -> Self {
        self.idempotent = true;
        self
    }
}

/// Actions are written `connector.action`: blanks, control characters and dots would make that ambiguous.
fn is_name(text: &str) -> bool {
    !text.is_empty() && text.len() <= 128 && !text.chars().any(|c| c.is_whitespace() || c.is_control() || c == '.')
}
