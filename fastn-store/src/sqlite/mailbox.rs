//! The mailbox of the SQLite store.

use async_trait::async_trait;
use fastn_core::Result;

use super::messages;
use super::store::SqliteStore;
use crate::{Mailbox, Message, MessageNo, News, NewsAsk, ReceiveAsk, Received, RunKey, RunSummary, Sent};

#[async_trait]
impl Mailbox for SqliteStore {
    async fn send(&self, messages: Vec<Message>) -> Result<Vec<Sent>> {
        let sent = self.writer.ask(move |writer| messages::send(&writer.conn, &messages)).await?;
        if sent.contains(&Sent::Accepted) {
            self.board.tell_messages();
        }
        Ok(sent)
    }

    async fn receive(&self, ask: ReceiveAsk) -> Result<Vec<Received>> {
        let (page, dead) = self.reader.ask(move |reader| messages::receive(&reader.conn, &ask)).await?;
        if !dead.is_empty() {
            // They would be looked at again each time. Nobody waits for it: if it fails, they are.
            self.writer.send(Box::new(move |writer| {
                if let Err(error) = messages::bury(&writer.conn, &dead) {
                    tracing::warn!(%error, "messages of runs that have ended could not be forgotten");
                }
            }))?;
        }
        Ok(page)
    }

    async fn acknowledge(&self, lease: u64, messages: &[MessageNo]) -> Result<()> {
        let messages = messages.to_vec();
        self.writer.ask(move |writer| messages::acknowledge(&writer.conn, &writer.state, lease, &messages)).await
    }

    async fn unread(&self, run: &RunKey) -> Result<Vec<Message>> {
        let run = run.clone();
        self.reader.ask(move |reader| messages::unread(&reader.conn, &run)).await
    }

    async fn summaries(&self, runs: &[RunKey]) -> Result<Vec<Option<RunSummary>>> {
        let runs = runs.to_vec();
        self.reader.ask(move |reader| reader.summaries(&runs)).await
    }

    async fn news(&self, ask: NewsAsk) -> Result<News> {
        let _reads = self.board.read();
        // The writer looks at what other processes did while somebody reads; it may be resting just now.
        self.writer.send(Box::new(|_| ()))?;
        self.board.wait(ask).await
    }
}
