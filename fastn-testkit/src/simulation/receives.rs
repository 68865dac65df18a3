//! When messages may be received and acknowledged.

use fastn_store::{MessageNo, Received};

use super::invariant::{Held, Invariant, hold};
use super::truth::{RunTruth, Truth};

impl Truth {
    /// Messages were received under a lease.
    pub(super) fn received(&mut self, lease: u64, received: &[Received]) -> Held {
        for Received { no, message } in received {
            let sent = (message.run.clone(), message.id);
            hold(self.mail.accepted.contains(&sent), Invariant::StoreKeepsItsWord, || {
                format!("message {no:?} for {} was not sent", message.run.run)
            })?;
            hold(!self.mail.acknowledged.contains(no), Invariant::StoreKeepsItsWord, || {
                format!("message {no:?} for {} was acknowledged, and is received again", message.run.run)
            })?;
            let holder = self.runs.get(&message.run).and_then(|run| run.holder);
            hold(holder == Some(lease), Invariant::OneExecutor, || {
                format!("lease {lease} received a message for a run of {holder:?}")
            })?;
            self.mail.numbers.insert(*no, sent);
        }
        Ok(())
    }

    /// Messages were acknowledged: whatever they ask for must be recorded by then. Here they ask to cancel, and then the run
    /// must be ending, or they are signals, and then it must have heard of them.
    pub(super) fn acknowledged(&mut self, messages: &[MessageNo]) -> Held {
        for no in messages {
            self.mail.acknowledged.insert(*no);
            let Some((run, id)) = self.mail.numbers.get(no) else { continue };
            let done = self.runs.get(run).is_some_and(|run| run.is_ending() || run.has_use_of(id) == Some(false));
            hold(done, Invariant::AcknowledgedIsRecorded, || {
                format!("message {no:?} was acknowledged, and its run has not heard of it")
            })?;
        }
        Ok(())
    }
}

impl RunTruth {
    /// Whether it has ended or is about to.
    pub(super) fn is_ending(&self) -> bool {
        self.facts.cause.is_some() || self.facts.over.is_some()
    }

    /// Whether a signal of this id would still mean something to it; `None` if nobody sent one.
    pub(super) fn has_use_of(&self, id: &[u8; 16]) -> Option<bool> {
        let (signal, _) = self.sent.get(id)?;
        let take = self.plan.signals().get(&**signal).copied().unwrap_or_default();
        Some(!self.facts.inboxes.heard.contains(id) && !self.facts.inboxes.has_first(signal, take))
    }
}
