//! What wakes those who wait for what others do.

use fastn_core::ErrorKind;
use fastn_store::{Message, News, NewsAsk, RunStatus, Then};

use crate::conformance::case::{Case, Flaw, Found, case, ensure, fails, same};
use crate::conformance::trial::Trial;
use crate::sample::{at, key};

pub(in crate::conformance) const CASES: &[Case] = &[
    case!(who_has_heard_nothing_has_news_at_once),
    case!(a_run_that_nobody_holds_is_news),
    case!(the_end_of_a_lease_is_news),
    case!(a_message_is_news),
    case!(an_end_is_news_to_whoever_asks_for_ends),
    case!(a_wait_that_was_dropped_misses_nothing),
    case!(closing_ends_every_wait),
];

/// Everything that has happened until now.
async fn heard(t: &Trial) -> fastn_core::Result<News> {
    t.store.news(NewsAsk::default()).await
}

/// Waits for news until what is asked for is among them: a store may tell of what did not happen.
async fn hears(t: &Trial, since: News, ends: bool, of: fn(&News) -> u64) -> fastn_core::Result<News> {
    let mut ask = NewsAsk { since, ends };
    loop {
        let news = t.store.news(ask).await?;
        if of(&news) != of(&since) {
            return Ok(news);
        }
        ask.since = news;
    }
}

/// Somebody who waits while something happens, and somebody who comes afterwards, both hear of it.
async fn is_heard(t: &Trial, of: fn(&News) -> u64, happens: impl AsyncFnOnce() -> Found) -> Found {
    let since = heard(t).await?;
    let waiter = t.clone();
    let waiting = tokio::spawn(async move { hears(&waiter, since, false, of).await });
    tokio::task::yield_now().await;
    happens().await?;
    waiting.await.map_err(Flaw::new)??;
    hears(t, since, false, of).await?;
    Ok(())
}

async fn who_has_heard_nothing_has_news_at_once(t: Trial) -> Found {
    let news = heard(&t).await?;
    ensure(news != News::default(), "nothing is told")
}

async fn a_run_that_nobody_holds_is_news(t: Trial) -> Found {
    is_heard(&t, |news| news.runs, async || Ok(t.free("t", "1", "w").await.map(drop)?)).await
}

async fn the_end_of_a_lease_is_news(t: Trial) -> Found {
    let lease = t.acquire("a", 0).await?;
    t.held(&lease, "1").await?;
    is_heard(&t, |news| news.runs, async || Ok(t.store.release(&lease).await?)).await
}

async fn a_message_is_news(t: Trial) -> Found {
    t.free("t", "1", "w").await?;
    let message = Message { id: [1; 16], run: key("t", "1")?, body: "hello".into(), sent_at: at(1) };
    is_heard(&t, |news| news.messages, async || Ok(t.store.send(vec![message]).await.map(drop)?)).await
}

async fn an_end_is_news_to_whoever_asks_for_ends(t: Trial) -> Found {
    let lease = t.acquire("a", 0).await?;
    let since = heard(&t).await?;
    let waiter = t.clone();
    let waiting = tokio::spawn(async move { hears(&waiter, since, true, |news| news.ends).await });
    // When the wait has begun is not known here, and what ended before may be missed.
    let mut name = 0;
    while !waiting.is_finished() {
        name += 1;
        let no = t.held(&lease, &name.to_string()).await?;
        t.turn(&lease, no, 0, 1, Then::End(RunStatus::Succeeded)).await?;
        tokio::task::yield_now().await;
    }
    waiting.await.map_err(Flaw::new)?.map(drop).map_err(Flaw::from)
}

async fn a_wait_that_was_dropped_misses_nothing(t: Trial) -> Found {
    let since = heard(&t).await?;
    for _ in 0..20 {
        tokio::select! {
            biased;
            news = t.store.news(NewsAsk { since, ends: true }) => drop(news?),
            () = tokio::task::yield_now() => {}
        }
    }
    t.free("t", "1", "w").await?;
    hears(&t, since, false, |news| news.runs).await?;
    Ok(())
}

async fn closing_ends_every_wait(t: Trial) -> Found {
    let mut since = heard(&t).await?;
    let waiter = t.clone();
    let waiting = tokio::spawn(async move {
        loop {
            match waiter.store.news(NewsAsk { since, ends: true }).await {
                Ok(news) => since = news,
                Err(error) => return error.kind(),
            }
        }
    });
    tokio::task::yield_now().await;
    t.store.close().await?;
    same(waiting.await.map_err(Flaw::new)?, ErrorKind::Closed)?;
    fails(heard(&t).await, ErrorKind::Closed)
}
