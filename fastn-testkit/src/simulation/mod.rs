//! Simulated worlds: the real engine on a clock of their own, with a scheduler that a seed decides, and a store that is
//! slow, fails, and loses its answers.
//!
//! In a world, processes open engines on one store, start runs, cancel them wherever they are, wait for them, shut down,
//! die, and are held up for longer than their leases last, lose them, and come back with others. Everything happens on one thread, in an order that chance decides; when nobody
//! can go on, it is later. What happens is held against what is promised, at every call of a step and every write; see
//! [`Invariant`]. In the end all is calm, and every run must come to its end.
//!
//! A store that keeps its word tears no batch: what it was asked to write together is there or not. What its callers meet
//! instead, and worlds have, is
//! - a process that dies while it commits, after which all of the group is there, or nothing of it;
//! - groups that are under way beside each other, of which one comes to be there and another does not, or both do and only
//!   one is answered;
//! - a write that is not taken, for which the store refuses its group: the engine tries each write by itself, and some are
//!   taken and others refused, or the process dies between them.
//!
//! A store that does leave half a batch behind breaks its word, and [is found](Invariant::StoreKeepsItsWord).
//!
//! One seed is one world, always the same: a failure is found again by its number.
//!
//! ```
//! use fastn_testkit::simulation::Simulation;
//! # use fastn_workflow::{Work as _, workflow};
//! # async fn reserve(n: u64) -> Result<u64, std::io::Error> { Ok(n) }
//! # async fn release(_: u64) -> Result<(), std::io::Error> { Ok(()) }
//! # async fn charge(n: u64) -> Result<u64, std::io::Error> { Ok(n) }
//! let shop = workflow("shop").define(|flow, n| {
//!     let hold = flow.step("reserve", reserve.undo(release), n);
//!     flow.step("charge", charge.retry(3), hold)
//! })?;
//!
//! let simulated = Simulation::of(&shop, |number| number).seeds(0..50).run()?;
//! assert!(simulated.lives > simulated.worlds, "processes died, and others went on");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod begins;
mod calls;
mod clock;
mod episode;
mod executor;
mod facts;
mod improvised;
mod inbox;
mod intake;
mod invariant;
mod mail;
mod process;
mod reading;
mod receives;
mod refusals;
mod report;
mod rules;
mod script;
mod simulator;
mod steps;
mod store;
mod truth;
mod weather;
mod world;

pub use invariant::Invariant;
pub use report::{BrokenInvariant, Simulated, World};
pub use simulator::Simulation;
