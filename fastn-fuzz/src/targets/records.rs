//! The records of a run, as the journal keeps them, and those that a run begins with.

use fastn_core::{Payload, Record, Seed};

pub(crate) const WORDS: &[&str] = &["application/json", "image/png", "error", "outcome_unknown"];

pub(crate) fn run(bytes: &[u8]) {
    let input = Payload::new(Seed::MEDIA_TYPE.into(), bytes.to_vec());
    if let Ok(Some(seed)) = Seed::read(&input) {
        let written = seed.write().expect("what was read can be written");
        assert_eq!(Seed::read(&written).expect("what was written reads"), Some(seed));
    }
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
