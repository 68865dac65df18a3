//! What a measurement is asked for.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::Fallible;

/// Where runs are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Store {
    Sqlite,
    Postgres,
    Memory,
}

/// What a commit promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// On SQLite: it survives a power cut, by `synchronous=FULL`.
    Full,
    /// On Postgres: it survives a power cut, by `fsync=on` and `synchronous_commit=on`.
    On,
    /// It survives the death of the process: `synchronous=NORMAL`.
    Normal,
    /// Nothing.
    None,
}

/// How much is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// What the case says.
    Whole,
    /// A part of it that takes a second or so.
    Quick,
}

/// What a measurement is asked for.
#[derive(Clone, Debug)]
pub struct Ask {
    pub case: String,
    pub system: String,
    pub store: Store,
    pub durability: Durability,
    pub size: Size,
    /// An empty folder on a real disk.
    pub folder: PathBuf,
    /// On Postgres, the URL of an empty database.
    pub url: Option<String>,
}

impl Ask {
    /// The arguments of a measurement's process.
    pub fn arguments(&self) -> Vec<String> {
        let size = match self.size {
            Size::Whole => "whole",
            Size::Quick => "quick",
        };
        let folder = self.folder.to_string_lossy().into_owned();
        let (store, durability) = (self.store.to_string(), self.durability.to_string());
        let measure = ["measure".to_owned(), self.case.clone(), self.system.clone()];
        let rest = [store, durability, size.to_owned(), folder];
        measure.into_iter().chain(rest).chain(self.url.clone()).collect()
    }

    /// The inverse of [`Ask::arguments`].
    pub fn parse(arguments: &[String]) -> Fallible<Self> {
        let [verb, case, system, store, durability, size, folder, url @ ..] = arguments else {
            return Err("usage: measure CASE SYSTEM STORE DURABILITY SIZE FOLDER [URL]".into());
        };
        let size = match (verb.as_str(), size.as_str()) {
            ("measure", "whole") => Size::Whole,
            ("measure", "quick") => Size::Quick,
            _ => return Err(format!("`{verb} … {size}` is not understood").into()),
        };
        Ok(Self {
            case: case.clone(),
            system: system.clone(),
            store: store.parse()?,
            durability: durability.parse()?,
            size,
            folder: PathBuf::from(folder),
            url: url.first().cloned(),
        })
    }

    /// The database file to use.
    pub fn file(&self) -> PathBuf {
        self.folder.join("versus.db")
    }

    /// The database to use on Postgres.
    pub fn url(&self) -> Fallible<&str> {
        self.url.as_deref().ok_or_else(|| format!("no URL of a database for {} on {}", self.case, self.store).into())
    }

    /// The whole number, or the one for a quick look.
    pub fn pick(&self, whole: usize, quick: usize) -> usize {
        match self.size {
            Size::Whole => whole,
            Size::Quick => quick,
        }
    }

    /// The number that the case's name ends with: 1000 for `chain10-1000`.
    pub fn number(&self) -> Fallible<usize> {
        let last = self.case.rsplit('-').next().unwrap_or_default();
        last.parse().map_err(|_| format!("the case {} names no number", self.case).into())
    }

    /// The first word of the case's name: `chain10` for `chain10-1000`.
    pub fn kind(&self) -> &str {
        self.case.split('-').next().unwrap_or_default()
    }

    /// The answer of a system to a case that it has not.
    pub fn unknown<T>(&self) -> Fallible<T> {
        Err(format!("{} has no case {} on {} at {}", self.system, self.case, self.store, self.durability).into())
    }
}

impl fmt::Display for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
            Self::Memory => "memory",
        })
    }
}

impl FromStr for Store {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "sqlite" => Ok(Self::Sqlite),
            "postgres" => Ok(Self::Postgres),
            "memory" => Ok(Self::Memory),
            _ => Err(format!("`{name}` is no store; known are sqlite, postgres and memory")),
        }
    }
}

impl fmt::Display for Durability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Full => "FULL",
            Self::On => "on",
            Self::Normal => "NORMAL",
            Self::None => "none",
        })
    }
}

impl FromStr for Durability {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "FULL" => Ok(Self::Full),
            "on" => Ok(Self::On),
            "NORMAL" => Ok(Self::Normal),
            "none" => Ok(Self::None),
            _ => Err(format!("`{name}` is no durability; known are FULL, NORMAL, on and none")),
        }
    }
}
