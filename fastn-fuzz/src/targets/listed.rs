//! Items that hosts give, which are put together to the list that is a run's input.

use fastn_store::fuzzing::listed;
use serde_json::Value;

pub(crate) const WORDS: &[&str] = &[
    "\n",
    "1,2",
    "],[",
    "\"a\"",
    "{\"a\":[]}",
    "\\u0000",
    "\\ud800",
    "1e999",
    "-0",
    " ",
    "\u{feff}",
    "null",
    "[[[[[[[[",
];

/// An item in each line.
pub(crate) fn run(bytes: &[u8]) {
    let items: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').filter(|item| listed(item)).collect();
    let list = [&b"["[..], &items.join(&b','), b"]"].concat();
    let read: Vec<Value> = serde_json::from_slice(&list).expect("a list of what may be in one");
    assert_eq!(read.len(), items.len(), "no item is two, and none is lost");
    for (item, read) in items.iter().zip(&read) {
        let alone: Value = serde_json::from_slice(item).expect("what may be in a list is a value");
        assert_eq!(alone, *read, "an item is the same in a list as by itself");
    }
}
