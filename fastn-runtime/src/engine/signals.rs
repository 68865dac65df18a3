//! What hosts tell runs.

use std::fmt;
use std::future::IntoFuture;
use std::sync::Arc;

use fastn_core::{BoxFuture, By, Error, ErrorKind, Event, Payload, Result, RunId};
use fastn_store::{DefinitionKey, RunKey, Sent};
use serde_json::value::RawValue;

use super::command::Command;
use super::core::Core;
use super::post;
use super::recovery::{self, Found};
use super::run::Told;
use super::steer::Deed;
use super::steer::ledger::audited;
use super::strand;
use crate::machine::Machine;

const OP: &str = "send signal";

/// What became of a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Delivery {
    /// It is durable: in the run, or for whoever has it, now or later, who hands it over unless the run ends before.
    Told,
    /// Nothing was changed: the run was told one with this [id](SendSignal::id) before, or it is a signal of which only the
    /// [first](fastn_core::Signal::first) counts, and this is not the first.
    Known,
    /// Nothing was changed: the run has ended, or is about to, and was not told this.
    Ended,
}

/// A signal that is about to be sent: await it.
///
/// # Contract
/// When it is [`Told`](Delivery::Told), the signal is durable, and is there once however often it is sent with the same
/// [id](SendSignal::id). It may be sent before anybody waits for it: it is kept for who will. Those that one caller sends one
/// after the other arrive in that order, unless the run changes hands meanwhile.
///
/// # Errors
/// [`NotFound`](ErrorKind::NotFound) if there is no such run; [`Invalid`](ErrorKind::Invalid) if no node of its workflow waits
/// for such a signal, or if the value cannot be written as JSON; [`TooLarge`](ErrorKind::TooLarge) if the value is larger than a
/// payload may be; or if the store fails: then it may have been sent all the same, and with an id it does no harm to send it
/// again.
///
/// # Cancel safety
/// Dropping the future does not take the signal back.
#[must_use = "a signal is sent when this is awaited"]
pub struct SendSignal {
    core: Arc<Core>,
    run: RunKey,
    signal: String,
    value: Result<Payload>,
    id: Option<[u8; 16]>,
    by: Option<By>,
}

impl SendSignal {
    pub(super) fn new(core: Arc<Core>, run: RunKey, signal: impl Into<String>, value: Result<Payload>) -> Self {
        Self { core, run, signal: signal.into(), value, id: None, by: None }
    }

    /// By what the signal is known, such as the id of the event that it tells of: within its run and name it is there once,
    /// whoever sends it, and as long as the run is in the store.
    pub fn id(mut self, id: &str) -> Self {
        // No name has a NUL, so no two pairs look alike.
        self.id = Some(*RunId::named(&format!("signal\0{}\0{id}", self.signal)).as_bytes());
        self
    }

    /// Who tells it and why: it is recorded in the run with the signal and, if it is somebody in particular, listed in the
    /// [audit](super::runs::Runs::audit).
    pub fn by(mut self, by: impl Into<By>) -> Self {
        self.by = Some(by.into());
        self
    }

    async fn send(self) -> Result<Delivery> {
        let Some(by) = self.by.clone().filter(By::is_somebody) else { return self.tell().await };
        let (core, run, signal) = (self.core.clone(), self.run.clone(), self.signal.clone());
        let in_vain = |sent: &Delivery| (*sent == Delivery::Ended).then(|| "the run has ended".to_owned());
        audited(&core, &run, || Deed::Signal { signal }, &by, in_vain, self.tell()).await
    }

    async fn tell(self) -> Result<Delivery> {
        let Self { core, run: key, signal, value, id, by } = self;
        core.check_open(OP)?;
        let value = value?;
        // Read once, so that whoever sends it is told, and not whoever receives it.
        value.decode::<Box<RawValue>>()?;
        if value.len() > core.services.limits.payload {
            return Err(Error::new(ErrorKind::TooLarge, OP).with("value", value.len()));
        }
        let id = id.unwrap_or_else(|| *core.services.chance.run_id(core.services.clock.now()).as_bytes());
        loop {
            let run = match recovery::load(&core, &key).await? {
                Found::Here(run) => run,
                Found::Over if core.services.durable().is_none() => {
                    return Err(Error::new(ErrorKind::NotFound, OP).with("run", key.run));
                }
                Found::Over => return over(&core, &key, &id).await,
                Found::Elsewhere => return post(&core, &key, Command::Signal { name: signal, value, by }, id).await,
            };
            known(&signal, run.definition.plan().signals().contains_key(&signal))?;
            let mut heard = false;
            let event = |machine: &Machine| {
                heard = machine.has_heard(&id);
                machine.signal_by(id, &signal, &value, by.as_ref())
            };
            match run.tell(&core.services, event)? {
                Told::Turn(pending) => match strand::carry_out(&core, &run, pending).await {
                    // It is for whoever has the run now.
                    Err(error) if strand::is_of_lease(&error) => run.tenure.left().await,
                    told => return told.map(|()| Delivery::Told),
                },
                Told::Nothing => {
                    // What makes it mean nothing may be on its way to the store still.
                    let goes = run.goes();
                    if let Some(last) = run.last() {
                        last.durable().await?;
                    }
                    return Ok(if goes || heard { Delivery::Known } else { Delivery::Ended });
                }
                Told::Left => {}
            }
        }
    }
}

/// Leaves it for whoever has the run.
async fn post(core: &Arc<Core>, key: &RunKey, command: Command, id: [u8; 16]) -> Result<Delivery> {
    // Whoever sends what nobody waits for is told, if this engine can know.
    let summary = core.services.store()?.summaries(std::slice::from_ref(key)).await?.pop().flatten();
    if let (Some(summary), Command::Signal { name, .. }) = (summary, &command) {
        let of = |key: &DefinitionKey| core.definitions.get(key).map(|served| served.definition.plan().clone());
        known(name, of(&summary.definition).is_none_or(|plan| plan.signals().contains_key(name)))?;
    }
    match post::send(core, key, command, Some(id)).await? {
        Sent::Accepted => Ok(Delivery::Told),
        Sent::Known => Ok(Delivery::Known),
        _ => over(core, key, &id).await,
    }
}

/// The run has ended: whether it had heard of this before, perhaps by a call whose answer was lost.
async fn over(core: &Core, key: &RunKey, id: &[u8; 16]) -> Result<Delivery> {
    let history = core.services.store()?.read(key).await?;
    let is = |event: &Event| matches!(event, Event::Signalled { id: told, .. } if told == id);
    let heard = history.is_some_and(|history| history.records.iter().any(|record| is(&record.event)));
    Ok(if heard { Delivery::Known } else { Delivery::Ended })
}

fn known(signal: &str, known: bool) -> Result<()> {
    let unknown = || Error::new(ErrorKind::Invalid, OP).with("signal", signal).caused_by("no node waits for it");
    if known { Ok(()) } else { Err(unknown()) }
}

impl IntoFuture for SendSignal {
    type Output = Result<Delivery>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}

impl fmt::Debug for SendSignal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SendSignal({} to {})", self.signal, self.run.run)
    }
}
