//! The mailbox of the memory store.

use async_trait::async_trait;
use fastn_core::Result;

use super::{House, MemoryStore};
use crate::standing::fenced;
use crate::{Mailbox, Message, MessageNo, News, NewsAsk, ReceiveAsk, Received, RunKey, RunNo, RunSummary, Sent};

#[async_trait]
impl Mailbox for MemoryStore {
    async fn send(&self, messages: Vec<Message>) -> Result<Vec<Sent>> {
        let sent = self.with(|house| Ok(messages.into_iter().map(|message| house.put(message)).collect::<Vec<_>>()))?;
        if sent.contains(&Sent::Accepted) {
            self.board.tell_messages();
        }
        Ok(sent)
    }

    async fn receive(&self, ask: ReceiveAsk) -> Result<Vec<Received>> {
        self.with(|house| {
            house.check("receive messages", ask.lease)?;
            let held = |no: RunNo| house.runs.get(&no).filter(|run| run.holder == Some(ask.lease));
            Ok(house.mail.page(&ask, |no| held(no).map(|run| run.key.clone())))
        })
    }

    async fn acknowledge(&self, lease: u64, messages: &[MessageNo]) -> Result<()> {
        self.with(|house| {
            house.check("acknowledge messages", lease)?;
            for no in messages {
                let run = house.mail.run_of(*no).and_then(|run| house.runs.get(&run));
                // An end may be what the message led to.
                if run.is_some_and(|run| run.holder == Some(lease) || run.status.is_final()) {
                    house.mail.acknowledge(*no);
                }
            }
            Ok(())
        })
    }

    async fn unread(&self, run: &RunKey) -> Result<Vec<Message>> {
        self.with(|house| {
            let no = house.by_key.get(run).filter(|no| house.runs.get(no).is_some_and(|run| !run.status.is_final()));
            Ok(no.map(|no| house.mail.of(*no, run)).unwrap_or_default())
        })
    }

    async fn summaries(&self, runs: &[RunKey]) -> Result<Vec<Option<RunSummary>>> {
        self.with(|house| {
            let summary = |key: &RunKey| {
                let no = house.by_key.get(key)?;
                house.runs.get(no).map(|run| house.summary(*no, run))
            };
            Ok(runs.iter().map(summary).collect())
        })
    }

    async fn news(&self, ask: NewsAsk) -> Result<News> {
        self.board.wait(ask).await
    }
}

impl House {
    pub(super) fn check(&self, op: &'static str, lease: u64) -> Result<()> {
        if self.leases.contains_key(&lease) { Ok(()) } else { Err(fenced(op, lease)) }
    }

    fn put(&mut self, message: Message) -> Sent {
        let run = self.by_key.get(&message.run).and_then(|no| Some((*no, self.runs.get(no)?.status)));
        let Some((no, status)) = run else { return Sent::NotFound };
        if self.mail.knows(no, &message.id) {
            return Sent::Known;
        }
        if status.is_final() {
            return Sent::Ended(status);
        }
        self.mail.put(no, message);
        Sent::Accepted
    }
}
