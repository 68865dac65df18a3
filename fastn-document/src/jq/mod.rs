//! Expressions: jq, compiled once, evaluated within limits.
//!
//! | room | what is there |
//! |---|---|
//! | `meter` | what an evaluation has used up, and its end when that is too much |
//! | `value`, `order`, `text`, `access`, `arithmetic` | values that know how large and how deep they are, and what jq does with them |
//! | `natives` | the library, without what asks the machine or cannot be bounded |
//! | `refs` | what an expression refers to |
//! | `expression` | from a text to something that can be evaluated |

mod access;
mod arithmetic;
mod expression;
mod meter;
mod natives;
mod order;
mod refs;
#[cfg(test)]
mod tests;
mod text;
mod value;

pub(crate) use expression::{Compiled, Evaluation, Expression, compile, syntax};
pub(crate) use refs::Plain;
