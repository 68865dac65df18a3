//! Private servers: a test or a bench that needs one starts it, and it is gone when the process is.
//!
//! ```no_run
//! use fastn_testkit::server::PrivatePostgres;
//!
//! let url = PrivatePostgres::shared()?.database("a_test_of_mine")?;
//! // … connect to `url`: nobody else does.
//! # Ok::<(), fastn_core::Error>(())
//! ```
//!
//! | file | what it knows |
//! |---|---|
//! | `postgres` | the server as its users see it |
//! | `settings` | what can be chosen |
//! | `binaries` | where PostgreSQL's programs are |
//! | `install` | how they are got where there are none |
//! | `folder` | the folder a server lives in, and the user it runs as |
//! | `launch` | the way from an empty folder to a server that accepts connections |
//! | `guard` | the process that stops a server and removes its folder, also when this process was killed |
//! | `command` | how programs are run |
//! | `proxy` | a way to a server that can be cut |

mod binaries;
mod command;
mod folder;
mod guard;
mod install;
mod launch;
mod postgres;
mod proxy;
mod settings;

pub use postgres::PrivatePostgres;
pub use proxy::{Cut, Proxy};
pub use settings::PostgresSettings;
