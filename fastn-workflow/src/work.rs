//! Work, and its adverbs.

use std::future::Ready;
use std::time::Duration;

use fastn_core::{Child, Durability, Op, Retry, Signal, StepError, StepPolicy};

use crate::adorned::{Action, Adorned, Function, Launched, Parts, Told};
use crate::handler::{self, Handler, OnError, Role, Undo};
use crate::passing::{StepFuture, Value};
use crate::port::Inputs;

/// In which shape work comes. Always inferred, and in no type that anybody writes.
pub(crate) mod kind {
    use std::marker::PhantomData;

    /// A function without adverbs, of a [kind](crate::handler::kind) of its own.
    #[derive(Debug)]
    pub struct Bare<K>(PhantomData<K>);
    /// An action of a connector, without adverbs.
    #[derive(Debug)]
    pub struct Constant(());
    /// A signal, without adverbs.
    #[derive(Debug)]
    pub struct Signalled(());
    /// A workflow to run, without adverbs.
    #[derive(Debug)]
    pub struct Child(());
    /// With adverbs.
    #[derive(Debug)]
    pub struct Adorned(());
}

/// The value that a step gives whose call gives an `R`.
type Given<R> = <R as StepFuture>::Value;

/// What a node does: an `async fn`, an [`Op`] of a connector, a [`Signal`] to wait for, a [`Child`] to run, or one of these with
/// adverbs, which are the methods here.
///
/// ```
/// # use fastn_workflow::{Work, secs};
/// # async fn charge(cents: u64) -> Result<u64, std::io::Error> { Ok(cents) }
/// # async fn refund(receipt: u64) -> Result<(), std::io::Error> { Ok(()) }
/// let careful = charge.retry(5).within(secs(10)).undo(refund);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is neither a function for a step nor an action of a connector",
    label = "nothing that a step or a call can do",
    note = "a step is an `async fn` of 0 to 8 owned arguments, after an optional `StepCx`; the arguments derive \
            `serde::Serialize` and `serde::Deserialize`"
)]
pub trait Work<'f, Args, Kind>: Sized {
    /// What doing it once gives.
    type Returns;
    /// Who does it: a [`Function`], an [`Action`], whoever sends a signal ([`Told`]), or another workflow ([`Launched`]).
    type By;

    /// What is done and how, without types.
    #[doc(hidden)]
    fn parts(self) -> Parts<'f, Self::By>
    where
        Self::Returns: StepFuture;

    /// When it is tried again after it failed: a number of retries, or a whole [`Retry`]. Said nothing, it is not.
    fn retry(self, retry: impl Into<Retry>) -> Adorned<'f, Args, Given<Self::Returns>, Self::By>
    where
        Self::Returns: StepFuture,
    {
        let mut parts = self.parts();
        parts.policy.retry = retry.into();
        Adorned::of(parts)
    }

    /// How long one attempt may take.
    fn within(self, most: Duration) -> Adorned<'f, Args, Given<Self::Returns>, Self::By>
    where
        Self::Returns: StepFuture,
    {
        let mut parts = self.parts();
        parts.policy.within = Some(most);
        Adorned::of(parts)
    }

    /// How long all attempts and the waits between them may take, from the start of the first.
    fn deadline(self, most: Duration) -> Adorned<'f, Args, Given<Self::Returns>, Self::By>
    where
        Self::Returns: StepFuture,
    {
        let mut parts = self.parts();
        parts.policy.deadline = Some(most);
        Adorned::of(parts)
    }

    /// What the journal promises about it.
    fn durability(self, durability: Durability) -> Adorned<'f, Args, Given<Self::Returns>, Self::By>
    where
        Self::Returns: StepFuture,
    {
        let mut parts = self.parts();
        parts.policy.durability = durability;
        Adorned::of(parts)
    }

    /// What must be done first although nothing is taken from it: a port or a tuple of ports of the same flow. Said
    /// again, it adds to what was said.
    fn after(self, ports: impl Inputs<'f>) -> Adorned<'f, Args, Given<Self::Returns>, Self::By>
    where
        Self::Returns: StepFuture,
    {
        let mut parts = self.parts();
        parts.after.extend(ports.wires().into_iter().map(|wire| wire.from));
        Adorned::of(parts)
    }

    /// What undoes it when the run fails later on, or what it stands in: a body that is [tried](crate::Flow::attempt), an arm of a
    /// [race](crate::Flow::race), an item that may fail. Takes the output of the work, and is tried again as
    /// [`StepPolicy::default_undo`] says.
    fn undo<U, K>(self, undo: U) -> Adorned<'f, Args, Given<Self::Returns>, Self::By>
    where
        Self::Returns: StepFuture,
        U: Undo<Given<Self::Returns>, K>,
    {
        self.undo_with(undo, StepPolicy::default_undo())
    }

    /// As [`undo`](Work::undo), and when that is tried again.
    fn undo_with<U, K>(self, undo: U, retry: impl Into<Retry>) -> Adorned<'f, Args, Given<Self::Returns>, Self::By>
    where
        Self::Returns: StepFuture,
        U: Undo<Given<Self::Returns>, K>,
    {
        let mut parts = self.parts();
        parts.policy.undo = Some(retry.into());
        parts.undo = Some(undo.into_undo());
        Adorned::of(parts)
    }

    /// What takes over when it failed for good. Takes the [`Failure`](fastn_core::Failure), then what the work takes;
    /// gives what the work gives.
    fn on_error<H, K>(self, on_error: H) -> Adorned<'f, Args, Given<Self::Returns>, Self::By>
    where
        Self::Returns: StepFuture,
        H: OnError<Args, Given<Self::Returns>, K>,
    {
        let mut parts = self.parts();
        parts.policy.on_error = true;
        parts.on_error = Some(on_error.into_on_error());
        Adorned::of(parts)
    }
}

#[diagnostic::do_not_recommend]
impl<'f, F, Args, K> Work<'f, Args, kind::Bare<K>> for F
where
    F: Handler<Args, K>,
{
    type Returns = F::Returns;
    type By = Function;

    fn parts(self) -> Parts<'f, Function>
    where
        F::Returns: StepFuture,
    {
        Parts::plain(Function(handler::erase(self, Role::Work)))
    }
}

// An action is not called here and adorned work was asked already what its function returns. `Ready` says for both that
// they give a future that is fit for a step.

#[diagnostic::do_not_recommend]
impl<'f, I: Value, O: Value> Work<'f, (I,), kind::Constant> for Op<I, O> {
    type Returns = Ready<Result<O, StepError>>;
    type By = Action;

    fn parts(self) -> Parts<'f, Action> {
        Parts::plain(Action(self.action()))
    }
}

// Whatever a wait follows from, it gives what the signal brings.
#[diagnostic::do_not_recommend]
impl<'f, Args, T: Value> Work<'f, Args, kind::Signalled> for Signal<T> {
    type Returns = Ready<Result<T, StepError>>;
    type By = Told;

    fn parts(self) -> Parts<'f, Told> {
        Parts::plain(Told(self.to_wait_for()))
    }
}

#[diagnostic::do_not_recommend]
impl<'f, I: Value, O: Value> Work<'f, (I,), kind::Child> for Child<I, O> {
    type Returns = Ready<Result<O, StepError>>;
    type By = Launched;

    fn parts(self) -> Parts<'f, Launched> {
        Parts::plain(Launched(self.to_run()))
    }
}

#[diagnostic::do_not_recommend]
impl<'f, Args, T: Value, By> Work<'f, Args, kind::Adorned> for Adorned<'f, Args, T, By> {
    type Returns = Ready<Result<T, StepError>>;
    type By = By;

    fn parts(self) -> Parts<'f, By> {
        self.parts
    }
}
