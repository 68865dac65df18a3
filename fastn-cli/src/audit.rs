//! `fastn runs audit`: who did what to which run.

use fastn::core::Result;
use fastn::runtime::{AuditQuery, Audited};
use serde_json::{Value, json};

use crate::args::{At, Output};
use crate::record::one_line;
use crate::said::{Exit, say};
use crate::settings::Settings;
use crate::shown::print;
use crate::steer::with;

pub(crate) fn audit(at: At, query: AuditQuery, settings: &Settings) -> Result<Exit> {
    let (store, output) = (settings.must_store(at.store)?, settings.output(at.output));
    let page = with(&store, async |engine| engine.runs().audit(query).await)?;
    let text = match output {
        Output::Ids => page.entries.iter().map(|entry| entry.run.to_string()).collect::<Vec<_>>().join("\n"),
        Output::Json => print(&Value::from_iter(page.entries.iter().map(fields)))?,
        Output::Table => {
            let mut lines = vec![format!("{:24}  {:36}  {:16}  {:16}  WHY", "WHEN", "RUN", "WHO", "WHAT")];
            for Audited { at, run, deed, by, in_vain, .. } in &page.entries {
                let vain = in_vain.as_ref().map(|why| format!(" (in vain: {why})")).unwrap_or_default();
                let (deed, who) = (deed.to_string(), &by.actor);
                lines.push(one_line(&format!("{at}  {run}  {who:16}  {deed:16}  {}{vain}", by.reason)));
            }
            if page.next.is_some() {
                lines.push("there are older ones: see --limit".to_owned());
            }
            lines.join("\n")
        }
    };
    say(&text).map(|()| Exit::Well)
}

fn fields(entry: &Audited) -> Value {
    json!({
        "at": entry.at.to_string(),
        "tenant": entry.tenant,
        "run": entry.run,
        "deed": entry.deed.as_str(),
        "what": entry.deed,
        "by": entry.by,
        "in_vain": entry.in_vain,
    })
}
