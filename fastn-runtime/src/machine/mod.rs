//! The state of one run, as a pure function of what was recorded of it.
//!
//! Events in, actions out. Nothing here reads a clock, draws a number or touches a store, so live running, recovery and
//! simulation are the same code: [`Machine::advance`] applies an event and adds the events that follow from it,
//! [`Machine::replay`] applies what was recorded, and both go through one `apply`. The cost of an event is the
//! out-degree of its node, never the size of the plan.

mod apply;
mod arms;
mod cell;
mod children;
mod contain;
mod contained;
mod decide;
mod doing;
mod each;
mod ending;
mod guard;
mod hand;
mod inbox;
mod inherit;
mod items;
mod judge;
mod list;
mod locate;
mod pause;
mod poison;
mod race;
mod repeat;
mod resume;
mod rounds;
mod signals;
mod slot;
mod state;
mod turn;
mod undo;
mod unwind;

pub use doing::{Activity, Doing};
pub use inherit::inherit;
pub use state::Machine;
pub(crate) use state::status_of;
pub use turn::{Action, AttemptId, Task, Turn};
