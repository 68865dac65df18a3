//! Whatever is done to both, the Postgres store and the memory store answer alike.

use std::sync::Arc;

use fastn_store::{LeaseClock, PostgresOptions, PostgresStore, Store};
use fastn_testkit::differential::{Subject, run};

#[tokio::test]
async fn both_stores_answer_alike() {
    let url = super::url();
    let subject = |name: &'static str, options: PostgresOptions| {
        let url = url.clone();
        let open = move |number: u64| {
            let (url, options) = (url.clone(), options.clone());
            let options = options.schema(format!("differential_{name}_{number}")).lease_clock(LeaseClock::Caller);
            async move { Ok(Arc::new(PostgresStore::open(&url, options).await?) as Arc<dyn Store>) }
        };
        // Opened again, it still has the leases it had: an executor that died is waited for, since others may be alive.
        Subject::new(name, open)
    };
    let tiny = PostgresOptions::default().journal_budget(500);
    let stores = [subject("postgres", PostgresOptions::default()), subject("tiny", tiny)];
    for seed in 0..20 {
        run(seed, &stores).await.unwrap_or_else(|difference| panic!("{difference}"));
    }
}
