//! What all rooms of the engine share.
//!
//! | room | what is there |
//! |---|---|
//! | `core` | what an engine is made of, and whether it goes on |
//! | `memory` | the runs in memory, and who waits for those that are not |
//! | `closing` | how an engine ends |

mod closing;
#[allow(clippy::module_inception, reason = "it is what the folder is about")]
mod core;
mod memory;

pub(super) use core::{Admitted, Core, Served};
