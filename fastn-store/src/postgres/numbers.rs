//! Numbers: of tenants, of definitions, of runs.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use deadpool_postgres::Client;
use fastn_core::{Result, TenantId};

use super::days::{Days, first_of, second_of};
use super::fault::{corrupt, fault};
use crate::{DefinitionKey, NewRun, RunNo};

/// How many numbers a process takes at a time: what the sequence is incremented by.
const BLOCK: i64 = 1024;

/// A tenant's definition, in numbers.
#[derive(Clone, Copy, Debug)]
pub(super) struct DefinitionNo {
    pub(super) tenant: i32,
    pub(super) definition: i32,
}

/// The numbers that this process knows. Those of tenants and definitions never change.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    definitions: Mutex<HashMap<TenantId, Arc<HashMap<DefinitionKey, DefinitionNo>>>>,
    /// The definitions whose plan is kept.
    with_plan: Mutex<HashSet<i32>>,
    /// The definitions that are known to be served.
    served: Mutex<HashSet<DefinitionKey>>,
    /// What is left of the last block: the next one, and the one after the last.
    block: tokio::sync::Mutex<(i64, i64)>,
}

impl Numbers {
    /// The numbers of a run's tenant and definition, new ones if there are none.
    pub(super) async fn definition(&self, client: &Client, new: &NewRun) -> Result<DefinitionNo> {
        let known = self.known(&new.key.tenant);
        if let Some(number) = known.as_ref().and_then(|known| known.get(&new.definition)) {
            return Ok(*number);
        }
        let number = ask_for(client, new).await.map_err(fault("find definition"))?;
        let mut definitions = self.definitions.lock().unwrap_or_else(PoisonError::into_inner);
        let of_tenant = definitions.entry(new.key.tenant.clone()).or_default();
        Arc::make_mut(of_tenant).insert(new.definition.clone(), number);
        Ok(number)
    }

    fn known(&self, tenant: &TenantId) -> Option<Arc<HashMap<DefinitionKey, DefinitionNo>>> {
        self.definitions.lock().unwrap_or_else(PoisonError::into_inner).get(tenant).cloned()
    }

    /// Makes known what is served, for those who start runs without a program that knows it.
    pub(super) async fn serve(&self, client: &Client, serves: &[DefinitionKey]) -> Result<()> {
        const OP: &str = "tell what is served";
        let news: Vec<&DefinitionKey> = {
            let known = self.served.lock().unwrap_or_else(PoisonError::into_inner);
            serves.iter().filter(|definition| !known.contains(*definition)).collect()
        };
        for definition in news {
            client
                .execute(
                    "INSERT INTO flow_served (workflow, version, shape) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
                    &[&definition.workflow.as_str(), &i64::from(definition.version.0), &&definition.shape.0[..]],
                )
                .await
                .map_err(fault(OP))?;
            self.served.lock().unwrap_or_else(PoisonError::into_inner).insert(definition.clone());
        }
        Ok(())
    }

    /// Whether a definition's plan is not known to be kept.
    pub(super) fn wants_plan(&self, definition: i32) -> bool {
        !self.with_plan.lock().unwrap_or_else(PoisonError::into_inner).contains(&definition)
    }

    /// Takes over that these definitions' plans are kept.
    pub(super) fn has_plans(&self, definitions: &[i32]) {
        self.with_plan.lock().unwrap_or_else(PoisonError::into_inner).extend(definitions);
    }

    /// Numbers for new runs, in order, and whether each is of the second in which its run was created: a time for which
    /// there is no partition is taken as the nearest for which there is one.
    pub(super) async fn runs(&self, client: &Client, days: Days, new: &[&NewRun]) -> Result<Vec<(RunNo, bool)>> {
        let mut block = self.block.lock().await;
        let mut numbers = Vec::with_capacity(new.len());
        for run in new {
            if block.0 >= block.1 {
                let first: i64 = client
                    .query_one("SELECT nextval('flow_numbers')", &[])
                    .await
                    .and_then(|row| row.try_get(0))
                    .map_err(fault("number runs"))?;
                *block = (first, first + BLOCK);
            }
            let told = second_of(run.created_at);
            let second = days.nearest(told);
            numbers.push((run_no(first_of(second) | (block.0 & (first_of(1) - 1)))?, second == told));
            block.0 += 1;
        }
        Ok(numbers)
    }
}

/// Asks for numbers even if they were just made: another process may have been first.
async fn ask_for(client: &Client, new: &NewRun) -> Result<DefinitionNo, tokio_postgres::Error> {
    let tenant = new.key.tenant.as_str();
    let make = client.prepare_cached("INSERT INTO flow_tenants (tenant) VALUES ($1) ON CONFLICT DO NOTHING").await?;
    client.execute(&make, &[&tenant]).await?;
    let ask = client.prepare_cached("SELECT tenant_no FROM flow_tenants WHERE tenant = $1").await?;
    let tenant: i32 = client.query_one(&ask, &[&tenant]).await?.try_get(0)?;

    let key = &new.definition;
    let (workflow, version, shape) = (key.workflow.as_str(), i64::from(key.version.0), &key.shape.0[..]);
    let make = client
        .prepare_cached(
            "INSERT INTO flow_definitions (tenant_no, workflow, version, shape) VALUES ($1, $2, $3, $4)
             ON CONFLICT DO NOTHING",
        )
        .await?;
    client.execute(&make, &[&tenant, &workflow, &version, &shape]).await?;
    let ask = client
        .prepare_cached(
            "SELECT def_no FROM flow_definitions WHERE tenant_no = $1 AND workflow = $2 AND version = $3 AND shape = $4",
        )
        .await?;
    let definition: i32 = client.query_one(&ask, &[&tenant, &workflow, &version, &shape]).await?.try_get(0)?;
    Ok(DefinitionNo { tenant, definition })
}

/// An unsigned number as Postgres keeps it. What is too large for it is larger than any that was stored.
pub(super) fn stored(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A stored run number.
pub(super) fn run_no(number: i64) -> Result<RunNo> {
    unsigned(number).map(RunNo)
}

/// A stored number that is never negative.
pub(super) fn unsigned(number: i64) -> Result<u64> {
    u64::try_from(number).map_err(|_| corrupt("read number", format!("{number} is negative")))
}
