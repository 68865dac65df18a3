//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

pub(crate) const HELP: &str = "\
Replays recorded scientific workflows (WfFormat 1.5), each as one durable run.

usage: wfcommons FILE... [OPTIONS]

  --store URL        where runs are kept: memory: (the default) or sqlite:PATH
  --run-id ID        a name for this replay: the same name on the same store goes on with a replay that was killed;
                     without one, every replay is a new one
  --time-scale F     a task sleeps for its recorded run time times F; by default 0, not at all
  --concurrency N    at most N tasks at a time; by default as many as the graph allows
  --log FILE         each task that is done adds a line: its instance, a tab, its id
  --help             this text

One line of JSON for each file, in their order, goes to standard output. The files are replayed one after the other,
after all of them were checked.

  tasks, edges       the size of the graph; an edge is a pair of a parent and its child, listed by either or both
  executed           tasks that were done by this process
  resumed            tasks that an earlier process of the same --run-id had done
  wall_ms            from the start of the run, or from the opening of the store if it goes on, to its end
  steps_per_s        executed in wall_ms
  critical_path_ms   the longest path of recorded run times, times F: no replay is faster

exit code: 0 if every run succeeded, 1 if one did not, 2 if the arguments or a file are at fault and nothing was done
";

#[derive(Debug)]
pub(crate) struct Args {
    pub(crate) files: Vec<PathBuf>,
    pub(crate) store: String,
    pub(crate) run_id: Option<String>,
    pub(crate) time_scale: f64,
    pub(crate) concurrency: Option<usize>,
    pub(crate) log: Option<PathBuf>,
}

/// The arguments; `None` if help is asked for.
pub(crate) fn parse(args: impl Iterator<Item = OsString>) -> Result<Option<Args>, String> {
    let mut parsed = Args {
        files: Vec::new(),
        store: "memory:".to_owned(),
        run_id: None,
        time_scale: 0.0,
        concurrency: None,
        log: None,
    };
    let mut args = args;
    while let Some(arg) = args.next() {
        // What is not UTF-8 can only be a file.
        let Some(text) = arg.to_str().filter(|text| text.starts_with('-')) else {
            parsed.files.push(arg.into());
            continue;
        };
        let (name, joined) = match text.split_once('=') {
            Some((name, value)) => (name, Some(OsString::from(value))),
            None => (text, None),
        };
        let mut os_value = || joined.clone().or_else(|| args.next()).ok_or_else(|| format!("{name} needs a value"));
        let mut value =
            || os_value()?.into_string().map_err(|value| format!("{name}: {} is not UTF-8", value.display()));
        match name {
            "--help" | "-h" => return Ok(None),
            "--store" => parsed.store = value()?,
            "--run-id" => parsed.run_id = Some(value().and_then(run_id)?),
            "--time-scale" => parsed.time_scale = value().and_then(time_scale)?,
            "--concurrency" => parsed.concurrency = Some(value().and_then(concurrency)?),
            "--log" => parsed.log = Some(os_value()?.into()),
            "--" => parsed.files.extend(args.by_ref().map(PathBuf::from)),
            _ => return Err(format!("{name} is no option")),
        }
    }
    if parsed.files.is_empty() {
        return Err("there is no file to replay".to_owned());
    }
    Ok(Some(parsed))
}

fn run_id(value: String) -> Result<String, String> {
    if value.is_empty() { Err("--run-id: a name is needed".to_owned()) } else { Ok(value) }
}

fn time_scale(value: String) -> Result<f64, String> {
    let scale = value.parse().ok().filter(|scale: &f64| scale.is_finite() && *scale >= 0.0);
    scale.ok_or_else(|| format!("--time-scale: {value:?} is not a number from 0 up"))
}

fn concurrency(value: String) -> Result<usize, String> {
    let most = tokio::sync::Semaphore::MAX_PERMITS;
    let tasks = value.parse().ok().filter(|tasks| (1..=most).contains(tasks));
    tasks.ok_or_else(|| format!("--concurrency: {value:?} is not a number from 1 to {most}"))
}
