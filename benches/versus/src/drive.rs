//! Measures the systems in turns, one process each, and gathers the figures.

use std::collections::HashSet;
use std::fs;
use std::io::{IsTerminal as _, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use versus_measure::{Ask, Fallible, Figure, Size, Store};

use crate::args::Args;
use crate::cases::{self, Case};
use crate::server::Server;
use crate::systems::{self, System};
use crate::table::{Row, Table};

/// A measurement that takes longer is not repeated.
const LONG: Duration = Duration::from_secs(20);

/// Measures what was asked for and prints it; whether every measurement came to its end.
pub fn drive(args: &Args) -> Fallible<bool> {
    if args.cases.iter().any(|name| name == "list") {
        cases::names().iter().for_each(|name| println!("{name}"));
        return Ok(true);
    }
    let own = std::env::current_exe()?;
    let systems = present(args, &own)?;
    let cases = cases::chosen(args);
    if cases.is_empty() {
        return Err("there is no such case; `--case list` names them".into());
    }
    let beside = own.parent().unwrap_or(Path::new(".")).join("versus-data");
    let folder = args.folder.clone().unwrap_or(beside);

    if let Some(file) = &args.json {
        // A place that cannot be written to is told of now, not after an hour.
        fs::write(file, "")?;
    }
    let mut server = Server::default();
    let mut table = Table::default();
    let mut all_well = true;
    for case in cases {
        let able: Vec<_> = systems.iter().filter(|(system, _)| system.has(&case)).collect();
        if systems.iter().any(|(system, _)| system.name == "fastn" && !system.has(&case)) {
            eprintln!("{} on {}: fastn has no such store yet, so there are no ratios", case.name, case.store);
        }
        // What takes long is the mean of much already, and what failed would fail again.
        let mut done = HashSet::new();
        for round in 0..args.rounds {
            // In turns, and each time another one first: what the machine does beside hits all alike.
            for place in 0..able.len() {
                let Some((system, program)) = able.get((place + round) % able.len()) else { continue };
                if done.contains(system.name) {
                    continue;
                }
                let began = Instant::now();
                tell(&format!("{} {} {} {}, round {}", case.name, case.store, case.durability, system.name, round + 1));
                match measure(args, &case, system, program, &folder, &mut server) {
                    Ok(figures) => table.add(&case, system.name, figures),
                    Err(why) => {
                        all_well = false;
                        done.insert(system.name);
                        tell("");
                        eprintln!("{} on {} at {}: {why}", case.name, system.name, case.durability);
                    }
                }
                if began.elapsed() > LONG {
                    done.insert(system.name);
                }
            }
        }
        // After each case: who is interrupted keeps what there is.
        if let Some(file) = &args.json {
            fs::write(file, table.rows().iter().map(Row::to_json).collect::<String>())?;
        }
    }
    tell("");
    print!("{}", Row::print(&table.rows()));
    Ok(all_well)
}

/// Says what is going on, to a person who watches, in place of what was said before.
fn tell(what: &str) {
    if std::io::stderr().is_terminal() {
        eprint!("\r\x1b[K{what}");
    }
}

/// The systems that were asked for and built, and a word about those that were not.
fn present(args: &Args, own: &Path) -> Fallible<Vec<(System, PathBuf)>> {
    let known: HashSet<_> = systems::ALL.iter().map(|system| system.name).collect();
    if let Some(unknown) = args.systems.iter().find(|name| !known.contains(name.as_str())) {
        return Err(format!("there is no system `{unknown}`").into());
    }
    let asked = |system: &&System| args.systems.is_empty() || args.systems.iter().any(|name| name == system.name);
    let mut present = Vec::new();
    let mut missing = Vec::new();
    for system in systems::ALL.iter().filter(asked) {
        match system.program(own) {
            Some(program) => present.push((*system, program)),
            None => missing.push(system.name),
        }
    }
    if !missing.is_empty() {
        eprintln!("not built, so not measured: {}. To build: benches/versus/build-peers", missing.join(", "));
    }
    Ok(present)
}

fn measure(
    args: &Args,
    case: &Case,
    system: &System,
    program: &Path,
    folder: &Path,
    server: &mut Server,
) -> Fallible<Vec<Figure>> {
    let url = if case.store == Store::Postgres { Some(server.database(folder)?) } else { None };
    // A folder of its own inside: whatever else lies in the one that was named is left alone, and so is another's.
    let folder = &folder.join(format!("versus-scratch-{}", std::process::id()));
    let _ = fs::remove_dir_all(folder);
    fs::create_dir_all(folder)?;
    let ask = Ask {
        case: case.name.to_owned(),
        system: system.name.to_owned(),
        store: case.store,
        durability: case.durability,
        size: args.size,
        folder: folder.to_owned(),
        url,
    };
    let most = Duration::from_secs(if args.size == Size::Quick { 60 } else { 180 });
    let printed = run(Command::new(program).args(ask.arguments()), most);
    let _ = fs::remove_dir_all(folder);
    printed?.lines().map(Figure::from_line).collect()
}

/// What a process printed, if it ends well in time.
fn run(command: &mut Command, most: Duration) -> Fallible<String> {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    // Beside: one that says more than a pipe holds would wait for ever.
    let (out, err) = (child.stdout.take().map(all_of), child.stderr.take().map(all_of));
    let began = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if began.elapsed() > most {
            child.kill()?;
            child.wait()?;
            return Err(format!("took longer than {most:?}").into());
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    let said = |reader: Option<JoinHandle<String>>| reader.and_then(|reader| reader.join().ok()).unwrap_or_default();
    let (out, err) = (said(out), said(err));
    if status.success() { Ok(out) } else { Err(format!("{status}: {}", err.trim()).into()) }
}

/// Reads all that comes, in a thread of its own.
fn all_of(mut pipe: impl Read + Send + 'static) -> JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        // What came before it broke is what there is.
        let _ = pipe.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}
