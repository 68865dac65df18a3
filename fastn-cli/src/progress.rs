//! What happens in a run, for people: a bar where there is a terminal, and lines everywhere.

use std::collections::BTreeSet;
use std::io::{IsTerminal, stderr};
use std::time::Duration;

use fastn::core::plan::NodeKind;
use fastn::core::{Part, Plan};
use fastn::runtime::RunEvent;
use indicatif::{ProgressBar, ProgressStyle};

use crate::record::{one_line, value_of};
use crate::report::node;
use crate::said::tell;

/// What is shown of a run.
pub(crate) struct Progress {
    /// Only where it can be drawn again and again.
    bar: Option<ProgressBar>,
    /// What is under way, in the order in which it began.
    running: Vec<String>,
    done: BTreeSet<String>,
}

impl Progress {
    /// Of a run of this plan.
    pub(crate) fn of(plan: &Plan) -> Self {
        let bar = stderr().is_terminal().then(|| {
            // Of others nothing is told that could be counted.
            let told = |kind: &NodeKind| {
                !matches!(
                    kind,
                    NodeKind::Sleep(_)
                        | NodeKind::Wait(_)
                        | NodeKind::Each { .. }
                        | NodeKind::Try(_)
                        | NodeKind::Race { .. }
                )
            };
            let count = plan.nodes().iter().filter(|node| told(&node.kind)).count();
            let bar = ProgressBar::new(count as u64);
            // Without colours, which not everybody wants.
            if let Ok(style) = ProgressStyle::with_template("{spinner} [{bar:24}] {pos}/{len} {msg}") {
                bar.set_style(style.progress_chars("=> "));
            }
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        Self { bar, running: Vec::new(), done: BTreeSet::new() }
    }

    /// Shows what has happened.
    pub(crate) fn show(&mut self, event: &RunEvent) {
        let Some(line) = line(event).map(|line| one_line(&line)) else { return };
        match event {
            RunEvent::Started { node, .. } => self.running.push(node.clone()),
            RunEvent::Succeeded { node: at, part } => {
                self.running.retain(|other| other != at);
                if *part == Part::Work {
                    self.done.insert(node(at));
                }
            }
            RunEvent::Failed { node, .. } => self.running.retain(|other| other != node),
            _ => {}
        }
        let Some(bar) = &self.bar else { return tell(line) };
        // That something began is seen beside the bar.
        if !matches!(event, RunEvent::Started { .. }) {
            bar.println(line);
        }
        let mut message: String = one_line(&self.running.join(", ")).chars().take(60).collect();
        if message.is_empty() {
            message.push_str("...");
        }
        bar.set_position(self.done.len() as u64);
        bar.set_message(message);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn line(event: &RunEvent) -> Option<String> {
    let of = |node: &str, part: &Part| match part {
        Part::Work => node.to_owned(),
        part => format!("{} of {node}", part.as_str()),
    };
    Some(match event {
        RunEvent::Started { node, part, attempt } if attempt.0 == 1 => format!("  {} ...", of(node, part)),
        RunEvent::Started { node, part, attempt } => format!("  {} ... attempt {attempt}", of(node, part)),
        RunEvent::Succeeded { node, part } => format!("  {} done", of(node, part)),
        RunEvent::Failed { node, part, failure } => {
            format!("  {} failed: {} ({})", of(node, part), failure.message, failure.kind)
        }
        RunEvent::Progress { node, data } => format!("  {node}: {}", value_of(data)),
        RunEvent::Missed(count) => format!("  {count} events were missed"),
        _ => return None,
    })
}
