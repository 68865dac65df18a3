//! Simulated worlds: the real engine on a clock of their own, with a scheduler that a seed decides, and a store that is
//! slow, fails, and loses its answers.
//!
//! In a world, processes open engines on one store, start runs, cancel them wherever they are, wait for them, shut down,
//! die, and are held up for longer than their leases last, lose them, and come back with others. Everything happens on one thread, in an order that chance decides; when nobody
//! can go on, it is later. What happens is held against what is promised, at every call of a step and every write; see
//! [`Invariant`]. In the end all is calm, and every run must come to its end.
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
mod invariant;
mod mail;
mod process;
mod reading;
mod receives;
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
