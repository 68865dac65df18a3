//! Engines for commands.

use std::future::Future;
use std::sync::Once;
use std::time::Duration;

use fastn::connectors::echo::Echo;
use fastn::connectors::http::Http;
use fastn::core::{Error, ErrorKind, Result, Workflow};
use fastn::prelude::*;
use serde_json::Value;
use tokio::sync::Notify;

use crate::args::Network;

/// Does something on a runtime.
pub(crate) fn block_on<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|why| Error::new(ErrorKind::Unavailable, "start runtime").caused_by(why))?;
    runtime.block_on(work)
}

/// What documents can call here.
pub(crate) fn connectors(network: Network) -> Result<Registry> {
    let http = Http::builder();
    let http = if network.allow_private_network { http.allow_private() } else { http };
    Registry::new().with(Echo::new())?.with(http.build()?)
}

/// An engine that serves these workflows, beside whoever else works on the store.
pub(crate) async fn open(
    store: Option<&str>,
    workflows: &[Workflow<Value, Value>],
    network: Network,
) -> Result<Engine> {
    listen();
    let builder = Engine::builder().connectors(connectors(network)?).grace(Duration::from_secs(1));
    let builder = workflows.iter().fold(builder, |builder, workflow| builder.serve(workflow));
    let builder = store.into_iter().fold(builder, |builder, url| builder.store(url));
    builder.open().await
}

/// An engine that serves nothing: to wait for runs, tell them something and cancel them.
pub(crate) async fn beside(store: &str) -> Result<Engine> {
    there(store)?;
    Engine::builder().store(store).grace(Duration::ZERO).open().await
}

/// Looking at a store must not create one.
pub(crate) fn there(store: &str) -> Result<()> {
    if store == "memory:" {
        let why = "what a program keeps in its memory cannot be seen from outside";
        return Err(Error::new(ErrorKind::Unsupported, "open store").with("url", store).caused_by(why));
    }
    if let Some(path) = store.strip_prefix("sqlite:") {
        let path = path.strip_prefix("//").unwrap_or(path).split('?').next().unwrap_or_default();
        if !std::path::Path::new(path).exists() {
            return Err(Error::new(ErrorKind::NotFound, "open store").with("path", path));
        }
    }
    Ok(())
}

/// Somebody wants the command to end. A process has one keyboard.
static PRESSED: Notify = Notify::const_new();

/// Listens for that from here on, so that no moment of a run is one in which the process would simply be gone.
fn listen() {
    static LISTENS: Once = Once::new();
    LISTENS.call_once(|| {
        #[cfg(unix)]
        if let Ok(mut pressed) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt()) {
            tokio::spawn(async move {
                while pressed.recv().await.is_some() {
                    PRESSED.notify_one();
                }
            });
        }
        #[cfg(not(unix))]
        tokio::spawn(async {
            while tokio::signal::ctrl_c().await.is_ok() {
                PRESSED.notify_one();
            }
        });
    });
}

/// Completes when somebody wants the command to end.
pub(crate) async fn interrupted() {
    listen();
    PRESSED.notified().await;
}
