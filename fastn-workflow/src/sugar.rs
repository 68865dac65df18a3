//! The macros. They expand to the public verbs and adverbs and to nothing else.

/// A workflow, written as one call: `workflow!(name, version = .., deadline = .., |flow, input: Type| { .. })`.
///
/// `version` and `deadline` may be left out, and so may the input's type where the flow shows it; `requires = "tag"` is said
/// once for each tag. Expands to [`workflow(name)`](fn@crate::workflow), [`version`](crate::WorkflowBuilder::version),
/// [`deadline`](crate::WorkflowBuilder::deadline), [`requires`](crate::WorkflowBuilder::requires) and
/// [`define`](crate::WorkflowBuilder::define), and so gives a
/// `Result<Workflow<I, O>, PlanFaults>`.
///
/// ```
/// use fastn_workflow::{hours, secs, step, workflow};
/// # use std::io::Error;
/// # async fn quote(id: u64) -> Result<u64, Error> { Ok(id) }
/// # async fn charge(quote: u64) -> Result<u64, Error> { Ok(quote) }
/// # async fn refund(receipt: u64) -> Result<(), Error> { Ok(()) }
///
/// let checkout = workflow!("checkout", version = 3, deadline = hours(1), |flow, id: u64| {
///     let quote = step!(flow, "quote", quote(id));
///     step!(flow, "charge", charge(quote), retry = 5, within = secs(10), undo = refund)
/// })?;
/// # Ok::<(), fastn_core::PlanFaults>(())
/// ```
#[macro_export]
macro_rules! workflow {
    ($name:expr $(, $key:ident = $value:expr)*, |$flow:ident, $input:ident : $I:ty| $body:expr $(,)?) => {
        $crate::__builder!($crate::workflow($name) $(, $key = $value)*).define::<$I, _>(|$flow, $input| $body)
    };
    ($name:expr $(, $key:ident = $value:expr)*, |$flow:ident, $input:ident| $body:expr $(,)?) => {
        $crate::__builder!($crate::workflow($name) $(, $key = $value)*).define(|$flow, $input| $body)
    };
}

/// A step, written as a call of its function: `step!(flow, "charge", charge(quote, hold), retry = 5)`.
///
/// The function is a path, its arguments are ports. The adverbs are those of [`Work`](crate::Work): `retry`, `within`,
/// `deadline`, `undo`, `after`, `on_error`, `durability`. Expands to [`Flow::step`](crate::Flow::step).
#[macro_export]
macro_rules! step {
    ($flow:expr, $name:expr, $($work:ident)::+ ($port:expr $(,)?) $(, $adverb:ident = $value:expr)* $(,)?) => {
        $flow.step($name, $crate::__adorned!($($work)::+ $(, $adverb = $value)*), $port)
    };
    ($flow:expr, $name:expr, $($work:ident)::+ ($($port:expr),* $(,)?) $(, $adverb:ident = $value:expr)* $(,)?) => {
        $flow.step($name, $crate::__adorned!($($work)::+ $(, $adverb = $value)*), ($($port),*))
    };
}

/// A call of a connector's action, written as a call: `call!(flow, "tell", slack::POST(note), retry = 3)`.
///
/// The action is the path of an [`Op`](fastn_core::Op), its argument is a port. The adverbs are those of
/// [`step!`]. Expands to [`Flow::call`](crate::Flow::call).
#[macro_export]
macro_rules! call {
    ($flow:expr, $name:expr, $($op:ident)::+ ($port:expr $(,)?) $(, $adverb:ident = $value:expr)* $(,)?) => {
        $flow.call($name, $crate::__adorned!($($op)::+ $(, $adverb = $value)*), $port)
    };
}

/// A wait for a signal, written as a call: `wait!(flow, "payment", PAID(order), deadline = days(3))`.
///
/// The signal is the path of a [`Signal`](fastn_core::Signal), its arguments are the ports after which it begins. The adverbs are
/// those of [`step!`]. Expands to [`Flow::wait`](crate::Flow::wait).
#[macro_export]
macro_rules! wait {
    ($flow:expr, $name:expr, $($signal:ident)::+ ($port:expr $(,)?) $(, $adverb:ident = $value:expr)* $(,)?) => {
        $flow.wait($name, $crate::__adorned!($($signal)::+ $(, $adverb = $value)*), $port)
    };
    ($flow:expr, $name:expr, $($signal:ident)::+ ($($port:expr),* $(,)?) $(, $adverb:ident = $value:expr)* $(,)?) => {
        $flow.wait($name, $crate::__adorned!($($signal)::+ $(, $adverb = $value)*), ($($port),*))
    };
}

/// A run of another workflow, written as a call: `run!(flow, "ship", SHIPPING(order), retry = 2)`.
///
/// The workflow is the path of a [`Child`](fastn_core::Child), its argument is a port. The adverbs are those of [`step!`].
/// Expands to [`Flow::run`](crate::Flow::run).
#[macro_export]
macro_rules! run {
    ($flow:expr, $name:expr, $($child:ident)::+ ($port:expr $(,)?) $(, $adverb:ident = $value:expr)* $(,)?) => {
        $flow.run($name, $crate::__adorned!($($child)::+ $(, $adverb = $value)*), $port)
    };
}

/// Work with adverbs, from their names.
#[doc(hidden)]
#[macro_export]
macro_rules! __adorned {
    ($work:expr) => {
        $work
    };
    ($work:expr, retry = $value:expr $(, $($more:tt)*)?) => {
        $crate::__adorned!($crate::Work::retry($work, $value) $(, $($more)*)?)
    };
    ($work:expr, within = $value:expr $(, $($more:tt)*)?) => {
        $crate::__adorned!($crate::Work::within($work, $value) $(, $($more)*)?)
    };
    ($work:expr, deadline = $value:expr $(, $($more:tt)*)?) => {
        $crate::__adorned!($crate::Work::deadline($work, $value) $(, $($more)*)?)
    };
    ($work:expr, undo = $value:expr $(, $($more:tt)*)?) => {
        $crate::__adorned!($crate::Work::undo($work, $value) $(, $($more)*)?)
    };
    ($work:expr, after = $value:expr $(, $($more:tt)*)?) => {
        $crate::__adorned!($crate::Work::after($work, $value) $(, $($more)*)?)
    };
    ($work:expr, on_error = $value:expr $(, $($more:tt)*)?) => {
        $crate::__adorned!($crate::Work::on_error($work, $value) $(, $($more)*)?)
    };
    ($work:expr, durability = $value:expr $(, $($more:tt)*)?) => {
        $crate::__adorned!($crate::Work::durability($work, $value) $(, $($more)*)?)
    };
    ($work:expr, $unknown:ident = $($more:tt)*) => {
        compile_error!(concat!(
            "`", stringify!($unknown), "` is no adverb. The adverbs are: retry, within, deadline, undo, after, on_error, \
             durability"
        ))
    };
}

/// A workflow's builder, from the names of its settings.
#[doc(hidden)]
#[macro_export]
macro_rules! __builder {
    ($builder:expr) => {
        $builder
    };
    ($builder:expr, version = $value:expr $(, $($more:tt)*)?) => {
        $crate::__builder!($builder.version($value) $(, $($more)*)?)
    };
    ($builder:expr, deadline = $value:expr $(, $($more:tt)*)?) => {
        $crate::__builder!($builder.deadline($value) $(, $($more)*)?)
    };
    ($builder:expr, requires = $value:expr $(, $($more:tt)*)?) => {
        $crate::__builder!($builder.requires($value) $(, $($more)*)?)
    };
    ($builder:expr, $unknown:ident = $($more:tt)*) => {
        compile_error!(concat!(
            "`", stringify!($unknown), "` is nothing a workflow can be told. It can be told: version, deadline, requires"
        ))
    };
}
