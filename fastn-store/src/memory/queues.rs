//! The queues of the memory store.

use std::collections::{BTreeMap, HashMap};

use async_trait::async_trait;
use fastn_core::{QueueKey, QueueName, Result, TenantId, Timestamp};

use super::gather::Items;
use super::{House, MemoryStore};
use crate::queue::{
    Admission, Gathering, Head, KeyBooks, QueueBooks, QueueRules, Room, Step, entry_key, item_of, push_back, pushed_to,
    rank,
};
use crate::standing::check_withdraw;
use crate::{
    AdmitAsk, Admitted, Claimed, DefinitionKey, Enqueue, Existing, Once, QueueBusy, QueueCounts, Queues, RunNo, Taken,
    Withdraw, Written,
};

/// What is known of queues.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// The unfinished runs of all queues.
    pub(super) runs: BTreeMap<RunNo, Line>,
    pub(super) items: Items,
    books: HashMap<QueueName, QueueBooks>,
    keys: HashMap<(QueueName, QueueKey), KeyBooks>,
}

/// A run of a queue.
#[derive(Debug)]
pub(super) struct Line {
    queue: QueueName,
    key: QueueKey,
    tenant: TenantId,
    pub(super) once: Option<[u8; 16]>,
    enqueued_at: Timestamp,
    ready_at: Timestamp,
    rank: i64,
    cost: u32,
    pub(super) admitted: bool,
    /// Whether it is one run for many items.
    pub(super) gathers: Option<Gathering>,
}

impl Line {
    /// Takes over how a run that gathers stands.
    pub(super) fn gather(&mut self, gathers: Gathering) {
        (self.ready_at, self.rank, self.cost) = (gathers.ready_at, gathers.rank, gathers.cost);
        self.once = self.once.filter(|_| gathers.open);
        self.gathers = Some(gathers);
    }
}

impl Lines {
    /// Whether a run is of a queue.
    pub(super) fn has(&self, run: RunNo) -> bool {
        self.runs.contains_key(&run)
    }

    /// A run has ended, or goes on without a place. Whether it was of a queue.
    pub(super) fn leave(&mut self, run: RunNo) -> bool {
        self.runs.remove(&run).is_some()
    }

    /// The run that has a place.
    pub(super) fn placed(&self, new: &Enqueue, once: Once) -> Option<RunNo> {
        let tenant = &new.new.key.tenant;
        let has = |line: &Line| line.queue == new.queue && line.tenant == *tenant && line.once == Some(once.id);
        self.runs.iter().find(|(_, line)| has(line)).map(|(no, _)| *no)
    }

    /// The runs of a queue.
    fn of<'a>(&'a self, queue: &'a QueueName) -> impl Iterator<Item = (RunNo, &'a Line)> {
        self.runs.iter().filter(move |(_, line)| line.queue == *queue).map(|(no, line)| (*no, line))
    }
}

#[async_trait]
impl Queues for MemoryStore {
    async fn admit(&self, ask: AdmitAsk) -> Result<Admitted> {
        self.with(|house| {
            house.check("admit runs", ask.lease)?;
            house.leases.retain(|token, lease| *token == ask.lease || lease.until >= ask.now);
            let Some(entry) = house.entries.get(&entry_key(&ask.queue)?) else { return Ok(Admitted::default()) };
            house.admit(&ask, &QueueRules::decode(&entry.value)?)
        })
    }

    async fn withdraw(&self, ask: Withdraw) -> Result<bool> {
        check_withdraw(&ask)?;
        let queued = self.with(|house| Ok(house.withdraw(ask)))?;
        if queued == Some(true) {
            self.board.tell_queues();
        }
        if queued.is_some() {
            self.board.tell_ends();
        }
        Ok(queued.is_some())
    }

    async fn waiting(&self) -> Result<Vec<QueueName>> {
        self.with(|house| {
            let idle = |no: &RunNo| house.runs.get(no).is_some_and(|run| !house.holds(run));
            let mut wants: BTreeMap<&QueueName, (bool, bool, u64)> = BTreeMap::new();
            for (no, line) in &house.lines.runs {
                let (waits, left, running) = wants.entry(&line.queue).or_default();
                match line.admitted {
                    true => (*left, *running) = (*left || idle(no), *running + 1),
                    false => *waits = true,
                }
            }
            let mut names = Vec::new();
            for (queue, (waits, left, running)) in wants {
                let entry = house.entries.get(&entry_key(queue)?);
                // What cannot be read is told by whoever admits.
                let rules = entry.and_then(|entry| QueueRules::decode(&entry.value).ok()).unwrap_or_default();
                if left || (waits && !rules.is_full(running)) {
                    names.push(queue.clone());
                }
            }
            Ok(names)
        })
    }

    async fn counts(&self, queue: &QueueName, keys: u32) -> Result<QueueCounts> {
        self.with(|house| {
            let mut counts = QueueCounts::default();
            let mut of_keys: BTreeMap<QueueKey, QueueBusy> = BTreeMap::new();
            for (_, line) in house.lines.of(queue) {
                let busy = QueueBusy { key: line.key.clone(), waiting: 0, running: 0 };
                let busy = of_keys.entry(line.key.clone()).or_insert(busy);
                let (all, one) = match line.admitted {
                    true => (&mut counts.running, &mut busy.running),
                    false => (&mut counts.waiting, &mut busy.waiting),
                };
                (*all, *one) = (*all + 1, *one + 1);
            }
            counts.keys = of_keys.into_values().collect();
            counts.keys.sort_by_key(|busy| std::cmp::Reverse((busy.waiting, busy.running)));
            counts.keys.truncate(usize::try_from(keys).unwrap_or(usize::MAX));
            Ok(counts)
        })
    }
}

impl House {
    /// Creates a run that waits, unless there is one of its id, or its place is taken. Tells also whether there may be more
    /// to admit, now or later.
    pub(super) fn enqueue(&mut self, new: &Enqueue, now: Timestamp) -> (Written, bool) {
        if let Some((once, join)) = item_of(new) {
            if let Some(joined) = self.join(new, once, &join, now) {
                return joined;
            }
        } else if let Some(once) = new.once.filter(|_| !self.by_key.contains_key(&new.new.key))
            && let Some(no) = self.lines.placed(new, once)
            && let Some(taken) = self.find_taken(no, new, now)
        {
            return (Written::Taken(Box::new(taken)), true);
        }
        let written = self.create(&new.new, None);
        if let Written::Created(no) = written {
            let ready_at = now.plus(new.delay);
            let line = Line {
                queue: new.queue.clone(),
                key: new.key.clone(),
                tenant: new.new.key.tenant.clone(),
                once: new.once.map(|once| once.id),
                enqueued_at: now,
                ready_at,
                rank: rank(ready_at, new.priority, new.ageing),
                cost: new.cost,
                admitted: false,
                gathers: None,
            };
            self.lines.runs.insert(no, line);
            self.gather(no, new, now);
        }
        (written, true)
    }

    /// The run that has taken a place, pushed back if it is to be. `None` if it has to give the place up.
    fn find_taken(&mut self, no: RunNo, new: &Enqueue, now: Timestamp) -> Option<Taken> {
        let (line, run) = (self.lines.runs.get_mut(&no)?, self.runs.get_mut(&no)?);
        if let Some(most) = push_back(new) {
            if line.admitted || line.gathers.is_some() || run.definition != new.new.definition {
                line.once = None;
                // What gathers takes nothing more, and so there is nothing more for it to wait for.
                if let Some(mut gathers) = line.gathers.filter(|_| !line.admitted) {
                    gathers.close(now);
                    line.gather(gathers);
                }
                return None;
            }
            line.ready_at = pushed_to(line.enqueued_at, now, new.delay, most);
            line.rank = rank(line.ready_at, new.priority, new.ageing);
            run.input = new.new.input.clone();
        }
        let (definition, input) =
            (run.definition.clone(), self.lines.items.list(no).unwrap_or_else(|| run.input.clone()));
        Some(Taken { key: run.key.clone(), run: Existing { no, definition, input, status: run.status } })
    }

    /// Ends a run that nobody has ever had. Whether it was of a queue; `None` if there is no such run.
    fn withdraw(&mut self, ask: Withdraw) -> Option<bool> {
        let no = self.by_key.get(&ask.run).copied()?;
        if self.runs.get(&no).is_none_or(|run| run.begun || run.status.is_final()) {
            return None;
        }
        self.give_list(no);
        let run = self.runs.get_mut(&no)?;
        run.records = ask.records.to_vec();
        (run.next, run.status, run.finished_at) = (u64::from(ask.count), ask.status, Some(ask.now));
        Some(self.lines.leave(no))
    }

    fn is_served(&self, no: RunNo, serves: &[DefinitionKey]) -> bool {
        self.runs.get(&no).is_some_and(|run| serves.contains(&run.definition))
    }

    /// Puts a run into the hands of a lease.
    fn give(&mut self, no: RunNo, lease: u64) -> Result<Claimed> {
        let deaths = self.runs.get_mut(&no).map(|run| run.come_to(lease)).unwrap_or_default();
        Ok(Claimed { no, history: self.history(no)?, deaths })
    }

    fn admit(&mut self, ask: &AdmitAsk, rules: &QueueRules) -> Result<Admitted> {
        let held_by = |no: RunNo| self.runs.get(&no).filter(|run| self.holds(run)).and_then(|run| run.holder);
        let running = || self.lines.of(&ask.queue).filter(|(_, line)| line.admitted).map(|(no, _)| no);
        let mut room = Room { limit: u64::from(ask.limit), ..Room::default() };
        room.running = running().count() as u64;
        room.own = running().filter(|no| held_by(*no) == Some(ask.lease)).count() as u64;

        // Those that have their place and nobody to run them.
        let most = rules.per_executor.map_or(u64::MAX, |most| u64::from(most).saturating_sub(room.own)).min(room.limit);
        let mut suspects = ask.suspects;
        let deaths = |no: &RunNo| self.runs.get(no).map(super::Run::deaths_by_now).unwrap_or_default();
        let left = running()
            .filter(|no| held_by(*no).is_none() && self.is_served(*no, &ask.serves) && self.history(*no).is_ok())
            .filter(|no| suspects.let_pass(deaths(no)));
        let mut admitted: Vec<RunNo> = left.take(usize::try_from(most).unwrap_or(usize::MAX)).collect();
        room.own += admitted.len() as u64;
        room.limit -= admitted.len() as u64;

        let books = self.lines.books.get(&ask.queue).cloned().unwrap_or_default();
        let mut admission = Admission::new(rules, ask.now, room, books);
        if admission.has_room() {
            self.tell(ask, &mut admission);
        }
        while let Step::Admit(no) = admission.next() {
            admitted.push(no);
        }
        let delayed = self.lines.of(&ask.queue).filter(|(_, line)| !line.admitted && line.ready_at > ask.now);
        let again_in = admission.again_in(delayed.map(|(_, line)| line.ready_at).min());
        self.lines.books.insert(ask.queue.clone(), admission.books().clone());
        for (key, books) in admission.changed() {
            self.lines.keys.insert((ask.queue.clone(), key.clone()), books.clone());
        }
        let turn = admission.books().turn();
        let says_something =
            |books: &KeyBooks| books.turn() > turn || books.over_at(rules).is_some_and(|at| at > ask.now);
        self.lines.keys.retain(|(queue, _), books| *queue != ask.queue || says_something(books));
        let mut runs = Vec::with_capacity(admitted.len());
        for no in admitted {
            if let Some(line) = self.lines.runs.get_mut(&no) {
                line.admitted = true;
            }
            self.give_list(no);
            runs.push(self.give(no, ask.lease)?);
        }
        Ok(Admitted { runs, again_in })
    }

    /// Tells an admission what waits.
    fn tell(&self, ask: &AdmitAsk, admission: &mut Admission<'_, RunNo>) {
        let mut keys: BTreeMap<&QueueKey, (Vec<Head<RunNo>>, u64)> = BTreeMap::new();
        for (no, line) in self.lines.of(&ask.queue) {
            let (heads, running) = keys.entry(&line.key).or_default();
            if line.admitted {
                *running += 1;
            } else if line.ready_at <= ask.now && self.is_served(no, &ask.serves) {
                heads.push(Head { no, rank: line.rank, cost: line.cost });
            }
        }
        for (key, (mut heads, running)) in keys {
            heads.sort_unstable_by_key(|head| (head.rank, head.no));
            let books = self.lines.keys.get(&(ask.queue.clone(), key.clone())).cloned().unwrap_or_default();
            admission.tell(key.clone(), heads, false, running, books);
        }
    }
}
