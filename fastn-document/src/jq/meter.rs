//! What an evaluation has used up.
//!
//! The interpreter has no limits of its own. It asks for its table of terms whenever it evaluates one, and makes values by
//! operations of ours; each of these tells the meter. When something is used up the evaluation is unwound: an error value would
//! not do, since the expression could catch it and go on.
//!
//! The meter is the thread's, because operators and collections of values are given nothing but values. An evaluation never
//! leaves its thread and holds it until it is over.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use crate::limits::Fuel;

// Where a panic ends the process, an expression of a stranger that uses too much would.
#[cfg(panic = "abort")]
compile_error!(
    "workflow documents stop expressions that use too much by unwinding: build with `panic = \"unwind\"`, or without the \
     feature `documents`"
);

/// How much of its thread's stack an evaluation may use, in bytes. Threads have at least two megabytes, and half of that is left
/// for what the interpreter does between two terms.
const STACK: usize = 512 << 10;

/// How deep a value may be nested: as deep as whoever reads JSON goes.
pub(super) const DEPTH: u32 = 120;

/// Why an evaluation ended before it was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    Steps,
    Bytes,
    Stack,
    Depth,
}

#[derive(Clone, Copy)]
struct Left {
    steps: u64,
    bytes: u64,
    stack: usize,
}

thread_local! {
    static LEFT: Cell<Option<Left>> = const { Cell::new(None) };
}

/// Evaluates something within these limits, and takes away what that cost. The outer error is why it was stopped, or nothing if it
/// panicked by itself.
pub(super) fn within<T>(fuel: &mut Fuel, evaluate: impl FnOnce() -> T) -> Result<T, Option<Stop>> {
    let before = LEFT.replace(Some(Left { steps: fuel.steps, bytes: fuel.bytes, stack: here() }));
    // What was unwound is not looked at again.
    let done = catch_unwind(AssertUnwindSafe(evaluate));
    if let Some(left) = LEFT.replace(before) {
        (fuel.steps, fuel.bytes) = (left.steps, left.bytes);
    }
    done.map_err(|why: Box<dyn Any + Send>| why.downcast_ref::<Stop>().copied())
}

/// So many steps.
pub(super) fn steps(count: u64) {
    let Some(mut left) = LEFT.get() else { return };
    let enough = left.steps >= count;
    left.steps = left.steps.saturating_sub(count);
    LEFT.set(Some(left));
    if !enough {
        stop(Stop::Steps);
    }
}

/// A term is evaluated: a step, and perhaps deeper in the stack than any before.
pub(super) fn term() {
    steps(1);
    if LEFT.get().is_some_and(|left| left.stack.abs_diff(here()) > STACK) {
        stop(Stop::Stack);
    }
}

/// A value of so many bytes is made.
pub(super) fn bytes(count: usize) {
    let Some(mut left) = LEFT.get() else { return };
    let enough = left.bytes >= count as u64;
    left.bytes = left.bytes.saturating_sub(count as u64);
    LEFT.set(Some(left));
    if !enough {
        stop(Stop::Bytes);
    }
}

/// A value of this depth is made.
pub(super) fn depth(depth: u32) {
    if depth > DEPTH {
        stop(Stop::Depth);
    }
}

fn stop(why: Stop) {
    if !std::thread::panicking() && LEFT.get().is_some() {
        resume_unwind(Box::new(why));
    }
}

/// About where the stack is.
#[inline(never)]
fn here() -> usize {
    let mark = 0_u8;
    std::ptr::from_ref(&mark).addr()
}
