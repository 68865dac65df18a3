//! A row of SQLite's journal: the turns of many runs in one commit.

use fastn_store::fuzzing::{Entry, journal_entries, put_together, write_journal_entries};

pub(crate) fn run(bytes: &[u8]) {
    let Ok(entries) = journal_entries(bytes) else { return };
    let records: usize = entries.iter().map(|entry| entry.records.len()).sum();
    assert!(entries.len() + records <= bytes.len(), "what was read is in the bytes");
    let written = write_journal_entries(&entries).expect("memory does not fail");
    assert_eq!(journal_entries(&written).expect("it was written"), entries);
    // What a reader makes of a run: records in a row, or an error.
    for run in entries.iter().map(|entry| entry.run).take(4) {
        let of_run: Vec<&Entry> = entries.iter().filter(|entry| entry.run == run).collect();
        if let Ok(records) = put_together(&of_run) {
            let end = of_run.iter().map(|entry| entry.first + entry.count).max().unwrap_or(0);
            assert_eq!(records.len() as u64, end);
        }
    }
}
