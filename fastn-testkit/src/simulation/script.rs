//! What is simulated: workflows, and how their runs are started.

use std::future::IntoFuture;
use std::sync::Arc;

use fastn_core::{BoxFuture, Definition, Payload, Result, Take, Workflow};
use fastn_runtime::{Engine, EngineBuilder, RunHandle};
use serde::Serialize;

use super::improvised::{self, Stage};
use crate::dice::Dice;

/// Starts the run with this number under this key.
pub(super) type Start =
    Arc<dyn Fn(&Engine, &Definition, u64, &str) -> BoxFuture<'static, Result<RunHandle<()>>> + Send + Sync>;

/// What the run with this number is given.
pub(super) type Input = Arc<dyn Fn(u64) -> Option<Payload> + Send + Sync>;

/// Says what engines are made of besides.
pub(super) type Build = Arc<dyn Fn(EngineBuilder) -> EngineBuilder + Send + Sync>;

/// What hosts tell runs: the name of a signal, and the value with this number.
pub(super) type Telling = (String, Arc<dyn Fn(u64) -> Option<Payload> + Send + Sync>);

/// What is simulated.
#[derive(Clone)]
pub(super) enum Script {
    /// Workflows that chance draws.
    Improvised,
    /// A host's own.
    Own { definition: Definition, start: Start, input: Input, tells: Vec<Telling> },
}

impl Script {
    pub(super) fn own<I: Serialize + 'static, O>(
        workflow: &Workflow<I, O>,
        input: impl Fn(u64) -> I + Send + Sync + 'static,
    ) -> Self {
        let input = Arc::new(input);
        let given = input.clone();
        let start: Start = Arc::new(move |engine, definition, number, key| {
            let workflow = Workflow::<I, ()>::assume(definition.clone());
            engine.start(&workflow, input(number)).key(key).into_future()
        });
        let input: Input = Arc::new(move |number| Payload::encode(&given(number)).ok());
        Self::Own { definition: workflow.definition().clone(), start, input, tells: Vec::new() }
    }

    /// The workflows of one world.
    pub(super) fn definitions(&self, dice: &mut Dice, stage: &Stage) -> Vec<Definition> {
        match self {
            Self::Own { definition, .. } => vec![definition.clone()],
            Self::Improvised => {
                let count = 1 + dice.below(2);
                (0..count).filter_map(|number| improvised::workflow(&format!("flow{number}"), dice, stage)).collect()
            }
        }
    }

    /// What hosts tell the runs.
    pub(super) fn tells(&self) -> Vec<Telling> {
        match self {
            Self::Own { tells, .. } => tells.clone(),
            Self::Improvised => [Take::Each, Take::First]
                .map(|take| {
                    let value = |number| Payload::encode(&improvised_input(number)).ok();
                    (take.as_str().to_owned(), Arc::new(value) as Arc<dyn Fn(u64) -> Option<Payload> + Send + Sync>)
                })
                .into(),
        }
    }

    pub(super) fn start(&self) -> Start {
        match self {
            Self::Own { start, .. } => start.clone(),
            Self::Improvised => Arc::new(|engine, definition, number, key| {
                let workflow = Workflow::<Vec<u64>, ()>::assume(definition.clone());
                engine.start(&workflow, improvised_input(number)).key(key).into_future()
            }),
        }
    }

    pub(super) fn input(&self) -> Input {
        match self {
            Self::Own { input, .. } => input.clone(),
            Self::Improvised => Arc::new(|number| Payload::encode(&improvised_input(number)).ok()),
        }
    }
}

fn improvised_input(number: u64) -> Vec<u64> {
    vec![number, number.saturating_add(1)]
}
