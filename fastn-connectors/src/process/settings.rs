//! What holds for all commands of a connector.

use std::time::Duration;

/// The programs that are allowed, the limits of what is kept of their output, and how they are stopped.
pub(super) struct Settings {
    /// Empty if all are.
    pub(super) programs: Vec<String>,
    pub(super) max_output_bytes: usize,
    pub(super) max_line_bytes: usize,
    pub(super) max_lines: usize,
    pub(super) grace: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            programs: Vec::new(),
            max_output_bytes: 1024 * 1024,
            max_line_bytes: 64 * 1024,
            max_lines: 1_000,
            grace: Duration::from_secs(2),
        }
    }
}
