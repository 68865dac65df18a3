//! Private servers: a test or a bench that needs one starts it, and it is gone when the process is.
//!
//! ```no_run
//! # #[cfg(feature = "postgres-server")]
//! # fn example() -> Result<(), fastn_core::Error> {
//! use fastn_testkit::server::PrivatePostgres;
//!
//! let url = PrivatePostgres::shared()?.database("a_test_of_mine")?;
//! // … connect to `url`: nobody else does.
//! # Ok(()) }
//! ```
//!
//! | file | what it knows |
//! |---|---|
//! | `postgres` | a PostgreSQL server as its users see it |
//! | `settings` | what can be chosen of it |
//! | `binaries` | where PostgreSQL's programs are |
//! | `install` | how they are got where there are none |
//! | `ground` | what it needs before it is there |
//! | `launch` | the way from an empty folder to a server that accepts connections |
//! | `redis` | a Redis server as its users see it |
//! | `redis_program` | where its program is, and how it is got where there is none |
//! | `redis_words` | what is said to it, and what it answers |
//! | `folder` | the folder a server lives in, and the user it runs as |
//! | `guard` | the process that stops a server and removes its folder, also when this process was killed |
//! | `command` | how programs are run |
//! | `patience` | waiting for processes |
//! | `proxy` | a way to a server that can be cut |

#[cfg(feature = "postgres-server")]
mod binaries;
mod command;
mod folder;
#[cfg(feature = "postgres-server")]
mod ground;
mod guard;
#[cfg(feature = "postgres-server")]
mod install;
#[cfg(feature = "postgres-server")]
mod launch;
mod patience;
#[cfg(feature = "postgres-server")]
mod postgres;
mod proxy;
#[cfg(feature = "redis-server")]
mod redis;
#[cfg(feature = "redis-server")]
mod redis_program;
#[cfg(feature = "redis-server")]
mod redis_words;
#[cfg(feature = "postgres-server")]
mod settings;

#[cfg(feature = "postgres-server")]
pub use postgres::PrivatePostgres;
pub use proxy::{Cut, Proxy, Said};
#[cfg(feature = "redis-server")]
pub use redis::PrivateRedis;
#[cfg(feature = "redis-server")]
pub use redis_words::Answer;
#[cfg(feature = "postgres-server")]
pub use settings::PostgresSettings;
