//! Committing turns: atomic, idempotent, in order.

use fastn_core::{Error, ErrorKind, Record, Result, Timestamp};
use fastn_store::{Lease, RunNo, RunStatus, Then, Turn, Write, Written};

use crate::conformance::case::{Case, Flaw, Found, case, ensure, fails, same};
use crate::conformance::trial::Trial;
use crate::sample::{at, finished, new_run, record, turn, turn_of};

pub(in crate::conformance) const CASES: &[Case] = &[
    case!(records_come_back_in_order_without_gaps),
    case!(there_is_one_answer_for_each_write_in_their_order),
    case!(a_turn_that_is_committed_again_changes_nothing),
    case!(a_gap_is_refused),
    case!(an_overlap_is_refused),
    case!(a_batch_with_one_bad_write_leaves_nothing),
    case!(a_bad_batch_does_not_harm_those_beside_it),
    case!(a_waiting_run_says_until_when),
    case!(an_end_is_final),
    case!(commits_made_at_once_are_all_there),
];

async fn records_come_back_in_order_without_gaps(t: Trial) -> Found {
    let lease = t.acquire("a", 0).await?;
    let (one, two) = (t.held(&lease, "1").await?, t.held(&lease, "2").await?);
    for first in (0..30).step_by(3) {
        let turns = vec![
            turn(one, first, 2, Then::Run)?,
            turn(two, first, 3, Then::Run)?,
            turn(one, first.saturating_add(2), 1, Then::Run)?,
        ];
        same(t.commit(&lease, turns).await?, vec![Written::Turned; 3])?;
    }
    let expected: Vec<Record> = (0..30).map(record).collect();
    for name in ["1", "2"] {
        let history = t.history("t", name).await?;
        same((history.records, history.run.status), (expected.clone(), RunStatus::Running))?;
    }
    Ok(())
}

async fn there_is_one_answer_for_each_write_in_their_order(t: Trial) -> Found {
    let lease = t.acquire("a", 0).await?;
    let no = t.held(&lease, "1").await?;
    let writes = vec![
        Write::Turn(turn(no, 0, 1, Then::Run)?),
        Write::Create(new_run("t", "2", "w")?.into()),
        Write::Turn(turn(no, 1, 1, Then::Run)?),
        Write::Create(new_run("t", "1", "w")?.into()),
    ];
    let written = t.write(Some(&lease), writes).await?;
    let [Written::Turned, Written::Created(new), Written::Turned, Written::Exists(old)] = written.as_slice() else {
        return Err(Flaw::new(format_args!("the answer was {written:?}")));
    };
    same((*new, old.no, old.status), (t.history("t", "2").await?.run.no, no, RunStatus::Running))?;
    same(t.write(Some(&lease), vec![]).await?, vec![])
}

async fn a_turn_that_is_committed_again_changes_nothing(t: Trial) -> Found {
    let lease = t.acquire("a", 0).await?;
    let no = t.held(&lease, "1").await?;
    let begin = turn(no, 0, 2, Then::Wait(at(9)))?;
    let end = turn(no, 2, 2, Then::End(RunStatus::Succeeded))?;
    for repeated in [vec![begin.clone()], vec![begin.clone(), end.clone()]] {
        t.commit(&lease, repeated.clone()).await?;
        let before = t.history("t", "1").await?;
        same(t.commit(&lease, repeated.clone()).await?, vec![Written::Turned; repeated.len()])?;
        same(t.history("t", "1").await?, before)?;
    }
    // Under the next lease too, which does not hold the run.
    t.store.release(&lease).await?;
    let next = t.acquire("b", 1).await?;
    same(t.commit(&next, vec![end]).await?, vec![Written::Turned])?;
    same(t.count("1").await?, 4)
}

/// A run that has two records.
async fn with_two_records(t: &Trial) -> Result<(Lease, RunNo)> {
    let lease = t.acquire("a", 0).await?;
    let no = t.held(&lease, "1").await?;
    t.turn(&lease, no, 0, 2, Then::Run).await?;
    Ok((lease, no))
}

async fn a_gap_is_refused(t: Trial) -> Found {
    let (lease, no) = with_two_records(&t).await?;
    for first in [3, 1_000, u64::MAX] {
        let gap = turn_of(no, first, &[record(0)], Then::Run)?;
        fails(t.commit(&lease, vec![gap]).await, ErrorKind::Invalid)?;
        same(t.count("1").await?, 2)?;
    }
    Ok(t.turn(&lease, no, 2, 1, Then::Run).await?)
}

async fn an_overlap_is_refused(t: Trial) -> Found {
    let (lease, no) = with_two_records(&t).await?;
    for first in [0, 1] {
        fails(t.commit(&lease, vec![turn(no, first, 3, Then::Run)?]).await, ErrorKind::Invalid)?;
        same(t.count("1").await?, 2)?;
    }
    Ok(())
}

async fn a_batch_with_one_bad_write_leaves_nothing(t: Trial) -> Found {
    let (lease, one) = with_two_records(&t).await?;
    let two = t.held(&lease, "2").await?;
    let bad: [(&str, Turn); 6] = [
        ("a gap", turn(one, 3, 1, Then::Run)?),
        ("an overlap", turn(one, 1, 2, Then::Run)?),
        ("an end that is none", turn(one, 2, 1, Then::End(RunStatus::Running))?),
        ("an end without a record", turn(one, 2, 0, Then::End(RunStatus::Failed))?),
        ("a run that is not", turn(RunNo(999), 0, 1, Then::Run)?),
        ("a number that cannot be", turn(RunNo(u64::MAX), 0, 1, Then::Run)?),
    ];
    for (what, bad) in bad {
        let good = turn(two, 0, 1, Then::Run)?;
        let writes = vec![Write::Create(new_run("t", "3", "w")?.into()), Write::Turn(good), Write::Turn(bad)];
        let kind = t.write(Some(&lease), writes).await.map_err(|error| error.kind());
        ensure(kind == Err(ErrorKind::Invalid), format_args!("{what}: the answer was {kind:?}"))?;
        let left = (t.exists("3").await?, t.count("1").await?, t.count("2").await?);
        ensure(left == (false, 2, 0), format_args!("{what}: of a batch that was refused there is {left:?}"))?;
    }
    t.commit(&lease, vec![turn(one, 2, 1, Then::Run)?, turn(two, 0, 1, Then::Run)?]).await?;
    same((t.count("1").await?, t.count("2").await?), (3, 1))
}

async fn a_bad_batch_does_not_harm_those_beside_it(t: Trial) -> Found {
    let lease = t.acquire("a", 0).await?;
    let mut commits = Vec::new();
    for n in 0..20_u64 {
        let no = t.held(&lease, &n.to_string()).await?;
        // Every second one leaves a gap.
        let (t, lease, turn) = (t.clone(), lease.clone(), turn(no, n % 2, 1, Then::Run)?);
        commits.push((n, tokio::spawn(async move { t.commit(&lease, vec![turn]).await })));
    }
    for (n, commit) in commits {
        let written = commit.await.map_err(Flaw::new)?;
        let expected = if n % 2 == 0 { 1 } else { 0 };
        same((written.is_ok(), t.count(&n.to_string()).await?), (n % 2 == 0, expected))?;
    }
    Ok(())
}

async fn a_waiting_run_says_until_when(t: Trial) -> Found {
    let lease = t.acquire("a", 0).await?;
    let no = t.held(&lease, "1").await?;
    let steps: [(Then, u64, RunStatus, Option<Timestamp>); 5] = [
        (Then::Wait(at(10)), 1, RunStatus::Waiting, Some(at(10))),
        (Then::Wait(at(20)), 1, RunStatus::Waiting, Some(at(20))),
        (Then::Run, 1, RunStatus::Running, None),
        // A turn may say what is next without anything to record.
        (Then::Wait(Timestamp::MAX), 0, RunStatus::Waiting, Some(Timestamp::MAX)),
        (Then::Run, 0, RunStatus::Running, None),
    ];
    let mut first = 0_u64;
    for (then, count, status, wake_at) in steps {
        t.turn(&lease, no, first, count, then).await?;
        first = first.saturating_add(count);
        let run = t.history("t", "1").await?.run;
        same((run.status, run.wake_at, run.holder), (status, wake_at, Some(lease.token)))?;
    }
    Ok(())
}

async fn an_end_is_final(t: Trial) -> Found {
    let lease = t.acquire("a", 0).await?;
    for status in RunStatus::ALL.iter().copied().filter(|status| status.is_final()) {
        let name = status.as_str();
        let no = t.held(&lease, name).await?;
        t.turn(&lease, no, 0, 1, Then::Wait(at(7))).await?;
        t.turn(&lease, no, 1, 2, Then::End(status)).await?;
        fails(t.turn(&lease, no, 3, 1, Then::Run).await, ErrorKind::Invalid)?;
        let history = t.history("t", name).await?;
        same((history.run.status, history.run.holder), (status, None))?;
        same((history.run.finished_at, history.run.wake_at), (Some(at(5)), None))?;
        same(&history.records, &vec![record(0), record(1), finished(status)])?;
        same(history.outcome().is_some(), true)?;
    }
    // Nor does a batch go on with a run that it ends.
    let no = t.held(&lease, "both").await?;
    let both = vec![turn(no, 0, 1, Then::End(RunStatus::Failed))?, turn(no, 1, 1, Then::Run)?];
    fails(t.commit(&lease, both).await, ErrorKind::Invalid)?;
    t.turn(&lease, no, 0, 1, Then::End(RunStatus::Failed)).await?;
    t.store.release(&lease).await?;
    let next = t.acquire("b", 0).await?;
    same(t.claim_nos(&next, 0, &["w"], 10).await?, vec![])
}

async fn commits_made_at_once_are_all_there(t: Trial) -> Found {
    let lease = t.acquire("a", 0).await?;
    let mut doers = Vec::new();
    for n in 0..16_u64 {
        let no = t.held(&lease, &n.to_string()).await?;
        let (t, lease) = (t.clone(), lease.clone());
        doers.push(tokio::spawn(async move {
            for first in 0..10 {
                t.turn(&lease, no, first, 1, Then::Run).await?;
            }
            Ok::<(), Error>(())
        }));
    }
    for doer in doers {
        doer.await.map_err(Flaw::new)??;
    }
    let expected: Vec<Record> = (0..10).map(record).collect();
    for n in 0..16_u64 {
        same(t.history("t", &n.to_string()).await?.records, expected.clone())?;
    }
    Ok(())
}
