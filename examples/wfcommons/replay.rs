//! An instance as a workflow, and what its tasks do.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime};

use fastn::core::plan::{NodeIx, ScopeIx};
use fastn::core::{Event, Part, Timestamp};
use fastn::prelude::*;
use fastn::store::{History, RunKey};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;
use tokio::sync::Semaphore;

use crate::args::Args;
use crate::format::{Instance, Task};
use crate::report::{self, Report, rounded};

/// What all replays of this process have in common.
pub(crate) struct Shared {
    /// The name of this replay of all the files.
    pub(crate) label: String,
    pub(crate) time_scale: f64,
    pub(crate) permits: Semaphore,
    /// There once everything is checked, if it is wanted.
    pub(crate) log: OnceLock<File>,
}

impl Shared {
    pub(crate) fn new(args: &Args) -> Self {
        let fresh = || format!("{} {}", Timestamp::from(SystemTime::now()).as_micros(), std::process::id());
        Self {
            label: args.run_id.clone().unwrap_or_else(fresh),
            time_scale: args.time_scale,
            permits: Semaphore::new(args.concurrency.unwrap_or(Semaphore::MAX_PERMITS)),
            log: OnceLock::new(),
        }
    }

    /// Opens the log, if one is wanted.
    pub(crate) fn open_log(&self, args: &Args) -> Result<(), String> {
        let Some(path) = &args.log else { return Ok(()) };
        let log = OpenOptions::new().append(true).create(true).open(path);
        let log = log.map_err(|error| format!("{}: the log cannot be opened: {error}", path.display()))?;
        self.log.get_or_init(|| log);
        Ok(())
    }
}

/// One instance, and its replay.
pub(crate) struct Replay {
    pub(crate) instance: String,
    pub(crate) workflow: Workflow<Value, Value>,
    run: RunId,
    critical_path_ms: f64,
    meter: Arc<Meter>,
}

/// What the journal had of a run when this process came.
#[derive(Default)]
pub(crate) struct Before {
    /// How many tasks were done.
    pub(crate) done: usize,
    /// It had begun and not ended.
    pub(crate) under_way: bool,
}

/// How far a replay is.
struct Meter {
    executed: AtomicUsize,
    /// Draws on standard error, and only if that is a terminal.
    bar: ProgressBar,
}

impl Replay {
    pub(crate) fn new(instance: &Instance, shared: &Arc<Shared>) -> Result<Self, PlanFaults> {
        // An engine goes on with all unfinished runs of a workflow that it serves. The label is in the name so that
        // this process goes on with its own replay and leaves others that were killed alone.
        let name = format!("{}/{}", shared.label, instance.name);
        let meter = Arc::new(Meter::new(instance));
        let mut graph = Graph::new(&name);
        for task in &instance.tasks {
            let line = format!("{}\t{}\n", instance.name, task.id);
            let work = Arc::new(Work { shared: shared.clone(), meter: meter.clone(), time: time(task, shared), line });
            // Recorded tasks hand files to each other, not values: what they wait for is all that is left of that.
            graph.step(&task.id, move |_, _| work.clone().perform()).after(&task.parents);
        }
        graph.no_output();
        let workflow = graph.check()?;
        let critical_path_ms = critical_path(workflow.plan(), &instance.tasks) * shared.time_scale * 1e3;
        Ok(Self { instance: instance.name.clone(), run: RunId::named(&name), workflow, critical_path_ms, meter })
    }

    pub(crate) fn key(&self) -> RunKey {
        RunKey { tenant: TenantId::default(), run: self.run }
    }

    /// What an earlier process left.
    ///
    /// # Errors
    /// If it was a run of another graph: then it would never go on.
    pub(crate) fn before(&self, history: &History) -> Result<Before, String> {
        if history.run.definition.shape != self.workflow.plan().shape() {
            return Err(format!("{}: this replay was begun with another graph", self.instance));
        }
        let is_done = |event: &Event| matches!(event, Event::Succeeded { part: Part::Work, .. });
        let done = history.records.iter().filter(|record| is_done(&record.event)).count();
        Ok(Before { done, under_way: history.outcome().is_none() })
    }

    /// Starts the run, or attaches to it if it is there, and waits for its end.
    pub(crate) async fn go(&self, engine: &Engine, begun: Instant, resumed: usize) -> Result<Report<'_>, Error> {
        let bar = &self.meter.bar;
        bar.set_message(self.instance.clone());
        bar.inc(resumed as u64);
        let run = engine.start(&self.workflow, Value::Null).id(self.run).await?;
        let outcome = run.outcome().await?;
        let wall = begun.elapsed().as_secs_f64();
        bar.finish_and_clear();
        if !matches!(outcome, Outcome::Succeeded(_)) {
            report::complain(&[format!("{}: {outcome}", self.instance)]);
        }
        let executed = self.meter.executed.load(Ordering::Relaxed);
        Ok(Report {
            instance: &self.instance,
            tasks: self.workflow.plan().nodes().len(),
            edges: self.workflow.plan().edge_count(),
            status: run.status().await?.as_str(),
            wall_ms: rounded(wall * 1e3),
            steps_per_s: rounded(executed as f64 / wall.max(f64::EPSILON)),
            executed,
            resumed,
            critical_path_ms: rounded(self.critical_path_ms),
        })
    }
}

impl Meter {
    fn new(instance: &Instance) -> Self {
        let style = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len}");
        let bar = ProgressBar::new(instance.tasks.len() as u64);
        Self {
            executed: AtomicUsize::new(0),
            bar: bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar())),
        }
    }
}

fn time(task: &Task, shared: &Shared) -> Duration {
    // What no `Duration` holds is longer than anybody waits.
    Duration::try_from_secs_f64(task.seconds * shared.time_scale).unwrap_or(Duration::MAX)
}

/// The longest path through the graph, where a task is as long as it ran.
fn critical_path(plan: &fastn::core::Plan, tasks: &[Task]) -> f64 {
    let seconds: HashMap<&str, f64> = tasks.iter().map(|task| (task.id.as_str(), task.seconds)).collect();
    let mut begins: HashMap<NodeIx, f64> = HashMap::new();
    let mut longest = 0_f64;
    for ix in plan.in_order(ScopeIx(0)) {
        let begin = begins.get(&ix).copied().unwrap_or_default();
        let end = begin + seconds.get(plan.node(ix).name.as_str()).copied().unwrap_or_default();
        longest = longest.max(end);
        for next in plan.successors(ix) {
            let begin = begins.entry(next).or_default();
            *begin = begin.max(end);
        }
    }
    longest
}

/// What one task does.
struct Work {
    shared: Arc<Shared>,
    meter: Arc<Meter>,
    time: Duration,
    /// Its line in the log.
    line: String,
}

impl Work {
    async fn perform(self: Arc<Self>) -> Result<Payload, StepError> {
        let _permit = self.shared.permits.acquire().await?;
        if !self.time.is_zero() {
            tokio::time::sleep(self.time).await;
        }
        if let Some(mut log) = self.shared.log.get() {
            // One write of one line at the end of the file: whole, whoever else writes and whatever kills us.
            log.write_all(self.line.as_bytes())?;
        }
        self.meter.executed.fetch_add(1, Ordering::Relaxed);
        self.meter.bar.inc(1);
        Ok(Payload::null())
    }
}
