//! What hosts look through.

use std::fmt;
use std::sync::Arc;

use fastn_core::Result;

use super::Store;

/// Stands before a store for those who only look: hosts that list and inspect runs. An engine decides by the store itself and
/// never by what comes from here, so what this tells may be old.
///
/// # Contract
/// * Everything goes to the store but reads whose answer is known, and every answer was true within the time that the
///   implementation names. What was done through this same value is not missed.
/// * It fails only where the store does: what it keeps answers in may be gone at any moment.
pub trait ReadThrough: fmt::Debug + Send + Sync + 'static {
    /// A store that is this one with its reads answered from elsewhere where they can be. It is called on a tokio runtime;
    /// closing what it gives closes the store.
    ///
    /// # Errors
    /// [`Invalid`](fastn_core::ErrorKind::Invalid) if what was said of it makes no sense; not if what it needs cannot be
    /// reached.
    fn before(&self, store: Arc<dyn Store>) -> Result<Arc<dyn Store>>;
}
