//! Workflows whose steps are executed twice.

use std::sync::Arc;

use fastn_core::plan::{NodeIx, WorkIx};
use fastn_core::{BoxFuture, Definition, Durability, Functions, Payload, Plan, StepCx, StepError, StepFn, Workflow};

/// The same workflow with every function called twice, one call after the other, as a crash between an effect and its
/// record would have it: same arguments, same idempotency key; what the second call gives is taken. The work of steps that
/// are at most once is left alone, and what undoes it or takes over from it is not. What a step calls of a connector is of
/// an engine's registry, and not of the workflow: [`every_call_twice`](crate::every_call_twice) is for that.
///
/// Run it like the workflow itself and look at the world afterwards. If it is not as it should be, a step's effect adds
/// up; [`one_step_twice`] finds which.
///
/// ```
/// # use std::sync::{Arc, atomic::{AtomicU64, Ordering}};
/// use fastn_testkit::every_step_twice;
/// # use fastn_workflow::workflow;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let balance = Arc::new(AtomicU64::new(0));
/// # let account = balance.clone();
/// # let pay = move |n: u64| { account.fetch_add(n, Ordering::SeqCst); std::future::ready(Ok::<_, std::io::Error>(n)) };
/// let shop = every_step_twice(&workflow("shop").define(|flow, n| flow.step("pay", pay, n))?);
/// let engine = fastn_runtime::Engine::builder().serve(&shop).open().await?;
/// engine.start(&shop, 7).await?.output().await?;
/// assert_eq!(balance.load(Ordering::SeqCst), 14, "`pay` does not ask whether it has been paid");
/// # Ok(()) }
/// ```
pub fn every_step_twice<I, O>(workflow: &Workflow<I, O>) -> Workflow<I, O> {
    twice(workflow, |_, _| true)
}

/// As [`every_step_twice`], for the step with this path in the plan alone.
pub fn one_step_twice<I, O>(workflow: &Workflow<I, O>, path: &str) -> Workflow<I, O> {
    twice(workflow, |plan, node| plan.path(node) == path)
}

fn twice<I, O>(workflow: &Workflow<I, O>, chosen: impl Fn(&Plan, NodeIx) -> bool) -> Workflow<I, O> {
    let (definition, plan) = (workflow.definition(), workflow.plan());
    let again = |ix: WorkIx| {
        let mut nodes = (0_u32..).map(NodeIx).zip(plan.nodes()).filter(|(_, node)| node.work == Some(ix));
        nodes.all(|(number, _)| chosen(plan, number))
    };
    let once = |ix: WorkIx| {
        let mut nodes = plan.nodes().iter().filter(|node| node.work == Some(ix));
        nodes.any(|node| node.policy.durability == Durability::AtMostOnce)
    };
    let wrap = |function: &Arc<dyn StepFn>| Arc::new(Twice(function.clone())) as Arc<dyn StepFn>;
    let functions = (0_u32..).map(WorkIx).map_while(|ix| {
        let functions = definition.functions(ix)?;
        Some(match again(ix) {
            false => functions.clone(),
            true => Functions {
                work: if once(ix) { functions.work.clone() } else { wrap(&functions.work) },
                undo: functions.undo.as_ref().map(wrap),
                on_error: functions.on_error.as_ref().map(wrap),
            },
        })
    });
    Workflow::assume(Definition::new(Plan::clone(plan), functions.collect()))
}

/// A function that is called twice.
struct Twice(Arc<dyn StepFn>);

impl StepFn for Twice {
    fn call(&self, cx: StepCx, args: Vec<Payload>) -> BoxFuture<'static, Result<Payload, StepError>> {
        let function = self.0.clone();
        Box::pin(async move {
            function.call(cx.clone(), args.clone()).await?;
            function.call(cx, args).await
        })
    }
}
