//! What steps did to the world, as steps tell it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// What steps did, in order. Clones are the same list.
///
/// A step notes its name, by its path in the plan, where its effect takes place: `effects.note("charge")`. Its undo notes
/// `undo charge`, and its `on_error` function `on_error charge`.
#[derive(Clone, Debug, Default)]
pub struct Effects(Arc<Mutex<Vec<String>>>);

impl Effects {
    /// Notes an effect.
    pub fn note(&self, what: impl Into<String>) {
        self.list().push(what.into());
    }

    /// How often an effect was noted.
    pub fn count(&self, what: &str) -> usize {
        self.list().iter().filter(|noted| *noted == what).count()
    }

    /// Everything that was noted since this was last asked, in order.
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.list())
    }

    /// As [`Effects::take`], counted.
    pub(crate) fn take_counts(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        self.take().into_iter().for_each(|what| *counts.entry(what).or_default() += 1);
        counts
    }

    fn list(&self) -> std::sync::MutexGuard<'_, Vec<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
