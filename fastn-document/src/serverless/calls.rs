//! Tasks that reach out: HTTP, other workflows, time.

use std::borrow::Cow;
use std::time::Duration;

use fastn_core::{ActionRef, Bond, ChildRef};

use super::envelope::{Here, joined, node, of, part};
use crate::fault::FaultKind;
use crate::model::{Kind, Node};
use crate::place::Span;
use crate::read::{Fields, Reader, parse_span};
use crate::syntax::{Entry, Tree, Value};
use crate::template::{Template, Text, text_of};

/// Units of a duration that is a map, in milliseconds.
const UNITS: [(&str, u64); 5] =
    [("days", 86_400_000), ("hours", 3_600_000), ("minutes", 60_000), ("seconds", 1_000), ("milliseconds", 1)];

/// What a response is for those who want its content.
const CONTENT: &str = "(.body | if has(\"json\") then .json else (.text // .base64) end)?";

impl Reader<'_> {
    /// A duration as the specification writes it: a map of units, or ISO 8601.
    pub(super) fn duration(&mut self, tree: &Tree, of: &str) -> Option<Duration> {
        let Value::Map(_) = &tree.value else {
            let span = if let Value::Text(text) = &tree.value {
                parse_span(text).filter(|_| text.starts_with('P'))
            } else {
                None
            };
            let message = format!("`{of}` is a duration such as PT30S, or a map such as `{{ seconds: 30 }}`");
            return span.or_else(|| self.wrong(FaultKind::Value, tree.span, message));
        };
        let fields = self.fields_in(tree, "a duration", &UNITS.map(|(unit, _)| unit))?;
        let mut total = Duration::ZERO;
        for (unit, millis) in UNITS {
            if let Some(tree) = fields.get(unit) {
                let count = if let Value::Number(number) = &tree.value { number.as_u64() } else { None };
                let part = count.and_then(|count| count.checked_mul(millis)).map(Duration::from_millis);
                total = match part.and_then(|part| total.checked_add(part)) {
                    Some(total) => total,
                    None => return self.wrong(FaultKind::Value, tree.span, format!("`{unit}` is a whole number")),
                };
            }
        }
        Some(total)
    }

    pub(super) fn wait_task(
        &mut self,
        fields: &Fields<'_>,
        name: &str,
        span: Span,
        here: &Here,
        nodes: &mut Vec<Node>,
    ) -> Option<Here> {
        let tree = self.must(fields, "wait", "a task")?;
        let time = self.duration(tree, "wait")?;
        let input = self.ours(&of(here.from.as_deref()), span)?;
        nodes.push(node(name, span, Kind::Sleep(time), Some(input)));
        Some(here.behind(name))
    }

    pub(super) fn run_task(
        &mut self,
        fields: &Fields<'_>,
        name: &str,
        span: Span,
        here: &Here,
        nodes: &mut Vec<Node>,
    ) -> Option<Here> {
        let said = self.must(fields, "run", "a task")?;
        let said = self.map_in(said, "`run`")?;
        self.only(&said, &["workflow", "await"])?;
        let waits = match said.get("await") {
            Some(Tree { value: Value::Bool(waits), .. }) => *waits,
            Some(tree) => return self.wrong(FaultKind::Value, tree.span, "`await` is true or false"),
            None => true,
        };
        let workflow = self.must(&said, "workflow", "a run")?;
        let workflow = self.map_in(workflow, "`workflow`")?;
        self.only(&workflow, &["namespace", "name", "version", "input"])?;
        let child = self.must(&workflow, "name", "a run")?;
        let child = self.text_in(child, "name")?;
        let version = match workflow.get("version") {
            Some(tree) => Some(self.version(tree)?),
            None => None,
        };
        let input = match workflow.get("input") {
            Some(tree) => self.with(here.before(), |reader| reader.template(tree))?,
            None => self.ours(&part(here.from.as_deref(), "d"), span)?,
        };
        let bond = if waits { Bond::Own } else { Bond::Detach };
        let run = Kind::Run(ChildRef { workflow: Cow::Owned(child), version, bond });
        let ran = format!("{name} (run)");
        nodes.push(node(&*ran, span, run, Some(input)));
        // Whoever does not wait goes on with what there was.
        let given = if waits {
            of(Some(&ran))
        } else {
            format!("{} as $__run | {}", of(Some(&ran)), part(here.from.as_deref(), "d"))
        };
        let data = self.ours(&given, span)?;
        self.passes(name, span, here, data, None, nodes)
    }

    pub(super) fn call_task(
        &mut self,
        fields: &Fields<'_>,
        name: &str,
        span: Span,
        here: &Here,
        nodes: &mut Vec<Node>,
    ) -> Option<Here> {
        let what = self.must(fields, "call", "a task")?;
        if self.text_in(what, "call")? != "http" {
            return self.wrong(FaultKind::Unsupported, what.span, "only `call: http` is supported yet");
        }
        let with = self.must(fields, "with", "a call")?;
        let with = self.map_in(with, "`with`")?;
        self.only(&with, &["method", "endpoint", "headers", "query", "body", "output", "redirect"])?;
        let request = self.request(&with, span, here)?;
        let asked = format!("{name} (request)");
        nodes.push(node(&*asked, span, Kind::Transform(request), None));
        let action = ActionRef { connector: Cow::Borrowed("http"), action: Cow::Borrowed("request") };
        let input = self.ours(&of(Some(&asked)), span)?;
        let called = format!("{name} (call)");
        nodes.push(node(&*called, span, Kind::Call(action), Some(input)));
        let output = match with.get("output") {
            Some(tree) => self.word(tree, "output", &[("content", false), ("response", true)])?,
            None => false,
        };
        let (answer, question) = (of(Some(&called)), of(Some(&asked)));
        let given = if output {
            format!(
                "{answer} as $__r | {question} as $__q | {{request: {{method: $__q.method, uri: $__q.url, headers: ($__q.headers // {{}})}}, \
                 statusCode: $__r.status, headers: ($__r.headers // {{}}), content: ($__r | [{CONTENT}] | .[0])}}"
            )
        } else {
            format!("{answer} | [{CONTENT}] | .[0]")
        };
        let data = self.ours(&given, span)?;
        self.passes(name, span, here, data, None, nodes)
    }

    /// The request as the connector takes it.
    fn request(&mut self, with: &Fields<'_>, span: Span, here: &Here) -> Option<Template> {
        let method = self.must(with, "method", "a call")?;
        let method = self.text_in(method, "method")?.to_ascii_uppercase();
        let method = super::envelope::constant(span, method.into());
        let endpoint = self.must(with, "endpoint", "a call")?;
        let uri = match &endpoint.value {
            Value::Map(_) => {
                let fields = self.map_in(endpoint, "`endpoint`")?;
                self.only(&fields, &["uri"])?;
                self.must(&fields, "uri", "an endpoint")?
            }
            _ => endpoint,
        };
        let text = self.text_in(uri, "endpoint")?;
        let url = match text_of(&text) {
            Text::Expression(inside) => format!("({inside}\n)"),
            Text::Plain(plain) => match expanded(plain) {
                Some(url) => url,
                None => {
                    return self.wrong(FaultKind::Value, uri.span, "a variable of the endpoint is not closed by `}`");
                }
            },
        };
        let query = match with.get("query") {
            Some(tree) => self.query(tree)?,
            None => String::new(),
        };
        let url = Tree { value: Value::Text(format!("${{{url}{query}}}")), span: uri.span };
        let url = self.with(here.before(), |reader| reader.template(&url))?;
        let mut parts = vec![("method", method), ("url", url)];
        if let Some(tree) = with.get("headers") {
            parts.push(("headers", self.with(here.before(), |reader| reader.template(tree))?));
        }
        if let Some(tree) = with.get("body") {
            let body = self.with(here.before(), |reader| reader.template(tree))?;
            parts.push(("body", joined(span, vec![("json", body)])));
        }
        Some(joined(span, parts))
    }
}

impl Reader<'_> {
    /// What is added to an endpoint for its query, as an expression.
    fn query(&mut self, tree: &Tree) -> Option<String> {
        let expression = |text: &str| match text_of(text) {
            Text::Expression(inside) => format!("({inside}\n)"),
            Text::Plain(plain) => serde_json::Value::from(plain).to_string(),
        };
        let pairs = match &tree.value {
            Value::Text(text) if matches!(text_of(text), Text::Expression(_)) => expression(text),
            _ => {
                let fields = self.map_in(tree, "`query`")?;
                let pair = |entry: &Entry| {
                    let value = match &entry.tree.value {
                        Value::Text(text) => expression(text),
                        _ => entry.tree.to_text(),
                    };
                    format!("{}: {value}", serde_json::Value::from(entry.key.as_str()))
                };
                format!("{{{}}}", fields.entries().iter().map(pair).collect::<Vec<_>>().join(", "))
            }
        };
        Some(format!(
            " | . as $__url | $input | {pairs} | to_entries | map((.key | @uri) + \"=\" + (.value | tostring | @uri)) | join(\"&\") \
             | if . == \"\" then $__url elif $__url | contains(\"?\") then $__url + \"&\" + . else $__url + \"?\" + . end"
        ))
    }
}

/// An endpoint with its variables (RFC 6570, level 1) as an expression over the data. `None` if one is not closed.
fn expanded(uri: &str) -> Option<String> {
    let text = |text: &str| serde_json::Value::from(text).to_string();
    let mut parts = Vec::new();
    let mut rest = uri;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, behind) = after.split_once('}')?;
        parts.push(text(before));
        parts.push(format!("(.[{}] | tostring | @uri)", text(name)));
        rest = behind;
    }
    parts.push(text(rest));
    Some(parts.join(" + "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variables_of_an_endpoint_are_taken_from_the_data() {
        assert_eq!(
            expanded("http://x/{id}?a={b}").as_deref(),
            Some(r#""http://x/" + (.["id"] | tostring | @uri) + "?a=" + (.["b"] | tostring | @uri) + """#)
        );
        assert_eq!(expanded("http://x/{id"), None);
        assert_eq!(expanded(r"http://x/\(1)").as_deref(), Some(r#""http://x/\\(1)""#), "nothing of it is evaluated");
    }
}
