//! The shape of the house: which crate may know which, what may not be anywhere, and no circles.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Which crates of the house each crate may know. What is not listed may not be.
const ARROWS: &[(&str, &[&str])] = &[
    ("fastn-core", &[]),
    ("fastn-workflow", &["fastn-core"]),
    ("fastn-connectors", &["fastn-core"]),
    ("fastn-store", &["fastn-core"]),
    ("fastn-schedule", &["fastn-core"]),
    ("fastn-document", &["fastn-core"]),
    ("fastn-runtime", &["fastn-core", "fastn-store", "fastn-connectors", "fastn-schedule"]),
    ("fastn-testkit", &["fastn-core", "fastn-connectors", "fastn-store", "fastn-runtime"]),
    (
        "fastn",
        &[
            "fastn-core",
            "fastn-workflow",
            "fastn-connectors",
            "fastn-store",
            "fastn-runtime",
            "fastn-schedule",
            "fastn-document",
        ],
    ),
    ("fastn-ffi", &["fastn", "fastn-core"]),
    ("fastn-cli", &["fastn"]),
    (
        "fastn-fuzz",
        &[
            "fastn-core",
            "fastn-connectors",
            "fastn-store",
            "fastn-runtime",
            "fastn-schedule",
            "fastn-document",
            "fastn-testkit",
        ],
    ),
];

/// Words that may not stand among a crate's dependencies: the absences that carry the design.
const ABSENT: &[(&str, &[&str])] = &[
    ("fastn-core", &["tokio", "rusqlite", "reqwest", "async-trait", "tracing"]),
    ("fastn-workflow", &["tokio", "rusqlite", "reqwest", "tracing"]),
    ("fastn-store", &["reqwest"]),
    ("fastn-schedule", &["tokio", "rusqlite", "reqwest", "async-trait", "tracing"]),
    ("fastn-document", &["tokio", "rusqlite", "reqwest", "async-trait", "tracing"]),
    ("fastn-runtime", &["rusqlite", "reqwest"]),
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn folder(name: &str) -> PathBuf {
    if name == "fastn" { root() } else { root().join(name) }
}

/// The names under `[dependencies]` of a manifest.
fn dependencies(name: &str) -> BTreeSet<String> {
    let text = fs::read_to_string(folder(name).join("Cargo.toml")).unwrap();
    let mut section = "";
    let mut found = BTreeSet::new();
    for line in text.lines().map(str::trim) {
        if line.starts_with('[') {
            section = line;
        } else if section == "[dependencies]" || section.starts_with("[target.") {
            found.extend(
                line.split(['=', '.', ' '])
                    .next()
                    .filter(|word| !word.is_empty() && !word.starts_with('#'))
                    .map(str::to_owned),
            );
        }
    }
    found
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

#[test]
fn arrows_between_crates_point_one_way() {
    for (name, may) in ARROWS {
        let known: BTreeSet<_> = dependencies(name).into_iter().filter(|other| other.starts_with("fastn")).collect();
        let may: BTreeSet<_> = may.iter().map(|other| (*other).to_owned()).collect();
        let excess: Vec<_> = known.difference(&may).collect();
        assert!(excess.is_empty(), "{name} may not know {excess:?}");
    }
}

#[test]
fn every_crate_of_the_workspace_is_in_the_table_of_arrows() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    for line in manifest.lines().map(str::trim).filter(|line| line.starts_with("\"fastn-") && line.ends_with("\",")) {
        let name = line.trim_matches(['"', ',']);
        assert!(ARROWS.iter().any(|(listed, _)| *listed == name), "{name} is not listed");
    }
}

#[test]
fn what_must_be_absent_is_absent() {
    for (name, absent) in ABSENT {
        let known = dependencies(name);
        for word in *absent {
            assert!(!known.contains(*word), "{name} may not depend on {word}");
        }
    }
}

#[test]
fn unsafe_is_written_in_the_c_abi_only() {
    for (name, _) in ARROWS.iter().filter(|(name, _)| *name != "fastn-ffi") {
        for file in sources(&folder(name).join("src")) {
            let text = fs::read_to_string(&file).unwrap();
            let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
            assert!(!code.into_iter().any(|line| line.contains("unsafe ")), "unsafe in {}", file.display());
        }
    }
}

#[test]
fn every_dependency_of_the_workspace_says_why() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let section = manifest.split("[workspace.dependencies]").nth(1).unwrap().split("\n[").next().unwrap();
    let section = section.split("# Tests, examples and benches only.").next().unwrap();
    for line in
        section.lines().filter(|line| line.contains(" = ") && !line.starts_with("fastn") && !line.starts_with('#'))
    {
        assert!(line.contains(" # "), "no reason beside {line}");
    }
}

/// The code of a crate without comments and tests, file by file.
fn code(name: &str) -> Vec<(PathBuf, String)> {
    let read = |file: PathBuf| {
        let text = fs::read_to_string(&file).unwrap();
        let text = text.split("#[cfg(test)]").next().unwrap_or_default();
        let lines: Vec<_> = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
        (file, lines.join("\n"))
    };
    sources(&folder(name).join("src")).into_iter().map(read).collect()
}

#[test]
fn one_room_of_the_engine_spawns_and_one_tells_the_time() {
    for (word, room) in [
        ("tokio::spawn", ""),
        ("self.0.spawn(", "src/tasks.rs"),
        ("thread::", ""),
        ("tokio::time::sleep", "clock.rs"),
        ("interval(", ""),
        ("SystemTime::now", "clock.rs"),
        ("Instant::now", "clock.rs"),
    ] {
        for (file, text) in code("fastn-runtime") {
            let allowed = !room.is_empty() && file.ends_with(room);
            assert!(allowed || !text.contains(word), "{word} in {}", file.display());
        }
    }
}

/// How many crates the front door brings: what README promises, asked of Cargo.
#[test]
fn few_crates_come_along() {
    for (args, fewer_than) in [
        (&["-p", "fastn-core"][..], 30),
        (&["-p", "fastn", "--no-default-features", "--features", "sqlite"], 60),
        (&["-p", "fastn"], 100),
        (&["-p", "fastn", "--no-default-features", "--features", "sqlite,schedules"], 60),
    ] {
        let mut cargo = std::process::Command::new(env!("CARGO"));
        cargo.args(["tree", "-e", "normal", "--prefix", "none", "--locked"]).args(args);
        let output = cargo.current_dir(root()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        let crates: BTreeSet<_> = text.lines().map(|line| line.trim_end_matches(" (*)")).collect();
        assert!((2..fewer_than).contains(&crates.len()), "{args:?}: {} crates", crates.len());
    }
}

/// The module a file is: `engine/run.rs` of a crate is `engine::run`.
fn module(src: &Path, file: &Path) -> String {
    let path = file.strip_prefix(src).unwrap().with_extension("");
    let path = path.to_string_lossy().replace('/', "::");
    path.trim_end_matches("::mod").to_owned()
}

/// The paths of a `use` tree: `a::{b, c::d}` is `a::b` and `a::c::d`.
fn leaves(tree: &str) -> Vec<String> {
    let tree = tree.trim();
    let Some((base, inside)) = tree.split_once('{') else {
        let path = tree.split(" as ").next().unwrap_or_default().trim();
        return vec![path.trim_end_matches("::self").to_owned()];
    };
    let inside = inside.strip_suffix('}').unwrap_or(inside);
    let (mut parts, mut depth) = (vec![String::new()], 0);
    for c in inside.chars() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(String::new());
                continue;
            }
            _ => {}
        }
        parts.last_mut().unwrap().push(c);
    }
    let parts = parts.iter().filter(|part| !part.trim().is_empty());
    parts
        .flat_map(|part| leaves(part))
        .map(|leaf| format!("{base}{leaf}").trim_end_matches("::self").to_owned())
        .collect()
}

/// Every path that a file names in its own crate, from the crate's root: in `use`, and in code that says `super::x::f()`.
fn paths(text: &str, own: &str) -> Vec<String> {
    let code = text.split("#[cfg(test)]\nmod").next().unwrap_or_default();
    let code: Vec<&str> = code.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    let code = code.join("\n");
    let parent = own.rsplit_once("::").map_or("", |(parent, _)| parent);
    let absolute = |path: &str| {
        let path = path.trim().trim_start_matches("self::");
        if let Some(rest) = path.strip_prefix("crate::") {
            Some(rest.to_owned())
        } else {
            let rest = path.strip_prefix("super::")?;
            Some(if parent.is_empty() { rest.to_owned() } else { format!("{parent}::{rest}") })
        }
    };
    let used = code.split(';').filter_map(|statement| statement.rsplit_once("use ")).flat_map(|(_, tree)| leaves(tree));
    let mut found: Vec<String> = used.filter_map(|path| absolute(&path)).collect();
    for marker in ["super::", "crate::"] {
        for (at, _) in code.match_indices(marker) {
            let path: String =
                code[at..].chars().take_while(|c| c.is_alphanumeric() || *c == '_' || *c == ':').collect();
            found.extend(absolute(&path));
        }
    }
    found
}

/// What the faces of a crate hand on: `plan::NodeIx` is `plan::ids::NodeIx`.
fn handed_on(src: &Path, files: &[PathBuf]) -> BTreeMap<String, String> {
    let mut map = BTreeMap::new();
    for face in files.iter().filter(|file| file.ends_with("mod.rs") || file.ends_with("lib.rs")) {
        let own = module(src, face);
        let own = if own == "lib" { String::new() } else { format!("{own}::") };
        let text = fs::read_to_string(face).unwrap();
        for (_, tree) in text.split(';').filter_map(|statement| statement.rsplit_once("use ")) {
            for path in leaves(tree) {
                let path = path.trim_start_matches("self::").trim_start_matches("crate::").to_owned();
                let name = path.rsplit("::").next().unwrap_or_default().to_owned();
                map.insert(format!("{own}{name}"), format!("{own}{path}"));
            }
        }
    }
    map
}

/// The modules a file imports from its own crate, as far as they are files; faces are looked through.
fn imports(text: &str, own: &str, modules: &BTreeSet<String>, faces: &BTreeMap<String, String>) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for mut path in paths(text, own) {
        while let Some(behind) = faces.get(&path).filter(|behind| **behind != path) {
            path = behind.clone();
        }
        // The longest beginning of the path that is a file.
        while !path.is_empty() && !modules.contains(&path) {
            path = path.rsplit_once("::").map_or(String::new(), |(parent, _)| parent.to_owned());
        }
        if !path.is_empty() && path != own {
            found.insert(path);
        }
    }
    found
}

#[test]
fn faces_define_nothing() {
    let defines =
        ["fn ", "pub fn ", "struct ", "pub struct ", "enum ", "pub enum ", "impl", "trait ", "pub trait ", "const "];
    for (name, _) in ARROWS {
        for file in sources(&folder(name).join("src")) {
            if !file.ends_with("mod.rs") && !file.ends_with("lib.rs") {
                continue;
            }
            let text = fs::read_to_string(&file).unwrap();
            let found = text.lines().find(|line| defines.iter().any(|word| line.starts_with(word)));
            assert_eq!(found, None, "{} defines something", file.display());
        }
    }
}

#[test]
fn imports_inside_a_crate_form_no_circle() {
    for (name, _) in ARROWS {
        let src = folder(name).join("src");
        let files = sources(&src);
        let modules: BTreeSet<_> = files.iter().map(|file| module(&src, file)).collect();
        let faces = handed_on(&src, &files);
        let mut arrows: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for file in &files {
            let own = module(&src, file);
            // Faces only hand on what lies behind them.
            if own == "lib" || own == "main" || file.ends_with("mod.rs") {
                continue;
            }
            arrows.insert(own.clone(), imports(&fs::read_to_string(file).unwrap(), &own, &modules, &faces));
        }
        // Takes away modules that import none of those left, until none can be.
        loop {
            let leaves: Vec<_> = arrows
                .iter()
                .filter(|(_, to)| to.iter().all(|module| !arrows.contains_key(module)))
                .map(|(from, _)| from.clone())
                .collect();
            if leaves.is_empty() {
                break;
            }
            leaves.iter().for_each(|leaf| drop(arrows.remove(leaf)));
        }
        let left: BTreeMap<_, Vec<_>> = arrows
            .iter()
            .map(|(from, to)| (from, to.iter().filter(|module| arrows.contains_key(*module)).collect()))
            .collect();
        assert!(left.is_empty(), "a circle in {name}: {left:#?}");
    }
}

/// The rooms of the suite that are not run once more with every run unloaded after every turn; `tests/suspended` says why.
const NOT_UNLOADED: [&str; 4] = ["cost", "house", "old_formats", "spans"];

#[test]
fn the_suite_is_run_once_more_with_every_run_unloaded_and_by_engines_that_do_so() {
    let once_more = fs::read_to_string(root().join("tests/suspended/main.rs")).unwrap();
    for file in sources(&root().join("tests/it")) {
        let room = file.file_stem().unwrap().to_str().unwrap();
        if room == "main" || NOT_UNLOADED.contains(&room) {
            continue;
        }
        assert!(once_more.contains(&format!("\nmod {room};")), "{room} is left out");
        let text = fs::read_to_string(&file).unwrap();
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        for pair in lines.windows(2).filter(|pair| pair[1].contains("Engine::builder()") && room != "world") {
            assert!(
                pair[0].starts_with("// Not one that unloads runs:"),
                "{room} makes an engine by itself: {}",
                pair[1]
            );
        }
    }
}
