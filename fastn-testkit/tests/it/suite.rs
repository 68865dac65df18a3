//! What a suite says about stores that lack something.

use std::sync::Arc;

use fastn_core::{Error, ErrorKind};
use fastn_store::{MemoryStore, Store};
use fastn_testkit::conformance::{Capability, Report, Suite, Verdict};

type Given = fastn_core::Result<Option<Arc<dyn Store>>>;

fn verdict<'a>(report: &'a Report, case: &str) -> &'a Verdict {
    &report.cases.iter().find(|found| found.case == case).unwrap().verdict
}

async fn memory() -> Given {
    Ok(Some(Arc::new(MemoryStore::new())))
}

#[test]
fn what_is_said_to_be_missing_is_shown_by_its_name_and_a_lie_is_caught() {
    let report = Suite::new().backend("memory", memory).without(Capability::ManyLeases).check();
    assert_eq!(report.failed(), ["what_a_store_is_said_to_lack_it_lacks"]);
    let ignored = verdict(&report, "two_claimers_never_share_a_run");
    assert_eq!(*ignored, Verdict::Ignored("without many leases".to_owned()));
    assert!(report.to_string().contains("memory::two_claimers_never_share_a_run: ignored, without many leases"));
}

#[test]
fn a_store_that_cannot_be_had_is_ignored_with_the_reason() {
    let none = || async { Given::Ok(None) };
    let report = Suite::new().backend("far", none).needing("a server: set FAR_URL").backend("near", memory).check();
    assert!(report.failed().is_empty());
    assert_eq!(*verdict(&report, "an_end_is_final"), Verdict::Ignored("needs a server: set FAR_URL".to_owned()));
    assert!(report.cases.iter().filter(|found| found.backend == "near").all(|found| found.verdict == Verdict::Passed));
}

#[test]
fn a_store_that_cannot_be_made_is_a_failure() {
    let full = || async { Given::Err(Error::new(ErrorKind::Unavailable, "open store").caused_by("the disk is full")) };
    let report = Suite::new().backend("full", full).check();
    assert_eq!(report.failed().len(), report.cases.len());
    let Verdict::Failed(why) = verdict(&report, "an_end_is_final") else { panic!("{report}") };
    assert!(why.contains("the disk is full"), "{why}");
}
