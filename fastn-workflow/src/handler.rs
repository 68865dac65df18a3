//! Plain async functions as steps: arguments decoded, the value encoded.

use std::fmt;
use std::sync::Arc;

use fastn_core::{BoxFuture, Failure, FailureKind, Payload, StepCx, StepError, StepFn};

use crate::passing::{StepFuture, Value};
use crate::short;

/// How a function takes its arguments. Always inferred, and in no type that anybody writes: without it the
/// implementations for functions with and without [`StepCx`] would collide.
pub(crate) mod kind {
    /// The values only.
    #[derive(Debug)]
    pub struct Plain(());
    /// `StepCx`, then the values.
    #[derive(Debug)]
    pub struct WithCx(());
}

/// A function that takes these arguments, after an optional [`StepCx`].
///
/// Whether it is `async` and what it returns is asked separately ([`StepFuture`]), so that each mistake has a message of
/// its own.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not take `{Args}`",
    label = "the parameters of this function are different",
    note = "a step is an `async fn` of owned arguments, after an optional `StepCx`; every argument must derive \
            `serde::Serialize` and `serde::Deserialize`"
)]
pub trait Handler<Args, Kind>: Send + Sync + 'static {
    /// What a call gives.
    type Returns;

    /// Decodes the arguments and calls the function.
    #[doc(hidden)]
    fn start(&self, args: Arguments) -> Result<Self::Returns, StepError>;
}

macro_rules! handler {
    ($count:literal $($T:ident)*) => {
        #[diagnostic::do_not_recommend]
        impl<F, R, $($T: Value),*> Handler<($($T,)*), kind::Plain> for F
        where
            F: Fn($($T),*) -> R + Send + Sync + 'static,
        {
            type Returns = R;

            fn start(&self, args: Arguments) -> Result<R, StepError> {
                #[allow(unused_mut, unused_variables, reason = "of no arguments, none is taken off")]
                let mut args = args.counted($count)?;
                Ok(self($(args.next::<$T>()?),*))
            }
        }

        #[diagnostic::do_not_recommend]
        impl<F, R, $($T: Value),*> Handler<($($T,)*), kind::WithCx> for F
        where
            F: Fn(StepCx, $($T),*) -> R + Send + Sync + 'static,
        {
            type Returns = R;

            fn start(&self, args: Arguments) -> Result<R, StepError> {
                #[allow(unused_mut, reason = "of no arguments, none is taken off")]
                let mut args = args.counted($count)?;
                Ok(self(args.whose.cx.clone(), $(args.next::<$T>()?),*))
            }
        }
    };
}

// Up to 9: an `on_error` function takes the failure and then up to 8 inputs.
handler!(0);
handler!(1 A);
handler!(2 A B);
handler!(3 A B C);
handler!(4 A B C D);
handler!(5 A B C D E);
handler!(6 A B C D E G);
handler!(7 A B C D E G H);
handler!(8 A B C D E G H I);
handler!(9 A B C D E G H I J);

/// The payloads a function is called with, taken off one by one.
pub struct Arguments {
    whose: Whose,
    count: usize,
    rest: std::vec::IntoIter<Payload>,
}

impl Arguments {
    fn counted(self, takes: usize) -> Result<Self, StepError> {
        if self.count == takes {
            return Ok(self);
        }
        Err(invalid(format!("{} takes {takes} inputs but was given {}", self.whose, self.count), None))
    }

    fn next<T: Value>(&mut self) -> Result<T, StepError> {
        let number = self.count - self.rest.len() + 1;
        let payload = self.rest.next().unwrap_or(Payload::null());
        payload.decode().map_err(|e| {
            let of = if self.count == 1 { String::new() } else { format!(" {number} of {}", self.count) };
            invalid(format!("input{of} of {} is not a `{}`", self.whose, short::type_name::<T>()), Some(&e))
        })
    }
}

/// A failure that trying again does not mend.
pub(crate) fn invalid(message: String, cause: Option<&fastn_core::Error>) -> StepError {
    let mut failure = Failure::new(FailureKind::INVALID, message).permanent();
    failure.chain = cause.map(fastn_core::Error::chain).unwrap_or_default();
    StepError::from_failure(failure)
}

/// What a function is there for; part of its messages.
#[derive(Clone, Copy)]
pub(crate) enum Role {
    Work,
    Undo,
    OnError,
    Finally,
}

/// Whose values they are: a call of a function. Becomes text only where something is wrong.
#[derive(Clone)]
struct Whose {
    role: Role,
    cx: StepCx,
}

impl fmt::Display for Whose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let node = &self.cx.info().node;
        match self.role {
            Role::Work => write!(f, "`{node}`"),
            Role::Undo => write!(f, "the undo of `{node}`"),
            Role::OnError => write!(f, "the on_error of `{node}`"),
            Role::Finally => write!(f, "the finally of `{node}`"),
        }
    }
}

/// The function with its types forgotten.
pub(crate) fn erase<F, A, K>(function: F, role: Role) -> Arc<dyn StepFn>
where
    F: Handler<A, K>,
    F::Returns: StepFuture,
{
    Arc::new(move |cx: StepCx, args: Vec<Payload>| -> BoxFuture<'static, Result<Payload, StepError>> {
        let whose = Whose { role, cx };
        let args = Arguments { whose: whose.clone(), count: args.len(), rest: args.into_iter() };
        // Called at once: a future that called it later would count on the function, which all runs share.
        let started = function.start(args);
        Box::pin(async move { encode(&whose, &started?.finish().await?) })
    })
}

fn encode<T: Value>(whose: &Whose, value: &T) -> Result<Payload, StepError> {
    Payload::encode(value).map_err(|e| {
        invalid(format!("the output of {whose} is a `{}` that JSON cannot hold", short::type_name::<T>()), Some(&e))
    })
}

/// A function that undoes work whose value is a `T`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot undo work that gives `{T}`",
    label = "an undo takes what the work gives, and gives `()`",
    note = "an undo is an `async fn` of one owned argument, the output of the work, after an optional `StepCx`; it \
            returns `Result<(), E>`"
)]
pub trait Undo<T, Kind> {
    /// The function with its types forgotten.
    #[doc(hidden)]
    fn into_undo(self) -> Arc<dyn StepFn>;
}

#[diagnostic::do_not_recommend]
impl<F, T, K> Undo<T, K> for F
where
    F: Handler<(T,), K>,
    F::Returns: StepFuture<Value = ()>,
{
    fn into_undo(self) -> Arc<dyn StepFn> {
        erase(self, Role::Undo)
    }
}

/// A function that is called in the end of what takes an `I`, however it ended.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be called in the end of what takes `{I}`",
    label = "a finally takes what is tried takes, and gives `()`",
    note = "a finally is an `async fn` of one owned argument, the input of what is tried, after an optional `StepCx`; it \
            returns `Result<(), E>`"
)]
pub trait Finally<I, Kind> {
    /// The function with its types forgotten.
    #[doc(hidden)]
    fn into_finally(self) -> Arc<dyn StepFn>;
}

#[diagnostic::do_not_recommend]
impl<F, I, K> Finally<I, K> for F
where
    F: Handler<(I,), K>,
    F::Returns: StepFuture<Value = ()>,
{
    fn into_finally(self) -> Arc<dyn StepFn> {
        erase(self, Role::Finally)
    }
}

/// A function that takes over when work that takes `Args` and gives a `T` failed for good.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot take over from work that takes `{Args}` and gives `{T}`",
    label = "its parameters or its result differ from those of the work",
    note = "an `on_error` is an `async fn` that takes the `Failure`, then what the work takes, after an optional \
            `StepCx`; it returns what the work returns"
)]
pub trait OnError<Args, T, Kind> {
    /// The function with its types forgotten.
    #[doc(hidden)]
    fn into_on_error(self) -> Arc<dyn StepFn>;
}

#[diagnostic::do_not_recommend]
impl<F, A, T, K> OnError<A, T, K> for F
where
    A: AfterFailure,
    F: Handler<A::Args, K>,
    F::Returns: StepFuture<Value = T>,
{
    fn into_on_error(self) -> Arc<dyn StepFn> {
        erase(self, Role::OnError)
    }
}

/// Arguments that a failure can be put in front of.
pub trait AfterFailure {
    /// The failure, then the arguments.
    type Args;
}

macro_rules! after_failure {
    ($($T:ident)*) => {
        impl<$($T),*> AfterFailure for ($($T,)*) {
            type Args = (Failure, $($T,)*);
        }
    };
}

after_failure!();
after_failure!(A);
after_failure!(A B);
after_failure!(A B C);
after_failure!(A B C D);
after_failure!(A B C D E);
after_failure!(A B C D E F);
after_failure!(A B C D E F G);
after_failure!(A B C D E F G H);
