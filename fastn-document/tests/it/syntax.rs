//! JSON and YAML are one language.

use fastn_document::{Document, Lines};

use crate::ORDER;

fn faults(file: &str, text: &str) -> String {
    Document::read(file, text).map_or_else(|faults| faults.to_string(), |_| "none".to_owned())
}

#[test]
fn the_same_as_json_and_as_yaml_is_the_same_plan() {
    let json = r#"{
	"fastn": "1", "name": "x\u00fc\ud83d\ude00\/", "version": 18,
	"nodes": {"a": {"transform": {"n": [1, -2.5e3, 18446744073709551615, true, null, "${ .x }"]}}},
	"gives": {"all": "${ $nodes.a }", "text": "$${ }"}
}"#;
    let yaml = r#"
fastn: '1'
name: "xü😀/"
version: 0x12
gives: { text: "$${ }", all: "${ $nodes.a }" }
nodes:
  a:
    transform:
      n:
        - 1
        - -2500.0
        - 18446744073709551615
        - true
        - ~
        - ${ .x }
"#;
    let hash = |file, text| {
        Document::read(file, text).unwrap().definition(&fastn_document::Tasks::any()).unwrap().plan().hash()
    };
    assert_eq!(hash("x.json", json), hash("x.yaml", yaml));
    assert_eq!(hash("x", json), hash("x", yaml), "what it is is seen");
}

#[test]
fn what_is_no_json_is_said_where_it_stops() {
    let faults = |text: &str| faults("x.json", text);
    assert_eq!(faults("{\"a\": 1,}"), "x.json:1:9: this is no JSON: here should be a key in double quotes");
    assert_eq!(faults("{\"a\": [1 2]}"), "x.json:1:10: this is no JSON: here should be `,` or `]`");
    assert_eq!(faults("{\"a\" 1}"), "x.json:1:6: this is no JSON: here should be `:`");
    assert_eq!(faults("{\"a\": tru}"), "x.json:1:7: this is no JSON: here should be a value");
    assert_eq!(faults("{\"a\": 01}"), "x.json:1:7: this is no JSON: here should be a value");
    assert_eq!(faults("{\"a\": \"x\ny\"}"), "x.json:1:9: this is no JSON: a text must end on its line with `\"`");
    assert_eq!(
        faults("{\"a\": \"\\x\"}"),
        "x.json:1:7: this is no JSON: there is an escape in this text that means nothing"
    );
    assert_eq!(faults("{} x"), "x.json:1:4: this is no JSON: it ends before this");
    assert_eq!(faults(""), "x.json:1:1: this is no JSON: here should be a value");
    assert!(faults("{\"name\": 1, \"name\": 2}").contains("1:13: the key `name` stands there twice"));
}

#[test]
fn what_yaml_has_beyond_json_is_refused_by_name() {
    let faults = |text: &str| faults("x.yaml", text);
    assert!(faults("a: &x 1\nb: *x").contains("2:4: an alias is not supported"));
    assert!(faults("a: !!str 1").contains("a tag is not supported"));
    assert!(faults("a: 1\n---\nb: 2").contains("2:1: a file is one document, and here begins another"));
    assert!(faults("[1]: 2").contains("1:1: a key must be a text"));
    assert!(faults("name: 1\nname: 2").contains("2:1: the key `name` stands there twice"));
    assert_eq!(faults(""), "x.yaml:1:1: the document is empty");
    assert!(faults("a:\n  - b\n - c").contains("3:2: this is no YAML"));
}

#[test]
fn every_cut_of_a_document_is_refused_or_read_and_nothing_breaks() {
    let json =
        serde_json::to_string_pretty(&serde_json::json!({"fastn": "1", "name": "x", "nodes": {"a": {"sleep": "1s"}}}))
            .unwrap();
    for (file, text) in [("x.yaml", ORDER), ("x.json", &json)] {
        for (end, _) in text.char_indices() {
            if let Err(faults) = Document::read(file, &text[..end]) {
                let lines = Lines::of(&text[..end]);
                assert!(faults.faults.iter().all(|fault| fault.place <= lines.place(end)), "{faults}");
            }
        }
    }
}
