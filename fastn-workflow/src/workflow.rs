//! From a function to a checked workflow.

use std::cell::RefCell;
use std::time::Duration;

use fastn_core::{Definition, Draft, PlanFaults, Version, Workflow};

use crate::flow::{self, Flow};
use crate::port::Out;
use crate::scope::Shared;

/// Begins a workflow of this name, version 1.
pub fn workflow(name: &str) -> WorkflowBuilder {
    WorkflowBuilder { name: name.to_owned(), version: Version::default(), deadline: None, requires: Vec::new() }
}

/// A workflow that has a name but no flow yet. Made by [`workflow`].
#[derive(Clone, Debug)]
#[must_use = "a workflow begins with `define`"]
pub struct WorkflowBuilder {
    name: String,
    version: Version,
    deadline: Option<Duration>,
    requires: Vec<String>,
}

impl WorkflowBuilder {
    /// Its version; 1 if nothing is said.
    pub fn version(mut self, version: u32) -> Self {
        self.version = Version(version);
        self
    }

    /// How long a run may take, from its start.
    pub fn deadline(mut self, most: Duration) -> Self {
        self.deadline = Some(most);
        self
    }

    /// Its runs go on in executors only that have this tag, such as `gpu`, and every other one that it requires. They may be
    /// started anywhere. It is no part of what runs in flight depend on: each executor goes by what its own program says.
    pub fn requires(mut self, tag: impl Into<String>) -> Self {
        self.requires.push(tag.into());
        self
    }

    /// Lets a function write the flow, and checks what it wrote.
    ///
    /// The function gets the flow and the port of the run's input, and returns the port of the run's output. It is
    /// called once, here: it describes, the steps act.
    ///
    /// # Errors
    /// [`PlanFaults`]: every fault there is. What the compiler cannot see are names that are empty or taken, constants
    /// that JSON cannot hold, and sizes.
    pub fn define<I, O>(
        self,
        f: impl for<'f> FnOnce(Flow<'f>, Out<'f, I>) -> Out<'f, O>,
    ) -> Result<Workflow<I, O>, PlanFaults> {
        let shared = RefCell::new(Shared::default());
        let root = flow::write(&shared, f);
        let Shared { functions, faults } = shared.into_inner();
        let Self { name, version, deadline, requires } = self;
        let checked = Draft { name: name.clone(), version, deadline, requires, root }.check();
        match checked {
            Ok(plan) if faults.is_empty() => Ok(Workflow::assume(Definition::new(plan, functions))),
            Ok(_) => Err(PlanFaults { workflow: name, faults }),
            Err(found) => Err(PlanFaults { workflow: name, faults: [faults, found.faults].concat() }),
        }
    }
}
