//! The command line.

use std::path::PathBuf;

use versus_measure::{Fallible, Size, Store};

pub const USAGE: &str =
    "usage: versus [--case NAME]... [--store sqlite|postgres|memory]... [--system NAME]... [--quick]
              [--rounds N] [--json FILE] [--folder DIR]

--case NAME    only this case, or all whose names begin with NAME and a dash; --case list names them
--store NAME   only cases on this store; postgres needs a server, which is found or installed and started for the run
--system NAME  only this system; ratios need fastn among them
--quick        less work and one round: a look, not a figure to quote
--rounds N     how often each system is measured, in turns; 3 unless set, and the median is shown; once if
               that takes longer than 20 s
--json FILE    also write the figures there, as JSON, one a line
--folder DIR   where databases are made; beside this program unless set. It must be on a real disk.";

#[derive(Debug)]
pub struct Args {
    pub cases: Vec<String>,
    pub stores: Vec<Store>,
    pub systems: Vec<String>,
    pub size: Size,
    pub rounds: usize,
    pub json: Option<PathBuf>,
    pub folder: Option<PathBuf>,
}

impl Args {
    pub fn parse(mut given: impl Iterator<Item = String>) -> Fallible<Self> {
        let mut args = Self {
            cases: Vec::new(),
            stores: Vec::new(),
            systems: Vec::new(),
            size: Size::Whole,
            rounds: 0,
            json: None,
            folder: None,
        };
        while let Some(flag) = given.next() {
            if flag == "--quick" {
                args.size = Size::Quick;
                continue;
            }
            if !["--case", "--store", "--system", "--rounds", "--json", "--folder"].contains(&flag.as_str()) {
                return Err(USAGE.into());
            }
            let value = given.next().ok_or_else(|| format!("{flag} needs a value\n{USAGE}"))?;
            match flag.as_str() {
                "--case" => args.cases.push(value),
                "--store" => args.stores.push(value.parse()?),
                "--system" => args.systems.push(value),
                "--rounds" => match value.parse()? {
                    0 => return Err("at least one round".into()),
                    rounds => args.rounds = rounds,
                },
                "--json" => args.json = Some(value.into()),
                _ => args.folder = Some(value.into()),
            }
        }
        if args.rounds == 0 {
            args.rounds = if args.size == Size::Quick { 1 } else { 3 };
        }
        Ok(args)
    }
}
