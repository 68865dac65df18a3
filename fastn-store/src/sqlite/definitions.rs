//! The short numbers of definitions.

use std::collections::{HashMap, HashSet};

use fastn_core::{Result, TenantId};
use rusqlite::Connection;

use super::fault::fault;
use super::row::{definition, get};
use crate::DefinitionKey;

/// The definitions that were met, so that a new run costs no look-up.
#[derive(Debug, Default)]
pub(super) struct Definitions {
    numbers: HashMap<(TenantId, DefinitionKey), i64>,
    keys: HashMap<i64, DefinitionKey>,
    /// Those whose plan is kept.
    with_plan: HashSet<i64>,
}

impl Definitions {
    /// The number of a tenant's definition, a new one if there is none.
    ///
    /// If the transaction fails afterwards, the number may never have been: call [`forget`](Self::forget) then.
    pub(super) fn number(&mut self, conn: &Connection, tenant: &TenantId, key: &DefinitionKey) -> Result<i64> {
        const OP: &str = "find definition";
        let of_tenant = (tenant.clone(), key.clone());
        if let Some(number) = self.numbers.get(&of_tenant) {
            return Ok(*number);
        }
        let row = (tenant.as_str(), key.workflow.as_str(), key.version.0, key.shape.0);
        conn.prepare_cached(
            "INSERT INTO flow_definitions (tenant, workflow, version, shape) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT DO NOTHING",
        )
        .and_then(|mut insert| insert.execute(row))
        .map_err(fault(OP))?;
        // Asked for even if it was just inserted: another process may have been first.
        let number = conn
            .prepare_cached(
                "SELECT def_no FROM flow_definitions WHERE tenant = ?1 AND workflow = ?2 AND version = ?3 AND shape = ?4",
            )
            .and_then(|mut select| select.query_row(row, |row| row.get(0)))
            .map_err(fault(OP))?;
        self.numbers.insert(of_tenant, number);
        Ok(number)
    }

    /// Keeps the plan that comes with a run that was just created, if the definition has none yet.
    pub(super) fn keep_plan(&mut self, conn: &Connection, number: i64, plan: &str) -> Result<()> {
        if self.with_plan.contains(&number) {
            return Ok(());
        }
        conn.prepare_cached("UPDATE flow_definitions SET plan = ?2 WHERE def_no = ?1 AND plan IS NULL")
            .and_then(|mut update| update.execute((number, plan)))
            .map_err(fault("keep plan"))?;
        self.with_plan.insert(number);
        Ok(())
    }

    /// The definition with a number that is in a committed row.
    pub(super) fn key(&mut self, conn: &Connection, number: i64) -> Result<&DefinitionKey> {
        const OP: &str = "read definition";
        match self.keys.entry(number) {
            std::collections::hash_map::Entry::Occupied(known) => Ok(known.into_mut()),
            std::collections::hash_map::Entry::Vacant(unknown) => {
                let mut select = conn
                    .prepare_cached("SELECT workflow, version, shape FROM flow_definitions WHERE def_no = ?1")
                    .map_err(fault(OP))?;
                let (workflow, version, shape) =
                    select.query_row([number], |row| Ok((get(row, 0), get(row, 1), get(row, 2)))).map_err(fault(OP))?;
                Ok(unknown.insert(definition(workflow?, version?, shape?)?))
            }
        }
    }

    /// Forgets the numbers that were given out in a transaction that failed.
    pub(super) fn forget(&mut self) {
        self.numbers.clear();
        self.with_plan.clear();
    }
}
