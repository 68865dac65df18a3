//! Numbers as YAML's core schema writes them (YAML 1.2.2, section 10.3.2); JSON's are among them.

use serde_json::{Number, Value as Json};

use super::tree::Value;

/// What a plain scalar is.
pub(crate) fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        _ => number(text).map_or_else(|| Value::Text(text.to_owned()), Value::Number),
    }
}

/// A number, if it is one that JSON can hold.
pub(crate) fn number(text: &str) -> Option<Number> {
    let (sign, digits) = match text.as_bytes().first()? {
        b'-' => (-1, text.get(1..)?),
        b'+' => (1, text.get(1..)?),
        _ => (1, text),
    };
    let radix = |prefix, radix| text.strip_prefix(prefix).map(|digits| u64::from_str_radix(digits, radix));
    if let Some(read) = radix("0x", 16).or_else(|| radix("0o", 8)) {
        return read.ok().map(Number::from);
    }
    if !digits.as_bytes().first().is_some_and(|c| c.is_ascii_digit() || *c == b'.') {
        return None;
    }
    if digits.bytes().all(|c| c.is_ascii_digit()) {
        let whole: i128 = digits.parse().ok()?;
        if let Some(number) = Number::from_i128(sign * whole) {
            return Some(number);
        }
    }
    let numeric = digits.bytes().all(|c| c.is_ascii_digit() || matches!(c, b'.' | b'e' | b'E' | b'+' | b'-'));
    let float: f64 = text.parse().ok().filter(|_| numeric)?;
    match Json::from(float) {
        Json::Number(number) => Some(number),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_the_core_schema_and_exact_where_json_is() {
        let read = |text| number(text).map(|number| number.to_string());
        assert_eq!(read("18446744073709551615").as_deref(), Some("18446744073709551615"));
        assert_eq!(read("-9007199254740993").as_deref(), Some("-9007199254740993"));
        assert_eq!(read("0x1F").as_deref(), Some("31"));
        assert_eq!(read("+12e03").as_deref(), Some("12000.0"));
        assert_eq!(read(".5").as_deref(), Some("0.5"));
        for text in ["10s", "1.2.3", "-", "+", ".", "e5", ".inf", "1e999", "0x", "inf", "nan", "1_000"] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
