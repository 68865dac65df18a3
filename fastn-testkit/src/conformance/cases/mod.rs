//! The cases, one room per subject.

pub(super) mod claim;
pub(super) mod close;
pub(super) mod commit;
pub(super) mod create;
pub(super) mod deaths;
pub(super) mod fencing;
pub(super) mod list;
pub(super) mod mailbox;
pub(super) mod news;
pub(super) mod queues;
pub(super) mod race;
pub(super) mod repository;
pub(super) mod retention;
pub(super) mod values;
pub(super) mod withdraw;
