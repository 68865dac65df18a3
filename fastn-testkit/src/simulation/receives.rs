//! When messages may be received and acknowledged.

use fastn_store::{MessageNo, Received};

use super::invariant::{Held, Invariant, hold};
use super::truth::Truth;

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

    /// Messages were acknowledged: whatever they ask for must be recorded by then. Here they ask to cancel, and so the run
    /// must be ending.
    pub(super) fn acknowledged(&mut self, messages: &[MessageNo]) -> Held {
        for no in messages {
            self.mail.acknowledged.insert(*no);
            let run = self.mail.numbers.get(no).and_then(|(run, _)| self.runs.get(run));
            let ending = run.is_some_and(|run| run.facts.cause.is_some() || run.facts.over.is_some());
            hold(ending, Invariant::AcknowledgedIsRecorded, || {
                format!("message {no:?} was acknowledged, and its run is not cancelled")
            })?;
        }
        Ok(())
    }
}
