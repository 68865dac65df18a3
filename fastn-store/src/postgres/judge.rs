//! Which runs of a day stay.

use tokio_postgres::types::ToSql;

use crate::Retention;

/// How long runs are kept, a column for each part of a rule. The last rule fits all.
#[derive(Debug, Default)]
pub(super) struct Rules {
    tenant: Vec<Option<String>>,
    workflow: Vec<Option<String>>,
    status: Vec<Option<i16>>,
    /// In microseconds.
    keep: Vec<Option<i64>>,
}

impl Rules {
    pub(super) fn of(retention: &Retention) -> Self {
        let micros = |keep: std::time::Duration| i64::try_from(keep.as_micros()).unwrap_or(i64::MAX).min(1 << 60);
        let mut rules = Self::default();
        for rule in &retention.rules {
            rules.tenant.push(rule.tenant.as_ref().map(|tenant| tenant.as_str().to_owned()));
            rules.workflow.push(rule.workflow.as_ref().map(|workflow| workflow.as_str().to_owned()));
            rules.status.push(rule.status.map(|status| i16::from(status.code())));
            rules.keep.push(rule.keep.map(micros));
        }
        rules.tenant.push(None);
        rules.workflow.push(None);
        rules.status.push(None);
        rules.keep.push(retention.otherwise.map(micros));
        rules
    }

    /// What [`judged_sql`] is given, behind the range of numbers.
    pub(super) fn values(&self) -> [&(dyn ToSql + Sync); 4] {
        [&self.tenant, &self.workflow, &self.status, &self.keep]
    }
}

/// Judges the runs of a day after `$1` up to `$2`, by the rules `$3` to `$6`: those that have not ended stay, and those that
/// ended too short a time ago. `overdue` is for how long, in microseconds, the time of the others has been over.
pub(super) fn judged_sql(schema: &str, day: i64) -> String {
    format!(
        "SELECT e.run_no, e.tenant_no, e.run_id, t.tenant,
             ended.status IS NULL OR rule.keep IS NULL
                 OR ended.finished_at + rule.keep > (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS stays,
             (extract(epoch FROM clock_timestamp()) * 1000000)::bigint - ended.finished_at - rule.keep AS overdue
         FROM {schema}.flow_executions_{day} e
         JOIN flow_definitions d ON d.def_no = e.def_no
         JOIN flow_tenants t ON t.tenant_no = e.tenant_no
         LEFT JOIN LATERAL (
             SELECT h.status, h.finished_at FROM {schema}.flow_history_{day} h
             WHERE h.run_no = e.run_no AND h.status IS NOT NULL LIMIT 1
         ) ended ON true
         LEFT JOIN LATERAL (
             SELECT r.keep FROM unnest($3::text[], $4::text[], $5::smallint[], $6::bigint[])
                 WITH ORDINALITY AS r (tenant, workflow, status, keep, place)
             WHERE (r.tenant IS NULL OR r.tenant = t.tenant) AND (r.workflow IS NULL OR r.workflow = d.workflow)
                 AND (r.status IS NULL OR r.status = ended.status)
             ORDER BY r.place LIMIT 1
         ) rule ON true
         WHERE e.run_no > $1 AND e.run_no <= $2"
    )
}
