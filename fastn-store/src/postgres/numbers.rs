//! Numbers: of tenants, of definitions, of runs.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use deadpool_postgres::Client;
use fastn_core::{Result, TenantId};

use super::days::{Days, first_of, second_of};
use super::fault::{corrupt, fault};
use super::served::Served;
use crate::{DefinitionKey, NewRun, RunNo};

/// How many numbers a process takes at a time: what the sequence is incremented by.
const BLOCK: i64 = 1024;

/// How often it is said what is served.
const TELL: Duration = Duration::from_secs(60);

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
    /// The definitions that are known to be served, and since when.
    served: Mutex<HashMap<DefinitionKey, Instant>>,
    /// What is left of the last block: the next one, and the one after the last.
    block: tokio::sync::Mutex<(i64, i64)>,
}

impl Numbers {
    /// The numbers of a run's tenant and definition, new ones if there are none.
    pub(super) async fn definition(
        &self,
        client: &Client,
        tenant: &TenantId,
        definition: &DefinitionKey,
    ) -> Result<DefinitionNo> {
        let known = self.known(tenant);
        if let Some(number) = known.as_ref().and_then(|known| known.get(definition)) {
            return Ok(*number);
        }
        let number = ask_for(client, tenant, definition).await.map_err(fault("find definition"))?;
        let mut definitions = self.definitions.lock().unwrap_or_else(PoisonError::into_inner);
        let of_tenant = definitions.entry(tenant.clone()).or_default();
        Arc::make_mut(of_tenant).insert(definition.clone(), number);
        Ok(number)
    }

    fn known(&self, tenant: &TenantId) -> Option<Arc<HashMap<DefinitionKey, DefinitionNo>>> {
        self.definitions.lock().unwrap_or_else(PoisonError::into_inner).get(tenant).cloned()
    }

    /// Makes known what is served, for those who start runs without a program that knows it, and says so again from time to
    /// time: what nobody serves any more is started no more.
    pub(super) async fn serve(&self, client: &Client, serves: &[DefinitionKey]) -> Result<()> {
        let told: Vec<DefinitionKey> = {
            let known = self.served.lock().unwrap_or_else(PoisonError::into_inner);
            let is_known =
                |definition: &&DefinitionKey| known.get(*definition).is_some_and(|told| told.elapsed() < TELL);
            serves.iter().filter(|definition| !is_known(definition)).cloned().collect()
        };
        if told.is_empty() {
            return Ok(());
        }
        // Otherwise the first run of each that is started in a host's transaction would keep others from starting one
        // until that transaction ends.
        for definition in &told {
            self.definition(client, &TenantId::default(), definition).await?;
        }
        let Served { workflow, version, shape } = Served::of(&told);
        client
            .execute(
                "INSERT INTO flow_served (workflow, version, shape)
                 SELECT * FROM unnest($1::text[], $2::bigint[], $3::bytea[]) ORDER BY 1, 2, 3
                 ON CONFLICT (workflow, version, shape) DO UPDATE SET seen_at = now()",
                &[&workflow, &version, &shape],
            )
            .await
            .map_err(fault("tell what is served"))?;
        let now = Instant::now();
        let mut known = self.served.lock().unwrap_or_else(PoisonError::into_inner);
        known.extend(told.into_iter().map(|definition| (definition, now)));
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

async fn ask_for(
    client: &Client,
    tenant: &TenantId,
    definition: &DefinitionKey,
) -> Result<DefinitionNo, tokio_postgres::Error> {
    let (workflow, version, shape) =
        (definition.workflow.as_str(), i64::from(definition.version.0), &definition.shape.0[..]);
    let number = client.prepare_cached("SELECT tenant_no, def_no FROM number_1($1, $2, $3, $4, NULL)").await?;
    let row = client.query_one(&number, &[&tenant.as_str(), &workflow, &version, &shape]).await?;
    Ok(DefinitionNo { tenant: row.try_get(0)?, definition: row.try_get(1)? })
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
