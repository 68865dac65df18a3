//! Where randomness comes from: jitter and run ids.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};

use fastn_core::{RunId, Timestamp};

/// A stream of random numbers (SplitMix64), shared between threads. The same seed gives the same stream. Nothing secret
/// may be made of it.
#[derive(Debug)]
pub(crate) struct Chance(AtomicU64);

impl Chance {
    pub(crate) const fn seeded(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    /// Seeded by the operating system, through the standard library's hash keys.
    pub(crate) fn from_system() -> Self {
        let mut hasher = RandomState::new().build_hasher();
        hasher.write_u32(std::process::id());
        Self::seeded(hasher.finish())
    }

    pub(crate) fn next(&self) -> u64 {
        const STEP: u64 = 0x9E37_79B9_7F4A_7C15;
        let mut z = self.0.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(crate) fn run_id(&self, now: Timestamp) -> RunId {
        let mut bytes = [0; 10];
        let (a, b) = (self.next().to_le_bytes(), self.next().to_le_bytes());
        for (place, byte) in bytes.iter_mut().zip(a.into_iter().chain(b)) {
            *place = byte;
        }
        RunId::at(now, bytes)
    }
}
