//! Lists whose items a body is done for.

use std::fmt;

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

    /// The list, and how many of its items are worked on at a time.
    #[doc(hidden)]
    fn parts(self) -> (Out<'f, Vec<Self::Item>>, u32);
}

impl<'f, T: Value> List<'f> for Out<'f, Vec<T>> {
    type Item = T;

    fn parts(self) -> (Out<'f, Vec<T>>, u32) {
        (self, DEFAULT_AT_A_TIME)
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

    fn parts(self) -> (Out<'f, Vec<T>>, u32) {
        (self.list, self.at_a_time)
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
}
