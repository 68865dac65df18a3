//! The lock by which one executor keeps all others out of a database.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use fastn_core::{Error, ErrorKind, ExecutorId, Result};

const OP: &str = "lock database";

/// An exclusive lock on the file beside the database. The operating system ends it with the process, however that dies.
///
/// The file stays when the lock goes: removing it would let two processes hold locks on two files of the same name.
#[derive(Debug)]
pub(super) struct LockFile {
    file: File,
}

impl LockFile {
    /// Takes the lock of a database and writes down who has it.
    ///
    /// # Errors
    /// [`Locked`](ErrorKind::Locked), with who has it, if somebody else does.
    pub(super) fn take(database: &Path, executor: &ExecutorId) -> Result<Self> {
        let path = beside(database);
        let about = |kind| Error::new(kind, OP).with("path", path.display());
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(|e| about(ErrorKind::Unavailable).caused_by(e))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(about(ErrorKind::Locked).with("holder", holder(&mut file)));
            }
            Err(TryLockError::Error(e)) => return Err(about(ErrorKind::Unavailable).caused_by(e)),
        }
        let mut lock = Self { file };
        lock.sign(executor).map_err(|e| about(ErrorKind::Unavailable).caused_by(e))?;
        Ok(lock)
    }

    /// Writes down who has the lock, for the errors of others.
    pub(super) fn sign(&mut self, executor: &ExecutorId) -> std::io::Result<()> {
        self.file.set_len(0)?;
        self.file.seek(SeekFrom::Start(0))?;
        writeln!(self.file, "{executor} (process {})", std::process::id())
    }
}

impl Drop for LockFile {
    fn drop(&mut self) {
        // Closing the file is not enough: a program that this process is just about to start holds the lock, too, until
        // it has closed what it inherited. If this fails, closing is what is left.
        let _ = self.file.unlock();
    }
}

/// The lock file of a database.
fn beside(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(".lock");
    PathBuf::from(name)
}

/// Who wrote themselves down. On systems where a locked file cannot be read, nobody knows.
fn holder(file: &mut File) -> String {
    let mut text = String::new();
    match file.take(1024).read_to_string(&mut text) {
        Ok(_) if !text.trim().is_empty() => text.trim().to_owned(),
        _ => "unknown".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_that_was_given_back_is_free_whoever_inherited_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let (database, executor) = (folder.path().join("runs.db"), ExecutorId::new("a").unwrap());
        let lock = LockFile::take(&database, &executor).unwrap();
        // What a child has between its fork and its exec.
        let _inherited = lock.file.try_clone().unwrap();
        assert_eq!(LockFile::take(&database, &executor).unwrap_err().kind(), ErrorKind::Locked);
        drop(lock);
        LockFile::take(&database, &executor).unwrap();
    }
}
