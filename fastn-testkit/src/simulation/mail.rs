//! What is true of messages.

use std::collections::{BTreeMap, BTreeSet};

use fastn_store::{Message, MessageNo, RunKey, Sent};

/// The messages that a store said it has.
#[derive(Debug, Default)]
pub(super) struct MailTruth {
    pub(super) accepted: BTreeSet<(RunKey, [u8; 16])>,
    /// What was received.
    pub(super) numbers: BTreeMap<MessageNo, (RunKey, [u8; 16])>,
    pub(super) acknowledged: BTreeSet<MessageNo>,
}

impl MailTruth {
    /// Messages were sent.
    pub(super) fn sent(&mut self, messages: &[Message], sent: &[Sent]) {
        for (message, sent) in messages.iter().zip(sent) {
            if matches!(sent, Sent::Accepted | Sent::Known) {
                self.accepted.insert((message.run.clone(), message.id));
            }
        }
    }

    /// Whether anything was sent to a run.
    pub(super) fn has_any(&self, run: &RunKey) -> bool {
        self.accepted.iter().any(|(to, _)| to == run)
    }
}
