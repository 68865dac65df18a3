//! Where fastn keeps runs.
//!
//! [`Store`] is the contract; read it before you write one, start from [`MemoryStore`], which is the reference, and let
//! the conformance suite of `fastn-testkit` judge. [`open`] opens a store by its URL.

mod contract;

pub use crate::contract::{
    Batch, Claimed, ClaimAsk, DefinitionKey, Existing, History, Lease, LeaseAsk, NewRun, Page, RunKey, RunNo, RunQuery,
    RunStatus, RunSummary, Store, Then, Turn, Write, Written,
};
