//! What is kept of a program's output.

use std::collections::VecDeque;

use fastn_core::StepCx;
use serde_json::{Map, Value};
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::process::lines::{Line, Lines};
use crate::process::settings::Settings;

const CHUNK: usize = 8 * 1024;

/// The standard output: its beginning, and its lines as they come.
pub(super) struct Output {
    head: Vec<u8>,
    max: usize,
    lines: Lines,
    objects: Vec<Map<String, Value>>,
    /// How many more objects, and of how many bytes.
    room: (usize, usize),
    truncated: bool,
    cx: StepCx,
}

impl Output {
    pub(super) fn new(settings: &Settings, cx: &StepCx) -> Self {
        Self {
            head: Vec::new(),
            max: settings.max_output_bytes,
            lines: Lines::new(settings.max_line_bytes),
            objects: Vec::new(),
            room: (settings.max_lines, settings.max_output_bytes),
            truncated: false,
            cx: cx.clone(),
        }
    }

    /// Reads to the end. What does not fit is read and dropped, so that the program is never blocked.
    pub(super) async fn read(&mut self, mut from: impl AsyncRead + Unpin) {
        let mut chunk = Vec::with_capacity(CHUNK);
        while read_chunk(&mut from, &mut chunk).await {
            self.push(&chunk);
        }
    }

    /// Takes the next of it.
    pub(super) fn push(&mut self, chunk: &[u8]) {
        let room = self.max - self.head.len();
        self.head.extend(chunk.iter().take(room));
        self.truncated |= chunk.len() > room;
        let Self { lines, objects, room, truncated, cx, .. } = self;
        lines.push(chunk, |line| take_line(&line, cx, objects, room, truncated));
    }

    /// The text, the objects, and whether something is missing.
    pub(super) fn finish(mut self) -> (String, Vec<Map<String, Value>>, bool) {
        if let Some(line) = self.lines.finish() {
            take_line(&line, &self.cx, &mut self.objects, &mut self.room, &mut self.truncated);
        }
        (text(self.head), self.objects, self.truncated)
    }
}

fn take_line(
    line: &Line,
    cx: &StepCx,
    objects: &mut Vec<Map<String, Value>>,
    room: &mut (usize, usize),
    truncated: &mut bool,
) {
    let object = if line.cut { None } else { serde_json::from_slice::<Map<String, Value>>(&line.bytes).ok() };
    // Progress is for those who watch: if it cannot be told, the work goes on.
    let _ = match &object {
        Some(object) => cx.progress(object),
        None => cx.progress(&serde_json::json!({ "line": String::from_utf8_lossy(&line.bytes) })),
    };
    // A line that was cut may have been an object.
    *truncated |= line.cut;
    let Some(object) = object else { return };
    match (room.0.checked_sub(1), room.1.checked_sub(line.bytes.len())) {
        (Some(count), Some(bytes)) => {
            *room = (count, bytes);
            objects.push(object);
        }
        _ => {
            // From the first on: none may follow one that was left out.
            *room = (0, 0);
            *truncated = true;
        }
    }
}

/// The standard error: its end, where programs say why.
pub(super) struct Tail {
    bytes: VecDeque<u8>,
    max: usize,
    truncated: bool,
}

impl Tail {
    pub(super) fn new(max: usize) -> Self {
        Self { bytes: VecDeque::new(), max, truncated: false }
    }

    /// Reads to the end and keeps the end.
    pub(super) async fn read(&mut self, mut from: impl AsyncRead + Unpin) {
        let mut chunk = Vec::with_capacity(CHUNK);
        while read_chunk(&mut from, &mut chunk).await {
            self.bytes.extend(&chunk);
            let excess = self.bytes.len().saturating_sub(self.max);
            self.bytes.drain(..excess);
            self.truncated |= excess > 0;
        }
    }

    /// The text, and whether something is missing.
    pub(super) fn finish(self) -> (String, bool) {
        (text(self.bytes.into()), self.truncated)
    }
}

/// Reads the next chunk; `false` at the end, or if nothing more can be read.
async fn read_chunk(from: &mut (impl AsyncRead + Unpin), chunk: &mut Vec<u8>) -> bool {
    chunk.clear();
    matches!(from.read_buf(chunk).await, Ok(read) if read > 0)
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}
