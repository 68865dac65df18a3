//! A plan together with the functions of its steps.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use crate::plan::WorkIx;
use crate::{Plan, StepFn};

/// The functions behind one node.
#[derive(Clone)]
pub struct Functions {
    /// The work itself; of a node that has none, the function that is there for its kind: what chooses, decides, or is called in
    /// the end.
    pub work: Arc<dyn StepFn>,
    /// What undoes it. Takes the work's output.
    pub undo: Option<Arc<dyn StepFn>>,
    /// What takes over when the work failed for good. Takes the failure and the work's inputs.
    pub on_error: Option<Arc<dyn StepFn>>,
}

impl fmt::Debug for Functions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Functions {{ undo: {}, on_error: {} }}", self.undo.is_some(), self.on_error.is_some())
    }
}

/// A plan and the functions its nodes refer to: all an engine needs to run it. Cloning is cheap.
#[derive(Clone, Debug)]
pub struct Definition {
    plan: Arc<Plan>,
    functions: Arc<[Functions]>,
}

impl Definition {
    /// A plan with the functions that its nodes' [`WorkIx`] count.
    pub fn new(plan: Plan, functions: Vec<Functions>) -> Self {
        Self { plan: Arc::new(plan), functions: functions.into() }
    }

    /// The plan.
    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// The functions of a node.
    pub fn functions(&self, ix: WorkIx) -> Option<&Functions> {
        self.functions.get(ix.0 as usize)
    }
}

/// A definition that takes an `I` and gives an `O`.
#[must_use = "a workflow does nothing until an engine serves it"]
pub struct Workflow<I, O> {
    definition: Definition,
    types: PhantomData<fn(I) -> O>,
}

impl<I, O> Workflow<I, O> {
    /// Claims that a definition has these types. The flow builder, which knows, calls this; with a definition of
    /// unknown origin use the types of its payloads, such as `serde_json::Value`.
    pub fn assume(definition: Definition) -> Self {
        Self { definition, types: PhantomData }
    }

    /// The plan, to print, draw or compare.
    pub fn plan(&self) -> &Arc<Plan> {
        self.definition.plan()
    }

    /// The plan with its functions, without types.
    pub fn definition(&self) -> &Definition {
        &self.definition
    }
}

impl<I, O> Clone for Workflow<I, O> {
    fn clone(&self) -> Self {
        Self::assume(self.definition.clone())
    }
}

impl<I, O> fmt::Debug for Workflow<I, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Workflow({} {})", self.plan().name(), self.plan().version())
    }
}
