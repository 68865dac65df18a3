//! What is told to runs from outside, in all stores.

use std::time::Duration;

use bytes::Bytes;
use fastn_core::Result;
use fastn_store::{Message, MessageNo, NewRun, News, NewsAsk, ReceiveAsk, RunKey, Sent, Store};

use super::by::By;
use super::names::Names;
use super::place::place;
use crate::dice::Dice;
use crate::sample::{at, key};

/// Something that is done to messages, or a look at runs without their records.
#[derive(Clone, Debug)]
pub(super) enum MailDeed {
    Send {
        /// Whether it is looked whether that is news, which takes a moment.
        listens: bool,
        letters: Vec<Letter>,
    },
    Receive {
        by: By,
        /// After the last one that was received.
        onwards: bool,
        limit: u32,
    },
    /// Messages are meant by their places among those that were received.
    Acknowledge {
        by: By,
        messages: Vec<u64>,
    },
    Summaries {
        runs: Vec<u64>,
    },
}

/// A message, to a run by its place.
#[derive(Clone, Debug)]
pub(super) struct Letter {
    run: u64,
    id: u8,
    body: &'static str,
}

const BODIES: &[&str] = &["", "\0", "cancel", "\u{10FFFF}"];

/// How long news are waited for that are there already.
const PATIENCE: Duration = Duration::from_secs(2);

/// What a seed decides.
pub(super) fn mail_deed(dice: &mut Dice, by: By) -> MailDeed {
    let some = |dice: &mut Dice, most: u64| (0..dice.below(most)).map(|_| dice.next() >> 48).collect();
    match dice.below(9) {
        0..4 => {
            let letter = |dice: &mut Dice| Letter {
                run: dice.next() >> 48,
                id: u8::try_from(dice.below(12)).unwrap_or(0),
                body: dice.pick(BODIES),
            };
            MailDeed::Send { listens: dice.one_in(4), letters: (0..=dice.below(3)).map(|_| letter(dice)).collect() }
        }
        4..6 => {
            let limit = u32::try_from(dice.below(6)).unwrap_or(0);
            MailDeed::Receive { by, onwards: dice.one_in(4), limit }
        }
        6 | 7 => MailDeed::Acknowledge { by, messages: some(dice, 4) },
        _ => MailDeed::Summaries { runs: some(dice, 5) },
    }
}

/// What one store knows messages by, and what was heard of it.
#[derive(Debug, Default)]
pub(super) struct Post {
    received: Vec<MessageNo>,
    last: Option<MessageNo>,
    heard: News,
}

impl Post {
    /// Hears how things stand before something is done.
    pub(super) async fn listen(&mut self, store: &dyn Store) -> Result<()> {
        self.heard = store.news(NewsAsk::default()).await?;
        Ok(())
    }

    /// Whether something that was done since is news: where it was done through this same store, it is never missed. `is`
    /// is given what was heard before, and what is heard.
    pub(super) async fn hears(&self, store: &dyn Store, is: impl Fn(&News, &News) -> bool) -> Result<bool> {
        let listening = async {
            let mut heard = self.heard;
            while !is(&self.heard, &heard) {
                heard = store.news(NewsAsk { since: heard, ends: false }).await?;
            }
            Ok(())
        };
        tokio::time::timeout(PATIENCE, listening).await.map_or(Ok(false), |heard| heard.map(|()| true))
    }

    /// Does it and gives the answer as text, in which messages are meant by their places.
    pub(super) async fn answer(
        &mut self,
        store: &dyn Store,
        deed: &MailDeed,
        (names, runs, now): (&Names, &[NewRun], i64),
    ) -> Result<String> {
        let key_of = |run: u64| -> Result<RunKey> {
            place(run, runs.len())
                .and_then(|place| runs.get(place))
                .map_or_else(|| key("t", "nobody"), |run| Ok(run.key.clone()))
        };
        match deed {
            MailDeed::Send { listens, letters } => {
                let message = |letter: &Letter| {
                    let (id, body) = ([letter.id; 16], Bytes::from_static(letter.body.as_bytes()));
                    Ok(Message { id, run: key_of(letter.run)?, body, sent_at: at(now) })
                };
                if *listens {
                    self.listen(store).await?;
                }
                let sent = store.send(letters.iter().map(message).collect::<Result<_>>()?).await?;
                let told = *listens && sent.contains(&Sent::Accepted);
                let heard = self.hears(store, |old, new| !told || old.messages != new.messages).await?;
                Ok(format!("{sent:?}, heard of: {heard}"))
            }
            MailDeed::Receive { by, onwards, limit } => {
                let (lease, after) = (names.token(*by).unwrap_or(0), self.last.filter(|_| *onwards));
                let page = store.receive(ReceiveAsk { lease, after, limit: *limit }).await?;
                let mut told = String::new();
                for received in page {
                    self.last = Some(received.no);
                    let known = self.received.iter().position(|no| *no == received.no);
                    let place = known.unwrap_or(self.received.len());
                    if known.is_none() {
                        self.received.push(received.no);
                    }
                    told.push_str(&format!("; {place} {:?}", received.message));
                }
                Ok(told)
            }
            MailDeed::Acknowledge { by, messages } => {
                let no = |number: &u64| self.received.get(place(*number, self.received.len())?).copied();
                let messages: Vec<MessageNo> = messages.iter().filter_map(no).collect();
                store.acknowledge(names.token(*by).unwrap_or(0), &messages).await?;
                Ok("acknowledged".to_owned())
            }
            MailDeed::Summaries { runs } => {
                let keys = runs.iter().map(|run| key_of(*run)).collect::<Result<Vec<_>>>()?;
                let found = store.summaries(&keys).await?;
                let told = |run: &Option<_>| run.as_ref().map_or_else(|| "; none".to_owned(), |run| names.summary(run));
                Ok(found.iter().map(told).collect())
            }
        }
    }
}
