//! The C ABI of fastn: see `include/fastn.h`.
//!
//! The only crate of the workspace where `unsafe` may be written. So far it tells the version and the meaning of error
//! codes; the numbers are those of [`fastn_core::ErrorKind`].

mod errors;
mod version;

pub use errors::fastn_error_text;
pub use version::fastn_version;
