//! Names, ids and times as texts.

use fastn_core::{ContentType, ExecutorId, NodeName, RunId, TenantId, Timestamp, WorkflowName};

pub(crate) const WORDS: &[&str] =
    &["-", "urn:uuid:", "{", "}", "\u{0}", "\u{85}", "\u{a0}", "\u{202e}", "ffffffff-ffff-ffff-ffff-ffffffffffff"];

pub(crate) fn run(bytes: &[u8]) {
    if let Some(bytes) = bytes.first_chunk::<8>() {
        time(i64::from_le_bytes(*bytes));
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let name = NodeName::new(text);
    let texts = [
        TenantId::new(text).map(String::from),
        WorkflowName::new(text).map(String::from),
        ExecutorId::new(text).map(String::from),
    ];
    for other in texts {
        assert_eq!(other.as_deref(), name.as_ref().map(NodeName::as_str), "one rule for all names");
    }
    if let Ok(name) = &name {
        assert_eq!(name.as_str(), text, "a name is taken as it is");
        assert!(!text.trim().is_empty() && text.len() <= 256 && !text.chars().any(char::is_control));
    }
    let quoted = serde_json::to_string(text).expect("a text is JSON");
    assert_eq!(serde_json::from_str::<NodeName>(&quoted).ok(), name.ok());
    if let Ok(id) = text.parse::<RunId>() {
        assert_eq!(id.to_string().parse::<RunId>().expect("it was written"), id);
        assert_eq!(RunId::from_bytes(*id.as_bytes()), id);
    }
    assert_eq!(RunId::named(text), RunId::named(text));
    assert_eq!(ContentType::from(text).as_str(), text);
}

fn time(micros: i64) {
    let time = Timestamp::from_micros(micros);
    let text = time.to_string();
    assert!(text.ends_with('Z') && text.is_ascii(), "{text}");
    assert!(time.plus(std::time::Duration::MAX) >= time);
    assert_eq!(
        time.plus(time.since(Timestamp::EPOCH)).since(time),
        time.since(Timestamp::EPOCH).min(Timestamp::MAX.since(time))
    );
    assert_eq!(Timestamp::from_millis(time.as_millis()).as_millis(), time.as_millis());
}
