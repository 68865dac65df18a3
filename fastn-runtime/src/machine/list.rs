//! A JSON array, item by item, without parsing the items.

use bytes::Bytes;
use fastn_core::{ContentType, Failure, FailureKind, Payload};
use serde::de::IgnoredAny;

/// The items of a JSON array that are still to come. Takes no memory beyond the array's own bytes.
#[derive(Clone, Debug)]
pub(super) struct List {
    bytes: Bytes,
    /// Where the next item begins, or the closing bracket stands.
    at: usize,
    /// How many items there are in all.
    pub(super) len: u32,
}

impl List {
    /// Checks that a payload is a JSON array (RFC 8259, section 5) and stands before its first item.
    ///
    /// # Errors
    /// A permanent failure that says what it is instead.
    pub(super) fn new(payload: &Payload) -> Result<Self, Failure> {
        let wrong = |what: String| Failure::new(FailureKind::INVALID, what).permanent();
        if *payload.content() != ContentType::Json {
            return Err(wrong(format!("each needs a JSON array but got {}", payload.content().as_str())));
        }
        let items: Vec<IgnoredAny> =
            serde_json::from_slice(payload.bytes()).map_err(|e| wrong(format!("each needs a JSON array: {e}")))?;
        let len = u32::try_from(items.len()).map_err(|_| wrong("more than 4,294,967,295 items".to_owned()))?;
        let mut list = Self { bytes: payload.bytes().clone(), at: 0, len };
        list.skip_space();
        list.at += 1;
        list.skip_space();
        Ok(list)
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while self.peek().is_some_and(|byte| byte.is_ascii_whitespace()) {
            self.at += 1;
        }
    }
}

impl Iterator for List {
    type Item = Payload;

    /// The array is known to be valid, so only strings and brackets need be told apart.
    fn next(&mut self) -> Option<Payload> {
        if matches!(self.peek(), None | Some(b']')) {
            return None;
        }
        let start = self.at;
        let mut depth = 0_u32;
        loop {
            match self.peek()? {
                b'"' => self.skip_string(),
                b'[' | b'{' => depth += 1,
                b']' | b'}' if depth > 0 => depth -= 1,
                b',' | b']' if depth == 0 => break,
                _ => {}
            }
            self.at += 1;
        }
        let text = self.bytes.slice(start..self.at);
        let text = text.slice(..text.trim_ascii_end().len());
        if self.peek() == Some(b',') {
            self.at += 1;
            self.skip_space();
        }
        Some(Payload::json(text))
    }
}

impl List {
    /// From an opening quote to the closing one.
    fn skip_string(&mut self) {
        self.at += 1;
        while let Some(byte) = self.peek() {
            match byte {
                b'"' => return,
                b'\\' => self.at += 2,
                _ => self.at += 1,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn items(text: &str) -> Vec<String> {
        let list = List::new(&Payload::json(text.to_owned())).expect("an array");
        let len = list.len;
        let items: Vec<_> = list.map(|item| String::from_utf8(item.bytes().to_vec()).expect("UTF-8")).collect();
        assert_eq!(items.len(), len as usize);
        items
    }

    #[test]
    fn items_are_cut_out_as_they_stand() {
        assert_eq!(items(" [ ] "), Vec::<String>::new());
        assert_eq!(items("[1]"), ["1"]);
        assert_eq!(
            items(r#" [ 1 , "a,]\"\\" ,{"k":[1,2]}, [ [ ] ],null ] "#),
            ["1", r#""a,]\"\\""#, r#"{"k":[1,2]}"#, "[ [ ] ]", "null"]
        );
    }

    #[test]
    fn what_is_no_array_is_refused() {
        for text in ["", "{}", "1", "[1", "[1,]", "[1] 2", "\u{feff}[]"] {
            assert!(List::new(&Payload::json(text)).is_err(), "{text}");
        }
        assert!(List::new(&Payload::new(ContentType::Bytes, "[]")).is_err());
    }

    proptest! {
        #[test]
        fn cut_items_are_those_a_parser_finds(values in proptest::collection::vec(any::<Option<(String, i64)>>(), 0..20)) {
            let text = serde_json::to_string_pretty(&values).expect("JSON");
            let cut: Vec<Option<(String, i64)>> =
                items(&text).iter().map(|item| serde_json::from_str(item).expect("an item")).collect();
            prop_assert_eq!(cut, values);
        }
    }
}
