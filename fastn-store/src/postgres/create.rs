//! New runs, as they are handed to the server.

use deadpool_postgres::Client;
use fastn_core::{ContentType, Result};
use uuid::Uuid;

use super::days::{Days, drawn_at, range_of};
use super::numbers::{Numbers, stored};
use crate::{NewRun, RunNo};

/// So many runs of a batch may each bring their plan along, should the ones before them not be created.
const FEW: usize = 16;

/// New runs, a column each.
#[derive(Debug, Default)]
pub(super) struct NewRows<'a> {
    pub(super) no: Vec<i64>,
    pub(super) tenant: Vec<i32>,
    pub(super) run: Vec<Uuid>,
    pub(super) definition: Vec<i32>,
    pub(super) at: Vec<i64>,
    pub(super) content: Vec<Option<&'a [u8]>>,
    pub(super) input: Vec<&'a [u8]>,
    /// Whether the id alone does not say which partition to look into.
    pub(super) named: Vec<bool>,
    /// Where a run of such an id may be all the same.
    pub(super) from: Vec<Option<i64>>,
    pub(super) to: Vec<Option<i64>>,
    /// Plans that are not known to be kept, with the runs and the definitions that they came with.
    pub(super) plan_no: Vec<i64>,
    pub(super) plan_definition: Vec<i32>,
    pub(super) plan: Vec<&'a str>,
}

impl<'a> NewRows<'a> {
    /// Numbers the runs and their definitions.
    pub(super) async fn of(client: &Client, numbers: &Numbers, days: Days, new: &[&'a NewRun]) -> Result<Self> {
        let mut rows = Self::default();
        if new.is_empty() {
            return Ok(rows);
        }
        let run_nos = numbers.runs(client, days, new).await?;
        for (new, (no, timely)) in new.iter().zip(run_nos) {
            let definition = numbers.definition(client, &new.key.tenant, &new.definition).await?;
            // The same id gets into the same partition whenever this is tried again, since the time it was created at goes
            // with it.
            let drawn = timely && drawn_at(new.key.run) == Some(new.created_at.as_millis());
            let range = range_of(new.key.run).filter(|_| !drawn);
            if let Some(plan) = &new.plan
                && numbers.wants_plan(definition.definition)
                && (rows.plan.len() < FEW || !rows.plan_definition.contains(&definition.definition))
            {
                rows.plan_no.push(stored(no.0));
                rows.plan_definition.push(definition.definition);
                rows.plan.push(plan);
            }
            rows.no.push(stored(no.0));
            rows.tenant.push(definition.tenant);
            rows.run.push(Uuid::from_bytes(*new.key.run.as_bytes()));
            rows.definition.push(definition.definition);
            rows.at.push(new.created_at.as_micros());
            let content = Some(new.input.content()).filter(|content| **content != ContentType::Json);
            rows.content.push(content.map(|content| content.as_str().as_bytes()));
            rows.input.push(&new.input.bytes()[..]);
            rows.named.push(!drawn);
            rows.from.push(range.map(|(from, _)| from));
            rows.to.push(range.map(|(_, to)| to));
        }
        Ok(rows)
    }

    /// The number of the run at this place.
    pub(super) fn run_no(&self, place: usize) -> Option<RunNo> {
        self.no.get(place).map(|no| RunNo(no.cast_unsigned()))
    }
}
