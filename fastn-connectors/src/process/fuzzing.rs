//! A door to a private parser, for fastn-fuzz. No part of the interface: it comes and goes.

use super::lines::Lines;

/// The lines in chunks of output, and of each whether some of it is missing.
pub fn lines<'a>(longest: usize, chunks: impl Iterator<Item = &'a [u8]>) -> Vec<(Vec<u8>, bool)> {
    let (mut lines, mut found) = (Lines::new(longest), Vec::new());
    chunks.for_each(|chunk| lines.push(chunk, |line| found.push((line.bytes, line.cut))));
    found.extend(lines.finish().map(|line| (line.bytes, line.cut)));
    found
}
