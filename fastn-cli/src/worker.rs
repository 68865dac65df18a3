//! `fastn worker`: runs what a store has to do.

use std::path::Path;

use fastn::core::Result;

use crate::args::Network;
use crate::engines::{block_on, interrupted, open};
use crate::load::folder;
use crate::said::{Exit, tell};

pub(crate) fn worker(store: &str, dir: &Path, network: Network) -> Result<Exit> {
    let Some(workflows) = folder(dir)? else { return Ok(Exit::Usage) };
    block_on(async {
        let engine = open(Some(store), &workflows, network).await?;
        for workflow in &workflows {
            tell(format!("serves {} {}", workflow.plan().name(), workflow.plan().version()));
        }
        interrupted().await;
        tell("ends");
        engine.shutdown().await.map(|()| Exit::Interrupted)
    })
}
