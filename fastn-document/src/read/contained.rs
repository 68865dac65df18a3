//! Nodes that contain failure: what is tried, races, items that may fail.

use fastn_core::{FailureKind, Join, Tolerance};

use super::fields::Fields;
use super::nodes::beginning;
use super::reader::Reader;
use crate::fault::FaultKind;
use crate::model::{Arm, Catch, Kind};
use crate::syntax::{Entry, Tree, Value};

impl Reader<'_> {
    /// `try` with its `catch` and `finally`.
    pub(super) fn attempt(&mut self, entry: &Entry, fields: &Fields<'_>, path: &str, depth: usize) -> Option<Kind> {
        let body = self.fields_in(&entry.tree, "`try`", &["nodes", "gives", "note"]);
        let body = body.and_then(|body| {
            self.note(&body);
            self.inner(&body, &format!("{path}/"), depth)
        });
        let items = fields.get("catch").and_then(|tree| self.list_in(tree, "catch")).unwrap_or_default();
        let handlers: Vec<Option<Catch>> = items.iter().map(|item| self.catch(item, path, depth)).collect();
        let finally = match fields.get("finally") {
            Some(tree) => Some(self.called(tree, "finally", format!("{path}.finally"))?),
            None => None,
        };
        Some(Kind::Try { body: body?, handlers: handlers.into_iter().collect::<Option<_>>()?, finally })
    }

    fn catch(&mut self, item: &Tree, path: &str, depth: usize) -> Option<Catch> {
        let fields = self.fields_in(item, "what catches", &["kinds", "name", "nodes", "gives", "note"])?;
        self.note(&fields);
        let named = fields.get("kinds").and_then(|tree| self.list_in(tree, "kinds")).unwrap_or_default();
        let kinds: Vec<Option<FailureKind>> = named.iter().map(|tree| self.failure(tree, "kinds")).collect();
        let kinds = kinds.into_iter().collect::<Option<Vec<_>>>()?;
        let label = match fields.get("name") {
            Some(tree) => self.text_in(tree, "name")?,
            None if kinds.is_empty() => "*".to_owned(),
            None => kinds.iter().map(FailureKind::as_str).collect::<Vec<_>>().join(", "),
        };
        let scope = self.inner(&fields, &format!("{path}.{}/", beginning(&label)), depth)?;
        Some(Catch { label, kinds, scope })
    }

    /// A kind of failure.
    pub(super) fn failure(&mut self, tree: &Tree, of: &str) -> Option<FailureKind> {
        self.text_in(tree, of).map(FailureKind::new)
    }

    /// The arms of a race, and how many of them must win.
    pub(super) fn race(&mut self, entry: &Entry, fields: &Fields<'_>, path: &str, depth: usize) -> Option<Kind> {
        let items = self.list_in(&entry.tree, "race")?;
        let mut arms = Vec::new();
        for (number, item) in items.iter().enumerate() {
            let Some(arm) = self.fields_in(item, "an arm of a race", &["name", "nodes", "gives", "note"]) else {
                arms.push(None);
                continue;
            };
            self.note(&arm);
            let label = match arm.get("name") {
                Some(tree) => self.text_in(tree, "name").unwrap_or_default(),
                None => (number + 1).to_string(),
            };
            let prefix = format!("{path}.{}/", beginning(&label));
            arms.push(self.inner(&arm, &prefix, depth).map(|scope| Arm { label, scope }));
        }
        if items.is_empty() {
            return self.wrong(FaultKind::Missing, entry.tree.span, "a race needs arms");
        }
        let join = match fields.get("quorum") {
            Some(tree) => Join::Of(self.count_in(tree, "quorum")?),
            None => Join::First,
        };
        Some(Kind::Race { arms: arms.into_iter().collect::<Option<_>>()?, join })
    }

    /// How many items may fail: a number, a share such as `10%`, or `all`.
    pub(super) fn tolerance(&mut self, tree: &Tree) -> Option<Tolerance> {
        let said = match &tree.value {
            Value::Number(number) => number.as_u64().and_then(|most| u32::try_from(most).ok()).map(Tolerance::Failures),
            Value::Text(text) if text == "all" => Some(Tolerance::All),
            Value::Text(text) => {
                let share = text.strip_suffix('%').and_then(|share| share.trim_end().parse().ok());
                share.filter(|share| *share <= 100).map(Tolerance::Percent)
            }
            _ => None,
        };
        match said {
            Some(tolerance) => Some(tolerance),
            None => {
                let message = "`tolerate` is how many items may fail: a number, a share such as `10%`, or `all`";
                self.wrong(FaultKind::Value, tree.span, message)
            }
        }
    }
}
