//! The typed language of fastn.
//!
//! A workflow is a function over *ports*. A port stands for a value that a run will have: the run's input, or what a
//! step gives. Steps are plain `async` functions, and the compiler checks that each is given what it takes:
//!
//! ```
//! use fastn_workflow::{Work as _, secs, workflow};
//! # use std::io::Error;
//! # type Order = Vec<u32>; type Quote = u32; type Hold = u64; type Receipt = String;
//!
//! async fn fetch(id: String) -> Result<Order, Error> { Ok(vec![]) }
//! async fn price(order: Order) -> Result<Quote, Error> { Ok(7) }
//! async fn reserve(order: Order) -> Result<Hold, Error> { Ok(1) }
//! async fn release(hold: Hold) -> Result<(), Error> { Ok(()) }
//! async fn charge(quote: Quote, hold: Hold) -> Result<Receipt, Error> { Ok("paid".into()) }
//!
//! let checkout = workflow("checkout").version(3).define(|flow, id| {
//!     let order = flow.step("fetch", fetch, id);
//!     let quote = flow.step("price", price, order);
//!     let hold = flow.step("reserve", reserve.undo(release), order);
//!     flow.step("charge", charge.retry(5).within(secs(10)), (quote, hold))
//! })?;
//! assert_eq!(
//!     checkout.plan().to_string(),
//!     "checkout v3\n\
//!      ├─ fetch(input)\n\
//!      ├─ price(fetch)\n\
//!      ├─ reserve(fetch) undo\n\
//!      └─ charge(price, reserve) retry 5 within 10s\n\
//!      -> charge"
//! );
//! # Ok::<(), fastn_core::PlanFaults>(())
//! ```
//!
//! * The **verbs** are methods of [`Flow`]: [`step`](Flow::step), [`call`](Flow::call), [`when`](Flow::when),
//!   [`each`](Flow::each), [`repeat`](Flow::repeat), [`attempt`](Flow::attempt), [`race`](Flow::race), [`sleep`](Flow::sleep),
//!   [`wait`](Flow::wait), [`run`](Flow::run), [`fail`](Flow::fail), and
//!   [`join`](Flow::join) and [`constant`](Flow::constant) for values. A part of a flow that deserves a name is a function that takes a [`Flow`] and ports and gives a port.
//! * The **adverbs** are methods of the work itself ([`Work`]): `charge.retry(5)`, `reserve.undo(release)`.
//! * The macros [`workflow!`], [`step!`], [`call!`], [`wait!`] and [`run!`] write the same as calls: `step!(flow, "price", price(order))`.
//! * A port exists only after its step, so no cycle can be written; it belongs to its flow, so no port of another flow
//!   and none from outside an arm or a body can be used. What is left to check at run time are names.
//! * A graph that is known only at run time is built with [`Graph`], by names and without types.

mod adorned;
mod builtin;
mod contained;
mod dynamic;
mod flow;
mod handler;
mod list;
mod passing;
mod port;
mod scope;
mod short;
mod span;
mod sugar;
mod wiring;
mod work;
mod workflow;

pub use crate::adorned::{Action, Adorned, Function, Launched, Told};
pub use crate::contained::{Attempting, Racing};
pub use crate::dynamic::{Graph, GraphNode};
pub use crate::flow::Flow;
pub use crate::handler::{Finally, Handler, OnError, Undo};
pub use crate::list::{AtMost, List, Tolerating};
pub use crate::passing::{Async, Recordable, StepFuture, StepResult, Value};
pub use crate::port::{Inputs, Out};
pub use crate::span::{days, hours, millis, minutes, secs};
pub use crate::wiring::{Step, Takes};
pub use crate::work::Work;
pub use crate::workflow::{WorkflowBuilder, workflow};
