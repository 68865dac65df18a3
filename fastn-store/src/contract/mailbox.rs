//! What is sent to runs from outside, and what wakes executors.

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;
use fastn_core::{Result, Timestamp};

use super::{News, NewsAsk, RunKey, RunStatus, RunSummary};

/// Something that is told to a run by whoever does not hold it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// By which its repetition is known: within one run every message has its own.
    pub id: [u8; 16],
    /// Whom it is for.
    pub run: RunKey,
    /// What it says; a store does not look into it.
    pub body: Bytes,
    /// When it was sent.
    pub sent_at: Timestamp,
}

/// What became of a message that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Sent {
    /// It waits for whoever holds the run, now or later.
    Accepted,
    /// One of this id was accepted before; nothing was changed.
    Known,
    /// The run has ended in this way: nobody would receive it.
    Ended(RunStatus),
    /// There is no such run.
    NotFound,
}

/// A store's own number for a message. Of those that one caller sends one after the other, later ones have larger numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MessageNo(pub u64);

/// Asks for messages.
#[derive(Clone, Debug)]
pub struct ReceiveAsk {
    /// The token of the lease that holds the runs.
    pub lease: u64,
    /// Only those after this one: the last of the page before.
    pub after: Option<MessageNo>,
    /// At most so many.
    pub limit: u32,
}

/// A message that was received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// Its number, by which it is acknowledged.
    pub no: MessageNo,
    /// As it was sent.
    pub message: Message,
}

/// What goes between those who hold runs and all others: by any process, whether or not an executor lives.
///
/// # Contract
/// * A message that was [accepted](Sent::Accepted) is received again and again by whoever holds its run, until it is
///   acknowledged. So it arrives **at least once**: whoever dies between recording it in the run and acknowledging it leaves
///   it to be received once more. What a machine does with a message must be the same whether it is told once or twice.
/// * A message that is **sent** again is there once, also when the first one was acknowledged since: the ids are known as
///   long as the run is in the store.
/// * What an ended run did not acknowledge nobody receives any more. Pruning a run deletes its messages.
#[async_trait]
pub trait Mailbox: fmt::Debug + Send + Sync + 'static {
    /// Sends messages: when this comes back, those that were accepted are durable. One answer for each, in their order.
    /// Sending again after an error does no harm.
    ///
    /// # Errors
    /// As of every method of a [`Store`](super::Store).
    async fn send(&self, messages: Vec<Message>) -> Result<Vec<Sent>>;

    /// Gives the messages, not yet acknowledged, for runs that this lease holds, those with the smallest numbers first.
    ///
    /// # Errors
    /// [`Fenced`](fastn_core::ErrorKind::Fenced) if the lease has ended.
    async fn receive(&self, ask: ReceiveAsk) -> Result<Vec<Received>>;

    /// Forgets messages, but for their ids: they were recorded in their runs, or mean nothing to them. Numbers of messages
    /// that were acknowledged before, or that there are not, are passed over; so are those of runs that another lease
    /// holds.
    ///
    /// # Errors
    /// [`Fenced`](fastn_core::ErrorKind::Fenced) if the lease has ended; then nothing was acknowledged.
    async fn acknowledge(&self, lease: u64, messages: &[MessageNo]) -> Result<()>;

    /// Gives the messages for a run that has not ended, not yet acknowledged, in their order, whoever holds it: to be looked at.
    async fn unread(&self, run: &RunKey) -> Result<Vec<Message>>;

    /// Gives runs without their records, in the order in which they are asked for; `None` for those that there are not.
    async fn summaries(&self, runs: &[RunKey]) -> Result<Vec<Option<RunSummary>>>;

    /// Completes when there is something beyond what the caller has [heard](NewsAsk::since). For a caller who has heard
    /// nothing yet, at once.
    ///
    /// It may complete where nothing happened, and now and then miss what other processes do: whoever waits here looks by
    /// itself from time to time. What is done through this same store is never missed.
    ///
    /// # Cancel safety
    /// Safe: ask again with the same `since`, and nothing is missed.
    async fn news(&self, ask: NewsAsk) -> Result<News>;
}
