//! What a program prints, cut into lines.

use fastn_connectors::process::fuzzing::lines;

/// The first byte is the longest line, the second the size of the chunks.
pub(crate) fn run(bytes: &[u8]) {
    let [longest, size, text @ ..] = bytes else { return };
    let longest = usize::from(*longest);
    let found = lines(longest, text.chunks(usize::from(*size).max(1)));
    assert_eq!(found, lines(longest, [text].into_iter()), "lines do not depend on chunks");
    let ends = text.iter().filter(|byte| **byte == b'\n').count();
    assert!(found.len() == ends || found.len() == ends + 1);
    assert!(found.iter().all(|(line, _)| line.len() <= longest && !line.contains(&b'\n')));
}
