#![doc = include_str!("../README.md")]
//!
//! # A tour
//!
//! ## A workflow is a function over ports
//!
//! A *port* stands for a value a run will have. Verbs of the [`Flow`](flow::Flow) make steps and give ports; adverbs
//! belong to the work. What comes out is a [`Workflow`](core::Workflow): a checked [plan](core::Plan) with its
//! functions.
//!
//! ```
//! use fastn::prelude::*;
//!
//! async fn lines(order: String) -> Result<Vec<u32>, StepError> { Ok(vec![1, 2, 3]) }
//! async fn pack(line: u32) -> Result<u32, StepError> { Ok(line * 10) }
//! async fn review(total: u32) -> Result<u32, StepError> { Ok(total) }
//! async fn sum(boxes: Vec<u32>) -> Result<u32, StepError> { Ok(boxes.iter().sum()) }
//!
//! let parcel = workflow("parcel").define(|flow, order| {
//!     let lines = flow.step("lines", lines, order);
//!     let boxes = flow.each("pack", lines.at_most(2), |flow, line| flow.step("box", pack, line));
//!     let total = flow.step("sum", sum, boxes);
//!     flow.when("large", |total: &u32| *total > 50, total, |flow, t| flow.step("review", review, t), |_, t| t)
//! })?;
//! assert_eq!(parcel.plan().nodes().len(), 6);
//! println!("{}", parcel.plan().to_mermaid());
//! # Ok::<(), PlanFaults>(())
//! ```
//!
//! ## An engine runs it
//!
//! [`Engine::builder`](runtime::Engine::builder) takes a store, the workflows to serve and the connectors they call.
//! Without a store the engine is *ephemeral*: it runs plans in memory and records nothing.
//!
//! ```
//! use fastn::prelude::*;
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
//! let shout = workflow("shout").define(|flow, text: Out<'_, String>| {
//!     flow.step("shout", |text: String| async move { Ok::<_, StepError>(text.to_uppercase()) }, text)
//! })?;
//! let engine = Engine::builder().serve(&shout).open().await?;
//! assert_eq!(engine.start(&shout, "hello".to_owned()).await?.output().await?, "HELLO");
//! # engine.shutdown().await }
//! ```
//!
//! ## What is promised
//!
//! | subject | promise |
//! |---|---|
//! | a recorded result | its step never runs again; successors start only after it is durable, unless the step chose [`Durability::Relaxed`](core::Durability::Relaxed) |
//! | an effect | at least once; the window is one step wide; in an `each` 16 items, for each that may be under way. [`Durability::AtMostOnce`](core::Durability::AtMostOnce): at most once; after a crash in between the outcome is unknown, and its `on_error` or a [person](runtime::Runs::decide) decides |
//! | idempotency | every attempt of a step sees the same [key](core::StepInfo::idempotency_key); starting a run with a known id attaches, or is a [conflict](core::ErrorKind::Conflict) if the input differs |
//! | failure | finished steps with an undo are undone, last first; what cannot be undone is [stuck](store::RunStatus::Stuck), never silent |
//! | cancellation | running steps are stopped, finished ones undone |
//! | shutdown | running steps are given time to end, then everything is dropped; the next engine goes on |
//!
//! ## Where the parts are
//!
//! * [`prelude`]: what most programs need.
//! * [`flow`]: the language. * [`core`]: its vocabulary. * [`runtime`]: the engine. * [`store`]: where runs are kept.
//!   * [`connectors`]: actions on the world outside. * `schedule`: when something is due, for `engine.schedules()`.
//!
//! ## Features
//!
//! * `sqlite` (default): the SQLite store, with the SQLite library compiled in.
//! * `postgres`: the Postgres store, for more than one executor.
//! * `redis`: `store::ReadCache`, a cache in Redis before any store, for hosts that look at runs often:
//!   `Engine::builder().store("postgres://…").read_through(ReadCache::redis("redis://…")?)`.
//! * `schedules`: runs that are started when they are due: cron expressions, intervals, dates, in time zones.
//! * `documents`: `fastn::documents`, workflows as JSON and YAML with jq expressions, for flows that a host's own users write.
//! * `http`: the HTTP connector. * `process`: the connector that runs commands.
//!
//! ## Not included
//!
//! A server, a scheduler process, a control plane, replay of user code.

pub mod prelude;

pub use fastn_connectors as connectors;
pub use fastn_core as core;
#[cfg(feature = "documents")]
pub use fastn_document as documents;
pub use fastn_runtime as runtime;
#[cfg(feature = "schedules")]
pub use fastn_schedule as schedule;
pub use fastn_store as store;
pub use fastn_workflow as flow;
