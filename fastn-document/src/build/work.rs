//! Functions that evaluate expressions. They give the same whenever they are called, so no failure of theirs is worth a retry.

use std::future::ready;
use std::sync::Arc;

use fastn_core::{BoxFuture, FailureKind, Payload, StepCx, StepError, StepFn};
use serde_json::{Map, Value as Json};

use crate::jq::Evaluation;
use crate::limits::Fuel;
use crate::template::{Given, Template};

type Called = BoxFuture<'static, Result<Payload, StepError>>;

/// A template that is evaluated when a step runs.
#[derive(Clone)]
pub(super) struct Made {
    pub(super) template: Template,
    pub(super) fuel: Fuel,
}

/// A value that a step was given. What is not JSON no expression can look at.
fn json(payload: Option<&Payload>) -> Result<Json, StepError> {
    let value = payload.map_or(Ok(Json::Null), Payload::decode);
    value.map_err(|error| StepError::permanent(error).of_kind(FailureKind::INVALID))
}

impl Made {
    /// The value for the input of the scope and what its nodes gave, which follow in the order of their names.
    fn of(&self, args: &[Payload]) -> Result<Json, StepError> {
        let input = json(args.first())?;
        let names = self.template.nodes.keys();
        let nodes: Map<String, Json> = names
            .zip(args.iter().skip(1))
            .map(|(name, value)| Ok((name.clone(), json(Some(value))?)))
            .collect::<Result<_, StepError>>()?;
        self.evaluate(&input, nodes.into(), &Json::Null, &mut self.fuel.clone())
    }

    fn evaluate(&self, input: &Json, nodes: Json, error: &Json, fuel: &mut Fuel) -> Result<Json, StepError> {
        let most = fuel.output;
        let value = self.template.evaluate(Given { input, nodes: &nodes, error }, fuel).and_then(|value| {
            let fits = value.to_string().len() <= most;
            if fits { Ok(value) } else { Err(Evaluation::TooMuch("its value is too large")) }
        });
        value.map_err(|why| {
            let (what, kind) = match why {
                Evaluation::Failed(what) => (what, FailureKind::new("expression")),
                Evaluation::TooMuch(what) => (format!("an expression was stopped: {what}"), FailureKind::TOO_LARGE),
            };
            StepError::permanent(what).of_kind(kind)
        })
    }

    /// Whether it holds of a value.
    fn holds(&self, value: &Json, fuel: &mut Fuel) -> Result<bool, StepError> {
        Ok(!matches!(self.evaluate(value, Json::Null, &Json::Null, fuel)?, Json::Null | Json::Bool(false)))
    }
}

fn written(value: &Json) -> Result<Payload, StepError> {
    Ok(Payload::encode(value)?)
}

/// Gives the value of a template.
pub(super) struct Transform(pub(super) Made);

impl StepFn for Transform {
    fn call(&self, _: StepCx, args: Vec<Payload>) -> Called {
        Box::pin(ready(self.0.of(&args).and_then(|value| written(&value))))
    }
}

/// Calls a function with the value of a template.
pub(super) struct Prepared {
    pub(super) made: Made,
    pub(super) function: Arc<dyn StepFn>,
}

impl StepFn for Prepared {
    fn call(&self, cx: StepCx, args: Vec<Payload>) -> Called {
        match self.made.of(&args).and_then(|value| written(&value)) {
            Ok(value) => self.function.call(cx, vec![value]),
            Err(error) => Box::pin(ready(Err(error))),
        }
    }
}

/// Gives the number of the first expression that holds of a value, or the number behind the last.
pub(super) struct Choose(pub(super) Vec<Made>);

impl StepFn for Choose {
    fn call(&self, _: StepCx, args: Vec<Payload>) -> Called {
        let choose = || {
            let value = json(args.first())?;
            // All of them together cost no more than one may.
            let mut fuel = self.0.first().map_or_else(Fuel::default, |test| test.fuel);
            for (number, test) in self.0.iter().enumerate() {
                if test.holds(&value, &mut fuel)? {
                    return written(&number.into());
                }
            }
            written(&self.0.len().into())
        };
        Box::pin(ready(choose()))
    }
}

/// Whether an expression holds of a value, or does not.
pub(super) struct Decide {
    pub(super) made: Made,
    pub(super) until: bool,
}

impl StepFn for Decide {
    fn call(&self, _: StepCx, args: Vec<Payload>) -> Called {
        let decide =
            || written(&(self.made.holds(&json(args.first())?, &mut self.made.fuel.clone())? != self.until).into());
        Box::pin(ready(decide()))
    }
}

/// Gives the value of a template in the place of work that has failed.
pub(super) struct Instead {
    pub(super) made: Made,
    /// How the work makes what it is given of its inputs, if it does.
    pub(super) given: Option<Made>,
}

impl StepFn for Instead {
    fn call(&self, _: StepCx, args: Vec<Payload>) -> Called {
        let instead = || {
            let failure = json(args.first())?;
            let inputs = args.get(1..).unwrap_or_default();
            let input = match &self.given {
                // What the work could not be given, because that failed, is nothing.
                Some(given) => given.of(inputs).unwrap_or(Json::Null),
                None => json(inputs.first())?,
            };
            written(&self.made.evaluate(&input, Json::Null, &failure, &mut self.made.fuel.clone())?)
        };
        Box::pin(ready(instead()))
    }
}

/// Stands where a node has functions beside its work, and its work is none.
pub(super) struct NoWork;

impl StepFn for NoWork {
    fn call(&self, cx: StepCx, _: Vec<Payload>) -> Called {
        let what = format!("{} has no function of its own", cx.info().node);
        Box::pin(ready(Err(StepError::permanent(what).of_kind(FailureKind::INVALID))))
    }
}
