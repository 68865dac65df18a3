//! Stores that are wilfully broken, each in one way.

use std::collections::{BTreeSet, HashMap};
use std::sync::Mutex;

use async_trait::async_trait;
use fastn_core::plan::PlanHash;
use fastn_core::{
    ContentType, EntryKind, EntryName, Error, ErrorKind, Payload, QueueName, Record, Result, TenantId, Timestamp,
};
use fastn_store::{
    AdmitAsk, Admitted, Batch, ClaimAsk, Claimed, DefinitionKey, Entry, EntryKey, Expect, History, Lease, LeaseAsk,
    Mailbox, MemoryStore, Message, MessageNo, News, NewsAsk, Once, Page, Put, QUEUE, QueueCounts, QueueRules, Queues,
    ReceiveAsk, Received, Repository, RunKey, RunNo, RunQuery, RunStatus, RunSummary, Scan, Sent, Store, Suspects,
    Then, Turn, WhenTaken, Withdraw, Write, Written,
};

/// What is wrong with a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    None,
    ForgetsToFenceCommits,
    ForgetsToFenceClaims,
    RenewsWhatHasEnded,
    GivesTokensAgain,
    GivesOneLeaseWithoutSayingSo,
    ExpiresWhatWasRenewed,
    DropsTheLastRecordOfATurn,
    CommitsHalfABatch,
    TearsBatches,
    WritesNothingOfLargeBatches,
    WritesTurnsWithTheNextOnes,
    CommitsARepeatedTurnAgain,
    AcceptsAGap,
    AnswersInAnotherOrder,
    SwapsRecords,
    ForgetsWhenToWake,
    ForgetsWhenItEnded,
    OverwritesARunOnCreate,
    CreatesTwiceWhenRaced,
    IgnoresTenants,
    ForgetsPlans,
    SharesARunBetweenClaimers,
    ClaimsWhatIsNotServed,
    ClaimsWithoutShape,
    ClaimsNewestFirst,
    ClaimsWithoutRecords,
    ClaimsNothingThatWaits,
    CountsNoDeaths,
    CountsEveryClaim,
    CountsDeathsOverWhatWaits,
    CountsDeathsWhateverWasDone,
    CountsNoDeathsOverQueues,
    GivesEverySuspect,
    AdmitsEverySuspect,
    AdmitsWhatIsNotServed,
    ListsOldestFirst,
    ListsTheFirstPageForEver,
    ListsBeyondTheTenant,
    ListsForAnyLease,
    PrunesTooMuch,
    PrunesWithoutLimit,
    CutsValuesAtNul,
    LosesHighPlanes,
    RoundsNumbers,
    LosesEmptyValues,
    CutsHugeValues,
    SwapsWithoutComparing,
    ComparesBeforeItSwaps,
    GivesVersionsAgain,
    CountsVersionsOfEachEntry,
    CutsEntriesAtNul,
    ListsEntriesOfAllTenants,
    ListsTheFirstEntriesForEver,
    ListsEntriesByLength,
    HidesDeletions,
    LosesEveryThirdMessage,
    TakesARepeatedMessageAgain,
    ForgetsIdsOnceAcknowledged,
    AcceptsMessagesForTheEnded,
    ReceivesWhatOthersHold,
    ReceivesWithoutFencing,
    ReceivesNewestFirst,
    ForgetsMessagesWithTheLease,
    NeverTellsOfMessages,
    NeverTellsOfRuns,
    NeverTellsOfEnds,
    MixesUpSummaries,
    AdmitsOneTooMany,
    AdmitsAnyOfAKey,
    AdmitsAnyToAnExecutor,
    AdmitsAtAnyRate,
    AdmitsAtAnyRateOfAKey,
    AdmitsWithoutTurns,
    AdmitsWhilePaused,
    AdmitsOutOfOrder,
    AdmitsWithoutFencing,
    AdmitsToTwo,
    NeverFreesAPlace,
    ForgetsWhenToAdmit,
    CreatesWhereAPlaceIsTaken,
    HoldsWhatWaits,
    LosesItems,
    TakesItemsAgain,
    JoinsWhatWasAdmitted,
    WithdrawsNothing,
    WithdrawsWhatWasReleased,
    HidesMessages,
    LivesOnAfterClose,
    Panics,
    NeverAnswersClaims,
}

/// A memory store with a flaw.
#[derive(Debug)]
pub(crate) struct BrokenStore {
    flaw: Flaw,
    inner: MemoryStore,
    memory: Mutex<Memory>,
}

/// What some flaws need to remember.
#[derive(Debug, Default)]
struct Memory {
    newest_lease: u64,
    /// The next sequence number of each run, as its callers see it, and how far the store is ahead of that.
    next: HashMap<RunNo, (u64, u64)>,
    definitions: Vec<DefinitionKey>,
    overwritten: HashMap<RunKey, Payload>,
    claims: BTreeSet<u64>,
    /// How often each run was claimed.
    claimed: HashMap<RunNo, u32>,
    late: Option<Batch>,
    /// How often each entry was put since it was created.
    puts: HashMap<EntryKey, u64>,
    deletions: u64,
    sent: u64,
    acknowledged: BTreeSet<[u8; 16]>,
    received: HashMap<MessageNo, [u8; 16]>,
    admitted: Vec<Claimed>,
    /// How many places were not freed.
    freed: u32,
    /// The run of the first item, and how many came after it.
    gathers: Option<RunKey>,
    items: u64,
    /// Whether it was admitted.
    gathered: bool,
}

impl BrokenStore {
    pub(crate) fn new(flaw: Flaw) -> Self {
        Self { flaw, inner: MemoryStore::new(), memory: Mutex::default() }
    }

    fn is(&self, flaw: Flaw) -> bool {
        self.flaw == flaw
    }

    fn memory(&self) -> std::sync::MutexGuard<'_, Memory> {
        self.memory.lock().unwrap()
    }

    fn write(&self, write: &mut Write) {
        match write {
            Write::Create(new) => {
                let new = std::sync::Arc::make_mut(new);
                self.memory().definitions.push(new.definition.clone());
                new.key = self.key(&new.key);
                new.input = self.value(&new.input);
                new.plan = new.plan.take().filter(|_| !self.is(Flaw::ForgetsPlans));
            }
            Write::Turn(turn) => {
                if matches!(turn.then, Then::End(_)) {
                    self.memory().freed += 1;
                }
                self.turn(turn);
            }
            Write::Enqueue(new) if self.is(Flaw::AdmitsWhatIsNotServed) => {
                self.memory().definitions.push(new.new.definition.clone());
            }
            Write::Enqueue(new) if self.is(Flaw::CreatesWhereAPlaceIsTaken) => {
                std::sync::Arc::make_mut(new).once = None;
            }
            Write::Enqueue(new) if self.is(Flaw::TakesItemsAgain) => {
                self.memory().items += 1;
                let count = u8::try_from(self.memory().items).unwrap();
                if let Some(Once { taken: WhenTaken::Join(join), .. }) = &mut std::sync::Arc::make_mut(new).once {
                    join.item[15] = count;
                }
            }
            Write::Enqueue(new) if self.is(Flaw::HoldsWhatWaits) => *write = Write::Create(new.new.clone().into()),
            _ => {}
        }
    }

    fn miscount(&self, claim: &mut Claimed) {
        let mut memory = self.memory();
        let claims = memory.claimed.entry(claim.no).or_default();
        *claims += 1;
        claim.deaths = match self.flaw {
            Flaw::CountsNoDeaths => 0,
            Flaw::CountsEveryClaim => *claims,
            Flaw::CountsDeathsOverWhatWaits if claim.history.run.wake_at.is_some() => *claims,
            Flaw::CountsDeathsWhateverWasDone if claim.deaths > 0 => *claims,
            _ => claim.deaths,
        };
    }

    fn turn(&self, turn: &mut Turn) {
        let mut memory = self.memory();
        let (next, ahead) = memory.next.entry(turn.run).or_default();
        match self.flaw {
            Flaw::CommitsARepeatedTurnAgain if turn.first < *next => {
                turn.first = *next + *ahead;
                *ahead += u64::from(turn.count);
            }
            Flaw::CommitsARepeatedTurnAgain => {
                *next = turn.first + u64::from(turn.count);
                turn.first += *ahead;
            }
            Flaw::AcceptsAGap => {
                turn.first = turn.first.min(*next);
                *next = turn.first + u64::from(turn.count);
            }
            Flaw::DropsTheLastRecordOfATurn => {
                let mut records = Record::read_all(&turn.records).unwrap();
                records.pop();
                let mut bytes = Vec::new();
                records.iter().for_each(|record| record.append_to(&mut bytes).unwrap());
                turn.records = bytes.into();
            }
            _ => {}
        }
    }

    fn key(&self, key: &RunKey) -> RunKey {
        let tenant = if self.is(Flaw::IgnoresTenants) { TenantId::new("t").unwrap() } else { key.tenant.clone() };
        RunKey { tenant, run: key.run }
    }

    fn value(&self, value: &Payload) -> Payload {
        let bytes = value.bytes();
        match self.flaw {
            Flaw::CutsValuesAtNul => {
                let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
                Payload::new(value.content().clone(), bytes.slice(..end))
            }
            Flaw::CutsHugeValues => Payload::new(value.content().clone(), bytes.slice(..bytes.len().min(1 << 20))),
            Flaw::LosesEmptyValues if bytes.is_empty() => Payload::null(),
            Flaw::LosesHighPlanes => match std::str::from_utf8(bytes) {
                Ok(text) => {
                    let low = |c: char| if u32::from(c) > 0xFFFF { '?' } else { c };
                    Payload::new(value.content().clone(), text.chars().map(low).collect::<String>())
                }
                Err(_) => value.clone(),
            },
            Flaw::RoundsNumbers if *value.content() == ContentType::Json => {
                match std::str::from_utf8(bytes).map(str::parse::<f64>) {
                    Ok(Ok(number)) if bytes.len() < 100 => Payload::json(number.to_string()),
                    _ => value.clone(),
                }
            }
            _ => value.clone(),
        }
    }

    fn damage(&self, history: &mut History) {
        match self.flaw {
            Flaw::SwapsRecords if history.records.len() > 1 => history.records.swap(0, 1),
            Flaw::ForgetsWhenToWake => history.run.wake_at = None,
            Flaw::ForgetsWhenItEnded => history.run.finished_at = None,
            _ => {}
        }
        if let Some(input) = self.memory().overwritten.get(&history.run.key) {
            history.input = input.clone();
        }
    }

    fn damage_entry(&self, entry: &mut Entry) {
        match self.flaw {
            Flaw::CutsEntriesAtNul => {
                let end = entry.value.iter().position(|byte| *byte == 0).unwrap_or(entry.value.len());
                entry.value.truncate(end);
            }
            Flaw::GivesVersionsAgain | Flaw::CountsVersionsOfEachEntry => {
                entry.version = self.memory().puts.get(&entry.key).copied().unwrap_or(0);
            }
            _ => {}
        }
    }

    async fn all(&self) -> Vec<fastn_store::RunSummary> {
        let mut runs =
            self.inner.list(RunQuery { limit: u32::MAX, ..RunQuery::default() }).await.map_or(vec![], |page| page.runs);
        runs.reverse();
        runs
    }
}

#[async_trait]
impl Repository for BrokenStore {
    async fn get(&self, key: &EntryKey) -> Result<Option<Entry>> {
        let mut entry = self.inner.get(key).await?;
        if let Some(entry) = &mut entry {
            self.damage_entry(entry);
        }
        Ok(entry)
    }

    async fn put(&self, mut put: Put) -> Result<u64> {
        match self.flaw {
            Flaw::SwapsWithoutComparing => put.expect = Expect::Any,
            Flaw::ComparesBeforeItSwaps => {
                let found = self.inner.get(&put.key).await?.map(|entry| entry.version);
                if put.expect.admits(found) {
                    put.expect = Expect::Any;
                }
                // Whoever else wants the same looks now.
                tokio::task::yield_now().await;
            }
            // An entry that is created anew begins with its first version.
            Flaw::GivesVersionsAgain | Flaw::CountsVersionsOfEachEntry => {
                let found = self.get(&put.key).await?.map(|entry| entry.version);
                if let Expect::Version(version) = put.expect
                    && found == Some(version)
                {
                    put.expect = Expect::Any;
                }
            }
            _ => {}
        }
        let (key, deletes) = (put.key.clone(), put.value.is_none());
        let version = self.inner.put(put).await?;
        let mut memory = self.memory();
        memory.deletions += u64::from(deletes);
        let puts = memory.puts.entry(key).or_default();
        *puts = if deletes && self.is(Flaw::GivesVersionsAgain) { 0 } else { *puts + 1 };
        match self.flaw {
            Flaw::GivesVersionsAgain | Flaw::CountsVersionsOfEachEntry => Ok(*puts),
            _ => Ok(version),
        }
    }

    async fn scan(&self, mut scan: Scan) -> Result<Vec<Entry>> {
        match self.flaw {
            Flaw::ListsEntriesOfAllTenants => scan.tenant = None,
            Flaw::ListsTheFirstEntriesForEver => scan.after = None,
            _ => {}
        }
        let mut found = self.inner.scan(scan).await?;
        if self.is(Flaw::ListsEntriesByLength) {
            found.sort_by_key(|entry| (entry.key.tenant.clone(), entry.key.name.as_str().len()));
        }
        found.iter_mut().for_each(|entry| self.damage_entry(entry));
        Ok(found)
    }

    async fn latest(&self, kind: &EntryKind) -> Result<u64> {
        let latest = self.inner.latest(kind).await?;
        Ok(if self.is(Flaw::HidesDeletions) { latest.saturating_sub(self.memory().deletions) } else { latest })
    }
}

#[async_trait]
impl Mailbox for BrokenStore {
    async fn send(&self, mut messages: Vec<Message>) -> Result<Vec<Sent>> {
        let mut sent = self.inner.send(vec![]).await?;
        for mut message in messages.drain(..) {
            let count = {
                let mut memory = self.memory();
                memory.sent += 1;
                let again = memory.acknowledged.contains(&message.id) && self.is(Flaw::ForgetsIdsOnceAcknowledged);
                if again || self.is(Flaw::TakesARepeatedMessageAgain) {
                    message.id[15] = u8::try_from(memory.sent).unwrap();
                }
                memory.sent
            };
            if count.is_multiple_of(3) && self.is(Flaw::LosesEveryThirdMessage) {
                sent.push(Sent::Accepted);
                continue;
            }
            let answer = self.inner.send(vec![message]).await?.pop().unwrap();
            let ended = matches!(answer, Sent::Ended(_)) && self.is(Flaw::AcceptsMessagesForTheEnded);
            sent.push(if ended { Sent::Accepted } else { answer });
        }
        Ok(sent)
    }

    async fn receive(&self, mut ask: ReceiveAsk) -> Result<Vec<Received>> {
        let limit = ask.limit as usize;
        if self.is(Flaw::ReceivesWithoutFencing) {
            ask.lease = self.memory().newest_lease;
        }
        if self.is(Flaw::ReceivesNewestFirst) {
            ask.limit = u32::MAX;
        }
        let mut received = self.inner.receive(ask.clone()).await?;
        if self.is(Flaw::ReceivesWhatOthersHold) {
            let newest = self.memory().newest_lease;
            for other in (1..=newest).filter(|lease| *lease != ask.lease) {
                received
                    .extend(self.inner.receive(ReceiveAsk { lease: other, ..ask.clone() }).await.unwrap_or_default());
            }
        }
        if self.is(Flaw::ReceivesNewestFirst) {
            received.reverse();
            received.truncate(limit);
        }
        let ids = received.iter().map(|received| (received.no, received.message.id));
        self.memory().received.extend(ids);
        Ok(received)
    }

    async fn acknowledge(&self, lease: u64, messages: &[MessageNo]) -> Result<()> {
        self.inner.acknowledge(lease, messages).await?;
        let mut memory = self.memory();
        for no in messages {
            let id = memory.received.get(no).copied();
            memory.acknowledged.extend(id);
        }
        Ok(())
    }

    async fn unread(&self, run: &RunKey) -> Result<Vec<Message>> {
        let mut unread = self.inner.unread(run).await?;
        if self.is(Flaw::HidesMessages) {
            unread.truncate(1);
        }
        Ok(unread)
    }

    async fn summaries(&self, runs: &[RunKey]) -> Result<Vec<Option<RunSummary>>> {
        let mut found = self.inner.summaries(runs).await?;
        if self.is(Flaw::MixesUpSummaries) {
            found.sort_by_key(|run| run.as_ref().map(|run| run.no));
        }
        Ok(found)
    }

    async fn news(&self, ask: NewsAsk) -> Result<News> {
        let mut heard = ask;
        loop {
            let news = self.inner.news(heard).await?;
            let mut told = news;
            match self.flaw {
                Flaw::NeverTellsOfMessages => told.messages = ask.since.messages,
                Flaw::NeverTellsOfRuns => told.runs = ask.since.runs,
                Flaw::NeverTellsOfEnds => told.ends = ask.since.ends,
                _ => {}
            }
            if ask.is_answered_by(&told) {
                return Ok(told);
            }
            heard.since = news;
        }
    }
}

#[async_trait]
impl Queues for BrokenStore {
    async fn admit(&self, mut ask: AdmitAsk) -> Result<Admitted> {
        if self.is(Flaw::AdmitsWithoutFencing) {
            ask.lease = self.memory().newest_lease;
        }
        match self.flaw {
            Flaw::AdmitsEverySuspect => ask.suspects = Suspects::default(),
            Flaw::AdmitsWhatIsNotServed => ask.serves = self.memory().definitions.clone(),
            _ => {}
        }
        let mut admitted = self.admit_by_other_rules(ask.clone()).await?;
        self.memory().gathered |= !admitted.runs.is_empty();
        match self.flaw {
            Flaw::CountsNoDeathsOverQueues => admitted.runs.iter_mut().for_each(|run| run.deaths = 0),
            Flaw::AdmitsToTwo => {
                let mut memory = self.memory();
                admitted
                    .runs
                    .extend(memory.admitted.iter().filter(|run| run.history.run.holder != Some(ask.lease)).cloned());
                memory.admitted.extend(admitted.runs.clone());
            }
            Flaw::AdmitsOutOfOrder => admitted.runs.reverse(),
            Flaw::ForgetsWhenToAdmit => admitted.again_in = None,
            _ => {}
        }
        Ok(admitted)
    }

    async fn withdraw(&self, ask: Withdraw) -> Result<bool> {
        if self.is(Flaw::WithdrawsNothing) {
            return Ok(self.inner.read(&ask.run).await?.is_some_and(|found| found.run.status == RunStatus::Pending));
        }
        let withdrawn = self.inner.withdraw(ask.clone()).await?;
        if self.is(Flaw::WithdrawsWhatWasReleased) && !withdrawn {
            let found = self.inner.read(&ask.run).await?;
            return Ok(found.is_some_and(|found| found.run.holder.is_none() && !found.run.status.is_final()));
        }
        Ok(withdrawn)
    }

    async fn waiting(&self) -> Result<Vec<QueueName>> {
        self.inner.waiting().await
    }

    async fn counts(&self, queue: &QueueName, keys: u32) -> Result<QueueCounts> {
        self.inner.counts(queue, keys).await
    }
}

impl BrokenStore {
    /// Says that an item has joined a run, and forgets it, where that is what is wrong.
    fn join(&self, batch: &Batch) -> Option<Written> {
        let mut memory = self.memory();
        let [Write::Enqueue(new)] = &batch.writes[..] else { return None };
        let Some(first) = memory.gathers.clone() else {
            memory.gathers = Some(new.new.key.clone());
            return None;
        };
        memory.items += 1;
        let forgets = match self.flaw {
            Flaw::LosesItems => memory.items.is_multiple_of(2),
            Flaw::JoinsWhatWasAdmitted => memory.gathered,
            _ => false,
        };
        forgets.then(|| Written::Joined(Box::new(first)))
    }

    /// Admits by rules that are not those of the queue, where that is what is wrong.
    async fn admit_by_other_rules(&self, ask: AdmitAsk) -> Result<Admitted> {
        let kind = EntryKind::new(QUEUE).unwrap();
        let name = EntryName::new(ask.queue.as_str()).unwrap();
        let key = EntryKey { kind, tenant: TenantId::default(), name };
        let Some(entry) = self.inner.get(&key).await? else { return self.inner.admit(ask).await };
        let rules = QueueRules::decode(&entry.value)?;
        let mut other = rules.clone();
        match self.flaw {
            Flaw::AdmitsOneTooMany => other.concurrency = rules.concurrency.map(|most| most + 1),
            Flaw::AdmitsAnyOfAKey => other.per_key = None,
            Flaw::AdmitsAnyToAnExecutor => other.per_executor = None,
            Flaw::AdmitsAtAnyRate => other.rate = None,
            Flaw::AdmitsAtAnyRateOfAKey => other.rate_per_key = None,
            Flaw::AdmitsWithoutTurns => other.fair = false,
            Flaw::AdmitsWhilePaused => other.paused = false,
            Flaw::NeverFreesAPlace => {
                let left = rules.concurrency.map(|most| most.saturating_sub(self.memory().freed));
                other.paused = left == Some(0);
                other.concurrency = left.filter(|left| *left > 0);
            }
            _ => {}
        }
        let put =
            |rules: &QueueRules| Put { key: key.clone(), value: Some(rules.encode().unwrap()), expect: Expect::Any };
        self.inner.put(put(&other)).await?;
        let admitted = self.inner.admit(ask).await;
        self.inner.put(put(&rules)).await?;
        admitted
    }
}

#[async_trait]
impl Store for BrokenStore {
    fn name(&self) -> String {
        format!("{:?}", self.flaw)
    }

    async fn acquire(&self, ask: LeaseAsk) -> Result<Lease> {
        if self.is(Flaw::GivesOneLeaseWithoutSayingSo) && !self.memory().claims.insert(0) {
            return Err(Error::new(ErrorKind::Locked, "acquire lease"));
        }
        let mut lease = self.inner.acquire(ask).await?;
        if self.is(Flaw::GivesTokensAgain) {
            lease.token = 1;
        }
        self.memory().newest_lease = lease.token;
        Ok(lease)
    }

    async fn renew(&self, lease: &Lease, until: Timestamp) -> Result<()> {
        match self.flaw {
            Flaw::ExpiresWhatWasRenewed => self.inner.renew(lease, lease.until).await,
            Flaw::RenewsWhatHasEnded => match self.inner.renew(lease, until).await {
                Err(error) if error.kind() == ErrorKind::Fenced => Ok(()),
                result => result,
            },
            _ => self.inner.renew(lease, until).await,
        }
    }

    async fn release(&self, lease: &Lease) -> Result<()> {
        self.memory().claims.clear();
        if self.is(Flaw::ForgetsMessagesWithTheLease) {
            let ask = ReceiveAsk { lease: lease.token, after: None, limit: u32::MAX };
            let all = self.inner.receive(ask).await.unwrap_or_default();
            let all: Vec<_> = all.iter().map(|received| received.no).collect();
            let _ = self.inner.acknowledge(lease.token, &all).await;
        }
        self.inner.release(lease).await
    }

    async fn commit(&self, mut batch: Batch) -> Result<Vec<Written>> {
        if let Some(joined) = self.join(&batch) {
            return Ok(vec![joined]);
        }
        batch.writes.iter_mut().for_each(|write| self.write(write));
        let (flaw, newest, lease) = (self.flaw, self.memory().newest_lease, batch.lease);
        let mut written = match flaw {
            Flaw::ForgetsToFenceCommits => {
                self.inner.commit(Batch { lease: batch.lease.map(|_| newest), ..batch.clone() }).await?
            }
            Flaw::CommitsHalfABatch => {
                let mut all = Vec::new();
                for write in batch.writes.clone() {
                    all.extend(self.inner.commit(Batch { lease, now: batch.now, writes: vec![write] }).await?);
                }
                all
            }
            Flaw::TearsBatches
                if batch.writes.len() > 1 && self.memory().claims.insert(batch.now.as_micros().unsigned_abs()) =>
            {
                let first = batch.writes.first().cloned().into_iter().collect();
                self.inner.commit(Batch { lease, now: batch.now, writes: first }).await?;
                return Err(Error::new(ErrorKind::Unavailable, "commit"));
            }
            Flaw::WritesNothingOfLargeBatches
                if batch.writes.len() > 2 && batch.writes.iter().all(|write| matches!(write, Write::Turn(_))) =>
            {
                vec![Written::Turned; batch.writes.len()]
            }
            Flaw::WritesTurnsWithTheNextOnes if !batch.writes.is_empty() => {
                let late = self.memory().late.take();
                if let Some(late) = late {
                    let _ = self.inner.commit(late).await;
                }
                if batch.writes.iter().all(|write| matches!(write, Write::Turn(turn) if turn.then == Then::Run)) {
                    self.memory().late = Some(batch.clone());
                    vec![Written::Turned; batch.writes.len()]
                } else {
                    self.inner.commit(batch.clone()).await?
                }
            }
            _ => self.inner.commit(batch.clone()).await?,
        };
        if flaw == Flaw::AnswersInAnotherOrder {
            written.reverse();
        }
        if matches!(flaw, Flaw::OverwritesARunOnCreate | Flaw::CreatesTwiceWhenRaced) {
            for (write, written) in batch.writes.iter().zip(&mut written) {
                if let (Write::Create(new), Written::Exists(existing)) = (write, &*written) {
                    if flaw == Flaw::OverwritesARunOnCreate {
                        self.memory().overwritten.insert(new.key.clone(), new.input.clone());
                    }
                    *written = Written::Created(existing.no);
                }
            }
        }
        Ok(written)
    }

    async fn claim(&self, mut ask: ClaimAsk) -> Result<Vec<Claimed>> {
        if self.is(Flaw::Panics) {
            panic!("there is a hole in the disk");
        }
        if self.is(Flaw::NeverAnswersClaims) {
            std::future::pending::<()>().await;
        }
        let limit = ask.limit as usize;
        match self.flaw {
            Flaw::ForgetsToFenceClaims => ask.lease = self.memory().newest_lease,
            Flaw::ClaimsWhatIsNotServed => ask.serves = self.memory().definitions.clone(),
            Flaw::ClaimsWithoutShape => {
                ask.serves.iter_mut().for_each(|definition| definition.shape = PlanHash([7; 32]));
            }
            Flaw::ClaimsNewestFirst if limit > 0 => ask.limit = u32::MAX,
            Flaw::GivesEverySuspect => ask.suspects = Suspects::default(),
            _ => {}
        }
        let mut claimed = self.inner.claim(ask.clone()).await?;
        match self.flaw {
            Flaw::ClaimsNewestFirst => {
                claimed.reverse();
                claimed.truncate(limit);
            }
            Flaw::ClaimsWithoutRecords => claimed.iter_mut().for_each(|claim| claim.history.records.clear()),
            Flaw::ClaimsNothingThatWaits => claimed.retain(|claim| claim.history.run.wake_at.is_none()),
            // Reads who holds a run, and then takes it, whoever has taken it in between.
            Flaw::SharesARunBetweenClaimers => {
                for run in self.all().await {
                    if claimed.len() < limit
                        && run.holder.is_some_and(|holder| holder != ask.lease)
                        && ask.serves.contains(&run.definition)
                        && let Some(history) = self.inner.read(&run.key).await?
                    {
                        claimed.push(Claimed { no: run.no, history, deaths: 0 });
                    }
                }
            }
            _ => {}
        }
        claimed.iter_mut().for_each(|claim| self.damage(&mut claim.history));
        claimed.iter_mut().for_each(|claim| self.miscount(claim));
        Ok(claimed)
    }

    async fn read(&self, run: &RunKey) -> Result<Option<History>> {
        let mut history = self.inner.read(&self.key(run)).await?;
        if let Some(history) = &mut history {
            self.damage(history);
        }
        Ok(history)
    }

    async fn plan(&self, tenant: &TenantId, definition: &DefinitionKey) -> Result<Option<String>> {
        self.inner.plan(tenant, definition).await
    }

    async fn list(&self, mut query: RunQuery) -> Result<Page> {
        match self.flaw {
            Flaw::ListsTheFirstPageForEver => query.before = None,
            Flaw::ListsBeyondTheTenant => query.tenant = None,
            Flaw::ListsForAnyLease => query.holder = None,
            _ => {}
        }
        let mut page = self.inner.list(query).await?;
        if self.is(Flaw::ListsOldestFirst) {
            page.runs.reverse();
        }
        Ok(page)
    }

    async fn prune(&self, before: Timestamp, limit: u32) -> Result<u64> {
        match self.flaw {
            Flaw::PrunesTooMuch => self.inner.prune(before.plus(std::time::Duration::from_micros(1)), limit).await,
            Flaw::PrunesWithoutLimit => self.inner.prune(before, u32::MAX).await,
            _ => self.inner.prune(before, limit).await,
        }
    }

    async fn close(&self) -> Result<()> {
        if self.is(Flaw::LivesOnAfterClose) { Ok(()) } else { self.inner.close().await }
    }
}
