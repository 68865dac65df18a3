//! Others use the same Redis, and some who answer are none.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use fastn_store::{MemoryStore, ReadCache, ReadThrough as _, RunQuery, RunStatus, Store};
use fastn_testkit::server::{Answer, PrivateRedis};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

use super::{behind, ended, kept, metered, patient, server, until};
use crate::support::{key, new_run};

/// A way to a Redis on which it is another time.
pub(super) struct Clock {
    url: String,
    by: Arc<AtomicI64>,
    task: AbortHandle,
    _server: PrivateRedis,
}

impl Clock {
    pub(super) async fn before(server: PrivateRedis) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let (port, behind) = (listener.local_addr().unwrap().port(), server.port());
        let by = Arc::<AtomicI64>::default();
        let shift = by.clone();
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(shifted(client, behind, shift.clone()));
            }
        });
        Self { url: server.url_by(port, 0), by, task: task.abort_handle(), _server: server }
    }

    pub(super) fn url(&self) -> String {
        self.url.clone()
    }

    /// So many seconds from the real time.
    pub(super) fn set_by(&self, seconds: i64) {
        self.by.store(seconds, Ordering::SeqCst);
    }
}

impl Drop for Clock {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Hands everything on; where an answer begins with a time, with another one.
async fn shifted(client: TcpStream, port: u16, by: Arc<AtomicI64>) {
    let server = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let ask = tokio::io::copy(&mut from_client, &mut to_server);
    let answer = async {
        let mut bytes = vec![0; 1 << 16];
        loop {
            let count = from_server.read(&mut bytes).await?;
            let said = &mut bytes[..count];
            if said.starts_with(b"*2\r\n$10\r\n") {
                let seconds: i64 = std::str::from_utf8(&said[9..19]).unwrap().parse().unwrap();
                let told = format!("{:010}", seconds + by.load(Ordering::SeqCst));
                said[9..19].copy_from_slice(told.as_bytes());
            }
            if count == 0 {
                return Ok::<_, std::io::Error>(());
            }
            to_client.write_all(said).await?;
        }
    };
    tokio::select! {
        _ = ask => {}
        _ = answer => {}
    }
}

fn keys(server: &PrivateRedis) -> Vec<Vec<u8>> {
    let Answer::List(keys) = server.command(&[b"KEYS", b"*"]).unwrap() else { panic!("no list") };
    keys.into_iter().map(|key| key.text().into_bytes()).collect()
}

fn value(server: &PrivateRedis, key: &[u8]) -> Vec<u8> {
    let Answer::Bytes(value) = server.command(&[b"GET", key]).unwrap() else { panic!("no value") };
    value
}

#[tokio::test]
async fn values_that_are_not_ours_are_none() {
    let (store, meter) = metered();
    let new = ended(&*store, "t", "done", RunStatus::Succeeded).await;
    ended(&*store, "t", "other", RunStatus::Failed).await;
    let (runs, server) = ([key("t", "done"), key("t", "other")], server());
    let cache = patient(&server.url(0));
    let cached = behind(&cache, &store).await;
    let look = async |store: &dyn Store| {
        let summaries = store.summaries(&runs).await.unwrap();
        let histories = [store.read(&runs[0]).await.unwrap(), store.read(&runs[1]).await.unwrap()];
        let plan = store.plan(&new.key.tenant, &new.definition).await.unwrap();
        let page = store.list(RunQuery::default()).await.unwrap();
        format!("{summaries:?} {histories:?} {plan:?} {page:?}")
    };
    let truth = look(&*store).await;
    assert_eq!(look(&*cached).await, truth);
    kept(&cache, 6).await;
    let known = keys(&server);
    assert_eq!(known.len(), 6);

    type Harm = fn(&PrivateRedis, &[Vec<u8>]);
    let harms: [(&str, Harm); 6] = [
        ("garbage", |server, keys| {
            for key in keys {
                server.command(&[b"SET", key, b"\x01 what is this \xff\xff\0"]).unwrap();
            }
        }),
        ("nothing", |server, keys| keys.iter().for_each(|key| drop(server.command(&[b"SET", key, b""]).unwrap()))),
        ("a byte changed", |server, keys| {
            for key in keys {
                let mut value = value(server, key);
                *value.last_mut().unwrap() ^= 1;
                server.command(&[b"SET", key, &value]).unwrap();
            }
        }),
        ("cut short", |server, keys| {
            for key in keys {
                let value = value(server, key);
                server.command(&[b"SET", key, &value[..value.len() - 1]]).unwrap();
            }
        }),
        ("each under the key of another", |server, keys| {
            let values: Vec<_> = keys.iter().map(|key| value(server, key)).collect();
            for (key, value) in keys.iter().zip(values.iter().cycle().skip(1)) {
                server.command(&[b"SET", key, value]).unwrap();
            }
        }),
        ("a format that is not known", |server, keys| {
            for key in keys {
                let mut value = value(server, key);
                value[0] = 2;
                server.command(&[b"SET", key, &value]).unwrap();
            }
        }),
    ];
    for (what, harm) in harms {
        let before = cache.counts();
        harm(&server, &known);
        meter.take();
        assert_eq!(look(&*cached).await, truth, "{what}");
        let now = cache.counts();
        assert_eq!((now.unreadable - before.unreadable, now.hits - before.hits), (6, 0), "{what}");
        assert_eq!(meter.take().reads, 5, "{what}");
        kept(&cache, before.kept + 6).await;
        assert_eq!(look(&*cached).await, truth, "{what}");
        assert_eq!(meter.take().reads, 0, "{what}: it was not put right");
    }
    // Of another type: there is no value then.
    for key in &known {
        server.command(&[b"DEL", key]).unwrap();
        server.command(&[b"LPUSH", key, b"a list"]).unwrap();
    }
    assert_eq!(look(&*cached).await, truth);
    assert_eq!(cache.counts().failures, 0);
}

#[tokio::test]
async fn two_stores_in_one_redis_do_not_mix() {
    let url = PrivateRedis::shared().unwrap().url(0);
    let cache = patient(&url);
    let mut stores = Vec::new();
    for status in [RunStatus::Succeeded, RunStatus::Failed] {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        ended(&*store, "t", "run", status).await;
        stores.push((behind(&cache, &store).await, status));
    }
    assert_eq!(stores[0].0.name(), stores[1].0.name());
    for round in 1..3 {
        for (store, status) in &stores {
            let found = store.summaries(&[key("t", "run")]).await.unwrap();
            assert_eq!(found[0].as_ref().unwrap().status, *status);
            assert_eq!(store.list(RunQuery::default()).await.unwrap().runs[0].status, *status);
        }
        kept(&cache, 4).await;
        assert_eq!(cache.counts().hits, 4 * (round - 1));
    }
    // Nor do tenants.
    let found = stores[0].0.summaries(&[key("u", "run")]).await.unwrap();
    assert_eq!(found, [None]);
}

#[cfg(feature = "sqlite")]
#[tokio::test]
async fn a_copy_of_a_database_somewhere_else_has_a_cache_of_its_own() {
    use fastn_store::{SqliteOptions, SqliteStore};

    let (folder, server) = (tempfile::tempdir().unwrap(), server());
    let (first, second) = (folder.path().join("first.db"), folder.path().join("second.db"));
    let cache = patient(&server.url(0));
    let open = async |path: &std::path::Path| {
        let store = Arc::new(SqliteStore::open(path, SqliteOptions::default()).await.unwrap()) as Arc<dyn Store>;
        behind(&cache, &store).await
    };
    let look = async |store: &dyn Store| store.list(RunQuery::default()).await.unwrap().runs.len();
    let one = open(&first).await;
    assert_eq!(look(&*one).await, 0);
    kept(&cache, 1).await;
    one.close().await.unwrap();
    std::fs::copy(&first, &second).unwrap();
    let copy = open(&second).await;
    crate::support::create(&*copy, None, new_run("t", "run", "work")).await;
    let reader = open(&second).await;
    assert_eq!((look(&*reader).await, cache.counts().hits), (1, 0));
    // The first one is the same store still, in whichever process.
    let again = open(&first).await;
    assert_eq!((look(&*again).await, cache.counts().hits), (0, 1));
}

#[tokio::test]
async fn a_stranger_in_its_place_is_no_redis() {
    let (store, _) = metered();
    ended(&*store, "t", "done", RunStatus::Succeeded).await;
    for says in [
        &b""[..],
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"+OK\r\n+OK\r\n+OK\r\n+OK\r\n+OK\r\n",
        b"*2\r\n$1\r\nx\r\n$1\r\ny\r\n*1\r\n$-1\r\n",
        b"*2\r\n$19\r\n9223372036854775807\r\n$1\r\n9\r\n*1\r\n$-1\r\n",
        b"*2\r\n$1\r\n1\r\n$1\r\n1\r\n*0\r\n",
        b"*2\r\n$1\r\n1\r\n$1\r\n1\r\n*3\r\n$-1\r\n$-1\r\n$-1\r\n",
        b"*99999999999999\r\n",
        b"*9223372036854775807\r\n",
        b"$9223372036854775807\r\nxx",
        b"$-2\r\n*-2\r\n%-1\r\n|9223372036854775807\r\n",
        b"-LOADING Redis is loading the dataset in memory\r\n-LOADING\r\n-LOADING\r\n",
        &[b'*'; 5_000],
        &[0xff; 70_000],
    ] {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let stranger = tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let mut asked = [0; 4096];
                    while client.read(&mut asked).await.is_ok_and(|count| count > 0) {
                        if says.is_empty() || client.write_all(says).await.is_err() {
                            return;
                        }
                    }
                });
            }
        });
        let shown = String::from_utf8_lossy(&says[..says.len().min(60)]).into_owned();
        let cache = ReadCache::redis(&format!("redis://127.0.0.1:{port}")).unwrap().timeout(Duration::from_millis(100));
        let cached = cache.before(store.clone()).unwrap();
        let began = Instant::now();
        while cache.counts().failures == 0 {
            let found = cached.summaries(&[key("t", "done")]).await.unwrap();
            assert!(found[0].is_some(), "{shown}");
            assert!(began.elapsed() < Duration::from_secs(60), "{shown}: it is taken for a Redis");
            tokio::task::yield_now().await;
        }
        for _ in 0..10 {
            assert!(cached.summaries(&[key("t", "done")]).await.unwrap()[0].is_some(), "{shown}");
        }
        assert_eq!(cache.counts().hits, 0, "{shown}");
        stranger.abort();
    }
}

#[tokio::test]
async fn a_password_is_needed_and_never_shown() {
    let (store, _) = metered();
    let server = server();
    let (right, place) = (server.url(0), format!("127.0.0.1:{}", server.port()));
    let password = right.split(['@', ':']).nth(2).unwrap_or_default().to_owned();
    assert_eq!(password.len(), 32);
    for url in [right.clone(), right.replace(&password, "wrong-word")] {
        let cache = ReadCache::redis(&url).unwrap().timeout(Duration::from_secs(20));
        let cached = cache.before(store.clone()).unwrap();
        until("it is known", || cache.counts().connected > 0 || cache.counts().failures > 0).await;
        assert_eq!(cache.counts().connected > 0, url == right);
        for shown in [format!("{cache:?}"), format!("{cached:?}")] {
            assert!(!shown.contains(&password) && !shown.contains("wrong-word"), "{shown}");
        }
        assert!(format!("{cache:?}").contains(&place));
    }
}

#[tokio::test]
async fn an_encrypted_connection_asks_who_is_there() {
    use tokio_rustls::TlsAcceptor;
    use tokio_rustls::rustls::ServerConfig;
    use tokio_rustls::rustls::crypto::ring;
    use tokio_rustls::rustls::pki_types::PrivatePkcs8KeyDer;

    let (folder, server) = (tempfile::tempdir().unwrap(), server());
    let ours = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let other = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let (trusted, stranger) = (folder.path().join("ours.pem"), folder.path().join("other.pem"));
    std::fs::write(&trusted, ours.cert.pem()).unwrap();
    std::fs::write(&stranger, other.cert.pem()).unwrap();
    let key = PrivatePkcs8KeyDer::from(ours.signing_key.serialize_der());
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![ours.cert.der().clone()], key.into())
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let (port, behind_it) = (listener.local_addr().unwrap().port(), server.port());
    let front = tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut client) = acceptor.accept(client).await else { return };
                let mut redis = TcpStream::connect(("127.0.0.1", behind_it)).await.unwrap();
                let _ = copy_bidirectional(&mut client, &mut redis).await;
            });
        }
    });
    let (store, _) = metered();
    let url = |host: &str| server.url_by(port, 0).replace("redis://", "rediss://").replace("127.0.0.1", host);
    let named = url("localhost");
    for (cache, is_known) in [
        (patient(&named).root_certificates(&trusted), true),
        (patient(&named).root_certificates(&stranger), false),
        // The system's certificates do not know it.
        (patient(&named), false),
        // Another name than the one that is vouched for.
        (patient(&url("127.0.0.1")).root_certificates(&trusted), false),
        // It says nothing in the clear.
        (patient(&named.replace("rediss://", "redis://")), false),
    ] {
        let _cached = cache.before(store.clone()).unwrap();
        until("it is known", || cache.counts().connected > 0 || cache.counts().failures > 0).await;
        assert_eq!(cache.counts().connected > 0, is_known, "{cache:?}");
    }
    assert!(patient(&named).root_certificates("/nowhere").before(store.clone()).is_err());
    front.abort();
}
