//! Work with adverbs: how something is done, beside what is done.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use fastn_core::{
    ActionRef, BoxFuture, ChildRef, Functions, Payload, SignalRef, StepCx, StepError, StepFn, StepPolicy,
};

use crate::port::{Brand, Place};

/// Done by a function of the host's.
#[derive(Clone)]
pub struct Function(pub(crate) Arc<dyn StepFn>);

/// Done by a connector's action.
#[derive(Clone, Debug)]
pub struct Action(pub(crate) ActionRef);

/// Done by whoever sends a signal.
#[derive(Clone, Debug)]
pub struct Told(pub(crate) SignalRef);

/// Done by a run of another workflow.
#[derive(Clone, Debug)]
pub struct Launched(pub(crate) ChildRef);

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Function")
    }
}

/// Everything that was said about some work, its types forgotten.
pub struct Parts<'f, By> {
    pub(crate) by: By,
    pub(crate) policy: StepPolicy,
    pub(crate) after: Vec<Place>,
    pub(crate) undo: Option<Arc<dyn StepFn>>,
    pub(crate) on_error: Option<Arc<dyn StepFn>>,
    /// The places in `after` are of this flow.
    brand: Brand<'f>,
}

impl<By> Parts<'_, By> {
    /// Work without any adverb.
    pub(crate) fn plain(by: By) -> Self {
        Self { by, policy: StepPolicy::default(), after: Vec::new(), undo: None, on_error: None, brand: PhantomData }
    }
}

/// Work that takes `Args` and gives a `T`, with what its adverbs said.
///
/// The adverbs are the methods of [`Work`](crate::Work).
#[must_use = "work is done only where a flow has a step of it"]
pub struct Adorned<'f, Args, T, By = Function> {
    pub(crate) parts: Parts<'f, By>,
    types: PhantomData<fn(Args) -> T>,
}

impl<'f, Args, T, By> Adorned<'f, Args, T, By> {
    pub(crate) fn of(parts: Parts<'f, By>) -> Self {
        Self { parts, types: PhantomData }
    }
}

impl<Args, T, By: fmt::Debug> fmt::Debug for Adorned<'_, Args, T, By> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Adorned")
            .field("by", &self.parts.by)
            .field("policy", &self.parts.policy)
            .finish_non_exhaustive()
    }
}

/// The functions of a node; `None` if it has none.
pub(crate) fn functions(
    work: Option<Arc<dyn StepFn>>,
    undo: Option<Arc<dyn StepFn>>,
    on_error: Option<Arc<dyn StepFn>>,
) -> Option<Functions> {
    if work.is_none() && undo.is_none() && on_error.is_none() {
        return None;
    }
    Some(Functions { work: work.unwrap_or_else(|| Arc::new(done_elsewhere)), undo, on_error })
}

/// Stands where a node's function would, for a call, a wait or a run that has an undo or an `on_error` and so needs
/// [`Functions`]. No engine calls it: a call goes to its connector.
fn done_elsewhere(cx: StepCx, _: Vec<Payload>) -> BoxFuture<'static, Result<Payload, StepError>> {
    let message = format!("`{}` has no function of its own", cx.info().node);
    Box::pin(std::future::ready(Err(StepError::permanent(message))))
}
