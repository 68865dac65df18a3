//! `fastn worker`: runs what a store has to do.

use std::path::Path;

use fastn::core::{Error, ErrorKind, Result};
use fastn::documents::Tasks;

use crate::args::Network;
use crate::engines::{block_on, interrupted, open};
use crate::load::{files, load};
use crate::said::{Exit, tell};

pub(crate) fn worker(store: &str, dir: &Path, network: Network) -> Result<Exit> {
    let (tasks, mut workflows, mut faulty) = (Tasks::new(), Vec::new(), false);
    for file in files(dir)? {
        match load(&file, &tasks)? {
            Some(loaded) => workflows.push(loaded.workflow),
            None => faulty = true,
        }
    }
    if faulty {
        return Ok(Exit::Usage);
    }
    if workflows.is_empty() {
        let why = "there are no documents in it";
        return Err(Error::new(ErrorKind::Invalid, "start worker").with("folder", dir.display()).caused_by(why));
    }
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
