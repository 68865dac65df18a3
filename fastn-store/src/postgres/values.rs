//! What is bound to the statements by which runs are started in transactions of hosts, whichever library these are of.

use fastn_core::ContentType;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::days::range_of;
use super::enqueue::Place;
use crate::{Enqueue, NewRun};

/// A value that is bound.
#[derive(Debug)]
pub(super) enum Value<'a> {
    Text(&'a str),
    MaybeText(Option<&'a str>),
    Number(i64),
    MaybeNumber(Option<i64>),
    Id(Uuid),
    MaybeId(Option<Uuid>),
    Bytes(&'a [u8]),
    MaybeBytes(Option<&'a [u8]>),
}

impl Value<'_> {
    /// As `tokio_postgres` takes it.
    pub(super) fn to_sql(&self) -> &(dyn ToSql + Sync) {
        match self {
            Self::Text(value) => value,
            Self::MaybeText(value) => value,
            Self::Number(value) => value,
            Self::MaybeNumber(value) => value,
            Self::Id(value) => value,
            Self::MaybeId(value) => value,
            Self::Bytes(value) => value,
            Self::MaybeBytes(value) => value,
        }
    }
}

/// What `create_sql` is given.
pub(super) fn of_run(new: &NewRun) -> Vec<Value<'_>> {
    let (from, to) = range_of(new.key.run).unzip();
    vec![
        Value::Text(new.key.tenant.as_str()),
        Value::Id(Uuid::from_bytes(*new.key.run.as_bytes())),
        Value::MaybeNumber(from),
        Value::MaybeNumber(to),
        Value::Text(new.definition.workflow.as_str()),
        Value::Number(i64::from(new.definition.version.0)),
        Value::Bytes(&new.definition.shape.0),
        Value::MaybeText(new.plan.as_deref()),
        Value::Number(new.created_at.as_micros()),
        Value::MaybeBytes(content_of(new)),
        Value::Bytes(new.input.bytes()),
    ]
}

/// What `enqueue_sql` is given.
pub(super) fn of_waiting(new: &Enqueue) -> Vec<Value<'_>> {
    let place = Place::of(new);
    let mut values = of_run(&new.new);
    values.extend([
        Value::Text(new.queue.as_str()),
        Value::Text(new.key.as_str()),
        Value::Number(place.delay),
        Value::Number(place.advance),
        Value::Number(place.cost),
        Value::MaybeId(place.once),
        Value::MaybeNumber(place.push),
        Value::MaybeId(place.item),
        Value::MaybeNumber(place.most),
        Value::MaybeNumber(place.bytes),
    ]);
    values
}

/// The media type of an input as it is stored: none for JSON.
fn content_of(new: &NewRun) -> Option<&[u8]> {
    Some(new.input.content())
        .filter(|content| **content != ContentType::Json)
        .map(|content| content.as_str().as_bytes())
}
