//! What is kept of what a program prints: its beginning, and the objects among its lines.

use fastn_connectors::process::fuzzing::output;
use serde_json::Value;

pub(crate) const WORDS: &[&str] =
    &["\n", "\r\n", "{}\n", "{\"a\":1}\n", "[1]\n", "{\"a\":\"\\ud800\"}", "\u{feff}{}", "{\"a\":{\"b\":{", "\u{fffd}"];

/// How many bytes, bytes of a line and objects are kept, and the size of the chunks; then the text.
pub(crate) fn run(bytes: &[u8]) {
    let [most, longest, objects, size, text @ ..] = bytes else { return };
    let most = [most, longest, objects].map(|most| usize::from(*most));
    let found = output(most, text.chunks(usize::from(*size).max(1)));
    assert_eq!(found, output(most, [text].into_iter()), "what is kept does not depend on chunks");
    let [most, longest, objects] = most;
    let (kept, read, truncated) = found.expect("a step has a name");
    let head = text.get(..most).unwrap_or(text);
    assert_eq!(kept, String::from_utf8_lossy(head), "the beginning is kept");
    assert!(read.len() <= objects);
    let lines = text.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let there: Vec<&[u8]> = lines.filter(|line| matches!(serde_json::from_slice(line), Ok(Value::Object(_)))).collect();
    assert!(read.len() <= there.len(), "an object is a line");
    for (read, line) in read.iter().zip(&there) {
        if !truncated {
            assert_eq!(serde_json::from_slice::<Value>(line).expect("an object"), Value::Object(read.clone()));
        }
    }
    assert!(truncated || (text.len() <= most && read.len() == there.len()), "what is missing is told");
    assert!(
        !truncated
            || text.len() > most
            || there.len() > read.len()
            || text.split(|byte| *byte == b'\n').any(|line| line.len() > longest)
    );
}
