//! Lines out of chunks, none longer than a limit.

/// Splits chunks into lines. Of a line that is too long the beginning is kept.
pub(super) struct Lines {
    max: usize,
    line: Vec<u8>,
    cut: bool,
}

/// A line without its end.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) bytes: Vec<u8>,
    /// Whether some of it is missing.
    pub(super) cut: bool,
}

impl Lines {
    pub(super) fn new(max: usize) -> Self {
        Self { max, line: Vec::new(), cut: false }
    }

    /// Takes a chunk and gives the lines that end in it to `each`.
    pub(super) fn push(&mut self, chunk: &[u8], mut each: impl FnMut(Line)) {
        for piece in chunk.split_inclusive(|&b| b == b'\n') {
            let (text, ends) = match piece.strip_suffix(b"\n") {
                Some(text) => (text, true),
                None => (piece, false),
            };
            let room = self.max - self.line.len();
            self.line.extend(text.iter().take(room));
            self.cut |= text.len() > room;
            if ends {
                each(self.end());
            }
        }
    }

    /// The last line, if it has no end of its own.
    pub(super) fn finish(&mut self) -> Option<Line> {
        if self.line.is_empty() && !self.cut { None } else { Some(self.end()) }
    }

    fn end(&mut self) -> Line {
        let mut line = Line { bytes: std::mem::take(&mut self.line), cut: std::mem::take(&mut self.cut) };
        if line.bytes.last() == Some(&b'\r') {
            line.bytes.pop();
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_do_not_depend_on_chunks() {
        let text = b"one\r\n\nthe third\nfour";
        for size in 1..=text.len() {
            let (mut lines, mut found) = (Lines::new(5), Vec::new());
            text.chunks(size).for_each(|chunk| lines.push(chunk, |line| found.push(line)));
            found.extend(lines.finish());
            let shown: Vec<_> = found.iter().map(|l| (String::from_utf8_lossy(&l.bytes).into_owned(), l.cut)).collect();
            let expected = [("one", false), ("", false), ("the t", true), ("four", false)];
            assert_eq!(shown, expected.map(|(text, cut)| (text.to_owned(), cut)), "chunks of {size}");
        }
    }
}
