//! A room for each target.

pub(crate) mod address;
pub(crate) mod body;
pub(crate) mod books;
pub(crate) mod cached;
pub(crate) mod document;
pub(crate) mod editor;
pub(crate) mod expression;
pub(crate) mod failure;
pub(crate) mod items;
pub(crate) mod journal;
pub(crate) mod kept;
pub(crate) mod lines;
pub(crate) mod listed;
pub(crate) mod machine;
pub(crate) mod names;
pub(crate) mod output;
pub(crate) mod postgres_url;
pub(crate) mod queue_rules;
pub(crate) mod records;
pub(crate) mod redirect;
pub(crate) mod redis_url;
pub(crate) mod retry_after;
pub(crate) mod schedule;
pub(crate) mod store_url;
pub(crate) mod url;
