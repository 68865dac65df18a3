//! What is told to runs by whoever does not have them: sent, received, recorded, acknowledged.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use fastn_core::{Error, ErrorKind, Result};
use fastn_store::{Message, MessageNo, ReceiveAsk, RunKey, Sent};

use super::command::Command;
use super::core::Core;
use super::dead_event;
use super::recovery::{self, Found};
use super::run::Told;
use super::strand::{self, is_of_lease};
use super::tenure::Tenure;
use crate::clock::pause;
use crate::journal::Ticket;
use crate::machine::Machine;
use crate::patience::patiently;

/// How many messages are received at a time.
const PAGE: u32 = 256;

/// How often to look for messages of which nothing was heard.
const POLL: Duration = Duration::from_secs(5);

/// How long after the store was unavailable it is asked again.
const SOON: Duration = Duration::from_millis(200);

/// Sends a command to whoever has the run, now or later. Comes back when it is durable, or means nothing since the run has
/// ended. With an id it is there once however often it is sent.
///
/// # Errors
/// `NotFound` if there is no such run.
pub(super) async fn send(core: &Core, run: &RunKey, command: Command, id: Option<[u8; 16]>) -> Result<Sent> {
    const OP: &str = "send message";
    let durable = core.services.durable().ok_or_else(|| Error::new(ErrorKind::Unsupported, OP))?;
    let clock = &*core.services.clock;
    let (body, sent_at) = (command.encode()?, clock.now());
    // One for all times it is sent, so that it is there once.
    let id = id.unwrap_or_else(|| *core.services.chance.run_id(sent_at).as_bytes());
    let message = Message { id, run: run.clone(), body, sent_at };
    let sent = patiently(clock, durable.patience, || durable.store.send(vec![message.clone()])).await?;
    match sent.first() {
        Some(sent @ (Sent::Accepted | Sent::Known | Sent::Ended(_))) => Ok(*sent),
        Some(Sent::NotFound) => Err(Error::new(ErrorKind::NotFound, OP).with("run", run.run)),
        _ => Err(Error::new(ErrorKind::Internal, OP).caused_by("the store mistook a message")),
    }
}

/// Hands messages to the runs that this engine has, as long as it has its lease.
pub(super) async fn run(core: Arc<Core>, tenure: Arc<Tenure>) {
    // What was complained of before.
    let mut strange = BTreeSet::new();
    while !core.is_stopping() {
        let wait = match deliver(&core, &tenure, &mut strange).await {
            Ok(()) => POLL,
            Err(error) if is_of_lease(&error) => return core.lose(&tenure, &Arc::new(error)),
            Err(error) if error.is_transient() => {
                tracing::warn!(error = ?error, "messages could not be received; trying again");
                SOON
            }
            Err(error) if error.kind() == ErrorKind::Closed => return,
            Err(error) => {
                tracing::error!(error = ?error, "messages could not be received; trying again later");
                POLL
            }
        };
        tokio::select! {
            biased;
            () = core.bells.messages.notified() => {}
            () = pause(&*core.services.clock, wait) => {}
        }
    }
}

/// Hands over what there is, page by page.
async fn deliver(core: &Arc<Core>, tenure: &Tenure, strange: &mut BTreeSet<MessageNo>) -> Result<()> {
    let (store, Some(lease)) = (core.services.store()?, tenure.token()) else { return Ok(()) };
    let (mut after, mut failed) = (None, None);
    // What is for a run comes in its order, so behind what could not be handed over nothing is.
    let mut stopped = HashSet::new();
    loop {
        let page = store.receive(ReceiveAsk { lease, after, limit: PAGE }).await?;
        let (count, last) = (page.len(), page.last().map(|received| received.no));
        let (mut done, mut written) = (Vec::new(), Vec::new());
        for received in page {
            if stopped.contains(&received.message.run) {
                continue;
            }
            match hand_over(core, &received.message, strange.contains(&received.no)).await {
                Ok(Handed::Over) => done.push(received.no),
                Ok(Handed::Written(ticket)) => written.push((received.no, ticket)),
                Ok(Handed::Elsewhere) => drop(stopped.insert(received.message.run)),
                Ok(Handed::Strange) => drop(strange.insert(received.no)),
                Err(error) => {
                    failed = Some(error);
                    stopped.insert(received.message.run);
                }
            }
        }
        for (no, ticket) in written {
            match ticket.durable().await {
                Ok(_) => done.push(no),
                Err(error) => failed = Some(error),
            }
        }
        if !done.is_empty() {
            store.acknowledge(lease, &done).await?;
        }
        if u32::try_from(count) != Ok(PAGE) {
            return failed.map_or(Ok(()), Err);
        }
        after = last;
    }
}

/// What became of a message.
enum Handed {
    /// It means nothing to its run, or to anybody.
    Over,
    /// It is recorded when this is durable.
    Written(Ticket),
    /// The run has left this engine meanwhile.
    Elsewhere,
    /// A later build may know what it means.
    Strange,
}

async fn hand_over(core: &Arc<Core>, message: &Message, known: bool) -> Result<Handed> {
    let run = &message.run.run;
    let command = match Command::decode(&message.body) {
        Ok(command) => command,
        Err(error) if error.kind() == ErrorKind::Unsupported => {
            if !known {
                tracing::warn!(%run, error = ?error, "a message waits for a later build of this program");
            }
            return Ok(Handed::Strange);
        }
        Err(error) => {
            tracing::error!(%run, error = ?error, "a message means nothing and becomes a dead event");
            dead_event::keep(&**core.services.store()?, message, error.chain().join(": "), core.services.clock.now())
                .await?;
            return Ok(Handed::Over);
        }
    };
    loop {
        let run = match recovery::load(core, &message.run).await? {
            Found::Here(run) => run,
            Found::Over => return Ok(Handed::Over),
            Found::Elsewhere => return Ok(Handed::Elsewhere),
        };
        if let Command::Signal { name, .. } = &command
            && !run.definition.plan().signals().contains_key(name)
        {
            let plan = run.definition.plan();
            let reason = format!("no node of {} {} waits for `{name}`", plan.name(), plan.version());
            dead_event::keep(&**core.services.store()?, message, reason, core.services.clock.now()).await?;
            return Ok(Handed::Over);
        }
        let event = |machine: &Machine| command.event(message.id, machine);
        return Ok(match run.tell(&core.services, event)? {
            Told::Turn(pending) => {
                let ticket = pending.ticket().cloned();
                strand::carry_on(core, &run, pending);
                ticket.map_or(Handed::Over, Handed::Written)
            }
            // What makes it mean nothing may be on its way to the store still.
            Told::Nothing => run.last().map_or(Handed::Over, Handed::Written),
            Told::Left => continue,
        });
    }
}
