//! The Conformance Test Kit of Serverless Workflow, through the command.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests may fail")]

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::thread;

use fastn::core::plan::Source;
use fastn::documents::{Document, Tasks};
use libtest_mimic::{Arguments, Trial};
use serde_json::Value;

/// Third-party material: of this environment variable's folder, or of the one beside the project's.
const FIXTURES: &str = "FASTN_FIXTURES";

/// Scenarios that say something that is not yet supported, and the word that is named.
const NOT_YET: &[(&str, &str)] = &[
    ("Call HTTP Using Basic Authentication", "authentication"),
    ("Call OpenAPI With Content Output", "call: http"),
    ("Call OpenAPI With Response Output", "call: http"),
    ("Try Handle Caught Error", "try"),
    ("Try Raise Uncaught Error", "try"),
    ("Raise task with inline error", "raise"),
    ("Emit Task", "emit"),
];

fn main() -> ExitCode {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let fixtures = std::env::var_os(FIXTURES).map_or_else(|| package.join("../../shared/fixtures"), PathBuf::from);
    let folder = fixtures.join("serverless-workflow");
    let mut trials = Vec::new();
    if folder.is_dir() {
        let routes: Value =
            serde_json::from_str(&fs::read_to_string(folder.join("ctk-offline-stub.json")).unwrap()).unwrap();
        let stub = Arc::new(Stub::start(routes));
        let mut files: Vec<PathBuf> =
            fs::read_dir(folder.join("ctk-features")).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        for scenario in files.iter().flat_map(|file| scenarios(&fs::read_to_string(file).unwrap())) {
            let stub = stub.clone();
            trials.push(Trial::test(scenario.name.to_lowercase().replace(' ', "_"), move || {
                scenario.check(&stub);
                Ok(())
            }));
        }
        assert_eq!(trials.len(), 21, "the kit has this many scenarios");
    } else {
        trials.push(Trial::test("the_conformance_test_kit", || Ok(())).with_ignored_flag(true));
    }
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

struct Scenario {
    name: String,
    definition: String,
    input: Option<String>,
    output: Option<String>,
    properties: Vec<String>,
}

/// The scenarios of a feature in Gherkin, as far as the kit uses it.
fn scenarios(text: &str) -> Vec<Scenario> {
    text.split("Scenario:").skip(1).map(scenario).collect()
}

fn scenario(text: &str) -> Scenario {
    let mut scenario = Scenario {
        name: text.lines().next().unwrap().trim().to_owned(),
        definition: String::new(),
        input: None,
        output: None,
        properties: Vec::new(),
    };
    let mut step = "";
    let mut block: Option<String> = None;
    for line in text.lines() {
        if line.trim().starts_with("\"\"\"") {
            match block.take() {
                None => block = Some(String::new()),
                Some(text) if step.contains("definition") => scenario.definition = text,
                Some(text) if step.contains("input") => scenario.input = Some(text),
                Some(text) => scenario.output = Some(text),
            }
        } else if let Some(block) = &mut block {
            block.push_str(line);
            block.push('\n');
        } else {
            step = line.trim();
            if step.contains("have properties") {
                scenario.properties.extend(step.split('\'').skip(1).step_by(2).map(str::to_owned));
            }
        }
    }
    scenario
}

/// YAML as JSON, by way of a document that gives it.
fn json(yaml: &str) -> Value {
    let inside: String = yaml.lines().map(|line| format!("  {line}\n")).collect();
    let document = Document::read("value.yaml", &format!("fastn: \"1\"\nname: value\ngives:\n{inside}")).unwrap();
    match &document.workflow(&Tasks::new()).unwrap().plan().root().output {
        Source::Constant(value) => value.decode().unwrap(),
        other => panic!("{other:?}"),
    }
}

impl Scenario {
    fn check(&self, stub: &Stub) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("flow.yaml");
        fs::write(&file, stub.here(&self.definition)).unwrap();
        let input = self.input.as_deref().map_or(Value::Null, json).to_string();
        let mut command = Command::new(env!("CARGO_BIN_EXE_fastn"));
        command.arg("run").arg(&file).args(["--input", &input, "-o", "json", "--allow-private-network"]);
        let output = command.current_dir(folder.path()).env_remove("FASTN_STORE").output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        if let Some((_, word)) = NOT_YET.iter().find(|(name, _)| *name == self.name) {
            assert_eq!(output.status.code(), Some(2), "{told}");
            let errors: Vec<&str> = told.lines().filter(|line| line.starts_with("error")).collect();
            assert!(errors.iter().any(|error| error.contains(word)), "{told}");
            assert!(errors.iter().all(|error| error.contains("supported")), "{told}");
            return;
        }
        assert_eq!(output.status.code(), Some(0), "{told}");
        let said: Value = serde_json::from_slice(&output.stdout).unwrap();
        if let Some(expected) = &self.output {
            assert_eq!(said["output"], json(expected), "{told}");
        }
        for property in &self.properties {
            let pointer = format!("/{}", property.replace('.', "/"));
            assert!(said["output"].pointer(&pointer).is_some(), "{property} is not in {}", said["output"]);
        }
        assert!(
            self.output.is_some() || !self.properties.is_empty() || self.definition.contains("set"),
            "nothing was checked"
        );
    }
}

/// Answers as the hosts would that the kit names.
struct Stub {
    base: String,
    hosts: Vec<String>,
}

impl Stub {
    fn start(routes: Value) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let routes: Vec<(String, String, Value)> = routes["routes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|route| {
                let (method, url) = route["match"].as_str().unwrap().split_once(' ').unwrap();
                let rest = url.split_once("://").unwrap().1;
                let (host, path) = rest.split_once('/').unwrap();
                (host.to_owned(), format!("{method} /{path} "), route.clone())
            })
            .collect();
        let hosts = routes.iter().map(|(host, ..)| format!("https://{host}")).collect();
        // Ends with the test program.
        thread::spawn(move || {
            for stream in listener.incoming() {
                answer(stream.unwrap(), &routes);
            }
        });
        Self { base, hosts }
    }

    fn here(&self, definition: &str) -> String {
        self.hosts.iter().fold(definition.to_owned(), |text, host| text.replace(host.as_str(), &self.base))
    }
}

fn answer(mut stream: TcpStream, routes: &[(String, String, Value)]) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map(Result::unwrap);
    let Some(request) = lines.next() else { return };
    lines.by_ref().take_while(|line| !line.is_empty()).for_each(drop);
    let route = routes.iter().find(|(_, begins, _)| request.starts_with(begins.as_str()));
    let (status, body) = match route {
        Some((.., route)) => (route["status"].as_u64().unwrap(), route["json"].to_string()),
        None => (404, "null".to_owned()),
    };
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    // Whoever has gone needs no answer.
    drop(stream.write_all((head + &body).as_bytes()));
}
