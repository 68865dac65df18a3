//! Who did something to a run, and why.

use std::fmt;

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::{Error, ErrorKind, Result};

/// Who does something to a run, and why: what is recorded in the run with what was done, and listed over all runs.
///
/// A text alone is a reason of nobody in particular: of the program itself, which need not be listed beside the run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Encode, Decode, Serialize, Deserialize)]
#[non_exhaustive]
pub struct By {
    /// Who: a user, a service, as the host knows them. Empty for the program itself.
    #[n(0)]
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub actor: String,
    /// Why, for those who look later.
    #[n(1)]
    #[serde(default)]
    pub reason: String,
}

impl By {
    /// How long an [actor](By::actor) may be that is listed, in bytes.
    pub const MOST_ACTOR: usize = 256;

    /// How long a [reason](By::reason) may be that is listed, in bytes.
    pub const MOST_REASON: usize = 4_096;

    /// Somebody, for this reason.
    pub fn new(actor: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { actor: actor.into(), reason: reason.into() }
    }

    /// Whether it is somebody in particular.
    pub fn is_somebody(&self) -> bool {
        !self.actor.is_empty()
    }

    /// Whether it is short enough to be listed.
    ///
    /// # Errors
    /// [`TooLarge`](ErrorKind::TooLarge) if it is not.
    pub fn check(&self) -> Result<()> {
        for (what, size, most) in
            [("actor", self.actor.len(), Self::MOST_ACTOR), ("reason", self.reason.len(), Self::MOST_REASON)]
        {
            if size > most {
                return Err(Error::new(ErrorKind::TooLarge, "steer run").with(what, size).with("most", most));
            }
        }
        Ok(())
    }
}

impl From<&str> for By {
    fn from(reason: &str) -> Self {
        Self::new("", reason)
    }
}

impl From<String> for By {
    fn from(reason: String) -> Self {
        Self::new("", reason)
    }
}

impl From<&String> for By {
    fn from(reason: &String) -> Self {
        Self::new("", reason.as_str())
    }
}

impl From<&Self> for By {
    fn from(by: &Self) -> Self {
        by.clone()
    }
}

impl fmt::Display for By {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&*self.actor, &*self.reason) {
            ("", "") => f.write_str("no reason was said"),
            ("", reason) => f.write_str(reason),
            (actor, "") => write!(f, "by {actor}"),
            (actor, reason) => write!(f, "by {actor}: {reason}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_bounded_where_it_is_listed() {
        assert_eq!(By::new("ann", "x").check().map_err(|error| error.kind()), Ok(()));
        for long in [By::new("a".repeat(257), ""), By::new("", "r".repeat(4_097))] {
            assert_eq!(long.check().map_err(|error| error.kind()), Err(ErrorKind::TooLarge));
        }
    }

    #[test]
    fn people_read_who_and_why() {
        for (by, shown) in [
            (By::new("ann", "out of stock"), "by ann: out of stock"),
            (By::from("out of stock"), "out of stock"),
            (By::new("ann", ""), "by ann"),
            (By::default(), "no reason was said"),
        ] {
            assert_eq!(by.to_string(), shown);
            assert_eq!(by.is_somebody(), shown.starts_with("by "));
        }
    }
}
