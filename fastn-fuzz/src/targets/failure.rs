//! Failures and payloads: as CBOR in the journal, as JSON in the arguments of `on_error` functions.

use fastn_core::{Failure, Outcome, Payload, StepError, StepPolicy};

pub(crate) fn run(bytes: &[u8]) {
    if let Ok(failure) = minicbor::decode::<Failure>(bytes) {
        let written = minicbor::to_vec(&failure).expect("memory does not fail");
        assert_eq!(minicbor::decode::<Failure>(&written).expect("it was written"), failure);
        json(&failure);
    }
    if let Ok(payload) = minicbor::decode::<Payload>(bytes) {
        let written = minicbor::to_vec(&payload).expect("memory does not fail");
        assert_eq!(minicbor::decode::<Payload>(&written).expect("it was written"), payload);
    }
    if let Ok(outcome) = minicbor::decode::<Outcome>(bytes) {
        let written = minicbor::to_vec(&outcome).expect("memory does not fail");
        assert_eq!(minicbor::decode::<Outcome>(&written).expect("it was written"), outcome);
        let _ = outcome.to_string();
    }
    let payload = Payload::json(bytes.to_vec());
    assert!(payload.is_same_value(&payload.clone()));
    if let Ok(failure) = payload.decode::<Failure>() {
        json(&failure);
        assert_eq!(StepError::from_failure(failure.clone()).into_failure(), failure);
    }
    if let Ok(policy) = payload.decode::<StepPolicy>() {
        let written = Payload::encode(&policy).expect("a policy is JSON");
        assert_eq!(written.decode::<StepPolicy>().expect("it was written"), policy);
    }
}

fn json(failure: &Failure) {
    let written = Payload::encode(failure).expect("a failure is JSON");
    assert_eq!(&written.decode::<Failure>().expect("it was written"), failure);
    let _ = failure.to_string();
}
