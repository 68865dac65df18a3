//! The `fastn` command: runs documents, and looks at and steers the runs of a store.

mod args;
mod audit;
mod bulk;
mod check;
mod dev;
mod draw;
mod engines;
mod explain;
mod follow;
mod given;
mod graph;
mod letters;
mod load;
mod progress;
mod record;
mod report;
mod runs;
mod said;
mod settings;
mod shown;
mod start;
mod steer;
mod svg;
mod worker;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use fastn::core::{ErrorKind, Result};

use crate::args::{Args, Command};
use crate::said::{Exit, say, tell};
use crate::settings::Settings;

fn main() -> ExitCode {
    match carry_out(Args::parse().command) {
        Ok(exit) => exit.into(),
        Err(error) => {
            tell(format!("fastn: {error:?}"));
            exit_of(error.kind()).into()
        }
    }
}

fn carry_out(command: Command) -> Result<Exit> {
    let settings = Settings::read()?;
    match command {
        Command::Run(args) => start::run(args, &settings),
        Command::Check { files } => check::check(&files),
        Command::Graph { file, format, out } => graph::graph(&file, format, out.as_deref()),
        Command::Schema => say(&format!("{:#}", fastn::documents::schema())).map(|()| Exit::Well),
        Command::Runs(command) => runs::run(command, &settings),
        Command::DeadLetters(command) => letters::letters(command, &settings),
        Command::Worker { at, dir, network } => worker::worker(&settings.must_store(at.store)?, &dir, network),
        Command::Dev { file, input, network } => dev::dev(&file, input.as_deref(), network),
        Command::Version => say(&format!("fastn {}", env!("CARGO_PKG_VERSION"))).map(|()| Exit::Well),
        Command::Completions { shell } => {
            let mut text = Vec::new();
            clap_complete::generate(shell, &mut Args::command(), "fastn", &mut text);
            say(&String::from_utf8_lossy(&text)).map(|()| Exit::Well)
        }
    }
}

/// What the caller can do something about is wrong use.
const fn exit_of(kind: ErrorKind) -> Exit {
    match kind {
        ErrorKind::Invalid | ErrorKind::Conflict | ErrorKind::TooLarge | ErrorKind::AlreadyExists => Exit::Usage,
        _ => Exit::Unexpected,
    }
}
