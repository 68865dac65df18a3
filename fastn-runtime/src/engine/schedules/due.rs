//! Which due time is next, and what becomes of those that were missed.

use std::time::Duration;

use fastn_core::Timestamp;
use fastn_store::EntryKey;

use super::spec::{CatchUp, MOST};
use super::stored::Stored;

/// A due time that is not longer past was not missed.
const ON_TIME: Duration = Duration::from_secs(10);

/// What a schedule is to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// It is due: all due times before were fired or are passed over.
    Due(Timestamp),
    /// Nothing before this time.
    At(Timestamp),
    /// Nothing any more.
    Never,
}

/// What a schedule is to do at a time.
pub(super) fn next(key: &EntryKey, stored: &Stored, now: Timestamp) -> Next {
    let after = |time| stored.calendar.next(time, &stored.zone);
    let on = |due: Timestamp| {
        let ready = due.plus(stored.delay(key, due));
        if ready <= now { Next::Due(due) } else { Next::At(ready) }
    };
    let Some(first) = after(stored.position) else { return Next::Never };
    // What is due up to here was missed. Jitter has made nothing later than this.
    let missed = minus(now, ON_TIME.saturating_add(stored.jitter()));
    if first > missed {
        return on(first);
    }
    let last = |from, until| stored.calendar.last(from, until, &stored.zone);
    let late = match stored.catch_up {
        CatchUp::Skip => None,
        // One that is due just now takes its place.
        CatchUp::Latest if after(missed).is_some_and(|due| due <= now) => None,
        CatchUp::Latest => last(stored.position, missed),
        CatchUp::All { within, most } => {
            let from = stored.position.max(minus(now, within.saturating_add(Duration::from_micros(1))));
            // What is kept may have been written by anybody.
            first_of(most.min(MOST), from, missed, after, last)
        }
    };
    match late {
        Some(late) => Next::Due(late),
        None => after(missed).map_or(Next::Never, on),
    }
}

/// The first of the last `most` due times after one time and not after another.
fn first_of(
    most: u32,
    from: Timestamp,
    until: Timestamp,
    after: impl Fn(Timestamp) -> Option<Timestamp>,
    last: impl Fn(Timestamp, Timestamp) -> Option<Timestamp>,
) -> Option<Timestamp> {
    let by_then = |time: &Timestamp| after(*time).filter(|due| due <= &until);
    let first = by_then(&from)?;
    let few = std::iter::successors(Some(first), by_then).nth(usize::try_from(most).unwrap_or(usize::MAX)).is_none();
    if few {
        return Some(first);
    }
    // There may be any number of them, so they are counted from the end.
    let before = |due: &Timestamp| last(from, minus(*due, Duration::from_micros(1)));
    std::iter::successors(last(from, until), before).take(usize::try_from(most).unwrap_or(usize::MAX)).last()
}

/// This much earlier.
fn minus(time: Timestamp, span: Duration) -> Timestamp {
    let micros = i64::try_from(span.as_micros()).unwrap_or(i64::MAX);
    Timestamp::from_micros(time.as_micros().saturating_sub(micros))
}
