//! What executors and those who wait for runs are woken by.

/// How much has happened, as one store sees it: numbers that only grow, to be compared with those heard before. They mean
/// nothing to another store, or to the same one after it was opened again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct News {
    /// There may be runs that nobody holds: one was created so, or a lease has ended.
    pub runs: u64,
    /// Runs may be there to be admitted from queues: one came, a place became free, or a queue's rules have changed.
    pub queues: u64,
    /// Messages may have been sent.
    pub messages: u64,
    /// Runs may have ended.
    pub ends: u64,
}

/// Waits for news.
#[derive(Clone, Copy, Debug, Default)]
pub struct NewsAsk {
    /// What was heard last; the default for who has heard nothing.
    pub since: News,
    /// Whether ends of runs are of interest. They happen often, so that a store need not tell of them while nobody asks:
    /// what ended before the call was made may be missed.
    pub ends: bool,
}

impl NewsAsk {
    /// Whether these are news to the caller.
    pub const fn is_answered_by(&self, news: &News) -> bool {
        let News { runs, queues, messages, ends } = self.since;
        news.runs != runs || news.queues != queues || news.messages != messages || (self.ends && news.ends != ends)
    }
}
