//! The text of an expression.

use fastn_core::{Error, ErrorKind, Result};

/// The longest text that is read, in bytes: every value of every field in a list of its own is shorter.
pub(super) const LONGEST: usize = 1024;

/// The fields of an expression, in the order in which they are written with seconds.
pub(super) type Fields<'t> = [&'t str; 6];

fn wrong(why: impl Into<String>) -> Error {
    Error::new(ErrorKind::Invalid, "read cron expression").caused_by(why.into())
}

/// Splits an expression into its fields.
pub(super) fn fields(text: &str) -> Result<Fields<'_>> {
    if text.len() > LONGEST {
        return Err(wrong(format!("it is longer than {LONGEST} bytes")));
    }
    let mut words = text.split_ascii_whitespace();
    let mut word = || words.next().unwrap_or("");
    let found = [word(), word(), word(), word(), word(), word(), word()];
    match found {
        [name, "", ..] if name.starts_with('@') => named(name),
        [minute, hour, day, month, weekday, "", _] if !weekday.is_empty() => {
            Ok(["0", minute, hour, day, month, weekday])
        }
        [second, minute, hour, day, month, weekday, ""] if !weekday.is_empty() => {
            Ok([second, minute, hour, day, month, weekday])
        }
        _ => Err(wrong("it has five fields, six with seconds before them, or is a name such as @daily")),
    }
}

fn named(name: &str) -> Result<Fields<'static>> {
    const NAMES: [(&str, Fields<'static>); 7] = [
        ("@yearly", ["0", "0", "0", "1", "1", "*"]),
        ("@annually", ["0", "0", "0", "1", "1", "*"]),
        ("@monthly", ["0", "0", "0", "1", "*", "*"]),
        ("@weekly", ["0", "0", "0", "*", "*", "0"]),
        ("@daily", ["0", "0", "0", "*", "*", "*"]),
        ("@midnight", ["0", "0", "0", "*", "*", "*"]),
        ("@hourly", ["0", "0", "*", "*", "*", "*"]),
    ];
    let known = NAMES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, fields)| *fields);
    known.ok_or_else(|| wrong("the names are @yearly, @annually, @monthly, @weekly, @daily, @midnight and @hourly"))
}
