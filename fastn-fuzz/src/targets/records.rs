//! The records of a run, as the journal keeps them.

use fastn_core::Record;

pub(crate) const WORDS: &[&str] = &["application/json", "image/png", "error", "outcome_unknown"];

pub(crate) fn run(bytes: &[u8]) {
    let Ok(records) = Record::read_all(bytes) else { return };
    assert!(records.len() <= bytes.len(), "every record takes bytes");
    let mut written = Vec::new();
    for record in &records {
        record.append_to(&mut written).expect("memory does not fail");
        // People look at what is recorded.
        let _ = (record.time.to_string(), format!("{record:?}"));
    }
    assert_eq!(Record::read_all(&written).expect("what was written reads"), records);
    let mut again = Vec::new();
    Record::read_all(&written)
        .into_iter()
        .flatten()
        .try_for_each(|record| record.append_to(&mut again))
        .expect("it writes");
    assert_eq!(again, written, "writing is the same every time");
}
