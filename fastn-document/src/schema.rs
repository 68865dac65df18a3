//! The JSON Schema of documents, for editors.

use serde_json::{Map, Value as Json, json};

use crate::read::{BELONGS, KEYS, KINDS};

/// The JSON Schema (draft 2020-12) of documents: made of the same lists of keys by which documents are read. Whatever it refuses is
/// refused by [`Document::read`](crate::Document::read), which finds more: a schema knows nothing of names and expressions.
///
/// ```
/// let schema = fastn_document::schema();
/// assert_eq!(schema["required"], serde_json::json!(["fastn", "name"]));
/// ```
pub fn schema() -> Json {
    let nodes = json!({"type": "object", "additionalProperties": {"$ref": "#/$defs/node"}});
    let kinds: Vec<Json> = KINDS.iter().map(|kind| json!({"$ref": format!("#/$defs/{kind}")})).collect();
    let mut defs = Map::new();
    defs.insert("node".to_owned(), json!({"type": "object", "oneOf": kinds}));
    for kind in KINDS {
        defs.insert(kind.to_owned(), node(kind));
    }
    for (name, definition) in common() {
        defs.insert(name.to_owned(), definition);
    }
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "https://github.com/fastn/fastn/fastn-1.schema.json",
        "title": "A workflow of fastn",
        "type": "object",
        "required": ["fastn", "name"],
        "additionalProperties": false,
        "properties": {
            "fastn": {"const": "1", "description": "The version of the language."},
            "name": {"type": "string", "description": "The name of the workflow."},
            "version": {"$ref": "#/$defs/count"},
            "note": {"type": "string", "description": "For people."},
            "deadline": {"$ref": "#/$defs/time"},
            "requires": {"$ref": "#/$defs/names"},
            "input": {"type": ["object", "boolean"], "description": "What runs take, as a JSON Schema."},
            "output": {"type": ["object", "boolean"], "description": "What runs give, as a JSON Schema."},
            "nodes": nodes,
            "gives": {"description": "What runs give: a value that may have expressions in it."},
        },
        "$defs": defs,
    })
}

/// A node of a kind: the key of the kind, and what may be said of it besides.
fn node(kind: &str) -> Json {
    let mut properties = Map::new();
    properties.insert(kind.to_owned(), said(kind));
    let means = |key: &str| BELONGS.iter().all(|(only, kinds)| *only != key || kinds.contains(&kind));
    for key in KEYS.into_iter().filter(|key| means(key)) {
        properties.insert(key.to_owned(), json!({"$ref": format!("#/$defs/of_{key}")}));
    }
    json!({"type": "object", "required": [kind], "additionalProperties": false, "properties": properties})
}

/// What stands behind the key of a kind.
fn said(kind: &str) -> Json {
    match kind {
        "task" => json!({"$ref": "#/$defs/function", "description": "Calls a function of the host's."}),
        "call" => json!({"type": "string", "pattern": "^[^.]+\\..+", "description": "Calls an action of a connector."}),
        "transform" => json!({"description": "Gives a value that may have expressions in it."}),
        "switch" => json!({
            "type": "array",
            "minItems": 1,
            "items": {"$ref": "#/$defs/arm"},
            "description": "Goes the way of the first arm whose expression holds.",
        }),
        "each" => json!({"description": "Does its nodes for every item of a list."}),
        "try" => json!({
            "type": "object",
            "additionalProperties": false,
            "properties": {
                "nodes": {"type": "object", "additionalProperties": {"$ref": "#/$defs/node"}},
                "gives": {"description": "What it gives if all goes well."},
                "note": {"type": "string"},
            },
            "description": "Does its nodes; what was done of them is undone if one fails.",
        }),
        "race" => json!({
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "additionalProperties": false,
                "properties": {
                    "name": {"type": "string"},
                    "nodes": {"type": "object", "additionalProperties": {"$ref": "#/$defs/node"}},
                    "gives": {"description": "What the arm gives."},
                    "note": {"type": "string"},
                },
            },
            "description": "Does all of its arms at once; the first that succeed win, and the others are undone.",
        }),
        "fail" => json!({"type": "string", "description": "Fails with this kind; what it is given is the message."}),
        "repeat" => json!({"$ref": "#/$defs/again", "description": "Does its nodes again and again."}),
        "wait" => json!({
            "description": "Waits for a signal.",
            "oneOf": [
                {"type": "string"},
                {
                    "type": "object",
                    "required": ["signal"],
                    "additionalProperties": false,
                    "properties": {"signal": {"type": "string"}, "take": {"enum": ["each", "first"]}},
                },
            ],
        }),
        "sleep" => json!({"$ref": "#/$defs/time", "description": "Passes on what it is given after this time."}),
        _ => json!({
            "description": "Runs another workflow.",
            "oneOf": [
                {"type": "string"},
                {
                    "type": "object",
                    "required": ["workflow"],
                    "additionalProperties": false,
                    "properties": {
                        "workflow": {"type": "string"},
                        "version": {"$ref": "#/$defs/count"},
                        "bond": {"enum": ["own", "leave", "detach"]},
                    },
                },
            ],
        }),
    }
}

/// What several kinds have in common.
fn common() -> Vec<(&'static str, Json)> {
    let reference = |name: &str| json!({"$ref": format!("#/$defs/{name}")});
    vec![
        ("count", json!({"type": "integer", "minimum": 1, "maximum": u32::MAX})),
        ("names", json!({"type": "array", "items": {"type": "string"}})),
        ("function", json!({"type": ["string", "null"], "description": "A name; none is that of the node."})),
        (
            "time",
            json!({
                "type": "string",
                "pattern": "^(P|[0-9])",
                "description": "Such as 10s, 1h30m, 250ms or PT10S.",
            }),
        ),
        (
            "arm",
            json!({
                "type": "object",
                "additionalProperties": false,
                "properties": {
                    "name": {"type": "string"},
                    "when": {"type": "string", "description": "An expression. The last arm has none."},
                    "nodes": {"type": "object", "additionalProperties": reference("node")},
                    "gives": {"description": "What the arm gives."},
                    "note": {"type": "string"},
                },
            }),
        ),
        (
            "again",
            json!({
                "type": "object",
                "required": ["at_most"],
                "additionalProperties": false,
                "properties": {
                    "while": {"type": "string"},
                    "until": {"type": "string"},
                    "by": reference("function"),
                    "at_most": reference("count"),
                },
                "oneOf": [{"required": ["while"]}, {"required": ["until"]}, {"required": ["by"]}],
            }),
        ),
        (
            "retry",
            json!({
                "oneOf": [
                    {"type": "integer", "minimum": 0, "maximum": u32::MAX, "description": "So many retries."},
                    {
                        "type": "object",
                        "additionalProperties": false,
                        "properties": {
                            "attempts": reference("count"),
                            "backoff": {"enum": ["fixed", "linear", "exponential"]},
                            "wait": reference("time"),
                            "cap": reference("time"),
                            "jitter": {"enum": ["none", "full"]},
                            "elapsed": reference("time"),
                            "except": reference("names"),
                        },
                    },
                ],
            }),
        ),
        ("of_in", json!({"description": "What it is given; the input of its scope if nothing is said."})),
        ("of_args", json!({"type": "array", "description": "What it is given, argument by argument."})),
        ("of_by", reference("function")),
        ("of_at_most", reference("count")),
        ("of_nodes", json!({"type": "object", "additionalProperties": reference("node")})),
        ("of_gives", json!({"description": "What its nodes give."})),
        (
            "of_tolerate",
            json!({
                "oneOf": [
                    {"type": "integer", "minimum": 0, "maximum": u32::MAX},
                    {"type": "string", "pattern": "^(all|[0-9]+ *%)$"},
                ],
                "description": "How many items may fail.",
            }),
        ),
        (
            "of_catch",
            json!({
                "type": "array",
                "items": {
                    "type": "object",
                    "additionalProperties": false,
                    "properties": {
                        "kinds": {"type": "array", "items": {"type": "string"}, "description": "All, if absent."},
                        "name": {"type": "string"},
                        "nodes": {"type": "object", "additionalProperties": reference("node")},
                        "gives": {"description": "What it gives instead."},
                        "note": {"type": "string"},
                    },
                },
            }),
        ),
        (
            "of_finally",
            json!({
                "oneOf": [reference("function"), {
                    "type": "object",
                    "additionalProperties": false,
                    "properties": {"task": reference("function"), "retry": reference("retry")},
                }],
            }),
        ),
        ("of_quorum", reference("count")),
        ("of_needs", reference("names")),
        ("of_retry", reference("retry")),
        ("of_within", reference("time")),
        ("of_deadline", reference("time")),
        ("of_durability", json!({"enum": ["strict", "relaxed", "at_most_once"]})),
        (
            "of_undo",
            json!({
                "oneOf": [reference("function"), {
                    "type": "object",
                    "additionalProperties": false,
                    "properties": {"task": reference("function"), "retry": reference("retry")},
                }],
            }),
        ),
        (
            "of_on_error",
            json!({
                "oneOf": [reference("function"), {
                    "type": "object",
                    "additionalProperties": false,
                    "properties": {"task": reference("function"), "gives": {}},
                    "oneOf": [{"required": ["task"]}, {"required": ["gives"]}],
                }],
            }),
        ),
        (
            "of_position",
            json!({
                "type": "object",
                "required": ["x", "y"],
                "additionalProperties": false,
                "properties": {"x": {"type": "number"}, "y": {"type": "number"}},
            }),
        ),
        ("of_note", json!({"type": "string", "description": "For people."})),
    ]
}
