//! The one door from a draft to a plan.
//!
//! | room | what is there |
//! |---|---|
//! | `door` | what hosts call, and how large a draft may be |
//! | `scope` | one scope: names, edges, types, output |
//! | `kinds` | what each kind of node needs |
//! | `cycles` | nodes that wait for each other, and those that wait for them |
//! | `signals` | what is waited for, of all scopes together |
//! | `number` | from a faultless draft to the plan |

mod cycles;
mod door;
mod kinds;
mod number;
mod scope;
mod signals;

pub use door::Limits;
