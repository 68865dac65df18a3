//! Real processes.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fastn_connectors::Registry;
use fastn_connectors::process::{Command, Exit, Process, RUN};
use fastn_core::{Failure, Payload, StepError};
use serde_json::json;

use crate::step::{Link, cx, cx_of, cx_until, failure};

async fn run(command: Command) -> Result<Exit, StepError> {
    Process::default().run(&cx(), command).await
}

async fn kind(command: Command) -> (String, bool) {
    let Failure { kind, permanent, .. } = failure(run(command).await);
    (kind.as_str().to_owned(), permanent)
}

/// The processes of the group that are not dead, by their numbers.
#[cfg(target_os = "linux")]
fn alive(group: u32) -> BTreeSet<u32> {
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir("/proc").expect("there is /proc").flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        // A process may end while we look.
        let Ok(stat) = std::fs::read_to_string(entry.path().join("stat")) else { continue };
        // The name may hold anything; after its last parenthesis come state, parent and group.
        let mut fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
        let (state, parent, of) = (fields.next(), fields.next(), fields.next());
        // Orphans are reaped by the system's first process, when it likes; our own children by us.
        let dead = state == Some("Z") && parent != Some(&std::process::id().to_string());
        if of == Some(&group.to_string()) && !dead {
            found.insert(pid);
        }
    }
    found
}

/// A killed process is gone soon, not at once: the system needs a moment.
#[cfg(target_os = "linux")]
async fn nobody_is_left(group: u32) {
    let started = Instant::now();
    while !alive(group).is_empty() {
        assert!(started.elapsed() < Duration::from_secs(10), "left: {:?}", alive(group));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A script that has a child and a grandchild, tells its number, and then does `rest`.
fn family(rest: &str) -> Command {
    Command::script(format!("(sleep 1000 & sleep 1000) & echo \"{{\\\"pid\\\": $$}}\"; {rest}"))
}

async fn group_of(link: &Link) -> u32 {
    link.first().await["pid"].as_u64().and_then(|pid| pid.try_into().ok()).expect("a number")
}

#[tokio::test]
async fn what_it_prints_comes_back() {
    let exit = run(Command::script("printf 'a\\nb'; echo c >&2")).await.expect("it succeeds");
    assert_eq!((exit.code, exit.stdout.as_str(), exit.stderr.as_str(), exit.truncated), (0, "a\nb", "c\n", false));
}

#[tokio::test]
async fn it_is_called_through_a_registry_with_json() {
    let registry = Registry::new().with(Process::default()).expect("the first");
    let input = json!({"program": "cat", "stdin": "{\"n\": 1}\n"});
    let input = Payload::encode(&input).expect("it is JSON");
    let output = registry.execute(&RUN.action(), input, cx()).await.expect("it runs");
    let exit: serde_json::Value = output.decode().expect("it is JSON");
    assert_eq!(exit["lines"], json!([{"n": 1}]));
    let unknown = Payload::json(r#"{"program": "cat", "arguments": []}"#);
    assert_eq!(failure(registry.execute(&RUN.action(), unknown, cx()).await).kind.as_str(), "invalid");
}

#[tokio::test]
async fn lines_are_progress_as_they_come() {
    let link = Link::new();
    // The script ends only after we have seen its first line and answered through the file.
    let dir = tempfile::tempdir().expect("a directory");
    let gate = dir.path().join("gate");
    assert!(std::process::Command::new("mkfifo").arg(&gate).status().expect("it runs").success());
    let script = "echo '{\"done\": 1}'; read line < \"$1\"; echo \"$line\"; echo '[1]'; printf '{\"done\": 2}'";
    let command = Command::script(script).arg(gate.to_str().expect("it is UTF-8"));
    let (cx, process) = (cx_of(&link), Process::default());
    let open = async {
        assert_eq!(link.first().await, json!({"done": 1}));
        tokio::fs::write(&gate, "go\n").await.expect("the script reads it");
    };
    let (exit, ()) = tokio::join!(process.run(&cx, command), open);
    let exit = exit.expect("it succeeds");
    assert_eq!(
        link.progress(),
        [json!({"done": 1}), json!({"line": "go"}), json!({"line": "[1]"}), json!({"done": 2})]
    );
    assert_eq!(json!(exit.lines), json!([{"done": 1}, {"done": 2}]));
}

#[tokio::test]
async fn arguments_are_not_interpreted() {
    let exit = run(Command::new("printf").arg("%s").arg("$HOME; `id` * \"")).await.expect("it succeeds");
    assert_eq!(exit.stdout, "$HOME; `id` * \"");
    let exit = run(Command::script("printf %s \"$1\"").arg("$(id)")).await.expect("it succeeds");
    assert_eq!(exit.stdout, "$(id)");
}

#[tokio::test]
async fn little_is_inherited_and_nothing_if_asked() {
    let exit = run(Command::new("env").env("MINE", "1")).await.expect("it succeeds");
    let names: BTreeSet<&str> = exit.stdout.lines().filter_map(|line| Some(line.split_once('=')?.0)).collect();
    let known = BTreeSet::from(["PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "MINE"]);
    let more = std::env::vars().any(|(name, _)| !known.contains(name.as_str()));
    assert!(more, "these tests themselves must have a variable that is not inherited");
    assert!(names.contains("PATH") && names.contains("MINE") && names.is_subset(&known), "{names:?}");
    let exit = run(Command::new("/usr/bin/env").clear_env().env("MINE", "1")).await.expect("it succeeds");
    assert_eq!(exit.stdout, "MINE=1\n");
}

#[tokio::test]
async fn it_runs_in_its_directory() {
    let dir = tempfile::tempdir().expect("a directory");
    let real = dir.path().canonicalize().expect("it exists");
    let exit = run(Command::new("pwd").dir(&real)).await.expect("it succeeds");
    assert_eq!(Path::new(exit.stdout.trim_end()), real);
    let failure = failure(run(Command::new("pwd").dir(real.join("none"))).await);
    assert!(failure.permanent && failure.message.contains("is no directory"), "{failure}");
}

#[tokio::test]
async fn an_exit_code_is_a_failure_unless_expected() {
    let failure = failure(run(Command::script("echo one >&2; echo two >&2; exit 3")).await);
    assert_eq!((failure.kind.as_str(), failure.permanent), ("exit_3", false));
    assert_eq!(failure.message, "the script exited with code 3: one | two");
    let exit = run(Command::script("exit 3").ok_exit_code(0).ok_exit_code(3)).await.expect("it is expected");
    assert_eq!(exit.code, 3);
    assert_eq!(kind(Command::script("kill -9 $$")).await, ("signal_9".to_owned(), false));
}

#[tokio::test]
async fn what_cannot_be_run_is_permanent() {
    let dir = tempfile::tempdir().expect("a directory");
    let text = dir.path().join("text");
    std::fs::write(&text, "no program").expect("it can be written");
    let path = |path: &Path| Command::new(path.to_str().expect("it is UTF-8"));
    let not_found = ("program_not_found".to_owned(), true);
    assert_eq!(kind(Command::new("no-such-program-anywhere")).await, not_found);
    assert_eq!(kind(path(&dir.path().join("none"))).await, not_found);
    assert_eq!(kind(path(&text)).await, not_found);
    assert_eq!(kind(path(dir.path())).await, not_found);
    assert_eq!(kind(Command::new("")).await, not_found);
    assert_eq!(kind(Command::new("echo").arg("a\0b")).await, ("invalid".to_owned(), true));
}

#[tokio::test]
async fn only_allowed_programs_run() {
    let process = Process::builder().allow_program("echo").build();
    assert!(process.run(&cx(), Command::new("echo")).await.is_ok());
    for command in [
        Command::new("/bin/echo"),
        Command::new("cat"),
        Command::script("echo"),
        Command::new("echo").env("PATH", "/tmp"),
        Command::new("echo").env("LD_PRELOAD", "/tmp/x.so"),
    ] {
        let shown = format!("{command:?}");
        let failure = failure(process.run(&cx(), command).await);
        assert_eq!((failure.kind.as_str(), failure.permanent), ("forbidden_program", true), "{shown}");
    }
}

#[tokio::test]
async fn output_without_end_is_bounded_and_blocks_nobody() {
    let process = Process::builder().max_output_bytes(1_000).max_line_bytes(10).max_lines(2).build();
    let script = "echo first; i=0; while [ $i -lt 4 ]; do echo '{\"i\":'$i'}'; i=$((i+1)); done; \
                  head -c 1000000 /dev/zero | tr '\\0' x; echo; head -c 1000000 /dev/zero | tr '\\0' y >&2; \
                  echo last >&2";
    let link = Link::new();
    let exit = process.run(&cx_of(&link), Command::script(script)).await.expect("it succeeds");
    assert!(exit.truncated && exit.stdout.starts_with("first\n") && exit.stderr.ends_with("last\n"));
    assert_eq!((exit.stdout.len(), exit.stderr.len()), (1_000, 1_000));
    assert_eq!(json!(exit.lines), json!([{"i": 0}, {"i": 1}]));
    let progress = link.progress();
    assert_eq!((progress.len(), progress.last()), (6, Some(&json!({"line": "xxxxxxxxxx"}))));
}

#[tokio::test]
async fn input_that_is_not_read_is_no_failure() {
    let exit = run(Command::new("true").stdin("x".repeat(1_000_000))).await.expect("it succeeds");
    assert_eq!(exit.code, 0);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn at_a_deadline_the_whole_group_ends() {
    let process = Process::builder().grace(Duration::from_millis(200)).build();
    let limit = Duration::from_millis(300);
    for rest in ["wait", "trap '' TERM; echo stuck >&2; while :; do sleep 1; done"] {
        let link = Link::new();
        let (cx, command) = (cx_of(&link), family(rest).timeout(limit));
        let (result, group) = tokio::join!(process.run(&cx, command), group_of(&link));
        let failure = failure(result);
        assert_eq!((failure.kind.as_str(), failure.permanent), ("timeout", false), "{rest}: {failure}");
        nobody_is_left(group).await;
    }
    let failure = failure(process.run(&cx_until(limit), Command::new("sleep").arg("1000")).await);
    assert_eq!(failure.kind.as_str(), "timeout");
}

#[tokio::test]
async fn a_deadline_that_has_passed_starts_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let mark = dir.path().join("mark");
    let command = || Command::new("touch").arg(mark.to_str().expect("it is UTF-8"));
    let process = Process::default();
    assert_eq!(failure(process.run(&cx_until(Duration::ZERO), command()).await).kind.as_str(), "timeout");
    assert_eq!(failure(process.run(&cx(), command().timeout(Duration::ZERO)).await).kind.as_str(), "timeout");
    assert!(!mark.exists());
}

#[tokio::test]
async fn a_program_may_end_in_its_own_way() {
    let link = Link::new();
    let script = "trap 'echo bye >&2; exit 0' TERM; echo ready; while :; do sleep 0.01; done";
    let (cx, process) = (cx_of(&link), Process::builder().grace(Duration::from_secs(60)).build());
    let stop = async {
        link.first().await;
        link.cancel();
    };
    let started = Instant::now();
    let (result, ()) = tokio::join!(process.run(&cx, Command::script(script)), stop);
    assert_eq!(failure(result).kind.as_str(), "cancelled");
    assert!(started.elapsed() < Duration::from_secs(50), "the grace is only for those who need it");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_cancelled_step_ends_the_whole_group() {
    let link = Link::new();
    let (cx, process) = (cx_of(&link), Process::default());
    let stop = async {
        let group = group_of(&link).await;
        assert!(!alive(group).is_empty());
        link.cancel();
        group
    };
    let (result, group) = tokio::join!(process.run(&cx, family("wait")), stop);
    assert_eq!(failure(result).kind.as_str(), "cancelled");
    nobody_is_left(group).await;
    assert_eq!(failure(process.run(&cx, Command::new("true")).await).kind.as_str(), "cancelled", "nothing is started");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_dropped_step_ends_the_whole_group() {
    let link = Link::new();
    let cx = cx_of(&link);
    let task = tokio::spawn(async move { Process::default().run(&cx, family("trap '' TERM; wait")).await });
    let group = group_of(&link).await;
    assert!(!alive(group).is_empty());
    task.abort();
    assert!(task.await.expect_err("it was aborted").is_cancelled());
    // The leader was our child: that it is gone says that it was reaped, too.
    nobody_is_left(group).await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn what_stays_behind_is_killed_and_holds_nothing_up() {
    let process = Process::builder().grace(Duration::from_millis(100)).build();
    // The grandchildren keep the output open.
    let link = Link::new();
    let exit = process.run(&cx_of(&link), family("exit 0")).await.expect("it succeeds");
    assert_eq!(exit.code, 0);
    nobody_is_left(group_of(&link).await).await;
    // They have it closed.
    let link = Link::new();
    let quiet = Command::script("sleep 1000 >/dev/null 2>&1 & echo \"{\\\"pid\\\": $$}\"");
    process.run(&cx_of(&link), quiet).await.expect("it succeeds");
    nobody_is_left(group_of(&link).await).await;
    // One that has left the group is out of reach, but the step is over.
    let exit = process.run(&cx(), Command::script("setsid sleep 3 & echo over")).await.expect("it succeeds");
    assert_eq!(exit.stdout, "over\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_at_once_do_not_mix() {
    let process = Arc::new(Process::default());
    let tasks: Vec<_> = (0..50)
        .map(|i| {
            let process = Arc::clone(&process);
            tokio::spawn(async move { process.run(&cx(), Command::script(format!("echo {i}; exit {}", i % 2))).await })
        })
        .collect();
    for (i, task) in tasks.into_iter().enumerate() {
        match task.await.expect("it does not panic") {
            Ok(exit) => assert_eq!((i % 2, exit.stdout), (0, format!("{i}\n"))),
            Err(error) => assert_eq!((i % 2, error.into_failure().kind.as_str()), (1, "exit_1")),
        }
    }
}
