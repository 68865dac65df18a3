//! What is said of scopes that contain failure: of what is tried, and of the arms of a race.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use fastn_core::plan::{DraftHandler, DraftKind, DraftScope};
use fastn_core::{Arrived, Failure, FailureKind, Join, Retry, StepFn, StepPolicy};

use crate::adorned::functions;
use crate::flow::Flow;
use crate::handler::Finally;
use crate::passing::Value;
use crate::port::{Inputs, Out};
use crate::scope;

/// The verbs for scopes that contain failure.
impl<'f> Flow<'f> {
    /// Tries a body: what is said after it says what becomes of failures, and [`done`](Attempting::done) gives the port of its
    /// value.
    ///
    /// If something in the body fails for good, what else is under way in it is stopped, and what was done of it is undone, last
    /// first. Then it is done again from its beginning, as often as [`retry`](Attempting::retry) says; after that the first
    /// [`catch`](Attempting::catch) that takes the failure gives the value instead. What nobody takes goes on outwards, as the
    /// same failure. A [`finally`](Attempting::finally) is called in the end, however it ended.
    ///
    /// The body and what takes over are functions or closures of flows of their own, as an arm of [`when`](Flow::when) is. An
    /// undo that fails for good is contained by nothing: the run ends as stuck.
    ///
    /// ```
    /// # use fastn_core::{Failure, StepError};
    /// # use fastn_workflow::{Work as _, workflow};
    /// # async fn reserve(order: u64) -> Result<u64, StepError> { Ok(order) }
    /// # async fn release(hold: u64) -> Result<(), StepError> { Ok(()) }
    /// # async fn charge(hold: u64) -> Result<String, StepError> { Ok("paid".into()) }
    /// # async fn ask_for_another_card(failed: (Failure, u64)) -> Result<String, StepError> { Ok("asked".into()) }
    /// # async fn close_session(order: u64) -> Result<(), StepError> { Ok(()) }
    /// let checkout = workflow("checkout").define(|flow, order| {
    ///     flow.attempt("pay", order, |flow, order| {
    ///         let hold = flow.step("reserve", reserve.undo(release), order);
    ///         flow.step("charge", charge, hold)
    ///     })
    ///     .retry(2)
    ///     .catch("card_declined", |flow, failed| flow.step("ask", ask_for_another_card, failed))
    ///     .finally(close_session)
    ///     .done()
    /// })?;
    /// # Ok::<(), fastn_core::PlanFaults>(())
    /// ```
    pub fn attempt<T: Value, U: Value>(
        self,
        name: &str,
        input: Out<'f, T>,
        body: impl for<'b> FnOnce(Flow<'b>, Out<'b, T>) -> Out<'b, U>,
    ) -> Attempting<'f, T, U> {
        let (name, handlers, retry) = (name.to_owned(), Vec::new(), Retry::none());
        let body = self.inside(body);
        Attempting { flow: self, name, input, body, handlers, retry, finally: None, gives: PhantomData }
    }

    /// A race: arms that all begin with the input, of which the first so many that succeed win. [`arm`](Racing::arm) adds one,
    /// and [`first`](Racing::first) or [`quorum`](Racing::quorum) says how many must win and gives the port of what they give.
    ///
    /// The others are stopped then, and what they did is undone, last first; only after that the race is done, so nothing of them
    /// meets what follows. If too few can win any more, the race fails with the kind
    /// [`AGGREGATE`](fastn_core::FailureKind::AGGREGATE) and the failures of its arms in the chain. A
    /// [`sleep`](Flow::sleep) in an arm is a time limit for the others. A signal that an arm took which then lost is gone.
    ///
    /// ```
    /// # use fastn_core::StepError;
    /// # use fastn_workflow::{secs, workflow};
    /// # async fn ask_one(parcel: u64) -> Result<u64, StepError> { Ok(3) }
    /// # async fn ask_another(parcel: u64) -> Result<u64, StepError> { Ok(4) }
    /// let quote = workflow("quote").define(|flow, parcel| {
    ///     flow.race("carriers", parcel)
    ///         .arm("one", |flow, parcel| flow.step("ask", ask_one, parcel))
    ///         .arm("another", |flow, parcel| flow.step("ask", ask_another, parcel))
    ///         .arm("limit", |flow, parcel| flow.sleep("wait", secs(30), parcel))
    ///         .first()
    /// })?;
    /// # Ok::<(), fastn_core::PlanFaults>(())
    /// ```
    pub fn race<T: Value, U: Value>(self, name: &str, input: Out<'f, T>) -> Racing<'f, T, U> {
        Racing { flow: self, name: name.to_owned(), input, arms: Vec::new(), gives: PhantomData }
    }
}

/// Something that is tried, and what becomes of its failures. Made by [`Flow::attempt`]; [`done`](Attempting::done) ends it.
#[must_use = "nothing is tried until `done()` says that this is all"]
pub struct Attempting<'f, T, U> {
    flow: Flow<'f>,
    name: String,
    input: Out<'f, T>,
    body: DraftScope,
    handlers: Vec<DraftHandler>,
    retry: Retry,
    finally: Option<(Arc<dyn StepFn>, Retry)>,
    gives: PhantomData<fn() -> U>,
}

impl<'f, T: Value, U: Value> Attempting<'f, T, U> {
    /// When the body is done again after it failed: a number of retries, or a whole [`Retry`]. What was done of it is undone
    /// before. Failures that are permanent are not tried again.
    pub fn retry(mut self, retry: impl Into<Retry>) -> Self {
        self.retry = retry.into();
        self
    }

    /// What takes over from a failure of this kind: it gets the failure and the input, and gives what the body would have
    /// given. Of several that would take a failure the first does. If it fails itself, that goes on outwards.
    pub fn catch(
        self,
        kind: impl Into<FailureKind>,
        handler: impl for<'b> FnOnce(Flow<'b>, Out<'b, (Failure, T)>) -> Out<'b, U>,
    ) -> Self {
        let kind = kind.into();
        self.handled(kind.as_str().to_owned(), vec![kind], handler)
    }

    /// What takes over from all failures that nobody before it takes: see [`catch`](Self::catch). Nothing can come after it.
    pub fn catch_all(self, handler: impl for<'b> FnOnce(Flow<'b>, Out<'b, (Failure, T)>) -> Out<'b, U>) -> Self {
        self.handled("*".to_owned(), Vec::new(), handler)
    }

    fn handled(
        mut self,
        label: String,
        kinds: Vec<FailureKind>,
        handler: impl for<'b> FnOnce(Flow<'b>, Out<'b, (Failure, T)>) -> Out<'b, U>,
    ) -> Self {
        self.handlers.push(DraftHandler { label, kinds, scope: self.flow.inside(handler) });
        self
    }

    /// A function that is called in the end, however this ended: once the body or what took over went well; when nothing
    /// takes over from a failure, after what was done was undone; and when the run is cancelled, or an arm in which this stands
    /// has lost. It gets the input.
    ///
    /// It is as certain as an undo is: tried ten times over a few minutes, and made again if the process dies over it, with the
    /// same idempotency key. When it fails for good after all went well, that is the failure of the whole; otherwise the run
    /// ends as stuck.
    pub fn finally<K>(self, function: impl Finally<T, K>) -> Self {
        self.finally_retried(function, StepPolicy::default_undo())
    }

    /// As [`finally`](Self::finally), tried again when this says.
    pub fn finally_retried<K>(mut self, function: impl Finally<T, K>, retry: impl Into<Retry>) -> Self {
        self.finally = Some((function.into_finally(), retry.into()));
        self
    }

    /// That is all: the port of what it gives.
    pub fn done(self) -> Out<'f, U> {
        let Self { flow, name, input, body, handlers, retry, finally, .. } = self;
        let (function, finally) = finally.unzip();
        let mut node = scope::node::<U>(&name, DraftKind::Try { body, handlers, finally });
        node.policy.retry = retry;
        node.work = flow.keep(functions(function, None, None));
        flow.add(node, input.wires())
    }
}

impl<T, U> fmt::Debug for Attempting<'_, T, U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attempting").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A race, before it is said how many must win. Made by [`Flow::race`].
#[must_use = "nobody races until `first()` or `quorum(..)` says how many must win"]
pub struct Racing<'f, T, U> {
    flow: Flow<'f>,
    name: String,
    input: Out<'f, T>,
    arms: Vec<(String, DraftScope)>,
    gives: PhantomData<fn() -> U>,
}

impl<'f, T: Value, U: Value> Racing<'f, T, U> {
    /// One more arm: a function or closure of a flow of its own, as an arm of [`when`](Flow::when) is.
    pub fn arm(mut self, label: &str, body: impl for<'b> FnOnce(Flow<'b>, Out<'b, T>) -> Out<'b, U>) -> Self {
        self.arms.push((label.to_owned(), self.flow.inside(body)));
        self
    }

    /// The first that succeeds wins: the port of what it gives.
    pub fn first(self) -> Out<'f, U> {
        self.joined(Join::First)
    }

    /// The first so many that succeed win: the port of what they give, in the order of the arms. 0 and more than there are arms
    /// are faults of the plan.
    pub fn quorum(self, count: u32) -> Out<'f, Vec<Arrived<U>>> {
        self.joined(Join::Of(count))
    }

    fn joined<V>(self, join: Join) -> Out<'f, V> {
        let Self { flow, name, input, arms, .. } = self;
        flow.add(scope::node::<V>(&name, DraftKind::Race { arms, join }), input.wires())
    }
}

impl<T, U> fmt::Debug for Racing<'_, T, U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Racing").field("name", &self.name).finish_non_exhaustive()
    }
}
