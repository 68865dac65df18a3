//! Names of types as people say them.

use std::borrow::Cow;

/// The name of a type without the modules it and its parameters stand in: `Vec<Line>`.
///
/// For plans and messages. Two types may share one, so nothing is decided by it that the compiler has not decided
/// before.
pub(crate) fn type_name<T: ?Sized>() -> Cow<'static, str> {
    shorten(std::any::type_name::<T>())
}

fn shorten(full: &'static str) -> Cow<'static, str> {
    if !full.contains("::") {
        return Cow::Borrowed(full);
    }
    let mut short = String::with_capacity(full.len());
    // Where the path that is being read began in `short`.
    let mut start = 0;
    for c in full.chars() {
        short.push(c);
        if short.ends_with("::") {
            short.truncate(start);
        } else if !(c.is_alphanumeric() || matches!(c, '_' | ':')) {
            start = short.len();
        }
    }
    Cow::Owned(short)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_are_left_out() {
        assert_eq!(type_name::<u32>(), "u32");
        assert_eq!(type_name::<Vec<Option<String>>>(), "Vec<Option<String>>");
        assert_eq!(type_name::<(std::time::Duration, [u8; 4])>(), "(Duration, [u8; 4])");
        assert_eq!(type_name::<&'static str>(), "&str");
    }
}
