//! A workflow that is run again and again, and dies each time at another place.
//!
//! The process that runs it dies before or after each call to its store; another opens the store and finishes the run.
//! What steps did to the world is counted and held against what is promised:
//!
//! * A result that is recorded is there for good, and what is recorded never runs again.
//! * What the death cut off runs again, so an effect takes place once or twice, and no more than once more for each death.
//!   A step that is *at most once* never takes place twice; its outcome may be unknown.
//! * A step begins only when the results it follows are recorded, unless those steps chose
//!   [`Relaxed`](fastn_core::Durability::Relaxed).
//! * A start that was acknowledged is there, and one that was not can be made again and makes no second run.
//! * Every run ends, and as it does without a death. Then what was done is undone exactly if the run failed.
//!
//! ```
//! use fastn_testkit::{Effects, sweep::CrashSweep};
//! # use fastn_workflow::{Work as _, workflow};
//! # fn step(effects: &Effects, name: &'static str) -> impl Fn(u64) -> std::future::Ready<Result<u64, std::io::Error>> + Clone + Send + Sync + 'static {
//! #     let effects = effects.clone();
//! #     move |n| { effects.note(name); std::future::ready(Ok(n + 1)) }
//! # }
//! let effects = Effects::default();
//! let shop = workflow("shop").define(|flow, n| {
//!     let order = flow.step("order", step(&effects, "order"), n);
//!     flow.step("pay", step(&effects, "pay"), order)
//! })?;
//!
//! let start = |engine: &fastn_runtime::Engine| engine.start(&shop, 7).key("order 7");
//! let swept = CrashSweep::new(&effects, |builder| builder.serve(&shop), start).run()?;
//! assert!(swept.deaths > 10 && swept.repeated["pay"] > 0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod ledger;
mod lives;
mod mortal;
mod promises;
mod report;

pub use lives::CrashSweep;
pub use report::{BrokenPromise, Swept};
