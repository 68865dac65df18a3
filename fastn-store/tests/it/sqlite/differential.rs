//! Whatever is done to both, the SQLite store and the memory store answer alike.

use std::sync::Arc;

use fastn_store::{SqliteOptions, SqliteStore, Store};
use fastn_testkit::differential::{Subject, run};

#[tokio::test]
async fn both_stores_answer_alike() {
    let folder = tempfile::tempdir().unwrap();
    let subject = |name: &'static str, options: SqliteOptions| {
        let folder = folder.path().to_owned();
        let open = move |number: u64| {
            let (path, options) = (folder.join(format!("{name} {number}.db")), options.clone());
            async move { Ok(Arc::new(SqliteStore::open(path, options).await?) as Arc<dyn Store>) }
        };
        Subject::new(name, open).reopens().gives_one_lease()
    };
    let tiny = SqliteOptions::default().journal_budget(500);
    let stores = [subject("sqlite", SqliteOptions::default()), subject("tiny", tiny)];
    for seed in 0..60 {
        run(seed, &stores).await.unwrap_or_else(|difference| panic!("{difference}"));
    }
}
