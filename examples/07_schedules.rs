//! Runs are started when they are due: by a calendar in its time zone, for what was missed, and by hand.
#![allow(clippy::print_stdout, reason = "an example prints")]

use fastn::prelude::*;
use fastn::runtime::{CatchUp, Overlap, Schedule};
use fastn::schedule::{Calendar, Zone};
use tokio::sync::mpsc;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // In Berlin, clocks went from 2:00 to 3:00 on 29 March 2026. What is due once a day is still due once that day.
    let (nightly, berlin): (_, Zone) = (Calendar::cron("30 2 * * *")?, "Europe/Berlin".parse()?);
    let mut time = Timestamp::from_millis(1_774_656_000_000);
    for _ in 0..3 {
        time = nightly.next(time, &berlin).ok_or("it is due every night")?;
        println!("due at {time}");
    }

    let (tell, mut reports) = mpsc::unbounded_channel();
    let report = workflow("report").define(|flow, due: Out<'_, Timestamp>| {
        let report = move |due: Timestamp| {
            let tell = tell.clone();
            async move { tell.send(due).map_err(|_| StepError::new("nobody listens")) }
        };
        flow.step("report", report, due)
    })?;
    let folder = tempfile::tempdir()?;
    let store = format!("sqlite:{}", folder.path().join("runs.db").display());
    let engine = Engine::builder().store(&*store).serve(&report).open().await?;
    let (schedules, tenant) = (engine.schedules(), TenantId::default());

    // A program puts its schedules whenever it begins. Any number of engines may serve them: each due time has one run.
    let schedule = Schedule::with_due_time("nightly report", &report, nightly)?
        .zone(berlin)
        .overlap(Overlap::BufferOne)
        .catch_up(CatchUp::Latest);
    schedules.put(&schedule).await?;

    // The same three nights, which were before the schedule was.
    let (from, to) = (Timestamp::from_millis(1_774_656_000_000), time.plus(secs(1)));
    let due = schedules.due_between(&tenant, "nightly report", from, to).await?;
    println!("{} nights have no report", due.len());
    let done = schedules.backfill(&tenant, "nightly report", from, to).await?;
    println!("{} reports were started, and {} were there", done.started.len(), done.existed);
    let mut found = Vec::new();
    while found.len() < due.len() {
        found.push(reports.recv().await.ok_or("a report is missing")?);
    }
    found.sort();
    println!("they are for the nights that were due: {}", found == due);

    let every_second = Schedule::with_due_time("pulse", &report, Calendar::cron("* * * * * *")?)?;
    schedules.put(&every_second).await?;
    let due = reports.recv().await.ok_or("nothing was due")?;
    println!("a run was started on the second: {}", due.as_micros() % 1_000_000 == 0);
    schedules.pause(&tenant, "pulse").await?;

    let run = schedules.trigger(&tenant, "nightly report").await?;
    let outcome = engine.runs().handle::<()>(&tenant, run).outcome().await?;
    println!("the run that was started by hand: {outcome}");
    engine.shutdown().await?;
    Ok(())
}
