//! What of this process is in memory.

use std::fs;

use crate::Fallible;

/// Bytes of this process that are in memory. A page has 4096 bytes on the machines we measure on.
pub fn resident() -> Fallible<f64> {
    let statm = fs::read_to_string("/proc/self/statm")?;
    let pages: f64 = statm.split(' ').nth(1).ok_or("statm has no second number")?.parse()?;
    Ok(pages * 4096.0)
}

/// From now on [`peak_since_reset`] counts anew.
pub fn reset_peak() -> Fallible<()> {
    Ok(fs::write("/proc/self/clear_refs", "5")?)
}

/// The most bytes that were in memory at a time since [`reset_peak`].
pub fn peak_since_reset() -> Fallible<f64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM")?;
    let kib: f64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kib * 1024.0)
}
