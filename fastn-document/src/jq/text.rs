//! Values as text.

use std::fmt;

use super::meter;
use super::value::Val;

impl Val {
    /// It as JSON without white space.
    pub(super) fn to_json_text(&self) -> String {
        self.walk();
        meter::bytes(usize::try_from(self.weight()).unwrap_or(usize::MAX));
        self.clone().into_json().to_string()
    }
}

/// The beginning of it, for messages.
impl fmt::Display for Val {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MOST: usize = 80;
        let text = match self {
            Self::Str(text) => format!("{:?}", text.chars().take(MOST + 1).collect::<String>()),
            Self::Arr(arr) if self.weight() > 1_024 => format!("a list of {}", arr.items.len()),
            Self::Obj(obj) if self.weight() > 1_024 => format!("an object with {} keys", obj.map.len()),
            _ => self.clone().into_json().to_string(),
        };
        match text.char_indices().nth(MOST).and_then(|(end, _)| text.get(..end)) {
            Some(beginning) => write!(f, "{beginning}..."),
            None => f.write_str(&text),
        }
    }
}
