//! What an executor serves, as it is handed to the server.

use crate::DefinitionKey;

/// Definitions, a column each.
#[derive(Debug, Default)]
pub(super) struct Served {
    pub(super) workflow: Vec<String>,
    pub(super) version: Vec<i64>,
    pub(super) shape: Vec<Vec<u8>>,
}

impl Served {
    pub(super) fn of(serves: &[DefinitionKey]) -> Self {
        let mut served = Self::default();
        for definition in serves {
            served.workflow.push(definition.workflow.as_str().to_owned());
            served.version.push(i64::from(definition.version.0));
            served.shape.push(definition.shape.0.to_vec());
        }
        served
    }
}
