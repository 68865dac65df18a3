//! How several things at once become one result: races, quorums, and items of which some may fail.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Failure;

/// How many arms of a `race` must succeed, and what it gives then.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Join {
    /// The first that succeeds; gives its value.
    #[default]
    First,
    /// The first so many that succeed; gives a list of [`Arrived`], in the order of the arms.
    Of(u32),
}

impl Join {
    /// How many arms must succeed.
    pub const fn needs(self) -> u32 {
        match self {
            Self::First => 1,
            Self::Of(count) => count,
        }
    }
}

impl fmt::Display for Join {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::First => f.write_str("first wins"),
            Self::Of(count) => write!(f, "first {count} win"),
        }
    }
}

/// How many items of an `each` may fail before all of it does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Tolerance {
    /// None: the first failure is that of the `each`, which gives a list of values.
    #[default]
    None,
    /// At most so many. Gives a list of [`Settled`].
    Failures(u32),
    /// At most so many in a hundred of the items, rounded down. Gives a list of [`Settled`].
    Percent(u32),
    /// Any number: it never fails because of its items. Gives a list of [`Settled`].
    All,
}

impl Tolerance {
    /// How many of so many items may fail.
    pub fn of(self, items: u32) -> u32 {
        match self {
            Self::None => 0,
            Self::Failures(most) => most,
            // No more than there are items, so it fits.
            Self::Percent(share) => u32::try_from(u64::from(items) * u64::from(share) / 100).unwrap_or(u32::MAX),
            Self::All => u32::MAX,
        }
    }
}

impl fmt::Display for Tolerance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none may fail"),
            Self::Failures(most) => write!(f, "{most} may fail"),
            Self::Percent(share) => write!(f, "{share} % may fail"),
            Self::All => f.write_str("any may fail"),
        }
    }
}

/// What became of an item of an `each` that may fail: in JSON `{"ok": …}` or `{"error": {"kind": …, "message": …, …}}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Settled<T> {
    /// Its value.
    Ok(T),
    /// Why it has none. What had been done of it was undone.
    Error(Failure),
}

impl<T> From<Settled<T>> for Result<T, Failure> {
    fn from(settled: Settled<T>) -> Self {
        match settled {
            Settled::Ok(value) => Ok(value),
            Settled::Error(failure) => Err(failure),
        }
    }
}

/// An arm of a `race` that was among the first of which there had to be several: in JSON `{"arm": …, "value": …}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arrived<T> {
    /// The arm, by its label.
    pub arm: String,
    /// What it gave.
    pub value: T,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FailureKind;

    #[test]
    fn what_became_of_an_item_reads_well_in_json() {
        let json = |settled: &Settled<u8>| serde_json::to_string(settled).expect("JSON");
        assert_eq!(json(&Settled::Ok(7)), r#"{"ok":7}"#);
        let failed = Settled::Error(Failure::new(FailureKind::TIMEOUT, "late"));
        let text = r#"{"error":{"kind":"timeout","message":"late","permanent":false}}"#;
        assert_eq!(json(&failed), text);
        assert_eq!(serde_json::from_str::<Settled<u8>>(text).ok(), Some(failed));
    }

    #[test]
    fn a_share_of_the_items_is_rounded_down() {
        let of = |share, items| Tolerance::Percent(share).of(items);
        assert_eq!([of(10, 0), of(10, 9), of(10, 10), of(10, 19), of(100, 7)], [0, 0, 1, 1, 7]);
        assert_eq!(of(100, u32::MAX), u32::MAX);
    }
}
