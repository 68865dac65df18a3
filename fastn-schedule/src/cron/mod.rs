//! Cron expressions.

mod days;
mod expression;
mod field;
mod parse;

pub use expression::Cron;
