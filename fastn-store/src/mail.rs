//! Messages as the memory store keeps them.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use fastn_core::Timestamp;

use crate::{Message, MessageNo, ReceiveAsk, Received, RunKey, RunNo};

/// The messages of all runs.
#[derive(Debug, Default)]
pub(crate) struct Mail {
    last: u64,
    /// Those that were not acknowledged.
    waiting: BTreeMap<MessageNo, Letter>,
    /// The ids of all.
    known: BTreeSet<(RunNo, [u8; 16])>,
}

#[derive(Debug)]
struct Letter {
    run: RunNo,
    id: [u8; 16],
    body: Bytes,
    sent_at: Timestamp,
}

impl Mail {
    /// Whether a message of this id was taken before.
    pub(crate) fn knows(&self, run: RunNo, id: &[u8; 16]) -> bool {
        self.known.contains(&(run, *id))
    }

    /// Takes a message.
    pub(crate) fn put(&mut self, run: RunNo, message: Message) {
        let Message { id, body, sent_at, .. } = message;
        self.last += 1;
        self.known.insert((run, id));
        self.waiting.insert(MessageNo(self.last), Letter { run, id, body, sent_at });
    }

    /// The messages for runs whose keys are given.
    pub(crate) fn page(&self, ask: &ReceiveAsk, key: impl Fn(RunNo) -> Option<RunKey>) -> Vec<Received> {
        let first = ask.after.map_or(0, |no| no.0.saturating_add(1));
        let received = |(no, letter): (&MessageNo, &Letter)| {
            let Letter { run, id, body, sent_at } = letter;
            let message = Message { id: *id, run: key(*run)?, body: body.clone(), sent_at: *sent_at };
            Some(Received { no: *no, message })
        };
        let limit = usize::try_from(ask.limit).unwrap_or(usize::MAX);
        self.waiting.range(MessageNo(first)..).filter_map(received).take(limit).collect()
    }

    /// The messages for a run, which has this key.
    pub(crate) fn of(&self, run: RunNo, key: &RunKey) -> Vec<Message> {
        let letters = self.waiting.values().filter(|letter| letter.run == run);
        let message = |letter: &Letter| {
            let Letter { id, body, sent_at, .. } = letter;
            Message { id: *id, run: key.clone(), body: body.clone(), sent_at: *sent_at }
        };
        letters.map(message).collect()
    }

    /// Whom a message is for.
    pub(crate) fn run_of(&self, no: MessageNo) -> Option<RunNo> {
        self.waiting.get(&no).map(|letter| letter.run)
    }

    /// Forgets a message, but for its id.
    pub(crate) fn acknowledge(&mut self, no: MessageNo) {
        self.waiting.remove(&no);
    }

    /// Forgets all of a run.
    pub(crate) fn forget(&mut self, run: RunNo) {
        self.waiting.retain(|_, letter| letter.run != run);
        let ids = (run, [u8::MIN; 16])..=(run, [u8::MAX; 16]);
        for known in self.known.range(ids).copied().collect::<Vec<_>>() {
            self.known.remove(&known);
        }
    }
}
