//! Places that are counted round and round, so that they make sense whatever was done before.

/// A place among so many; `None` if there are none.
pub(super) fn place(number: u64, count: usize) -> Option<usize> {
    usize::try_from(number.checked_rem(count as u64)?).ok()
}
