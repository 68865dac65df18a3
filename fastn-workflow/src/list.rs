//! Lists whose items a body is done for.

use std::fmt;

use fastn_core::{Settled, Tolerance};

use crate::passing::Value;
use crate::port::Out;

/// How many items are worked on at a time where nothing is said: enough to hide the latency of a service, few enough
/// not to be taken for an attack.
const DEFAULT_AT_A_TIME: u32 = 16;

/// A list for [`Flow::each`](crate::Flow::each): a port of a `Vec`, perhaps with [`at_most`](Out::at_most).
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a port of a list",
    label = "`each` goes over the items of a `Vec`",
    note = "it takes an `Out<Vec<T>>`; to limit how many items are worked on at a time, say `lines.at_most(4)`"
)]
pub trait List<'f> {
    /// What is in it.
    type Item: Value;

    /// What comes of it if an item gives a `U`.
    type Gives<U: Value>: Value;

    /// The list, how many of its items are worked on at a time, and how many may fail.
    #[doc(hidden)]
    fn parts(self) -> (Out<'f, Vec<Self::Item>>, u32, Tolerance);
}

impl<'f, T: Value> List<'f> for Out<'f, Vec<T>> {
    type Item = T;
    type Gives<U: Value> = Vec<U>;

    fn parts(self) -> (Out<'f, Vec<T>>, u32, Tolerance) {
        (self, DEFAULT_AT_A_TIME, Tolerance::None)
    }
}

/// A list of which only so many items are worked on at a time. See [`Out::at_most`].
#[derive(Clone, Copy)]
pub struct AtMost<'f, T> {
    list: Out<'f, Vec<T>>,
    at_a_time: u32,
}

impl<'f, T: Value> List<'f> for AtMost<'f, T> {
    type Item = T;
    type Gives<U: Value> = Vec<U>;

    fn parts(self) -> (Out<'f, Vec<T>>, u32, Tolerance) {
        (self.list, self.at_a_time, Tolerance::None)
    }
}

/// A list of whose items some may fail. See [`Out::tolerating`].
#[derive(Clone, Copy)]
pub struct Tolerating<'f, T> {
    list: AtMost<'f, T>,
    tolerance: Tolerance,
}

impl<'f, T: Value> List<'f> for Tolerating<'f, T> {
    type Item = T;
    type Gives<U: Value> = Vec<Settled<U>>;

    fn parts(self) -> (Out<'f, Vec<T>>, u32, Tolerance) {
        // Where none may fail it is said of each all the same that it did not.
        let tolerance = if self.tolerance == Tolerance::None { Tolerance::Failures(0) } else { self.tolerance };
        (self.list.list, self.list.at_a_time, tolerance)
    }
}

impl<T> fmt::Debug for Tolerating<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}.tolerating({})", self.list, self.tolerance)
    }
}

impl<'f, T> AtMost<'f, T> {
    /// The same list, of whose items some may fail: see [`Out::tolerating`].
    pub fn tolerating(self, tolerance: Tolerance) -> Tolerating<'f, T> {
        Tolerating { list: self, tolerance }
    }
}

impl<T> fmt::Debug for AtMost<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}.at_most({})", self.list, self.at_a_time)
    }
}

impl<'f, T> Out<'f, Vec<T>> {
    /// The same list for [`Flow::each`](crate::Flow::each), to be worked on so many items at a time; 0 is a fault of the
    /// plan. Said nothing, it is 16.
    pub fn at_most(self, at_a_time: u32) -> AtMost<'f, T> {
        AtMost { list: self, at_a_time }
    }

    /// The same list for [`Flow::each`](crate::Flow::each), of whose items so many may fail. What was done of one that fails is
    /// undone, and the others go on; what comes of it is a list of [`Settled`], in order, that says of each item what became of
    /// it. When more fail, all of it does, with the kind [`AGGREGATE`](fastn_core::FailureKind::AGGREGATE).
    ///
    /// ```
    /// # use fastn_core::{Settled, StepError, Tolerance};
    /// # use fastn_workflow::workflow;
    /// # async fn send(address: String) -> Result<u64, StepError> { Ok(1) }
    /// async fn report(sent: Vec<Settled<u64>>) -> Result<usize, StepError> {
    ///     Ok(sent.iter().filter(|one| matches!(one, Settled::Error(_))).count())
    /// }
    ///
    /// let mail = workflow("mail").define(|flow, list| {
    ///     let list = list.at_most(4).tolerating(Tolerance::Percent(10));
    ///     let sent = flow.each("send", list, |flow, address| flow.step("one", send, address));
    ///     flow.step("report", report, sent)
    /// })?;
    /// # Ok::<(), fastn_core::PlanFaults>(())
    /// ```
    pub fn tolerating(self, tolerance: Tolerance) -> Tolerating<'f, T> {
        self.at_most(DEFAULT_AT_A_TIME).tolerating(tolerance)
    }
}
