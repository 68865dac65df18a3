//! Transactions of the host's own.

use fastn_core::Result;

use super::{Enqueue, NewRun, Written};

/// A transaction of the host's own on the database of a store: a run that is created in it is started if it is committed,
/// and never was if it is rolled back.
///
/// | what | on |
/// |---|---|
/// | `&tokio_postgres::Transaction` | Postgres, feature `postgres` |
/// | `&mut sqlx::PgConnection`, such as `&mut *transaction` | Postgres, feature `sqlx` |
/// | `&rusqlite::Transaction` | SQLite, feature `sqlite` |
///
/// Those on Postgres are for the schema `fastn`; [`InSchema`] is for others.
///
/// # Contract
/// The run is in nobody's hands. Whoever sees it next after the commit continues it, or admits it; a store whose processes can
/// tell each other tells them. Whoever starts a run of the same id, or that takes the same place, waits until the transaction
/// is over, and so does whoever starts another of the first runs that a tenant ever has of a definition: it should be soon.
pub trait HostTransaction: Sized {
    /// Creates a run, or says which one has its id.
    ///
    /// # Errors
    /// What the database says: then the transaction is as good as over.
    fn create(self, new: &NewRun) -> impl Future<Output = Result<Written>>;

    /// Creates a run that waits in a queue, or says which one has its id or its place. On Postgres its delay goes by the
    /// server's clock.
    ///
    /// # Contract
    /// Where a run that has taken the place is [pushed back](super::WhenTaken::PushBack) or [joined](super::WhenTaken::Join)
    /// nobody admits anything from this queue until the end of the transaction: it should be soon. Other queues go on.
    ///
    /// # Errors
    /// What the database says: then the transaction is as good as over.
    /// [`Invalid`](fastn_core::ErrorKind::Invalid), before anything is done, for an item that is no JSON.
    fn enqueue(self, new: &Enqueue) -> impl Future<Output = Result<Written>>;
}

/// A transaction on a Postgres store with a schema of its own.
#[derive(Debug)]
pub struct InSchema<'a, T> {
    /// The schema, as it was said when the store was opened.
    pub schema: &'a str,
    /// The transaction.
    pub transaction: T,
}
