//! JSON Pointers (RFC 6901).

/// Whether a text is a JSON Pointer (RFC 6901, section 3).
pub(super) fn check_pointer(text: &str) -> bool {
    let mut letters = text.chars();
    let mut escapes_end = true;
    let begins = text.is_empty() || text.starts_with('/');
    while let Some(letter) = letters.next() {
        if letter == '~' {
            escapes_end &= matches!(letters.next(), Some('0' | '1'));
        }
    }
    begins && escapes_end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers_are_told_from_other_texts() {
        for good in ["", "/", "/a/b", "/a~0b/c~1d", "/0"] {
            assert!(check_pointer(good), "{good}");
        }
        for bad in ["a", "a/b", "/a~", "/a~2b", "$.a"] {
            assert!(!check_pointer(bad), "{bad}");
        }
    }
}
