//! Opening a database file as ours, and no other.

use std::path::Path;
use std::time::Duration;

use fastn_core::{Error, ErrorKind, Result};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};

use super::fault::{corrupt, fault};
use super::migrate::{identify, migrate};
use super::options::{SqliteOptions, Synchronous};

const OP: &str = "open database";

/// How long a statement waits for another process that writes.
const BUSY: Duration = Duration::from_secs(5);

/// A page of this size holds the history of a short run, and a commit of one step still writes little.
const PAGE_SIZE: i64 = 8192;

/// Pages in the write-ahead log before a commit copies them to the database itself, which it hardly ever has to: see
/// `checkpoint.rs`.
const LOG_PAGES: i64 = 16_384;

/// What the writer keeps of the database in memory, in KiB, negative as SQLite takes it. Enough for where runs are added;
/// what is read again after long the system has.
const CACHE_KIB: i64 = -8192;

/// Opens the connection that writes; creates the database and brings its schema up to date.
///
/// # Errors
/// [`NotFound`](ErrorKind::NotFound) if its folder is missing, [`Invalid`](ErrorKind::Invalid) if the path is no
/// writable file, and those of [`identify`] and [`migrate`]. A file that is refused is left as it is.
pub(super) fn open_writer(path: &Path, options: &SqliteOptions) -> Result<Connection> {
    check_path(path)?;
    let about = |e: Error| Error::new(e.kind(), OP).with("path", path.display()).caused_by(e);
    let conn = connect(path).map_err(about)?;
    prepare_writer(&conn, options).map_err(about)?;
    Ok(conn)
}

/// Opens a connection that only reads a database that is open for writing already.
///
/// # Errors
/// Those of SQLite.
pub(super) fn open_reader(path: &Path) -> Result<Connection> {
    let conn = connect(path)?;
    conn.pragma_update(None, "query_only", true).map_err(fault(OP))?;
    Ok(conn)
}

/// Opens a connection that copies the write-ahead log to the database, as durably as the one that writes.
///
/// # Errors
/// Those of SQLite.
pub(super) fn open_copier(path: &Path, options: &SqliteOptions) -> Result<Connection> {
    let conn = connect(path)?;
    conn.pragma_update(None, "synchronous", options.synchronous.code()).map_err(fault(OP))?;
    check_setting(&conn, "synchronous", options.synchronous.code())?;
    Ok(conn)
}

/// Runs `work` in a transaction that may write. All it wrote becomes true, or, on any error, nothing.
pub(super) fn transact<R>(
    conn: &Connection,
    op: &'static str,
    work: impl FnOnce(&Connection) -> Result<R>,
) -> Result<R> {
    let transaction = Transaction::new_unchecked(conn, TransactionBehavior::Immediate).map_err(fault(op))?;
    let result = work(&transaction)?;
    transaction.commit().map_err(fault(op))?;
    Ok(result)
}

/// As [`transact`], for what nobody is told of and whatever is told later comes after: the disk is not waited for. A power cut may
/// take it back, with everything that was written since; whatever is waited for takes it along to the disk.
pub(super) fn transact_unwaited<R>(
    conn: &Connection,
    op: &'static str,
    work: impl FnOnce(&Connection) -> Result<R>,
) -> Result<R> {
    let level = |level: i64| conn.pragma_update(None, "synchronous", level).map_err(fault(op));
    let usual: i64 = conn.pragma_query_value(None, "synchronous", |row| row.get(0)).map_err(fault(op))?;
    level(Synchronous::Normal.code().min(usual))?;
    let result = transact(conn, op, work);
    level(usual)?;
    check_setting(conn, "synchronous", usual)?;
    result
}

/// Says in plain words what SQLite would only call "unable to open database file".
fn check_path(path: &Path) -> Result<()> {
    let wrong = |kind, why: &'static str| Error::new(kind, OP).with("path", path.display()).caused_by(why);
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !folder.is_dir() {
        return Err(wrong(ErrorKind::NotFound, "there is no such folder"));
    }
    match std::fs::metadata(path) {
        Ok(meta) if meta.is_dir() => Err(wrong(ErrorKind::Invalid, "this is a folder, not a file")),
        Ok(meta) if meta.permissions().readonly() => Err(wrong(ErrorKind::Invalid, "the file is read-only")),
        Ok(_) => Ok(()),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(Error::new(ErrorKind::Invalid, OP).with("path", path.display()).caused_by(e)),
    }
}

fn connect(path: &Path) -> Result<Connection> {
    // Without SQLITE_OPEN_URI: a path is a path, whatever it begins with.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags).map_err(fault(OP))?;
    conn.busy_timeout(BUSY).map_err(fault(OP))?;
    conn.set_prepared_statement_cache_capacity(64);
    // Plans do not depend on the values that are bound. Without this, SQLite prepares a statement anew whenever one of them
    // could decide whether a partial index serves, which is at every run that is read.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map_err(fault(OP))?;
    Ok(conn)
}

fn prepare_writer(conn: &Connection, options: &SqliteOptions) -> Result<()> {
    // Before anything is written: a foreign file stays as it is. In a transaction, since another process may be creating
    // the database just now, and half of that would look foreign.
    let look = Transaction::new_unchecked(conn, TransactionBehavior::Deferred).map_err(fault(OP))?;
    identify(&look)?;
    look.commit().map_err(fault(OP))?;
    if conn.is_readonly("main").map_err(fault(OP))? {
        return Err(Error::new(ErrorKind::Invalid, OP).caused_by("the file cannot be written to"));
    }
    let set = |name: &str, value: i64| conn.pragma_update(None, name, value).map_err(fault(OP));
    set("page_size", PAGE_SIZE)?;
    use_log(conn)?;
    set("synchronous", options.synchronous.code())?;
    set("foreign_keys", 1)?;
    set("wal_autocheckpoint", LOG_PAGES)?;
    set("cache_size", CACHE_KIB)?;
    check_setting(conn, "synchronous", options.synchronous.code())?;
    check_setting(conn, "foreign_keys", 1)?;
    transact(conn, OP, migrate)?;
    if let Some(bytes) = options.max_bytes {
        limit_size(conn, bytes)?;
    }
    Ok(())
}

/// Turns the write-ahead log on.
///
/// Of several processes that open a new database at once SQLite turns all but one away without letting them wait as
/// they do elsewhere, so they wait here.
fn use_log(conn: &Connection) -> Result<()> {
    const PAUSE: Duration = Duration::from_millis(20);
    let switch = || conn.query_row("PRAGMA journal_mode = WAL", [], |row| row.get::<_, String>(0)).map_err(fault(OP));
    let mut mode = switch();
    for _ in 0..BUSY.as_millis() / PAUSE.as_millis() {
        if !mode.as_ref().is_err_and(Error::is_transient) {
            break;
        }
        std::thread::sleep(PAUSE);
        mode = switch();
    }
    let mode = mode?;
    if mode == "wal" {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Unsupported, OP)
        .with("journal_mode", mode)
        .caused_by("a write-ahead log is needed and cannot be had here"))
}

/// A setting that SQLite does not know or cannot take is silently ignored by it, and durability with it.
pub(super) fn check_setting(conn: &Connection, name: &str, wanted: i64) -> Result<()> {
    let real: i64 = conn.pragma_query_value(None, name, |row| row.get(0)).map_err(fault(OP))?;
    if real == wanted {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Unsupported, OP).with("setting", name).with("wanted", wanted).with("is", real))
}

fn limit_size(conn: &Connection, bytes: u64) -> Result<()> {
    let page: i64 = conn.pragma_query_value(None, "page_size", |row| row.get(0)).map_err(fault(OP))?;
    let page = u64::try_from(page).ok().filter(|page| *page > 0).ok_or_else(|| corrupt(OP, "page size"))?;
    // This pragma answers with the new limit, so it is asked and not set.
    let sql = format!("PRAGMA max_page_count = {}", (bytes / page).max(1));
    conn.query_row(&sql, [], |row| row.get::<_, i64>(0)).map_err(fault(OP)).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durability_is_what_was_asked_for() {
        let folder = tempfile::tempdir().expect("a folder");
        for (synchronous, number) in [(Synchronous::Full, 2), (Synchronous::Normal, 1)] {
            let options = SqliteOptions::default().synchronous(synchronous);
            let conn = open_writer(&folder.path().join("runs.db"), &options).expect("it opens");
            let ask = |name| conn.pragma_query_value::<i64, _>(None, name, |row| row.get(0)).expect("it answers");
            assert_eq!(ask("synchronous"), number);
            assert_eq!(ask("foreign_keys"), 1);
            assert_eq!(ask("page_size"), PAGE_SIZE);
            check_setting(&conn, "synchronous", 0).expect_err("a setting that was not taken is an error");
        }
        assert_eq!(SqliteOptions::default().synchronous.code(), 2);
    }

    #[test]
    fn what_is_not_waited_for_leaves_the_durability_as_it_was() {
        let folder = tempfile::tempdir().expect("a folder");
        for (synchronous, within) in [(Synchronous::Full, 1), (Synchronous::Normal, 1)] {
            let options = SqliteOptions::default().synchronous(synchronous);
            let conn = open_writer(&folder.path().join("runs.db"), &options).expect("it opens");
            let ask = |conn: &Connection| {
                conn.pragma_query_value::<i64, _>(None, "synchronous", |row| row.get(0)).map_err(fault(OP))
            };
            assert_eq!(transact_unwaited(&conn, OP, ask).expect("it answers"), within);
            assert_eq!(ask(&conn).expect("it answers"), synchronous.code());
            let fails = |_: &Connection| Err::<(), _>(Error::new(ErrorKind::Invalid, OP));
            transact_unwaited(&conn, OP, fails).expect_err("it was no");
            assert_eq!(ask(&conn).expect("it answers"), synchronous.code());
        }
    }

    #[test]
    fn where_there_can_be_no_log_there_is_no_store() {
        let error = open_writer(Path::new(":memory:"), &SqliteOptions::default()).expect_err("no log in memory");
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.chain().join(" ").contains("journal_mode memory"), "{error:?}");
    }
}
