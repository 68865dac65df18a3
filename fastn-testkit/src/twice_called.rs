//! Connectors whose actions are called twice.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use fastn_connectors::{Call, Connector, Description, Registry};
use fastn_core::plan::{NodeIx, NodeKind};
use fastn_core::{Durability, Payload, Plan, Result, StepError, Version, Workflow, WorkflowName};

use crate::paths::address;

/// The same connectors, with every action that a workflow calls called twice, one call after the other, as a crash between
/// an effect and its record would have it: same input, same idempotency key; what the second call gives is taken. Calls
/// that are at most once, and those of other workflows, are left alone.
///
/// Give an engine this registry in the place of the other one, and look at the world after a run: if it is not as it should
/// be, the effect of an action adds up. [`one_call_twice`] finds of which step. Whether that is so depends on the input too,
/// so it is a question to each step that calls, and not to the connector alone.
///
/// # Errors
/// None is expected: the connectors are those of a registry.
///
/// ```
/// # use std::sync::{Arc, atomic::{AtomicU64, Ordering}};
/// use fastn_connectors::{Registry, typed};
/// use fastn_core::{Op, StepCx};
/// use fastn_testkit::every_call_twice;
/// # use fastn_workflow::workflow;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// const PAY: Op<u64, u64> = Op::new("bank", "pay");
/// # let balance = Arc::new(AtomicU64::new(0));
/// # let account = balance.clone();
/// # let pay = move |_: StepCx, n: u64| { account.fetch_add(n, Ordering::SeqCst); std::future::ready(Ok::<_, fastn_core::StepError>(n)) };
/// let bank = Registry::new().with(typed("bank").op(PAY, pay).build()?)?;
/// let shop = workflow("shop").define(|flow, n| flow.call("pay", PAY, n))?;
/// let bank = every_call_twice(&bank, &shop)?;
/// let engine = fastn_runtime::Engine::builder().connectors(bank).serve(&shop).open().await?;
/// engine.start(&shop, 7).await?.output().await?;
/// assert_eq!(balance.load(Ordering::SeqCst), 14, "`pay` does not ask whether it has been paid");
/// # Ok(()) }
/// ```
pub fn every_call_twice<I, O>(registry: &Registry, workflow: &Workflow<I, O>) -> Result<Registry> {
    twice(registry, workflow.plan(), |_| true)
}

/// As [`every_call_twice`], for the step with this path in the plan alone.
///
/// # Errors
/// As those.
pub fn one_call_twice<I, O>(registry: &Registry, workflow: &Workflow<I, O>, path: &str) -> Result<Registry> {
    twice(registry, workflow.plan(), |chosen| chosen == path)
}

fn twice(registry: &Registry, plan: &Plan, chosen: impl Fn(&str) -> bool) -> Result<Registry> {
    let calls = (0_u32..)
        .map(NodeIx)
        .zip(plan.nodes())
        .filter(|(_, node)| matches!(node.kind, NodeKind::Call(_)) && node.policy.durability != Durability::AtMostOnce);
    let steps = Arc::new(Steps {
        workflow: plan.name().clone(),
        version: plan.version(),
        paths: calls.map(|(number, _)| plan.path(number)).filter(|path| chosen(path)).collect(),
    });
    registry.wrapped(|connector| Arc::new(Twice { connector, steps: steps.clone() }))
}

/// Those whose calls are made twice.
struct Steps {
    workflow: WorkflowName,
    version: Version,
    paths: BTreeSet<String>,
}

/// A connector that is called twice.
struct Twice {
    connector: Arc<dyn Connector>,
    steps: Arc<Steps>,
}

#[async_trait]
impl Connector for Twice {
    fn describe(&self) -> &Description {
        self.connector.describe()
    }

    async fn execute(&self, call: Call) -> Result<Payload, StepError> {
        let (info, steps) = (call.cx.info(), &self.steps);
        let (path, _) = address(info.node.as_str());
        if info.workflow == steps.workflow && info.version == steps.version && steps.paths.contains(&path) {
            let first = Call::new(call.action.clone(), call.input.clone(), call.cx.clone());
            self.connector.execute(first).await?;
        }
        self.connector.execute(call).await
    }
}
