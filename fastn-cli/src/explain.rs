//! `fastn runs explain`: why a run is where it is.

use fastn::core::{By, Result};
use fastn::runtime::{Explanation, Held};
use serde_json::{Value, json};

use crate::args::{Output, Which};
use crate::record::one_line;
use crate::said::{Exit, say};
use crate::settings::Settings;
use crate::shown::{print, summary};
use crate::steer::with;

pub(crate) fn explain(which: Which, settings: &Settings) -> Result<Exit> {
    let (store, output) = (settings.must_store(which.at.store)?, settings.output(which.at.output));
    let explained = with(&store, async |engine| engine.runs().explain(&which.tenant, which.id).await)?;
    let text = match output {
        Output::Ids => which.id.to_string(),
        Output::Json => print(&fields(&explained))?,
        Output::Table => explained.to_string().lines().map(one_line).collect::<Vec<_>>().join("\n"),
    };
    say(&text).map(|()| Exit::Well)
}

fn fields(explained: &Explanation) -> Value {
    let mut value = summary(&explained.run);
    let by = |by: &By| json!({"actor": by.actor, "reason": by.reason});
    if let Value::Object(fields) = &mut value {
        let held = match explained.held {
            Held::Elsewhere(token) => json!(token),
            _ => Value::Null,
        };
        let activities = explained.activities.iter();
        let activities = activities.map(|activity| json!({"step": activity.node, "what": activity.to_string()}));
        let paused = explained.paused.as_ref();
        let paused = paused.map(|paused| json!({"since": paused.since.to_string(), "by": by(&paused.by)}));
        for (name, value) in [
            ("lease", held),
            ("activities", activities.collect()),
            ("ends_for", json!(explained.ends_for)),
            ("to_undo", json!(explained.to_undo)),
            ("next", json!(explained.next.map(|time| time.to_string()))),
            ("waits_for", json!(explained.waits_for)),
            ("cancelling", json!(explained.cancelling)),
            ("pause", json!(paused)),
            ("pausing", json!(explained.pausing.as_ref().map(by))),
            ("unknown", json!(explained.unknown)),
        ] {
            fields.insert(name.to_owned(), value);
        }
    }
    value
}
