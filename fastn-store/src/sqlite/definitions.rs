//! The short numbers of definitions.

use std::collections::{HashMap, HashSet};

use fastn_core::{Result, TenantId};
use rusqlite::{Connection, ToSql};

use super::fault::fault;
use super::row::{definition, get};
use crate::DefinitionKey;

/// A tenant's definition, in numbers.
#[derive(Clone, Copy, Debug)]
pub(super) struct DefinitionNo {
    pub(super) tenant: i64,
    pub(super) definition: i64,
}

/// The definitions that were met, so that a new run costs no look-up.
#[derive(Debug, Default)]
pub(super) struct Definitions {
    numbers: HashMap<TenantId, HashMap<DefinitionKey, DefinitionNo>>,
    keys: HashMap<i64, DefinitionKey>,
    /// Those whose plan is kept.
    with_plan: HashSet<i64>,
}

impl Definitions {
    /// The number of a tenant's definition, a new one if there is none.
    ///
    /// If the transaction fails afterwards, the number may never have been: call [`forget`](Self::forget) then.
    pub(super) fn number(&mut self, conn: &Connection, tenant: &TenantId, key: &DefinitionKey) -> Result<DefinitionNo> {
        if let Some(number) = self.numbers.get(tenant).and_then(|known| known.get(key)) {
            return Ok(*number);
        }
        let number = ask_for(conn, tenant, key).map_err(fault("find definition"))?;
        self.numbers.entry(tenant.clone()).or_default().insert(key.clone(), number);
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

/// Asks for numbers even if they were just made: another process may have been first.
fn ask_for(conn: &Connection, tenant: &TenantId, key: &DefinitionKey) -> rusqlite::Result<DefinitionNo> {
    let made_and_asked = |make: &str, ask: &str, row: &[&dyn ToSql]| -> rusqlite::Result<i64> {
        conn.prepare_cached(make)?.execute(row)?;
        conn.prepare_cached(ask)?.query_row(row, |row| row.get(0))
    };
    let tenant = made_and_asked(
        "INSERT INTO flow_tenants (tenant) VALUES (?1) ON CONFLICT DO NOTHING",
        "SELECT tenant_no FROM flow_tenants WHERE tenant = ?1",
        &[&tenant.as_str()],
    )?;
    let definition = made_and_asked(
        "INSERT INTO flow_definitions (tenant_no, workflow, version, shape) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT DO NOTHING",
        "SELECT def_no FROM flow_definitions WHERE tenant_no = ?1 AND workflow = ?2 AND version = ?3 AND shape = ?4",
        &[&tenant, &key.workflow.as_str(), &key.version.0, &key.shape.0],
    )?;
    Ok(DefinitionNo { tenant, definition })
}
