//! Bodies between their JSON form and the wire.

use std::borrow::Cow;

use crate::http::Body;

impl Body {
    /// The bytes to send.
    pub(super) fn to_bytes(&self) -> Result<Vec<u8>, serde_json::Error> {
        match self {
            Self::None => Ok(Vec::new()),
            Self::Json(value) => serde_json::to_vec(value),
            Self::Text(text) => Ok(text.as_bytes().to_vec()),
            Self::Bytes(bytes) => Ok(bytes.clone()),
        }
    }

    /// The media type to send them under.
    pub(super) fn media_type(&self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Json(_) => Some("application/json"),
            Self::Text(_) => Some("text/plain; charset=utf-8"),
            Self::Bytes(_) => Some("application/octet-stream"),
        }
    }

    /// What was received under this media type.
    pub(super) fn from_bytes(media_type: Option<&str>, bytes: Vec<u8>) -> Self {
        if bytes.is_empty() {
            return Self::None;
        }
        if media_type.is_some_and(is_json)
            && let Ok(value) = serde_json::from_slice(&bytes)
        {
            return Self::Json(value);
        }
        match String::from_utf8(bytes) {
            Ok(text) => Self::Text(text),
            Err(error) => Self::Bytes(error.into_bytes()),
        }
    }
}

/// `application/json` and everything with the suffix `+json` (RFC 6839), whatever the parameters.
fn is_json(media_type: &str) -> bool {
    let essence = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || essence == "text/json" || essence.ends_with("+json")
}

/// The beginning of a body, on one line and for people.
pub(super) fn excerpt(bytes: &[u8]) -> String {
    const LONGEST: usize = 200;
    let text: Cow<'_, str> = String::from_utf8_lossy(bytes);
    let mut line = String::new();
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()) {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
        if line.len() > LONGEST {
            let end = (0..=LONGEST).rev().find(|&i| line.is_char_boundary(i)).unwrap_or(0);
            line.truncate(end);
            line.push('…');
            break;
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_what_it_says_if_it_is() {
        let check = |media_type, bytes: &[u8], expected| {
            assert_eq!(Body::from_bytes(media_type, bytes.to_vec()), expected);
        };
        check(None, b"", Body::None);
        check(Some("application/json; charset=utf-8"), b"[1]", Body::Json(serde_json::json!([1])));
        check(Some("application/problem+json"), b"{}", Body::Json(serde_json::json!({})));
        check(Some("application/json"), b"{oops", Body::Text("{oops".to_owned()));
        check(Some("application/json"), b"\xff", Body::Bytes(vec![255]));
        check(Some("text/html"), b"[1]", Body::Text("[1]".to_owned()));
    }

    #[test]
    fn bodies_keep_their_shape_in_json() {
        let shown = |body: Body| serde_json::to_string(&body).expect("bodies are JSON");
        assert_eq!(shown(Body::Bytes(vec![0, 255])), r#"{"base64":"AP8="}"#);
        assert_eq!(shown(Body::Json(serde_json::json!(null))), r#"{"json":null}"#);
        assert_eq!(shown(Body::None), r#""none""#);
        for body in [Body::None, Body::Text("é".to_owned()), Body::Bytes(vec![7; 9])] {
            assert_eq!(serde_json::from_str::<Body>(&shown(body.clone())).expect("it was written"), body);
        }
        assert!(serde_json::from_str::<Body>(r#"{"base64":"?"}"#).is_err());
    }

    #[test]
    fn an_excerpt_is_one_short_line() {
        assert_eq!(excerpt(b" no\r\n\tsuch \x1b[1mthing"), "no such [1mthing");
        assert!(excerpt("é".repeat(1_000).as_bytes()).len() <= 204);
    }
}
