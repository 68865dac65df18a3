//! Who does something.

/// Under which lease.
#[derive(Clone, Copy, Debug)]
pub(super) enum By {
    /// The one in force.
    Own,
    /// The one before.
    Old,
    /// That of the second executor.
    Other,
    Nobody,
}
