//! Looking through dead events, telling them once more, dismissing them.

use std::sync::Arc;

use fastn_core::{EntryName, Error, ErrorKind, Result, RunId, TenantId, Timestamp};
use fastn_store::{Expect, Put, RunKey, Scan, Store};

use super::DeadLetters;
use crate::engine::dead_event::{DeadEvent, key_of, kind};
use crate::engine::signals::{Delivery, SendSignal};

/// How many are looked at in one go.
const PAGE: u32 = 200;

/// Which dead events.
#[derive(Clone, Debug, Default)]
pub struct EventQuery {
    /// Only this tenant's.
    pub tenant: Option<TenantId>,
    /// Only those of this run.
    pub run: Option<RunId>,
    /// Only those of this signal.
    pub signal: Option<String>,
    /// Only those that failed at this time or later.
    pub failed_from: Option<Timestamp>,
    /// Only those that failed before this time.
    pub failed_before: Option<Timestamp>,
    /// Only those behind this one: the `next` of the page before.
    pub after: Option<EventMark>,
    /// At most so many; 0 is taken as 100.
    pub limit: u32,
}

/// Where a page of dead events ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventMark((TenantId, EntryName));

/// A page of dead events.
#[derive(Clone, Debug, Default)]
pub struct EventPage {
    /// The events, in the order of tenants and runs.
    pub events: Vec<DeadEvent>,
    /// Where the next page begins; `None` if this is the last.
    pub next: Option<EventMark>,
}

/// What became of many dead events that were told once more.
#[derive(Debug, Default)]
pub struct ToldAgain {
    /// Those that were told; they are no dead events any more.
    pub told: Vec<DeadEvent>,
    /// Those that were not, and why.
    pub refused: Vec<(DeadEvent, Error)>,
    /// Where to go on; `None` if nothing is left, or if the first of all was refused for a reason that counts for all.
    pub next: Option<EventMark>,
}

impl EventQuery {
    fn has(&self, event: &DeadEvent) -> bool {
        self.run.is_none_or(|run| run == event.run)
            && self.signal.as_ref().is_none_or(|signal| event.signal.as_ref().is_some_and(|(name, _)| name == signal))
            && self.failed_from.is_none_or(|from| from <= event.failed_at)
            && self.failed_before.is_none_or(|before| event.failed_at < before)
    }

    fn most(&self) -> usize {
        if self.limit == 0 { 100 } else { usize::try_from(self.limit).unwrap_or(usize::MAX) }
    }
}

/// Events: what was told to runs by messages and could not be handed over, since nobody can read it, or since no node of the
/// run's plan waits for such a signal. They are kept until they are told once more or dismissed.
impl DeadLetters {
    /// Lists dead events.
    pub async fn events(&self, query: EventQuery) -> Result<EventPage> {
        let most = query.most();
        self.look(query, most).await
    }

    /// How many dead events there are, whatever the limit says: what [`retry_events`](Self::retry_events) is about.
    pub async fn count_events(&self, query: EventQuery) -> Result<u64> {
        let found = self.look(query, usize::MAX).await?;
        Ok(found.events.len() as u64)
    }

    /// Tells a run once more what could not be handed over: the program may have learnt to wait for it since. It is no dead
    /// event any more then. Whoever dies in between may be followed by one who tells it again, and the run hears it once.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) if there is no such event, or its run is gone; [`Invalid`](ErrorKind::Invalid) if nobody
    /// can read it, still nothing waits for it, or the run has ended; and as [`SendSignal`].
    pub async fn retry_event(&self, tenant: &TenantId, run: RunId, id: [u8; 16]) -> Result<()> {
        let (event, version) = self.event(tenant, run, id).await?;
        self.tell_again(event, version).await.map_err(|(_, error)| error)
    }

    /// Tells runs the dead events of the query once more, at most as many as it says. One that cannot be told keeps no other from
    /// it; but when the store or the engine fails, the rest is left.
    pub async fn retry_events(&self, query: EventQuery) -> Result<ToldAgain> {
        let page = self.events(query.clone()).await?;
        let mut all = ToldAgain { next: page.next, ..ToldAgain::default() };
        // Behind the one before: what fails for all fails for this one first.
        let mut before = query.after;
        for event in page.events {
            let mark = event.key().map(|key| EventMark((key.tenant, key.name)))?;
            let (event, version) = match self.event(&event.tenant, event.run, event.id).await {
                Ok(found) => found,
                // Somebody else has told or dismissed it.
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                Err(error) => {
                    all.refused.push((event, error));
                    all.next = before;
                    return Ok(all);
                }
            };
            match self.tell_again(event.clone(), version).await {
                Ok(()) => all.told.push(event),
                Err((event, error)) => {
                    let fails_for_all = error.is_transient() || error.kind() == ErrorKind::Closed;
                    all.refused.push((event, error));
                    if fails_for_all {
                        all.next = before;
                        return Ok(all);
                    }
                }
            }
            before = Some(mark);
        }
        Ok(all)
    }

    /// Forgets a dead event, since it needs nothing more. Who says so and why is logged; whether it was there.
    ///
    /// # Errors
    /// [`TooLarge`](ErrorKind::TooLarge) if more than 4 KiB are said.
    pub async fn dismiss_event(
        &self,
        tenant: &TenantId,
        run: RunId,
        id: [u8; 16],
        by: &str,
        why: &str,
    ) -> Result<bool> {
        self.check("dismiss dead event", by, why)?;
        match self.event(tenant, run, id).await {
            Ok((event, version)) => {
                self.forget(&event, version).await?;
                tracing::info!(%tenant, %run, by, why, "a dead event is dismissed");
                Ok(true)
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn look(&self, query: EventQuery, most: usize) -> Result<EventPage> {
        let store = self.store()?;
        let (mut page, mut after) = (EventPage::default(), query.after.clone().map(|EventMark(mark)| mark));
        loop {
            let scan = Scan { kind: kind()?, tenant: query.tenant.clone(), after, limit: PAGE };
            let entries = store.scan(scan).await?;
            let last = u32::try_from(entries.len()) != Ok(PAGE);
            after = entries.last().map(|entry| (entry.key.tenant.clone(), entry.key.name.clone()));
            for entry in entries {
                let event = match DeadEvent::read(&entry) {
                    Ok(event) => event,
                    Err(error) => {
                        // It must not keep all others from being seen.
                        tracing::error!(name = %entry.key.name, error = ?error, "a dead event cannot be read");
                        continue;
                    }
                };
                if query.has(&event) {
                    page.events.push(event);
                    if page.events.len() >= most {
                        page.next = Some(EventMark((entry.key.tenant, entry.key.name)));
                        return Ok(page);
                    }
                }
            }
            if last {
                return Ok(page);
            }
        }
    }

    async fn event(&self, tenant: &TenantId, run: RunId, id: [u8; 16]) -> Result<(DeadEvent, u64)> {
        let key = key_of(&RunKey { tenant: tenant.clone(), run }, &id)?;
        let entry = self.store()?.get(&key).await?;
        let entry = entry.ok_or_else(|| Error::new(ErrorKind::NotFound, "find dead event").with("run", run))?;
        Ok((DeadEvent::read(&entry)?, entry.version))
    }

    async fn tell_again(&self, mut event: DeadEvent, version: u64) -> Result<(), (DeadEvent, Error)> {
        let Some((signal, value)) = event.signal.clone() else {
            let error = Error::new(ErrorKind::Invalid, "retry dead event").with("run", event.run);
            return Err((event, error.caused_by("nobody knows what it says")));
        };
        let run = RunKey { tenant: event.tenant.clone(), run: event.run };
        let again = RunId::from_bytes(event.id);
        // Its own id was acknowledged when it became a dead event; this one is the same for whoever does it.
        let sent = SendSignal::new(self.core().clone(), run, signal, Ok(value)).id(&format!("again {again}")).await;
        match sent {
            Ok(Delivery::Ended) => {
                let over = Error::new(ErrorKind::Invalid, "retry dead event").with("run", event.run);
                Err((event, over.caused_by("the run has ended")))
            }
            // Who was told before need not be.
            Ok(_) => self.forget(&event, version).await.map_err(|error| (event, error)),
            Err(error) if error.is_transient() || error.kind() == ErrorKind::Closed => Err((event, error)),
            Err(error) => {
                event.failed(error.chain().join(": "), self.core().services.clock.now());
                let noted = match self.store() {
                    Ok(store) => event.put(&**store, Expect::Version(version)).await,
                    Err(error) => Err(error),
                };
                if let Err(error) = noted {
                    tracing::warn!(run = %event.run, error = ?error, "the retry of a dead event could not be noted");
                }
                Err((event, error))
            }
        }
    }

    async fn forget(&self, event: &DeadEvent, version: u64) -> Result<()> {
        let put = Put { key: event.key()?, value: None, expect: Expect::Version(version) };
        match self.store()?.put(put).await {
            // Somebody else has told or dismissed it.
            Err(error) if error.kind() == ErrorKind::Conflict => Ok(()),
            done => done.map(drop),
        }
    }

    fn store(&self) -> Result<&Arc<dyn Store>> {
        self.core().services.store()
    }
}
