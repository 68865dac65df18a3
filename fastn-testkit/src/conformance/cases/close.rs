//! Closing.

use fastn_core::ErrorKind;
use fastn_store::{NewsAsk, ReceiveAsk, RunQuery};

use crate::conformance::case::{Case, Found, case, fails};
use crate::conformance::trial::Trial;
use crate::sample::{at, definition, key, new_run};

pub(in crate::conformance) const CASES: &[Case] = &[case!(a_closed_store_says_so)];

async fn a_closed_store_says_so(t: Trial) -> Found {
    let lease = t.acquire("a", 0).await?;
    t.held(&lease, "1").await?;
    let key = key("t", "1")?;
    t.store.close().await?;
    fails(t.acquire("a", 0).await, ErrorKind::Closed)?;
    fails(t.store.renew(&lease, at(9)).await, ErrorKind::Closed)?;
    fails(t.store.release(&lease).await, ErrorKind::Closed)?;
    fails(t.commit(&lease, vec![]).await, ErrorKind::Closed)?;
    fails(t.create(None, new_run("t", "2", "w")?).await, ErrorKind::Closed)?;
    fails(t.claim_nos(&lease, 0, &["w"], 1).await, ErrorKind::Closed)?;
    fails(t.store.read(&key).await, ErrorKind::Closed)?;
    fails(t.store.plan(&key.tenant, &definition("w")?).await, ErrorKind::Closed)?;
    fails(t.store.list(RunQuery::default()).await, ErrorKind::Closed)?;
    fails(t.store.prune(at(9), 1).await, ErrorKind::Closed)?;
    fails(t.store.send(vec![]).await, ErrorKind::Closed)?;
    let ask = ReceiveAsk { lease: lease.token, after: None, limit: 1 };
    fails(t.store.receive(ask).await, ErrorKind::Closed)?;
    fails(t.store.acknowledge(lease.token, &[]).await, ErrorKind::Closed)?;
    fails(t.store.summaries(&[]).await, ErrorKind::Closed)?;
    fails(t.store.news(NewsAsk::default()).await, ErrorKind::Closed)?;
    fails(t.store.close().await, ErrorKind::Closed)
}
