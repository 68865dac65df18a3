//! Hears what other processes do, and rings the bells of those whom it concerns.

use std::future::ready;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use fastn_core::ErrorKind;
use fastn_store::{News, NewsAsk};

use super::core::Core;
use crate::clock::pause;

/// How long after the store was unavailable it is listened to again. Meanwhile everybody looks by themselves.
const AGAIN: Duration = Duration::from_secs(1);

/// Listens as long as the engine lives.
pub(super) async fn run(core: Arc<Core>) {
    let Some(durable) = core.services.durable() else { return };
    let mut since = News::default();
    loop {
        // Ends are listened to only while somebody waits for one, since they happen all the time.
        let ask = NewsAsk { since, ends: core.awaits_others() };
        let mut news = pin!(durable.store.news(ask));
        let mut unsaid = ask.ends;
        let heard = loop {
            tokio::select! {
                biased;
                heard = &mut news => break Some(heard),
                // What ended before this began to listen may have been missed.
                () = ready(()), if unsaid => {
                    core.bells.ends.notify_one();
                    unsaid = false;
                }
                () = core.bells.awaited.notified() => break None,
            }
        };
        match heard {
            None => {}
            // All that was there before is looked for at the beginning.
            Some(Ok(news)) if since == News::default() => since = news,
            Some(Ok(news)) => {
                if news.runs != since.runs {
                    core.bells.runs.notify_one();
                    core.bells.lease.notify_one();
                }
                if news.queues != since.queues {
                    core.bells.queues.notify_one();
                }
                if news.messages != since.messages {
                    core.bells.messages.notify_one();
                }
                if news.ends != since.ends {
                    core.bells.ends.notify_one();
                }
                since = news;
            }
            // Whoever needs the store is told why there is none.
            Some(Err(error)) if error.kind() == ErrorKind::Closed => return,
            Some(Err(error)) => {
                tracing::debug!(error = ?error, "what other processes do cannot be heard; listening again later");
                // Somebody may have begun to wait meanwhile.
                core.bells.ends.notify_one();
                pause(&*core.services.clock, AGAIN).await;
            }
        }
    }
}
