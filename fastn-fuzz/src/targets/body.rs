//! The body of an answer: JSON, text or bytes; and what errors quote of it.

use fastn_connectors::http::Body;
use fastn_connectors::http::fuzzing::{excerpt, received};

pub(crate) const WORDS: &[&str] = &[
    "application/json",
    "+json",
    "; charset=utf-8",
    "text/json",
    "\n",
    "{\"base64\":\"",
    "\u{1b}[2J",
    "\u{7f}",
    "\u{202e}",
    "é",
    "=",
    "null",
];

/// The first line is the media type, the rest the body.
pub(crate) fn run(bytes: &[u8]) {
    let mut parts = bytes.splitn(2, |byte| *byte == b'\n');
    let media_type = parts.next().and_then(|line| std::str::from_utf8(line).ok());
    let content = parts.next().unwrap_or_default();
    for media_type in [media_type, Some("application/json"), None] {
        let body = received(media_type, content.to_vec());
        let json = serde_json::to_string(&body).expect("a body is JSON");
        let read: Body = serde_json::from_str(&json).expect("it was written");
        assert_eq!(serde_json::to_string(&read).expect("a body is JSON"), json);
        assert_eq!(body.is_none(), content.is_empty());
        if let Body::Text(text) = &body {
            assert_eq!(text.as_bytes(), content, "nothing is lost");
        }
    }
    let _ = serde_json::from_slice::<Body>(content);
    let line = excerpt(content);
    assert!(line.len() <= 204 && !line.chars().any(char::is_control), "{line:?}");
}
