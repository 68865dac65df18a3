//! Connectors of fastn: actions on the world outside, described, typed, and looked up by name.
//!
//! * [`Connector`] is the contract: it [describes](Description) itself and executes a [`Call`];
//! * [`typed`] makes one out of typed functions;
//! * a [`Registry`] holds the connectors of one engine, checks that the actions a plan uses exist, and calls them;
//! * [`echo`], `http` and `process` are built in, the latter two behind features of these names.
//!
//! A connector of one's own:
//!
//! ```
//! use fastn_connectors::{Registry, typed};
//! use fastn_core::{Op, StepCx};
//! # #[derive(serde::Serialize, serde::Deserialize)]
//! # struct Message { channel: String, text: String }
//! # #[derive(serde::Serialize, serde::Deserialize)]
//! # struct Posted { id: String }
//!
//! const POST: Op<Message, Posted> = Op::new("slack", "post");
//!
//! let slack = typed("slack")
//!     .summary("Messages to people")
//!     .op(POST, |cx: StepCx, message: Message| async move {
//!         // The same for every attempt, so the other side can tell a second try from a second message.
//!         let key = cx.info().idempotency_key();
//!         Ok(Posted { id: format!("{}:{key}", message.channel) })
//!     })
//!     .build()?;
//! let registry = Registry::new().with(slack)?;
//! registry.check([&POST.action()].into_iter())?;
//! # Ok::<(), fastn_core::Error>(())
//! ```

mod connector;
mod describe;
pub mod echo;
#[cfg(feature = "http")]
pub mod http;
#[cfg(all(feature = "process", unix))]
pub mod process;
mod registry;
mod typed;

pub use crate::connector::{Call, Connector};
pub use crate::describe::{Action, Description};
pub use crate::registry::Registry;
pub use crate::typed::{Typed, TypedBuilder, typed};
