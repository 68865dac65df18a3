//! What is done to the stores.

use fastn_store::{RunStatus, Then};

use super::by::By;
use super::entries::{EntryDeed, entry_deed};
use super::lines::{Line, LineDeed, line, line_deed};
use super::mail::{MailDeed, mail_deed};
use crate::dice::Dice;
use crate::sample::at;

/// A deed at a time, in seconds, which it keeps when those before it are left out.
#[derive(Clone, Debug)]
pub(super) struct Timed {
    pub(super) now: i64,
    pub(super) deed: Deed,
}

/// Something that is done to every store. Runs are meant by their place among those that were created, counted round and
/// round, so that a deed makes sense whatever was done before it.
#[derive(Clone, Debug)]
pub(super) enum Deed {
    Commit {
        by: By,
        /// Whether it is looked whether that is news, which takes a moment.
        listens: bool,
        writes: Vec<Draft>,
    },
    Claim {
        by: By,
        workflows: Vec<&'static str>,
        limit: u32,
    },
    Renew {
        by: By,
    },
    /// The executor goes and says so, and the next one comes.
    Succeed,
    /// The second executor takes a lease, whatever becomes of the one it had.
    Join,
    /// The second executor goes and says so.
    Part,
    /// The process dies, and another opens the store.
    Reopen,
    Prune {
        before: i64,
        limit: u32,
    },
    List {
        tenant: Option<&'static str>,
        workflow: Option<&'static str>,
        status: Vec<RunStatus>,
        holder: Option<By>,
        limit: u32,
        before: Option<u64>,
    },
    Plan {
        run: u64,
    },
    /// What is kept beside runs.
    Entry(EntryDeed),
    /// What is told to runs from outside.
    Mail(MailDeed),
    /// What waits.
    Line(LineDeed),
    /// Everything is read.
    Look,
}

#[derive(Clone, Debug)]
pub(super) enum Draft {
    Create {
        tenant: &'static str,
        name: u64,
        workflow: &'static str,
        input: &'static str,
    },
    Enqueue {
        tenant: &'static str,
        name: u64,
        workflow: &'static str,
        input: &'static str,
        line: Line,
    },
    /// Of a run in the hands of whoever commits, if there is one and it does not stray.
    Turn {
        run: u64,
        strays: bool,
        shift: i64,
        count: u64,
        then: Then,
    },
}

const TENANTS: &[&str] = &["t", "u", "\u{1F600}"];
const WORKFLOWS: &[&str] = &["a", "b", "c"];
const INPUTS: &[&str] = &["null", "", "\0", "9007199254740993", "\"\u{10FFFF}';--\"", "[1,[2],{}]"];

/// A list of deeds that a seed decides.
pub(super) fn deeds(dice: &mut Dice) -> Vec<Timed> {
    let count = dice.below(80).saturating_add(10);
    (1..=count).map(|second| Timed { now: seconds(second), deed: deed(dice) }).collect()
}

fn deed(dice: &mut Dice) -> Deed {
    match dice.below(76) {
        0 => Deed::Succeed,
        1 => Deed::Reopen,
        2 | 3 => Deed::Prune { before: seconds(dice.below(90)), limit: small(dice, 4) },
        4 => Deed::Renew { by: by(dice) },
        5..=9 => Deed::Claim { by: by(dice), workflows: dice.some(WORKFLOWS), limit: small(dice, 8) },
        10..=12 => Deed::List {
            tenant: dice.one_in(3).then(|| dice.pick(TENANTS)),
            workflow: dice.one_in(3).then(|| dice.pick(WORKFLOWS)),
            status: if dice.one_in(2) { dice.some(RunStatus::ALL) } else { Vec::new() },
            holder: dice.one_in(4).then(|| by(dice)),
            limit: small(dice, 6),
            before: dice.one_in(3).then(|| dice.next()),
        },
        13 => Deed::Plan { run: dice.next() >> 48 },
        14 => Deed::Look,
        15..=22 => Deed::Entry(entry_deed(dice)),
        23..=33 => {
            let by = by(dice);
            Deed::Mail(mail_deed(dice, by))
        }
        34..=48 => {
            let (by, workflows) = (by(dice), if dice.one_in(4) { dice.some(WORKFLOWS) } else { WORKFLOWS.to_vec() });
            Deed::Line(line_deed(dice, by, workflows))
        }
        49..=51 => Deed::Join,
        52 => Deed::Part,
        _ => {
            let writes = dice.below(6);
            Deed::Commit { by: by(dice), listens: dice.one_in(6), writes: (0..writes).map(|_| draft(dice)).collect() }
        }
    }
}

fn by(dice: &mut Dice) -> By {
    match dice.below(20) {
        0 => By::Old,
        1 => By::Nobody,
        2..=7 => By::Other,
        _ => By::Own,
    }
}

fn draft(dice: &mut Dice) -> Draft {
    if dice.one_in(3) {
        let (tenant, workflow, input) = (dice.pick(TENANTS), dice.pick(WORKFLOWS), dice.pick(INPUTS));
        let name = dice.below(20);
        if !dice.one_in(3) {
            return Draft::Enqueue { tenant, name, workflow, input, line: line(dice) };
        }
        return Draft::Create { tenant, name, workflow, input };
    }
    let shift = if dice.one_in(16) { seconds(dice.below(7)).saturating_sub(3) } else { 0 };
    let then = match dice.below(8) {
        0 | 1 => Then::End(status(dice)),
        2 | 3 => Then::Wait(at(seconds(dice.below(50)))),
        _ => Then::Run,
    };
    let count = if matches!(then, Then::End(_)) && !dice.one_in(8) { 1 } else { dice.below(4) };
    Draft::Turn { run: dice.next() >> 48, strays: dice.one_in(16), shift, count, then }
}

/// A status to end in, which now and then is none.
fn status(dice: &mut Dice) -> RunStatus {
    let wanted = |status: &&RunStatus| status.is_final();
    let all: Vec<RunStatus> =
        if dice.one_in(8) { RunStatus::ALL.to_vec() } else { RunStatus::ALL.iter().filter(wanted).copied().collect() };
    let place = usize::try_from(dice.below(all.len() as u64)).unwrap_or(0);
    all.get(place).copied().unwrap_or(RunStatus::Failed)
}

fn small(dice: &mut Dice, end: u64) -> u32 {
    u32::try_from(dice.below(end)).unwrap_or(0)
}

fn seconds(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(0)
}
