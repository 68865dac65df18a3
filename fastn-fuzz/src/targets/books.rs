//! What is remembered of a queue and of a key between two admissions.

use fastn_core::Timestamp;
use fastn_store::QueueRules;
use fastn_store::fuzzing::admitted;

pub(crate) const WORDS: &[&str] = &[
    "\n",
    "{\"v\":1,",
    "\"concurrency\":1",
    "\"per_key\":2",
    "\"per_executor\":3",
    "\"rate\":{\"quota\":4,\"per\":1000000,\"window\":\"sliding\"}",
    "\"rate_per_key\":{\"quota\":5,\"per\":1000000,\"window\":\"fixed\"}",
    "\"fair\":true",
    "{\"turn\":18446744073709551615,\"window\":[[0,18446744073709551615]]}",
    "[-9223372036854775808,1]",
    "[9223372036854775807,1]",
];

/// Rules, the books of the queue and those of the key in a line each; then the time in eight bytes and a cost in each byte.
pub(crate) fn run(bytes: &[u8]) {
    let mut lines = bytes.splitn(4, |byte| *byte == b'\n');
    let (Some(rules), Some(queue), Some(key), Some(rest)) = (lines.next(), lines.next(), lines.next(), lines.next())
    else {
        return;
    };
    let Some((now, costs)) = rest.split_first_chunk() else { return };
    let Ok(rules) = QueueRules::decode(rules) else { return };
    if rules.check().is_err() {
        return;
    }
    // The end of all times is left out: there is no room for a span before it.
    let now = Timestamp::from_micros(i64::from_le_bytes(*now) >> 1);
    let costs: Vec<u32> = costs.iter().take(1_024).map(|cost| u32::from(*cost)).collect();
    let Some((found, [queue, key])) = admitted(&rules, (queue, key), &costs, now) else { return };
    assert!(found.iter().copied().eq(0..found.len()), "runs of one rank go in their order");
    let most = [rules.concurrency, rules.per_key, rules.per_executor].into_iter().flatten().min();
    assert!(most.is_none_or(|most| found.len() <= most as usize), "no limit is overshot");
    assert!(!rules.paused || found.is_empty());
    for rate in [rules.rate, rules.rate_per_key].into_iter().flatten() {
        let taken: u64 =
            found.iter().filter_map(|run| costs.get(*run)).map(|cost| u64::from((*cost).min(rate.quota))).sum();
        assert!(taken <= u64::from(rate.quota), "no rate is overshot");
    }
    let again = admitted(&rules, (&queue, &key), &[], now).expect("books that were written are read");
    assert_eq!(again, (Vec::new(), [queue, key]), "nothing happens where nothing waits");
}
