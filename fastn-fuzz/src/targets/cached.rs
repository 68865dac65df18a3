//! What a Redis gives back.

use fastn_store::fuzzing::{cached, opened, sealed};

/// That of a database that has put nothing there.
const SECRET: [u8; 32] = [0x5A; 32];

/// The first byte says which sort of answer the rest may be.
pub(crate) fn run(bytes: &[u8]) {
    assert_eq!(opened(&SECRET, "key", bytes), None, "it was not sealed with this secret");
    let Some((sort, rest)) = bytes.split_first() else { return };
    if let Some(written) = cached(*sort, rest) {
        assert_eq!(cached(*sort, &written).as_deref(), Some(&*written), "it was written");
    }
    let time = i64::try_from(rest.len()).expect("few bytes") - 100;
    let mut value = sealed(&SECRET, "key", time, rest);
    assert_eq!(opened(&SECRET, "key", &value), Some((time, rest.to_vec())));
    let at = usize::from(*sort) % value.len();
    value[at] ^= 1 << (sort % 8);
    assert_eq!(opened(&SECRET, "key", &value), None, "byte {at} was changed");
}
