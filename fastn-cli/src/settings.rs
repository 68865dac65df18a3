//! What `fastn.toml` says, for what neither a flag nor the environment does.

use std::fs;
use std::io;
use std::path::Path;

use fastn::core::{Error, ErrorKind, Result};
use serde::Deserialize;

use crate::args::Output;

/// The file in the present folder.
const FILE: &str = "fastn.toml";

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    store: Option<String>,
    output: Option<Output>,
}

impl Settings {
    /// What the file says; nothing, if there is none.
    pub(crate) fn read() -> Result<Self> {
        let wrong = |kind| Error::new(kind, "read settings").with("file", FILE);
        match fs::read_to_string(Path::new(FILE)) {
            Ok(text) => toml::from_str(&text).map_err(|why| wrong(ErrorKind::Invalid).caused_by(why)),
            Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(why) => Err(wrong(ErrorKind::Unavailable).caused_by(why)),
        }
    }

    pub(crate) fn store(&self, said: Option<String>) -> Option<String> {
        said.or_else(|| self.store.clone())
    }

    /// A store that there must be.
    pub(crate) fn must_store(&self, said: Option<String>) -> Result<String> {
        let missing = || {
            let why = "say --store, FASTN_STORE, or `store` in fastn.toml";
            Error::new(ErrorKind::Invalid, "find store").caused_by(why)
        };
        self.store(said).ok_or_else(missing)
    }

    pub(crate) fn output(&self, said: Option<Output>) -> Output {
        said.or(self.output).unwrap_or_default()
    }
}
