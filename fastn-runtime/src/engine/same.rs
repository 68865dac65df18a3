//! Whether a run that is there is what would have been started.

use fastn_core::{Error, ErrorKind, Result};
use fastn_store::{Existing, NewRun};

/// Whether a run that is there is attached to.
pub(super) fn check_existing(new: &NewRun, existing: &Existing) -> Result<()> {
    let same_workflow = existing.definition.workflow == new.definition.workflow;
    check_same(new, same_workflow, existing.input.is_same_value(&new.input))
}

/// A run is attached to if it is what would have been started.
pub(super) fn check_same(new: &NewRun, workflow: bool, input: bool) -> Result<()> {
    let what = match (workflow, input) {
        (true, true) => return Ok(()),
        (false, true) => "another workflow",
        (_, false) => "another input",
    };
    Err(Error::new(ErrorKind::Conflict, "start run")
        .with("run", new.key.run)
        .caused_by(format!("a run of this id was started with {what}")))
}
