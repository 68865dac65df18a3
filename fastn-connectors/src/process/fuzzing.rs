//! Doors to private parsers, for fastn-fuzz. No part of the interface: they come and go.

use fastn_core::{Attempt, RunId, StepCx, StepInfo, TenantId, Version, WorkflowName};
use serde_json::{Map, Value};

use super::collect::Output;
use super::lines::Lines;
use super::settings::Settings;

/// The lines in chunks of output, and of each whether some of it is missing.
pub fn lines<'a>(longest: usize, chunks: impl Iterator<Item = &'a [u8]>) -> Vec<(Vec<u8>, bool)> {
    let (mut lines, mut found) = (Lines::new(longest), Vec::new());
    chunks.for_each(|chunk| lines.push(chunk, |line| found.push((line.bytes, line.cut))));
    found.extend(lines.finish().map(|line| (line.bytes, line.cut)));
    found
}

/// A text, objects, and whether something is missing.
pub type Kept = (String, Vec<Map<String, Value>>, bool);

/// What is kept of chunks of output: its beginning as text, its objects, and whether something is missing; so many bytes,
/// of lines of so many, and so many objects at most. `None` is not expected.
pub fn output<'a>(most: [usize; 3], chunks: impl Iterator<Item = &'a [u8]>) -> Option<Kept> {
    let [max_output_bytes, max_line_bytes, max_lines] = most;
    let settings = Settings { max_output_bytes, max_line_bytes, max_lines, ..Settings::default() };
    let workflow = WorkflowName::new("fuzzed").ok()?;
    let info = StepInfo::new(
        TenantId::default(),
        RunId::named("run"),
        workflow,
        Version::default(),
        "step".to_owned(),
        Attempt::FIRST,
    );
    let mut output = Output::new(&settings, &StepCx::detached(info));
    chunks.for_each(|chunk| output.push(chunk));
    Some(output.finish())
}
