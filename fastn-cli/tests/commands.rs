//! Documents at the command line, as people and programs run them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests may fail")]

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use fastn_testkit::server::PrivatePostgres;
use serde_json::{Value, json};
use tempfile::TempDir;

/// A folder in which commands are run, with nothing of the environment that they would heed.
struct Desk(TempDir);

impl Desk {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn sqlite(&self) -> String {
        format!("sqlite:{}", self.path().join("runs.db").display())
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fastn"));
        for name in ["FASTN_STORE", "FASTN_OUTPUT", "FASTN_TENANT"] {
            command.env_remove(name);
        }
        command.args(args).current_dir(self.path()).stdin(Stdio::null());
        command
    }

    fn fastn(&self, args: &[&str]) -> Done {
        Done::of(self.command(args).output().unwrap())
    }
}

/// What came of a command.
#[derive(Debug)]
struct Done {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Done {
    fn of(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }

    fn well(self) -> String {
        assert_eq!(self.code, Some(0), "{self:?}");
        self.out
    }

    /// The one object on standard output.
    fn json(&self) -> Value {
        assert_eq!(self.out.trim_end().lines().count(), 1, "{self:?}");
        serde_json::from_str(&self.out).unwrap()
    }
}

/// A command that runs beside the test; it is killed if the test fails.
struct Beside {
    child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStderr>>,
}

impl Beside {
    fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        Self { child, lines }
    }

    /// Reads on until a line tells this, and gives it.
    fn until(&mut self, what: &str) -> String {
        self.lines.by_ref().map(Result::unwrap).find(|line| line.contains(what)).expect(what)
    }

    fn interrupt(&self) {
        assert!(Command::new("kill").args(["-INT", &self.child.id().to_string()]).status().unwrap().success());
    }

    fn end(mut self) -> Done {
        let err: Vec<String> = self.lines.by_ref().map(Result::unwrap).collect();
        let mut out = String::new();
        std::io::Read::read_to_string(&mut self.child.stdout.take().unwrap(), &mut out).unwrap();
        Done { code: self.child.wait().unwrap().code(), out, err: err.join("\n") }
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

const DOUBLE: &str =
    "fastn: \"1\"\nname: double\ninput: { type: object, required: [n] }\ngives: { twice: '${ .n * 2 }' }\n";
const FAILS: &str = "fastn: \"1\"\nname: fails\nnodes:\n  all:\n    each: [1]\n    nodes: { bad: { transform: '${ error(\"no \\(.)\") }' } }\n";
const WAITS: &str = "fastn: \"1\"\nname: waits\nnodes: { go: { wait: go } }\ngives: { told: '${ $nodes.go }' }\n";

#[test]
fn a_run_says_one_object_and_its_exit_code_says_how_it_ended() {
    let desk = Desk::new();
    desk.write("double.yaml", DOUBLE);
    desk.write("fails.yaml", FAILS);
    desk.write("waits.yaml", WAITS);
    desk.write("input.json", "{\"n\": 21}");

    let done = desk.fastn(&["run", "double.yaml", "--input", "{\"n\": 4}", "-o", "json"]);
    let said = done.json();
    assert_eq!(
        (done.code, &said["status"], &said["output"], &said["error"]),
        (Some(0), &json!("succeeded"), &json!({"twice": 8}), &json!(null))
    );
    assert_eq!((said["workflow"].as_str(), said["run"].as_str().unwrap().len()), (Some("double"), 36));
    assert_eq!(said.as_object().unwrap().len(), 5);
    assert_eq!(
        desk.fastn(&["run", "double.yaml", "-i", "@input.json", "-o", "json"]).json()["output"],
        json!({"twice": 42})
    );
    let mut typed = desk.command(&["run", "double.yaml", "--input", "-"]);
    let mut child = typed.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"{\"n\": 1}").unwrap();
    assert_eq!(Done::of(child.wait_with_output().unwrap()).well(), "{\n  \"twice\": 2\n}\n");

    let done = desk.fastn(&["run", "fails.yaml", "-o", "json"]);
    assert_eq!(done.code, Some(3));
    let error = json!({"kind": "expression", "message": "no 1", "step": "all/bad", "instance": "all[0]/bad"});
    assert_eq!((&done.json()["status"], &done.json()["error"]), (&json!("failed"), &error));

    let done = desk.fastn(&["run", "waits.yaml", "--timeout", "50ms", "-o", "json"]);
    assert_eq!((done.code, &done.json()["status"]), (Some(5), &json!("waiting")));
    assert_eq!(desk.fastn(&["run", "waits.yaml", "--detach"]).code, Some(2), "nobody would ever go on with it");
}

#[test]
fn what_is_wrong_with_what_was_typed_is_wrong_use() {
    let desk = Desk::new();
    desk.write("double.yaml", DOUBLE);
    desk.write("bad.yaml", "fastn: \"1\"\nname: bad\nnodes: { a: { tsak: x } }\n");
    desk.write("task.yaml", "fastn: \"1\"\nname: task\nnodes: { a: { task: x } }\n");
    desk.write("call.yaml", "fastn: \"1\"\nname: call\nnodes: { a: { call: nobody.there } }\n");
    for (args, why) in [
        (&["run", "double.yaml", "-i", "{}"][..], "\"n\" is a required property"),
        (&["run", "double.yaml", "-i", "{"], "read input"),
        (&["run", "double.yaml", "-i", "@nowhere.json"], "nowhere.json"),
        (&["run", "double.yaml", "--timeout", "soon", "-i", "{\"n\": 1}"], "soon"),
        (&["run", "bad.yaml"], "did you mean `task`?"),
        (&["run", "task.yaml"], "there is no task `x`"),
        (&["check", "double.yaml", "bad.yaml"], "did you mean `task`?"),
        (&["graph", "bad.yaml"], "did you mean `task`?"),
        (&["runs", "list"], "FASTN_STORE"),
        (&["worker", ".", "--store", "memory:"], "did you mean `task`?"),
        (&["nonsense"], "unrecognized subcommand"),
    ] {
        let done = desk.fastn(args);
        assert_eq!(done.code, Some(2), "{args:?} {done:?}");
        assert!(done.err.contains(why), "{args:?} {done:?}");
    }
    assert!(!desk.fastn(&["check", "double.yaml"]).well().is_empty());
    assert_eq!(desk.fastn(&["run", "call.yaml"]).code, Some(1), "a connector that is not there");
    assert_eq!(desk.fastn(&["check", "nowhere.yaml"]).code, Some(1));
}

#[test]
fn a_fault_is_shown_with_its_spot_and_without_colours_where_nobody_looks() {
    let desk = Desk::new();
    desk.write("bad.yaml", "fastn: \"1\"\nname: bad\nnodes:\n  price: { transform: 1 }\ngives: ${ $nodes.prize }\n");
    let done = desk.fastn(&["check", "bad.yaml"]);
    let expected = "error: there is no node `prize`
 --> bad.yaml:5:18
  |
5 | gives: ${ $nodes.prize }
  |                  ^^^^^
  |
  = help: did you mean `price`?
";
    assert_eq!(done.err, expected);
    assert!(!done.err.contains('\u{1b}'));
}

#[test]
fn a_document_is_drawn_in_every_way() {
    let desk = Desk::new();
    desk.write("waits.yaml", WAITS);
    let graph = |format: &str| desk.fastn(&["graph", "waits.yaml", "-f", format]).well();
    assert!(graph("tree").starts_with("waits v1\n├─ go() waits for go\n"), "{}", graph("tree"));
    assert!(graph("mermaid").contains("flowchart") || graph("mermaid").contains("graph"));
    assert!(graph("dot").starts_with("digraph"));
    let editor: Value = serde_json::from_str(&graph("json")).unwrap();
    assert!(editor["nodes"].as_array().unwrap().iter().any(|node| node["data"]["label"] == "go"));
    let svg = graph("svg");
    assert!(svg.starts_with("<svg ") && svg.trim_end().ends_with("</svg>") && svg.contains(">waits for go</text>"));
    desk.fastn(&["graph", "waits.yaml", "-f", "svg", "-O", "waits.svg"]).well();
    assert_eq!(fs::read_to_string(desk.path().join("waits.svg")).unwrap(), svg);
    assert_eq!(serde_json::from_str::<Value>(&desk.fastn(&["schema"]).well()).unwrap(), fastn::documents::schema());
    assert!(desk.fastn(&["completions", "bash"]).well().contains("dead-letters"));
}

#[test]
fn a_flag_comes_before_the_environment_and_that_before_the_file() {
    let desk = Desk::new();
    desk.write("double.yaml", DOUBLE);
    let store = |name: &str| format!("sqlite:{}", desk.path().join(name).display());
    desk.write("fastn.toml", &format!("store = {:?}\noutput = \"json\"\n", store("file.db")));
    let run = |args: &[&str], environment: &[(&str, String)]| {
        let mut command = desk.command(&["run", "double.yaml", "-i", "{\"n\": 1}"]);
        Done::of(command.args(args).envs(environment.iter().cloned()).output().unwrap())
    };
    let there = |name: &str| desk.path().join(name).exists();
    assert_eq!(run(&[], &[]).json()["output"]["twice"], 2);
    assert!(there("file.db") && !there("environment.db"));
    let said = [("FASTN_STORE", store("environment.db")), ("FASTN_OUTPUT", "ids".to_owned())];
    assert_eq!(run(&[], &said).well().trim().len(), 36);
    assert!(there("environment.db") && !there("flag.db"));
    assert_eq!(run(&["--store", &store("flag.db"), "-o", "json"], &said).json()["output"]["twice"], 2);
    assert!(there("flag.db"));
    desk.write("fastn.toml", "stroe = 1");
    assert_eq!(run(&[], &[]).code, Some(2), "a word that means nothing is told");
}

#[test]
fn an_interrupted_run_goes_on_with_the_same_command() {
    let desk = Desk::new();
    desk.write("waits.yaml", WAITS);
    let store = desk.sqlite();
    let args = ["run", "waits.yaml", "--store", &store, "--id", "monday", "-o", "json"];
    let mut run = Beside::start(desk.command(&args[..6]));
    run.until("waits v1 as run");
    run.interrupt();
    let done = run.end();
    assert_eq!(done.code, Some(130), "{done:?}");

    let ids = desk.fastn(&["runs", "list", "--store", &store, "-o", "ids"]).well();
    let id = ids.trim();
    assert_eq!(id.len(), 36);
    let signal = ["runs", "signal", id, "go", "--value", "\"now\"", "--store", &store];
    desk.fastn(&signal).well();
    let done = desk.fastn(&args);
    assert_eq!(
        (done.code, &done.json()["output"], &done.json()["run"]),
        (Some(0), &json!({"told": "now"}), &json!(id))
    );
    assert_eq!(desk.fastn(&signal).code, Some(2), "it has ended");

    let mut other = args.to_vec();
    other.extend(["-i", "1"]);
    let done = desk.fastn(&other);
    assert_eq!(done.code, Some(2), "the same id with another input: {done:?}");
}

/// Runs are paused, passed by and let go on, one by one and many at a time, and all of that is listed.
fn pauses(fastn: &impl Fn(&[&str]) -> Done, start: &impl Fn(&str) -> String) {
    let json = |args: &[&str]| -> Value { serde_json::from_str(&fastn(args).well()).unwrap() };
    let until = |id: &str, holds: &dyn Fn(&Value) -> bool| {
        let told = std::iter::repeat_with(|| json(&["runs", "explain", id, "-o", "json"])).take(1_000);
        told.into_iter().find(holds).expect("it comes")
    };
    let run = start("flows/waits.yaml");
    until(&run, &|told| told["activities"][0]["step"] == "go");
    fastn(&["runs", "pause", &run, "--as", "ann", "--reason", "stocktaking"]).well();
    let told = until(&run, &|told| told["paused"] == true);
    assert_eq!((&told["pause"]["by"]["actor"], &told["status"]), (&json!("ann"), &json!("waiting")));
    let shown = fastn(&["runs", "explain", &run]).well();
    assert!(shown.contains("go waits for the signal go") && shown.contains("by ann: stocktaking"), "{shown}");
    let list = fastn(&["runs", "list", "--workflow", "waits"]).well();
    assert!(list.contains(&format!("{run}  paused")), "{list}");
    fastn(&["runs", "signal", &run, "go", "--value", "7", "--as", "bob"]).well();
    until(&run, &|told| told["activities"].as_array().is_some_and(|all| all[0]["step"] != "go"));
    assert_eq!(fastn(&["runs", "wait", &run, "--timeout", "20ms"]).code, Some(5), "nothing of it begins");
    assert_eq!(fastn(&["runs", "skip", &run, "nowhere"]).code, Some(1), "there is no such step");
    fastn(&["runs", "resume", &run, "--as", "ann"]).well();
    let done = fastn(&["runs", "wait", &run, "-o", "json"]);
    assert_eq!((done.code, &done.json()["output"]), (Some(0), &json!({"told": 7})), "{done:?}");

    let run = start("flows/waits.yaml");
    until(&run, &|told| told["activities"][0]["step"] == "go");
    fastn(&["runs", "complete", &run, "go", "--gave", "\"by hand\"", "--as", "ann", "--reason", "by phone"]).well();
    let done = fastn(&["runs", "wait", &run, "-o", "json"]);
    assert_eq!((done.code, &done.json()["output"]), (Some(0), &json!({"told": "by hand"})), "{done:?}");
    let logs = fastn(&["runs", "logs", &run]).well();
    assert!(logs.contains("it was said of attempt 1 of go: gave 9 bytes; by ann: by phone"), "{logs}");
    assert_eq!(fastn(&["runs", "complete", &run, "go"]).code, Some(2), "what became of it is to be said");

    let again = fastn(&["runs", "fork", &run, "go", "--gives", "\"otherwise\"", "--as", "ann"]).well();
    let done = fastn(&["runs", "wait", again.trim(), "-o", "json"]);
    assert_eq!((done.code, &done.json()["output"]), (Some(0), &json!({"told": "otherwise"})), "{done:?}");
    let shown = fastn(&["runs", "show", again.trim()]).well();
    assert!(shown.contains(&format!("origin    {run}, from go by ann")), "{shown}");
    assert_eq!(fastn(&["runs", "retry", &run]).code, Some(2), "it has not failed");

    let many: Vec<String> = (0..3).map(|_| start("flows/waits.yaml")).collect();
    let found = json(&["runs", "all", "cancel", "--workflow", "waits", "--dry-run", "-o", "json"]);
    assert_eq!((&found["runs"], found["sample"].as_array().map(Vec::len)), (&json!(3), Some(3)));
    let done =
        json(&["runs", "all", "cancel", "--workflow", "waits", "--as", "ann", "--reason", "cleaning", "-o", "json"]);
    assert_eq!((done["done"].as_array().map(Vec::len), &done["refused"]), (Some(3), &json!([])));
    for run in &many {
        assert_eq!(fastn(&["runs", "wait", run]).code, Some(4));
    }
    let audit = json(&["runs", "audit", "--actor", "ann", "-o", "json"]);
    let mut deeds: Vec<&str> = audit.as_array().unwrap().iter().map(|entry| entry["deed"].as_str().unwrap()).collect();
    deeds.sort_unstable();
    assert_eq!(deeds, ["cancel", "cancel", "cancel", "cancel", "decide", "fork", "pause", "resume"]);
    let table = fastn(&["runs", "audit", "--run", &run]).well();
    assert!(table.contains("decide go gave") && table.lines().count() == 3, "{table}");
}

/// Commands beside a worker in another process.
fn steers(store: &str) {
    let desk = Desk::new();
    desk.write("flows/waits.yaml", WAITS);
    desk.write("flows/fails.yml", FAILS);
    desk.write("flows/parent.json", r#"{"fastn": "1", "name": "parent", "nodes": {"child": {"run": "waits"}}}"#);
    let at = ["--store", store];
    let fastn = |args: &[&str]| desk.fastn(&[args, &at].concat());
    let start = |file: &str| {
        let done = fastn(&["run", file, "--detach", "-o", "ids"]);
        assert_eq!(done.code, Some(5), "{done:?}");
        done.out.trim().to_owned()
    };
    let mut worker = Beside::start(desk.command(&["worker", "flows", "--store", store]));
    worker.until("serves waits v1");

    let told = start("flows/parent.json");
    let child = |told: &str| {
        let runs = fastn(&["runs", "list", "--workflow", "waits", "-o", "json"]).well();
        let runs: Vec<Value> = serde_json::from_str(&runs).unwrap();
        runs.iter().map(|run| run["run"].as_str().unwrap().to_owned()).find(|id| id != told)
    };
    let inner = std::iter::repeat_with(|| child(&told)).flatten().next().unwrap();
    fastn(&["runs", "signal", &inner, "go", "--value", "7"]).well();
    let done = fastn(&["runs", "wait", &told, "-o", "json"]);
    assert_eq!((done.code, &done.json()["output"]), (Some(0), &json!({"told": 7})), "{done:?}");

    let waiting = start("flows/waits.yaml");
    let done = fastn(&["runs", "wait", &waiting, "--timeout", "10ms", "-o", "json"]);
    assert_eq!((done.code, &done.json()["status"]), (Some(5), &json!("waiting")));
    fastn(&["runs", "cancel", &waiting, "--reason", "no more", "--as", "ann"]).well();
    let done = fastn(&["runs", "wait", &waiting, "-o", "json"]);
    assert_eq!((done.code, &done.json()["status"]), (Some(4), &json!("cancelled")));
    let logs = fastn(&["runs", "logs", &waiting]).well();
    assert!(logs.contains("cancel requested by ann: no more"), "{logs}");

    pauses(&fastn, &start);

    let failed = start("flows/fails.yml");
    assert_eq!(fastn(&["runs", "wait", &failed]).code, Some(3));
    let letters: Value = serde_json::from_str(&fastn(&["dead-letters", "list", "-o", "json"]).well()).unwrap();
    assert_eq!((letters[0]["run"].as_str(), letters[0]["step"].as_str()), (Some(failed.as_str()), Some("all[0]/bad")));
    let again = fastn(&["dead-letters", "retry", &failed, "flows"]).well();
    assert_eq!(fastn(&["dead-letters", "retry", &failed, "flows"]).well(), again, "a number has one run");
    assert!(again.trim() != failed && fastn(&["runs", "wait", again.trim()]).code == Some(3), "{again}");
    let letters = fastn(&["dead-letters", "list", "-o", "ids"]).well();
    assert_eq!(letters, again, "the first is not open any more");
    fastn(&["dead-letters", "dismiss", again.trim(), "--why", "a test", "--by", "me"]).well();
    assert_eq!(fastn(&["dead-letters", "list", "-o", "ids"]).well(), "");
    worker.interrupt();
    assert_eq!(worker.end().code, Some(130));
}

#[test]
fn runs_are_steered_beside_a_worker_on_one_sqlite_file() {
    let desk = Desk::new();
    steers(&desk.sqlite());
}

#[test]
fn runs_are_steered_beside_a_worker_on_one_postgres() {
    steers(&PrivatePostgres::shared().unwrap().database("commands").unwrap());
}

#[test]
fn a_document_is_run_again_when_it_is_changed() {
    let desk = Desk::new();
    desk.write("flow.yaml", "fastn: \"1\"\nname: one\ngives: 1\n");
    let mut dev = Beside::start(desk.command(&["dev", "flow.yaml"]));
    dev.until("succeeded");
    dev.until("waits for a change");
    desk.write("flow.yaml", "fastn: \"1\"\nname: one\ngvies: 1\n");
    dev.until("did you mean `gives`?");
    dev.until("waits for a change");
    desk.write("flow.yaml", "fastn: \"1\"\nname: one\ngives: 2\n");
    dev.until("succeeded");
    dev.interrupt();
    let done = dev.end();
    assert_eq!((done.code, done.out.as_str()), (Some(130), "1\n2\n"), "{done:?}");
}

#[test]
fn on_a_terminal_a_bar_shows_how_far_a_run_is_and_leaves_nothing_behind() {
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

    let desk = Desk::new();
    desk.write(
        "flow.yaml",
        "fastn: \"1\"\nname: flow\nnodes: { one: { sleep: 5ms }, two: { transform: 7, needs: [one] } }\n",
    );
    let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&terminal).unwrap();
    unlockpt(&terminal).unwrap();
    let name = ptsname(&terminal, Vec::new()).unwrap().into_string().unwrap();
    let screen = fs::OpenOptions::new().read(true).write(true).open(name).unwrap();
    let mut command = desk.command(&["run", "flow.yaml", "-o", "json"]);
    let child = command.env("TERM", "xterm").stdout(Stdio::piped()).stderr(screen).spawn().unwrap();
    // The last hold of this side on the screen: reading ends when the command does.
    drop(command);
    let mut shown = Vec::new();
    let mut terminal = fs::File::from(terminal);
    let mut buffer = [0; 4_096];
    // Linux ends the reading with an error when the other side is closed.
    while let Ok(read @ 1..) = std::io::Read::read(&mut terminal, &mut buffer) {
        shown.extend_from_slice(&buffer[..read]);
    }
    let done = Done::of(child.wait_with_output().unwrap());
    assert_eq!((done.code, &done.json()["output"]), (Some(0), &json!(7)));
    let shown = String::from_utf8_lossy(&shown);
    assert!(shown.contains("two done"), "{shown:?}");
    assert!(shown.contains("1/1 "), "how many of how many: {shown:?}");
    assert!(!shown.contains("\u{1b}[3"), "no colours: {shown:?}");

    assert!(shown.ends_with("\r\u{1b}[2K"), "the bar is gone in the end: {shown:?}");
}
