//! Whatever is done through a store with a cache before it, it answers as one without.

use std::sync::Arc;
use std::time::Duration;

use fastn_store::{MemoryStore, Store};
use fastn_testkit::differential::{Subject, run};
use fastn_testkit::server::PrivateRedis;

use super::{behind, patient};

#[tokio::test]
async fn a_store_behind_a_cache_answers_alike() {
    // So short that what was written is soon no reason any more to pass it by.
    let brief = Duration::from_millis(3);
    let cache = patient(&PrivateRedis::shared().unwrap().url(0)).ttl(brief).list_ttl(brief);
    let open = {
        let cache = cache.clone();
        move |_| {
            let cache = cache.clone();
            async move { Ok(behind(&cache, &(Arc::new(MemoryStore::new()) as Arc<dyn Store>)).await) }
        }
    };
    let stores = [Subject::new("cached", open)];
    for seed in 0..100 {
        run(seed, &stores).await.unwrap_or_else(|difference| panic!("{difference}"));
    }
    let counts = cache.counts();
    assert!(counts.kept > 0 && counts.passed > 0, "the cache had something to say: {counts:?}");
}
