//! What people and programs do to runs, wherever they are, and who did it.
//!
//! | room | what is there |
//! |---|---|
//! | `deed` | what can be done |
//! | `order` | handing it to the run, here or by a message to whoever has it |
//! | `ledger` | who did what and why, as it is kept beside runs: written before it is done |
//! | `bulk` | doing it to many |
//! | `fork` | new runs that begin with what another one has done |
//! | `audit` | what hosts read of that |
//! | `look` | what runs were told while nobody had them, for whoever takes them over |
//!
//! What changes a run is recorded in the run with who did it and why. The ledger is for those who look over all runs.

mod audit;
mod bulk;
mod deed;
mod fork;
#[cfg(feature = "fuzzing")]
pub(super) mod fuzzing;
pub(super) mod ledger;
pub(super) mod look;
mod order;

pub(super) use audit::list as audit;
pub use audit::{AuditMark, AuditPage, AuditQuery, Audited};
pub use bulk::{Matching, RunFilter, Steered, Steering};
pub use deed::Deed;
pub use fork::Fork;

pub(super) use bulk::{matching, steer_all};
pub(super) use fork::fork;
pub(super) use order::{cancel, decide, pause, plan, resume};
