//! The runs of an engine's store.

use std::sync::Arc;

use fastn_core::{Draft, Error, ErrorKind, Outcome, Payload, Plan, Result, RunId, Signal, Tag, TenantId};
use fastn_store::{History, Page, RunKey, RunQuery, RunSummary};
use serde::Serialize;

use super::command::Command;
use super::core::Core;
use super::explain::{Explanation, Held};
use super::handle::{self, RunHandle};
use super::signals::SendSignal;

/// The runs of an engine's store: to list, inspect, tell something and cancel.
#[derive(Clone, Debug)]
pub struct Runs {
    core: Arc<Core>,
}

/// A run with everything that is recorded of it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Inspection {
    /// The run and its records.
    pub history: History,
    /// How it ended; `None` while it has not.
    pub outcome: Option<Outcome>,
    /// Why nothing happens, if it is for a reason that will not go away by itself.
    pub waits_for: Option<String>,
    /// Why it is to be cancelled, if somebody has asked for that and no executor that serves it has recorded it yet. The
    /// request stays until one does.
    pub cancelling: Option<String>,
}

impl Runs {
    pub(super) fn new(core: Arc<Core>) -> Self {
        Self { core }
    }

    /// Lists runs, newest first.
    ///
    /// # Errors
    /// If the store cannot be read.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn list(&self, query: RunQuery) -> Result<Page> {
        self.core.services.look()?.list(query).await
    }

    /// The plan that a run was started with, also when this engine does not serve it; `None` if the store was given none.
    ///
    /// # Errors
    /// If the store cannot be read.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn plan(&self, run: &RunSummary) -> Result<Option<Plan>> {
        let text = self.core.services.look()?.plan(&run.key.tenant, &run.definition).await?;
        text.map(|text| Ok(Draft::from_editor_json(&text)?.check()?)).transpose()
    }

    /// Everything that is recorded of a run.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) if there is none of that id; or if the store cannot be read.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn inspect(&self, tenant: &TenantId, run: RunId) -> Result<Inspection> {
        let key = RunKey { tenant: tenant.clone(), run };
        let history = self.core.services.look()?.read(&key).await?;
        let history = history.ok_or_else(|| Error::new(ErrorKind::NotFound, "find run").with("run", run))?;
        let outcome = history.outcome().cloned();
        let waits_for = self.waits_for(&history).filter(|_| outcome.is_none());
        let cancelling = if outcome.is_none() { self.cancelling(&key).await? } else { None };
        let strange = !self.core.definitions.contains_key(&history.run.definition);
        let waits_for = waits_for.map(|why| match &cancelling {
            Some(_) if strange => format!("{why}; its cancellation waits for an executor that serves it"),
            _ => why,
        });
        Ok(Inspection { history, outcome, waits_for, cancelling })
    }

    /// Why a run is where it is: what is under way, what it waits for, who has it, and what comes next. From what is recorded,
    /// and so for every run of the store, wherever it is; of a workflow that this engine does not serve, by the plan that
    /// it was started with.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) if there is none of that id; or if the store cannot be read.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn explain(&self, tenant: &TenantId, run: RunId) -> Result<Explanation> {
        let Inspection { history, waits_for, cancelling, .. } = self.inspect(tenant, run).await?;
        let own = self.core.services.tenure().and_then(|tenure| tenure.token());
        let held = match history.run.holder {
            Some(token) if own == Some(token) => Held::Here,
            Some(token) => Held::Elsewhere(token),
            None => Held::Nobody,
        };
        let plan = match self.core.definitions.get(&history.run.definition) {
            Some(served) => Ok(Some(served.definition.plan().clone())),
            None => self.plan(&history.run).await.map(|plan| plan.map(Arc::new)),
        };
        Ok(Explanation { waits_for, cancelling, ..Explanation::of(history, held, plan)? })
    }

    async fn cancelling(&self, key: &RunKey) -> Result<Option<String>> {
        let unread = self.core.services.look()?.unread(key).await?;
        // What this build does not know may be of a later one.
        Ok(unread.iter().find_map(|message| match Command::decode(&message.body) {
            Ok(Command::Cancel { reason }) => Some(reason),
            _ => None,
        }))
    }

    fn waits_for(&self, history: &History) -> Option<String> {
        let wanted = &history.run.definition;
        if let Some(served) = self.core.definitions.get(wanted) {
            let idle = history.run.holder.is_none() && !served.lacks.is_empty();
            return idle.then(|| {
                let tags: Vec<&str> = served.definition.plan().requires().iter().map(Tag::as_str).collect();
                let lacks: Vec<&str> = served.lacks.iter().map(Tag::as_str).collect();
                let (tags, lacks) = (tags.join(", "), lacks.join(", "));
                format!("an executor tagged {tags}: none has taken it, and this one lacks {lacks}")
            });
        }
        let same = |key: &&fastn_store::DefinitionKey| key.workflow == wanted.workflow && key.version == wanted.version;
        Some(match self.core.definitions.keys().find(same) {
            Some(served) => format!(
                "{} {} of shape {}; the one served has shape {}: its graph was changed without a new version",
                wanted.workflow, wanted.version, wanted.shape, served.shape
            ),
            None => format!("{} {}, which this engine does not serve", wanted.workflow, wanted.version),
        })
    }

    /// A handle to a run, whose output is taken for an `O`.
    pub fn handle<O>(&self, tenant: &TenantId, run: RunId) -> RunHandle<O> {
        let key = RunKey { tenant: tenant.clone(), run };
        let watch = self.core.watch(&key);
        RunHandle::new(self.core.clone(), key, watch)
    }

    /// Tells a run something: see [`RunHandle::signal`]. Await what this gives.
    pub fn signal<T: Serialize>(&self, tenant: &TenantId, run: RunId, signal: Signal<T>, value: &T) -> SendSignal {
        self.signal_named(tenant, run, signal.name(), Payload::encode(value))
    }

    /// As [`Runs::signal`], with a name and a value that are known only at run time. The value is JSON.
    pub fn signal_named(
        &self,
        tenant: &TenantId,
        run: RunId,
        signal: impl Into<String>,
        value: Result<Payload>,
    ) -> SendSignal {
        SendSignal::new(self.core.clone(), RunKey { tenant: tenant.clone(), run }, signal, value)
    }

    /// Cancels a run: see [`RunHandle::cancel`].
    ///
    /// # Errors
    /// As there.
    ///
    /// # Cancel safety
    /// As there.
    pub async fn cancel(&self, tenant: &TenantId, run: RunId, reason: &str) -> Result<bool> {
        handle::cancel(&self.core, &RunKey { tenant: tenant.clone(), run }, reason).await
    }
}
