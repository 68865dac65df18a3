//! Recorded workflows: done in order, each task once, through kills, and nothing of a file that is at fault.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use libtest_mimic::Trial;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::program::{LIMIT, Output, block_on, end_of, run, start};

/// The recorded workflows: of this environment variable's folder, or of the one beside the package's.
const FIXTURES: &str = "FASTN_FIXTURES";

#[expect(clippy::print_stdout, reason = "whoever misses a test is told why")]
pub(crate) fn trials(package: &Path) -> Vec<Trial> {
    let fixtures = std::env::var_os(FIXTURES).map_or_else(|| package.join("../shared/fixtures"), PathBuf::from);
    let instances = fixtures.join("wfinstances");
    // Left out by name where they are not.
    let absent = !instances.is_dir();
    let recorded = |store: &'static str| {
        let instances = instances.clone();
        let test = move || {
            recorded_workflows_are_done_in_order(&instances, store);
            Ok(())
        };
        Trial::test(format!("wfcommons_recorded_workflows_are_done_in_order_on_{store}"), test)
            .with_ignored_flag(absent)
    };
    if absent {
        println!("{} is not there: two tests are left out; {FIXTURES} names another folder", instances.display());
    }
    let mut trials = vec![recorded("memory"), recorded("sqlite")];
    let mut add = |name: String, test: Box<dyn FnOnce() + Send>| {
        trials.push(Trial::test(format!("wfcommons_{name}"), move || {
            test();
            Ok(())
        }));
    };
    add("goes_on_after_each_kill_without_doing_a_recorded_task_again".to_owned(), Box::new(killed_again_and_again));
    add("with_another_run_id_is_another_replay".to_owned(), Box::new(another_run_id));
    add("takes_an_edge_that_one_side_lists".to_owned(), Box::new(one_sided_edges));
    add("is_no_faster_than_the_critical_path".to_owned(), Box::new(critical_path));
    if cfg!(target_os = "linux") {
        add("tells_of_a_run_that_failed".to_owned(), Box::new(failed_run));
    }
    for (name, text, message) in faulty_files() {
        add(format!("refuses_{name}"), Box::new(move || refused_file(name, &text, message)));
    }
    add("refuses_arguments_that_are_none".to_owned(), Box::new(refused_arguments));
    trials
}

/// A folder for one test.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// The tasks of each instance in the order of the log.
    fn log(&self, name: &str) -> BTreeMap<String, Vec<String>> {
        let mut log: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let text = std::fs::read_to_string(self.path(name)).unwrap_or_default();
        for line in text.split_inclusive('\n') {
            let (instance, task) = line.strip_suffix('\n').and_then(|line| line.split_once('\t')).expect("whole lines");
            log.entry(instance.to_owned()).or_default().push(task.to_owned());
        }
        log
    }
}

fn task(id: &str, parents: &[&str], children: &[&str]) -> Value {
    json!({ "name": id, "id": id, "parents": parents, "children": children })
}

fn document(tasks: &[Value], seconds: &[(&str, f64)]) -> String {
    let times: Vec<Value> = seconds.iter().map(|(id, s)| json!({ "id": id, "runtimeInSeconds": s })).collect();
    let execution = json!({ "makespanInSeconds": 0, "executedAt": "2026-01-01T00:00:00Z", "tasks": times });
    let workflow = json!({ "specification": { "tasks": tasks }, "execution": execution });
    json!({ "name": "test", "schemaVersion": "1.5", "workflow": workflow }).to_string()
}

fn reports(output: &Output) -> Vec<Value> {
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    output.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The one report there is, as text and numbers of these fields.
fn report(output: &Output, fields: &[&str]) -> Vec<Value> {
    let reports = reports(output);
    assert_eq!(reports.len(), 1);
    fields.iter().map(|field| reports[0][*field].clone()).collect()
}

/// The pairs of a parent and its child in a document.
fn edges(document: &Value) -> (BTreeSet<String>, BTreeSet<(String, String)>) {
    let tasks = document["workflow"]["specification"]["tasks"].as_array().unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let mut edges = BTreeSet::new();
    for task in tasks {
        let list = |key: &str| task[key].as_array().unwrap().clone();
        edges.extend(list("parents").iter().map(|parent| (text(parent), text(&task["id"]))));
        edges.extend(list("children").iter().map(|child| (text(&task["id"]), text(child))));
    }
    (tasks.iter().map(|task| text(&task["id"])).collect(), edges)
}

/// Every task is there, and the first time that it is, all its parents were there before.
fn check_order(log: &[String], tasks: &BTreeSet<String>, edges: &BTreeSet<(String, String)>) {
    let mut first: BTreeMap<&String, usize> = BTreeMap::new();
    for (at, task) in log.iter().enumerate() {
        first.entry(task).or_insert(at);
    }
    assert_eq!(first.keys().copied().collect::<BTreeSet<_>>(), tasks.iter().collect());
    for (parent, child) in edges {
        assert!(first[parent] < first[child], "{child} was done before {parent}");
    }
}

fn recorded_workflows_are_done_in_order(instances: &Path, store: &str) {
    let folder = Folder::new();
    let mut files: Vec<PathBuf> = std::fs::read_dir(instances).unwrap().map(|file| file.unwrap().path()).collect();
    let is_instance = |name: &str| name.ends_with(".json") && !name.ends_with("schema.json");
    files.retain(|file| is_instance(file.to_str().unwrap()));
    files.sort();
    assert!(files.len() >= 10, "{} holds fewer than ten instances", instances.display());

    let (url, log) = (format!("sqlite:{}", folder.path("runs.db")), folder.path("log"));
    let url = if store == "memory" { "memory:" } else { &url };
    let mut args: Vec<&str> = files.iter().map(|file| file.to_str().unwrap()).collect();
    args.extend(["--store", url, "--log", &log]);
    let reports = reports(&run("wfcommons", &args));

    let log = folder.log("log");
    assert_eq!((reports.len(), log.len()), (files.len(), files.len()));
    for (file, report) in files.iter().zip(&reports) {
        let name = file.file_stem().unwrap().to_str().unwrap();
        let document: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
        let (tasks, edges) = edges(&document);
        let fields = ["instance", "status", "tasks", "edges", "executed", "resumed"].map(|field| report[field].clone());
        let count = tasks.len();
        assert_eq!(fields, [json!(name), json!("succeeded"), json!(count), json!(edges.len()), json!(count), json!(0)]);
        assert_eq!(log[name].len(), count, "{name}: a task was done twice");
        check_order(&log[name], &tasks, &edges);
    }
}

/// Six layers of eight tasks, each of which waits for three of the layer before.
fn layers() -> String {
    let name = |layer: usize, n: usize| format!("t{layer}.{}", n % 8);
    let mut tasks = Vec::new();
    for (layer, n) in (0..6).flat_map(|layer| (0..8).map(move |n| (layer, n))) {
        let parents: Vec<String> = if layer == 0 { vec![] } else { (n..n + 3).map(|n| name(layer - 1, n)).collect() };
        tasks.push(json!({ "name": "t", "id": name(layer, n), "parents": parents, "children": [] }));
    }
    let names: Vec<String> = (0..6).flat_map(|layer| (0..8).map(move |n| name(layer, n))).collect();
    document(&tasks, &names.iter().map(|name| (name.as_str(), 0.05)).collect::<Vec<_>>())
}

fn killed_again_and_again() {
    const AT_A_TIME: usize = 4;
    let folder = Folder::new();
    let text = layers();
    let file = folder.write("layers.json", &text);
    let (url, log) = (format!("sqlite:{}", folder.path("runs.db")), folder.path("log"));
    let at_a_time = AT_A_TIME.to_string();
    let args = [&file, "--store", &url, "--log", &log, "--run-id", "one", "--time-scale", "1", "--concurrency"];
    let args = [&args[..], &[at_a_time.as_str()]].concat();
    let lines = || folder.log("log").remove("layers").unwrap_or_default();

    let kills = 3;
    for kill in 1..=kills {
        let enough = kill * 10;
        block_on(async {
            let mut child = start("wfcommons", &args);
            let begun = std::time::Instant::now();
            while lines().len() < enough {
                assert!(begun.elapsed() < LIMIT, "no progress");
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            child.start_kill().unwrap();
            let output = end_of(child).await;
            assert_eq!((output.code, output.stdout.as_str()), (None, ""), "it was not killed in the middle");
        });
    }
    let before = lines();
    let end = run("wfcommons", &args);
    let (tasks, edges) = edges(&serde_json::from_str(&text).unwrap());
    let after = lines();
    check_order(&after, &tasks, &edges);

    let count = |value: &Value| usize::try_from(value.as_u64().unwrap()).unwrap();
    let fields = report(&end, &["executed", "resumed", "tasks"]);
    let (executed, resumed) = (count(&fields[0]), count(&fields[1]));
    assert_eq!((executed + resumed, count(&fields[2])), (tasks.len(), tasks.len()));
    // What the last process did is exactly what was not recorded.
    assert_eq!(after.len() - before.len(), executed);
    assert!(resumed + AT_A_TIME >= before.iter().collect::<BTreeSet<_>>().len(), "work was lost");
    assert!(after.len() <= tasks.len() + kills * AT_A_TIME, "more was done twice than was under way at the kills");

    let again = report(&run("wfcommons", &args), &["status", "executed", "resumed"]);
    assert_eq!(again, [json!("succeeded"), json!(0), json!(tasks.len())]);
}

fn another_run_id() {
    let folder = Folder::new();
    let file = folder.write("pair.json", &document(&[task("a", &[], &["b"]), task("b", &["a"], &[])], &[]));
    let url = format!("sqlite:{}", folder.path("runs.db"));
    let executed = |args: &[&str]| {
        let output = run("wfcommons", &[&[file.as_str(), "--store", url.as_str()], args].concat());
        report(&output, &["executed", "resumed"])
    };
    assert_eq!(executed(&["--run-id", "one"]), [json!(2), json!(0)]);
    assert_eq!(executed(&["--run-id", "two"]), [json!(2), json!(0)]);
    assert_eq!(executed(&["--run-id", "one"]), [json!(0), json!(2)]);
    assert_eq!(executed(&[]), [json!(2), json!(0)]);
    assert_eq!(executed(&[]), [json!(2), json!(0)]);

    // A replay cannot go on with another graph than it began with.
    folder.write("pair.json", &document(&[task("a", &[], &[]), task("b", &[], &[])], &[]));
    let output = run("wfcommons", &[&file, "--store", &url, "--run-id", "one"]);
    assert_eq!(output.code, Some(2));
    assert!(output.stderr.contains("begun with another graph"), "{}", output.stderr);
}

fn one_sided_edges() {
    let folder = Folder::new();
    let tasks = [task("c", &["b"], &[]), task("b", &[], &[]), task("a", &[], &["b", "b"])];
    let file = folder.write("chain.json", &document(&tasks, &[]));
    let output = run("wfcommons", &[&file, "--log", &folder.path("log")]);
    assert_eq!(report(&output, &["edges", "executed"]), [json!(2), json!(3)]);
    assert_eq!(folder.log("log")["chain"], ["a", "b", "c"]);
}

fn critical_path() {
    let folder = Folder::new();
    let tasks = [task("a", &[], &["c"]), task("b", &[], &["c"]), task("c", &["a", "b"], &[])];
    let file = folder.write("join.json", &document(&tasks, &[("a", 3.0), ("b", 1.0), ("c", 2.0)]));
    let fields = report(&run("wfcommons", &[&file, "--time-scale=0.01"]), &["critical_path_ms", "wall_ms"]);
    assert_eq!(fields[0], json!(50.0));
    assert!(fields[1].as_f64() >= Some(50.0), "{fields:?}");
    assert_eq!(report(&run("wfcommons", &[&file]), &["critical_path_ms"]), [json!(0.0)]);
}

fn failed_run() {
    let folder = Folder::new();
    let file = folder.write("one.json", &document(&[task("a", &[], &[])], &[]));
    // A log that is always full.
    let output = run("wfcommons", &[&file, "--log", "/dev/full"]);
    assert_eq!(output.code, Some(1));
    let report: Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!((&report["status"], &report["executed"]), (&json!("failed"), &json!(0)));
    assert!(output.stderr.contains("No space left on device"), "{}", output.stderr);
}

/// What is wrong with a file, the file, and what must be said of it.
fn faulty_files() -> Vec<(&'static str, String, &'static str)> {
    let file = |tasks: &[Value]| document(tasks, &[]);
    vec![
        ("a_cycle", file(&[task("a", &["b"], &["b"]), task("b", &["a"], &["a"])]), "a cycle: a -> b -> a"),
        ("a_task_that_waits_for_itself", file(&[task("a", &["a"], &["a"])]), "a cycle: a -> a"),
        ("an_unknown_parent", file(&[task("a", &["ghost"], &[])]), "`a` has the parent `ghost`, which does not exist"),
        ("an_unknown_child", file(&[task("a", &[], &["ghost"])]), "`a` has the child `ghost`, which does not exist"),
        ("a_duplicate", file(&[task("a", &[], &[]), task("a", &[], &[])]), "the task id `a` is a duplicate"),
        ("a_name_with_a_tab", file(&[task("a\tb", &[], &[])]), "must not hold control characters"),
        ("a_name_that_steers_a_terminal", file(&[task("a", &["\x1b[2J"], &[])]), r"has the parent `\u{1b}[2J`"),
        ("a_graph_of_nothing", file(&[]), "there are no tasks"),
        ("a_time_below_0", document(&[task("a", &[], &[])], &[("a", -1.0)]), "`a` has a run time below 0: -1"),
        ("broken_json", r#"{"workflow": {"#.to_owned(), "this is not WfFormat 1.5: EOF"),
        ("another_format", r#"{"workflow": {"tasks": []}}"#.to_owned(), "missing field `specification`"),
    ]
}

fn refused_file(name: &str, text: &str, message: &str) {
    let folder = Folder::new();
    // A good file before and after it is not replayed either.
    let (good, better) = (document(&[task("a", &[], &[])], &[]), document(&[task("b", &[], &[])], &[]));
    let (good, better) = (folder.write("good.json", &good), folder.write("better.json", &better));
    let bad = folder.write(&format!("{name}.json"), text);
    let (store, log) = (folder.path("runs.db"), folder.path("log"));
    let url = format!("sqlite:{store}");
    let output = run("wfcommons", &[&good, &bad, &better, "--store", &url, "--log", &log]);
    assert_eq!((output.code, output.stdout.as_str()), (Some(2), ""));
    assert!(output.stderr.contains(&bad) && output.stderr.contains(message), "{}", output.stderr);
    assert!(!Path::new(&store).exists() && !Path::new(&log).exists(), "something was stored");
}

fn refused_arguments() {
    let folder = Folder::new();
    let file = folder.write("one.json", &document(&[task("a", &[], &[])], &[]));
    let (file, gone) = (file.as_str(), folder.path("gone.json"));
    for (args, message) in [
        (&[][..], "there is no file"),
        (&[gone.as_str()], "cannot be read"),
        (&[file, file], "another instance of the name one"),
        (&[file, "--fast"], "--fast is no option"),
        (&[file, "--store"], "--store needs a value"),
        (&[file, "--store", "papyrus:"], "known are memory:"),
        (&[file, "--store", "sqlite:/nowhere/runs.db"], "no such folder"),
        (&[file, "--run-id", ""], "--run-id: a name is needed"),
        (&[file, "--time-scale", "-1"], "not a number from 0 up"),
        (&[file, "--time-scale", "inf"], "not a number from 0 up"),
        (&[file, "--concurrency", "0"], "not a number from 1"),
        (&[file, "--log", "/nowhere/log"], "the log cannot be opened"),
    ] {
        let output = run("wfcommons", args);
        assert_eq!((output.code, output.stdout.as_str()), (Some(2), ""), "{args:?}");
        assert!(output.stderr.contains(message), "{args:?}: {}", output.stderr);
    }
    let help = run("wfcommons", &["--help"]);
    assert!(help.code == Some(0) && help.stdout.contains("usage: wfcommons FILE..."));
}
