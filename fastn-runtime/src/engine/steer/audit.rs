//! What hosts read of who did what.

use fastn_core::{By, EntryName, Result, RunId, TenantId, Timestamp};
use fastn_store::{Scan, Store};

use super::deed::Deed;
use super::ledger::{Line, kind, mark};

/// How many entries are looked at in one go.
const PAGE: u32 = 200;

/// Something that somebody did to a run, or asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Audited {
    /// When it was asked for, by the clock of the engine that was asked.
    pub at: Timestamp,
    /// Whose run it is.
    pub tenant: TenantId,
    /// The run.
    pub run: RunId,
    /// What was done.
    pub deed: Deed,
    /// Who did it, and why.
    pub by: By,
    /// Why nothing came of it, if that is known: it was refused, or there was nothing to do.
    pub in_vain: Option<String>,
}

/// Which entries of the audit.
#[derive(Clone, Debug, Default)]
pub struct AuditQuery {
    /// Only of this tenant's runs.
    pub tenant: Option<TenantId>,
    /// Only of this run.
    pub run: Option<RunId>,
    /// Only what this one did.
    pub actor: Option<String>,
    /// Only deeds of this kind, by their [word](Deed::as_str).
    pub deed: Option<String>,
    /// Only what was done at this time or later.
    pub from: Option<Timestamp>,
    /// Only what was done before this time.
    pub before: Option<Timestamp>,
    /// Only those behind this one: the `next` of the page before.
    pub after: Option<AuditMark>,
    /// At most so many; 0 is taken as 100.
    pub limit: u32,
}

/// Where a page of the audit ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditMark((TenantId, EntryName));

/// A page of the audit.
#[derive(Clone, Debug, Default)]
pub struct AuditPage {
    /// What was done: tenant by tenant, and of each what was done last comes first.
    pub entries: Vec<Audited>,
    /// Where the next page begins; `None` if this is the last.
    pub next: Option<AuditMark>,
}

impl AuditQuery {
    fn most(&self) -> usize {
        if self.limit == 0 { 100 } else { usize::try_from(self.limit).unwrap_or(usize::MAX) }
    }

    fn has(&self, line: &Line) -> bool {
        self.run.is_none_or(|run| run == line.run)
            && self.actor.as_ref().is_none_or(|actor| *actor == line.by.actor)
            && self.deed.as_ref().is_none_or(|deed| deed == line.deed.as_str())
            && self.from.is_none_or(|from| from <= line.at)
            && self.before.is_none_or(|before| line.at < before)
    }
}

/// What was done to runs, as the query says.
pub(in crate::engine) async fn list(store: &dyn Store, query: &AuditQuery) -> Result<AuditPage> {
    let mut after = query.after.clone().map(|AuditMark(mark)| mark);
    if let (None, Some(tenant), Some(before)) = (&after, &query.tenant, query.before) {
        // Everything later stands before it.
        after = Some((tenant.clone(), mark(Timestamp::from_micros(before.as_micros().saturating_sub(1)))?));
    }
    let mut page = AuditPage::default();
    loop {
        let scan = Scan { kind: kind()?, tenant: query.tenant.clone(), after, limit: PAGE };
        let found = store.scan(scan).await?;
        let last = u32::try_from(found.len()) != Ok(PAGE);
        after = found.last().map(|entry| (entry.key.tenant.clone(), entry.key.name.clone()));
        for entry in found {
            let line = match Line::read(&entry.value) {
                Ok(line) => line,
                Err(error) => {
                    // It must not keep all others from being seen.
                    tracing::error!(name = %entry.key.name, error = ?error, "an entry of the audit cannot be read");
                    continue;
                }
            };
            if query.tenant.is_some() && query.from.is_some_and(|from| line.at < from) {
                return Ok(page);
            }
            if query.has(&line) {
                let Line { run, at, deed, by, in_vain, .. } = line;
                page.entries.push(Audited { at, tenant: entry.key.tenant.clone(), run, deed, by, in_vain });
                if page.entries.len() >= query.most() {
                    page.next = Some(AuditMark((entry.key.tenant, entry.key.name)));
                    return Ok(page);
                }
            }
        }
        if last {
            return Ok(page);
        }
    }
}
