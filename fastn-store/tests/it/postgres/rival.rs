//! Somebody else's transaction, in whose way others are.

use tokio_postgres::{Client, NoTls};

/// A transaction that has done something and is left open.
pub(super) struct Rival(Client);

impl Rival {
    pub(super) async fn that_does(statement: &str) -> Self {
        Self::at(&super::url(), statement).await
    }

    /// In another database.
    pub(super) async fn at(url: &str, statement: &str) -> Self {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
        tokio::spawn(connection);
        client.batch_execute(&format!("BEGIN; {statement}")).await.unwrap();
        Self(client)
    }

    /// Completes when somebody waits for it.
    pub(super) async fn is_in_the_way(&self) {
        let waits =
            "SELECT count(*) FROM pg_locks l WHERE NOT l.granted AND pg_backend_pid() = ANY (pg_blocking_pids(l.pid))";
        while self.0.query_one(waits, &[]).await.unwrap().get::<_, i64>(0) == 0 {
            tokio::task::yield_now().await;
        }
    }

    pub(super) async fn does(&self, statement: &str) {
        self.0.batch_execute(statement).await.unwrap();
    }

    pub(super) async fn gives_up(self) {
        self.does("ROLLBACK").await;
    }

    pub(super) async fn commits(self) {
        self.does("COMMIT").await;
    }
}
