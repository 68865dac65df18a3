//! The same work on fastn, on what lies below it and on its peers, side by side: see README.md.

mod args;
mod cases;
mod drive;
mod fastn;
mod killed;
mod lateness;
mod progress;
mod raw;
mod server;
mod systems;
mod table;

use std::process::ExitCode;

use versus_measure::{Ask, Fallible, Figure};

fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some("measure") {
        return versus_measure::main(measure);
    }
    if std::env::args().any(|arg| arg == "--help" || arg == "-h") {
        println!("{}", args::USAGE);
        return ExitCode::SUCCESS;
    }
    match args::Args::parse(std::env::args().skip(1)).and_then(|args| drive::drive(&args)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(ask: &Ask) -> Fallible<Vec<Figure>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    match ask.system.as_str() {
        "fastn" => runtime.block_on(fastn::measure(ask)),
        "raw" | "raw-2" => runtime.block_on(raw::measure(ask)),
        other => Err(format!("this program does not measure {other}").into()),
    }
}
