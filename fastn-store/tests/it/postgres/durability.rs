//! What is committed is on the disk, however the database is set.

use fastn_core::{Attempt, RunId, StepCx, StepInfo, TenantId, Version, WorkflowName};
use fastn_store::{PostgresOptions, PostgresStore};
use fastn_testkit::server::PrivatePostgres;

#[tokio::test]
async fn a_database_that_does_not_wait_for_its_disk_does_so_for_us() {
    let server = PrivatePostgres::shared().unwrap();
    for (name, set, told) in [
        ("durable_off", "off", "on"),
        ("durable_local", "local", "on"),
        ("durable_apply", "remote_apply", "remote_apply"),
    ] {
        let name = format!("{name}_{}", std::process::id());
        let url = server.database(&name).unwrap();
        server.sql("postgres", &format!("ALTER DATABASE {name} SET synchronous_commit = {set}")).unwrap();
        let store = PostgresStore::open(&url, PostgresOptions::default()).await.unwrap();
        let workflow = WorkflowName::new("w").unwrap();
        let run = RunId::named("one");
        let info = StepInfo::new(TenantId::default(), run, workflow, Version(1), "a".to_owned(), Attempt(1));
        let said = store
            .once(&StepCx::detached(info), |transaction| {
                Box::pin(async move {
                    let row = transaction.query_one("SHOW synchronous_commit", &[]).await?;
                    Ok(row.get::<_, String>(0))
                })
            })
            .await;
        drop(store);
        server.drop_database(&name).unwrap();
        assert_eq!(said.unwrap(), told, "{set}");
    }
}
