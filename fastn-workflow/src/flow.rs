//! The verbs.

use std::cell::RefCell;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use fastn_core::plan::{DraftKind, DraftNode, DraftScope, WorkIx};
use fastn_core::{FailureKind, Functions, Payload, PlanFault, StepFn};
use serde::Serialize;

use crate::adorned::{Action, Launched, Parts, Told, functions};
use crate::builtin;
use crate::list::List;
use crate::passing::{StepFuture, Value};
use crate::port::{Brand, Inputs, Out, Place, Wire};
use crate::scope::{self, Scope, Shared};
use crate::short;
use crate::wiring::Step;
use crate::work::Work;

/// A flow that is being written: its methods are the verbs. `Copy`, to be handed to functions that write a part of it.
///
/// Names of nodes are durable: runs in flight know their nodes by them. They are unique inside a flow; an arm and a body
/// are flows of their own.
#[derive(Clone, Copy)]
pub struct Flow<'flow> {
    scope: &'flow RefCell<Scope>,
    shared: &'flow RefCell<Shared>,
    brand: Brand<'flow>,
}

impl<'f> Flow<'f> {
    pub(crate) fn new(scope: &'f RefCell<Scope>, shared: &'f RefCell<Shared>) -> Self {
        Self { scope, shared, brand: PhantomData }
    }

    /// A step: a function of the host's, called with the values of these ports.
    ///
    /// `inputs` is `()`, a port, or a tuple of 2 to 8 ports, matched with the function's parameters in order.
    pub fn step<W, In, T, K>(self, name: &str, work: W, inputs: In) -> Out<'f, T>
    where
        W: Step<'f, In, K, Output = T>,
    {
        let (parts, wires) = work.wired(inputs);
        let function = parts.by.0.clone();
        self.add_work(name, DraftKind::Step, Some(function), parts, wires)
    }

    /// A call of a connector's action.
    pub fn call<W, I, T, K>(self, name: &str, op: W, input: Out<'f, I>) -> Out<'f, T>
    where
        I: Value,
        W: Work<'f, (I,), K, By = Action>,
        W::Returns: StepFuture<Value = T>,
    {
        let parts = op.parts();
        let kind = DraftKind::Call(parts.by.0.clone());
        self.add_work(name, kind, None, parts, input.wires())
    }

    /// A choice: one of two arms, as the predicate says of the input. The arm gets the input; what it gives is what the
    /// choice gives. In the plan the arms are called `yes` and `no`.
    ///
    /// An arm is a function or closure of a flow of its own: no port from outside can be used in it. What it needs
    /// beside the input is [joined](Flow::join) to it first.
    pub fn when<T: Value, U: Value>(
        self,
        name: &str,
        predicate: impl Fn(&T) -> bool + Send + Sync + 'static,
        input: Out<'f, T>,
        then_arm: impl for<'a> FnOnce(Flow<'a>, Out<'a, T>) -> Out<'a, U>,
        else_arm: impl for<'a> FnOnce(Flow<'a>, Out<'a, T>) -> Out<'a, U>,
    ) -> Out<'f, U> {
        let yes = write(self.shared, then_arm);
        let no = write(self.shared, else_arm);
        let mut node = scope::node::<U>(name, DraftKind::When(vec![("yes".to_owned(), yes), ("no".to_owned(), no)]));
        // The function of a `when` gives the number of the arm.
        let choose = builtin::decide(move |value: &T| if predicate(value) { 0_u32 } else { 1 });
        node.work = self.keep(functions(Some(choose), None, None));
        self.add(node, input.wires())
    }

    /// The body, once for every item of the list, several at a time; gives the list of what they gave, in order.
    ///
    /// At most 16 items are worked on at a time unless the list says otherwise: `lines.at_most(4)`. The body is a
    /// function or closure of a flow of its own, as an arm of [`when`](Flow::when) is. The first item that fails fails the
    /// whole, unless the list says that some [may](Out::tolerating).
    ///
    /// An item begins when another one is done, without waiting until what that one gave is on disk, since it does not
    /// follow from it. So if the process dies, not only the items in work may be made again, but also some that were
    /// done just before: at most 16 for each of those worked on at a time. Inside an item, and after all of them, every
    /// step waits for what it follows from, as everywhere.
    pub fn each<L, U>(
        self,
        name: &str,
        items: L,
        body: impl for<'b> FnOnce(Flow<'b>, Out<'b, L::Item>) -> Out<'b, U>,
    ) -> Out<'f, L::Gives<U>>
    where
        L: List<'f>,
        U: Value,
    {
        let (list, concurrency, tolerance) = items.parts();
        let body = write(self.shared, body);
        self.add(scope::node::<L::Gives<U>>(name, DraftKind::Each { body, concurrency, tolerance }), list.wires())
    }

    /// Waits for this long once the value is there, then passes it on.
    pub fn sleep<T: Value>(self, name: &str, time: Duration, value: Out<'f, T>) -> Out<'f, T> {
        self.add(scope::node::<T>(name, DraftKind::Sleep(time)), value.wires())
    }

    /// Waits for a signal, once the values of these ports are there, and gives what it brings. Hosts send it with the same
    /// constant: `run.signal(PAID, &payment)`.
    ///
    /// It may be sent before the wait begins: it is kept. While it waits, the run needs neither a task nor memory. How long it
    /// waits is said with [`within`](Work::within) or [`deadline`](Work::deadline); after that it has failed with the kind
    /// [`TIMEOUT`](fastn_core::FailureKind::TIMEOUT), and [`on_error`](Work::on_error) may take over. A
    /// [`retry`](Work::retry) waits once more.
    ///
    /// ```
    /// # use fastn_core::{Failure, Signal, StepError};
    /// # use fastn_workflow::{Work as _, days, workflow};
    /// const PAID: Signal<u64> = Signal::new("paid");
    /// # async fn ship(cents: u64) -> Result<u64, StepError> { Ok(cents) }
    /// async fn unpaid(_: Failure, order: u64) -> Result<u64, StepError> { Ok(0) }
    ///
    /// let order = workflow("order").define(|flow, order| {
    ///     let cents = flow.wait("payment", PAID.deadline(days(3)).on_error(unpaid), order);
    ///     flow.step("ship", ship, cents)
    /// })?;
    /// # Ok::<(), fastn_core::PlanFaults>(())
    /// ```
    pub fn wait<W, In, T, K>(self, name: &str, signal: W, after: In) -> Out<'f, T>
    where
        In: Inputs<'f>,
        W: Work<'f, In::Values, K, By = Told>,
        W::Returns: StepFuture<Value = T>,
    {
        let parts = signal.parts();
        let kind = DraftKind::Wait(parts.by.0.clone());
        self.add_work(name, kind, None, parts, after.wires())
    }

    /// Runs another workflow, and gives what its run gives. That is a run of its own: any executor may have it, and it is listed
    /// and steered like others. There is one for each attempt, whoever dies meanwhile.
    ///
    /// If this run is cancelled or fails, the other is cancelled first, and what it did is undone before anything else is;
    /// unless it is to be [left](fastn_core::Child::leave). One that is [detached](fastn_core::Child::detach) is only
    /// started. A [`retry`](Work::retry) starts another run; [`within`](Work::within) and
    /// [`deadline`](Work::deadline) cancel one that takes too long.
    ///
    /// ```
    /// # use fastn_core::Child;
    /// # use fastn_workflow::{Work as _, workflow};
    /// const SHIPPING: Child<u64, String> = Child::new("shipping");
    ///
    /// let order = workflow("order").define(|flow, order| flow.run("ship", SHIPPING.retry(2), order))?;
    /// # Ok::<(), fastn_core::PlanFaults>(())
    /// ```
    pub fn run<W, I, T, K>(self, name: &str, child: W, input: Out<'f, I>) -> Out<'f, T>
    where
        I: Value,
        W: Work<'f, (I,), K, By = Launched>,
        W::Returns: StepFuture<Value = T>,
    {
        let parts = child.parts();
        let kind = DraftKind::Run(parts.by.0.clone());
        self.add_work(name, kind, None, parts, input.wires())
    }

    /// The body again and again, as long as the predicate says so of the value: it takes the value and gives the next one. Gives
    /// the last; the value itself, if the predicate says no at once.
    ///
    /// If the body was done `most` times and the predicate still says yes, it fails with the kind
    /// [`EXHAUSTED`](fastn_core::FailureKind::EXHAUSTED); 0 is a fault of the plan. The body is a function or closure of a flow
    /// of its own, as an arm of [`when`](Flow::when) is.
    ///
    /// ```
    /// # use fastn_core::StepError;
    /// # use fastn_workflow::{secs, workflow};
    /// # async fn ask(job: u64) -> Result<u64, StepError> { Ok(job - 1) }
    /// let poll = workflow("poll").define(|flow, job| {
    ///     flow.repeat("until done", 1_000, |left: &u64| *left > 0, job, |flow, job| {
    ///         let later = flow.sleep("pause", secs(10), job);
    ///         flow.step("ask", ask, later)
    ///     })
    /// })?;
    /// # Ok::<(), fastn_core::PlanFaults>(())
    /// ```
    pub fn repeat<T: Value>(
        self,
        name: &str,
        most: u32,
        predicate: impl Fn(&T) -> bool + Send + Sync + 'static,
        value: Out<'f, T>,
        body: impl for<'b> FnOnce(Flow<'b>, Out<'b, T>) -> Out<'b, T>,
    ) -> Out<'f, T> {
        let body = write(self.shared, body);
        let mut node = scope::node::<T>(name, DraftKind::Repeat { body, most });
        node.work = self.keep(functions(Some(builtin::decide(predicate)), None, None));
        self.add(node, value.wires())
    }

    /// Fails with a kind of one's own, which policies and [`catch`](crate::Attempting::catch) can name; the value is the message: a text
    /// as it stands, anything else as JSON. What it stands in fails, and the run if nothing contains that.
    ///
    /// It gives nothing, and so its port is one of whatever is wanted.
    ///
    /// ```
    /// # use fastn_workflow::workflow;
    /// let check = workflow("check").define(|flow, left| {
    ///     let none = |left: &u64| *left == 0;
    ///     flow.when("none left", none, left, |flow, left| flow.fail("stop", "sold_out", left), |_, left| left)
    /// })?;
    /// # Ok::<(), fastn_core::PlanFaults>(())
    /// ```
    pub fn fail<M: Value, T>(self, name: &str, kind: impl Into<FailureKind>, message: Out<'f, M>) -> Out<'f, T> {
        self.add(scope::node::<T>(name, DraftKind::Fail(kind.into())), message.wires())
    }

    /// Several ports as one value, a tuple, for verbs that take one.
    ///
    /// ```
    /// # use fastn_workflow::workflow;
    /// let add = workflow("add").define(|flow, x| {
    ///     let step = flow.constant(2_u64);
    ///     let pair = flow.join("pair", (x, step));
    ///     let odd = |(x, _): &(u64, u64)| x % 2 == 1;
    ///     flow.when("odd", odd, pair, |_, pair| pair, |flow, _| flow.constant((0, 0)))
    /// })?;
    /// # Ok::<(), fastn_core::PlanFaults>(())
    /// ```
    pub fn join<In>(self, name: &str, ports: In) -> Out<'f, In::Values>
    where
        In: Inputs<'f>,
        In::Values: Value,
    {
        let mut node = scope::node::<In::Values>(name, DraftKind::Step);
        node.work = self.keep(functions(Some(builtin::tuple()), None, None));
        self.add(node, ports.wires())
    }

    /// A value that is the same in every run. It is part of the plan, so another value makes another plan.
    ///
    /// A value that JSON cannot hold is a fault of the plan.
    pub fn constant<T: Serialize>(self, value: T) -> Out<'f, T> {
        let value = Payload::encode(&value).unwrap_or_else(|error| {
            let of = short::type_name::<T>().into_owned();
            let why = error.chain().pop().unwrap_or_default();
            self.shared.borrow_mut().faults.push(PlanFault::Constant { of, why });
            Payload::null()
        });
        Out::new(self.scope.borrow_mut().add_constant(value))
    }

    /// Lets a function write a scope of its own inside of this flow.
    pub(crate) fn inside<T, U>(self, body: impl for<'b> FnOnce(Flow<'b>, Out<'b, T>) -> Out<'b, U>) -> DraftScope {
        write(self.shared, body)
    }

    fn add_work<T, By>(
        self,
        name: &str,
        kind: DraftKind,
        function: Option<Arc<dyn StepFn>>,
        parts: Parts<'f, By>,
        wires: Vec<Wire>,
    ) -> Out<'f, T> {
        let mut node = scope::node::<T>(name, kind);
        node.policy = parts.policy;
        node.work = self.keep(functions(function, parts.undo, parts.on_error));
        Out::new(self.scope.borrow_mut().add(node, wires, &parts.after))
    }

    pub(crate) fn add<T>(self, node: DraftNode, wires: Vec<Wire>) -> Out<'f, T> {
        Out::new(self.scope.borrow_mut().add(node, wires, &[]))
    }

    pub(crate) fn keep(self, functions: Option<Functions>) -> Option<WorkIx> {
        functions.and_then(|functions| self.shared.borrow_mut().keep(functions))
    }
}

impl fmt::Debug for Flow<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Flow")
    }
}

/// Lets a function write a scope of its own.
pub(crate) fn write<T, U>(
    shared: &RefCell<Shared>,
    body: impl for<'f> FnOnce(Flow<'f>, Out<'f, T>) -> Out<'f, U>,
) -> DraftScope {
    let scope = RefCell::new(Scope::default());
    let output = body(Flow::new(&scope, shared), Out::new(Place::Input)).place;
    scope.into_inner().into_draft::<T, U>(output)
}
