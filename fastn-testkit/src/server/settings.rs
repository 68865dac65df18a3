//! What can be chosen of a server.

use std::io;
use std::path::PathBuf;

use super::folder::Folder;

/// How a private server is started. What is not said is as PostgreSQL comes: durable.
#[derive(Clone, Debug, Default)]
pub struct PostgresSettings {
    pub(super) values: Vec<(String, String)>,
    pub(super) folder: Option<PathBuf>,
    /// A certificate and its key, as PEM.
    tls: Option<(String, String)>,
}

impl PostgresSettings {
    /// Whether a commit waits for the disk itself. Without, the server survives the death of its processes, but not a
    /// power cut, and makes databases faster.
    #[must_use]
    pub fn fsync(self, on: bool) -> Self {
        self.set("fsync", switch(on))
    }

    /// Whether a commit is acknowledged only when it is on disk.
    #[must_use]
    pub fn synchronous_commit(self, on: bool) -> Self {
        self.set("synchronous_commit", switch(on))
    }

    /// How many connections there may be at a time.
    #[must_use]
    pub fn max_connections(self, count: u32) -> Self {
        self.set("max_connections", count.to_string())
    }

    /// How much memory pages are kept in, with a unit: `256MB`.
    #[must_use]
    pub fn shared_buffers(self, size: &str) -> Self {
        self.set("shared_buffers", size)
    }

    /// Any other setting of `postgresql.conf`. The last value of a name counts.
    #[must_use]
    pub fn set(mut self, name: &str, value: impl Into<String>) -> Self {
        self.values.push((name.to_owned(), value.into()));
        self
    }

    /// The same for a setting of which nothing was said.
    pub(super) fn unless_set(self, name: &str, value: &str) -> Self {
        if self.values.iter().any(|(set, _)| set == name) { self } else { self.set(name, value) }
    }

    /// The server encrypts, and shows this certificate, whose key it has; both as PEM.
    #[must_use]
    pub fn tls(mut self, certificate: impl Into<String>, key: impl Into<String>) -> Self {
        self.tls = Some((certificate.into(), key.into()));
        self
    }

    /// Where the server gets its own folder; the system's folder for temporary files unless said. The user the server
    /// runs as must be able to pass through it.
    #[must_use]
    pub fn folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = Some(folder.into());
        self
    }

    /// Writes the files that the server reads into its folder.
    pub(super) fn with_files(self, folder: &Folder) -> io::Result<Self> {
        let Some((certificate, key)) = &self.tls else { return Ok(self) };
        let (certificate, key) = (folder.write("server.crt", certificate)?, folder.write("server.key", key)?);
        let (certificate, key) = (certificate.display().to_string(), key.display().to_string());
        Ok(self.set("ssl", "on").set("ssl_cert_file", certificate).set("ssl_key_file", key))
    }
}

fn switch(on: bool) -> &'static str {
    if on { "on" } else { "off" }
}
