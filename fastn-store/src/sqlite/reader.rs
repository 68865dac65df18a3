//! The thing on the reader's thread: what only looks.

use fastn_core::{Result, TenantId};
use rusqlite::{Connection, OptionalExtension, ToSql, params_from_iter};

use super::connection::open_reader;
use super::fault::fault;
use super::history::read_history;
use super::journal;
use super::row::{input, select_runs, stored, summary};
use super::worker::Thing;
use crate::{DefinitionKey, History, Page, RunKey, RunQuery, RunStatus, RunSummary};

pub(super) struct Reader {
    pub(super) conn: Connection,
}

impl Reader {
    pub(super) fn open(database: &std::path::Path) -> Result<Self> {
        Ok(Self { conn: open_reader(database)? })
    }

    /// Reads a run as of one moment.
    pub(super) fn read(&mut self, key: &RunKey) -> Result<Option<History>> {
        const OP: &str = "read run";
        let conn = &self.conn;
        let mut select = conn
            .prepare_cached(select_runs!(
                "WHERE e.tenant_no = (SELECT tenant_no FROM flow_tenants WHERE tenant = ?1) AND e.run_id = ?2"
            ))
            .map_err(fault(OP))?;
        let mut rows = select.query((key.tenant.as_str(), key.run.as_bytes())).map_err(fault(OP))?;
        // As long as this row is not left, everything is read as of the moment at which it was found.
        let Some(row) = rows.next().map_err(fault(OP))? else {
            return Ok(None);
        };
        let (run, input) = (summary(row)?, input(row)?);
        let mut pieces = read_history(conn, run.no)?;
        // What a run that ended or waits has in the journal was moved when it did. The journal may be long, and many runs
        // may be read because their time has come.
        if matches!(run.status, RunStatus::Pending | RunStatus::Running) {
            journal::read_tail(conn, run.no, &mut pieces)?;
        }
        Ok(Some(History { run, input, records: pieces.records()? }))
    }

    /// Reads runs without their records.
    pub(super) fn summaries(&mut self, keys: &[RunKey]) -> Result<Vec<Option<RunSummary>>> {
        const OP: &str = "look up runs";
        let mut select = self
            .conn
            .prepare_cached(concat!(
                select_runs!(),
                select_runs!(from),
                "WHERE e.tenant_no = (SELECT tenant_no FROM flow_tenants WHERE tenant = ?1) AND e.run_id = ?2"
            ))
            .map_err(fault(OP))?;
        let mut look_up = |key: &RunKey| {
            let mut rows = select.query((key.tenant.as_str(), key.run.as_bytes())).map_err(fault(OP))?;
            rows.next().map_err(fault(OP))?.map(summary).transpose()
        };
        keys.iter().map(&mut look_up).collect()
    }

    /// Reads the plan of a definition.
    pub(super) fn plan(&mut self, tenant: &TenantId, key: &DefinitionKey) -> Result<Option<String>> {
        const OP: &str = "read plan";
        self.conn
            .prepare_cached(
                "SELECT plan FROM flow_definitions d JOIN flow_tenants t ON t.tenant_no = d.tenant_no
                 WHERE t.tenant = ?1 AND workflow = ?2 AND version = ?3 AND shape = ?4",
            )
            .and_then(|mut select| {
                let row = (tenant.as_str(), key.workflow.as_str(), key.version.0, key.shape.0);
                select.query_row(row, |row| row.get(0)).optional()
            })
            .map(Option::flatten)
            .map_err(fault(OP))
    }

    /// What is kept beside runs is read with this.
    pub(super) const fn conn(&self) -> &Connection {
        &self.conn
    }

    /// Lists runs, newest first.
    pub(super) fn list(&mut self, query: &RunQuery) -> Result<Page> {
        const OP: &str = "list runs";
        let limit = if query.limit == 0 { 100 } else { usize::try_from(query.limit).unwrap_or(usize::MAX) };
        let (sql, values) = filters(query);
        let mut select = self.conn.prepare_cached(&sql).map_err(fault(OP))?;
        let mut rows = select.query(params_from_iter(values.iter().map(|value| &**value))).map_err(fault(OP))?;
        let mut runs: Vec<RunSummary> = Vec::new();
        while let Some(row) = rows.next().map_err(fault(OP))? {
            if runs.len() == limit {
                let next = runs.last().map(|run| run.no);
                return Ok(Page { runs, next });
            }
            runs.push(summary(row)?);
        }
        Ok(Page { runs, next: None })
    }
}

impl Thing for Reader {
    fn between_jobs(&mut self) -> Option<std::time::Duration> {
        None
    }
}

/// A statement for a query, and the values in it. It has no limit: whoever reads stops when the page is full.
fn filters(query: &RunQuery) -> (String, Vec<Box<dyn ToSql>>) {
    let mut conditions = vec!["e.run_no < ?".to_owned()];
    let mut values: Vec<Box<dyn ToSql>> = vec![Box::new(query.before.map_or(i64::MAX, |no| stored(no.0)))];
    if let Some(tenant) = &query.tenant {
        conditions.push("e.tenant_no = (SELECT tenant_no FROM flow_tenants WHERE tenant = ?)".to_owned());
        values.push(Box::new(tenant.as_str().to_owned()));
    }
    if let Some(workflow) = &query.workflow {
        conditions.push("d.workflow = ?".to_owned());
        values.push(Box::new(workflow.as_str().to_owned()));
    }
    if let Some(token) = query.holder {
        conditions.push("l.token = ? AND l.ended = 0 AND e.holder = l.token AND e.finished_at IS NULL".to_owned());
        values.push(Box::new(stored(token)));
    }
    if !query.status.is_empty() {
        let codes: Vec<String> = query.status.iter().map(|status| status.code().to_string()).collect();
        conditions.push(format!("e.status IN ({})", codes.join(", ")));
        if query.status.iter().all(|status| !status.is_final()) {
            // Says to SQLite that the index of the unfinished is enough, however many have ended.
            conditions.push("e.finished_at IS NULL".to_owned());
        }
    }
    let columns = concat!(select_runs!(), select_runs!(from));
    (format!("{columns} WHERE {} ORDER BY e.run_no DESC", conditions.join(" AND ")), values)
}
