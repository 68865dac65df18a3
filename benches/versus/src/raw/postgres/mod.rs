//! What lies below a store on Postgres, by hand: tokio-postgres, and one table that only grows.

mod cases;
mod connection;
mod lane;

pub use cases::measure;
