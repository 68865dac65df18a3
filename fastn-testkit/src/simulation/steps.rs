//! Steps as the world sees them: what they are given and what they give is noted.

use std::collections::BTreeMap;
use std::sync::Arc;

use fastn_core::plan::{NodeIx, WorkIx};
use fastn_core::{Address, BoxFuture, Definition, Functions, Payload, Plan, StepCx, StepError, StepFn};
use fastn_runtime::Clock as _;
use fastn_store::RunKey;

use super::begins::{Begun, Moment};
use super::calls::End;
use super::executor::Process;
use super::weather::Weather;
use super::world::World;
use crate::paths::address;

/// The same definition, each of whose functions is seen when it runs in this process.
pub(super) fn observed(definition: &Definition, world: &World, process: Process) -> Definition {
    let plan = definition.plan();
    let numbers = (0_u32..).map(NodeIx).zip(plan.nodes()).map(|(node, _)| (plan.path(node), node));
    let numbers: Arc<BTreeMap<String, NodeIx>> = Arc::new(numbers.collect());
    let wrap = |function: &Arc<dyn StepFn>| {
        let (function, world, numbers) = (function.clone(), world.clone(), numbers.clone());
        Arc::new(Observed { function, world, process, numbers }) as Arc<dyn StepFn>
    };
    let functions = (0_u32..).map(WorkIx).map_while(|ix| definition.functions(ix)).map(|functions| Functions {
        work: wrap(&functions.work),
        undo: functions.undo.as_ref().map(wrap),
        on_error: functions.on_error.as_ref().map(wrap),
    });
    Definition::new(Plan::clone(plan), functions.collect())
}

struct Observed {
    function: Arc<dyn StepFn>,
    world: World,
    process: Process,
    /// The nodes by their paths.
    numbers: Arc<BTreeMap<String, NodeIx>>,
}

impl StepFn for Observed {
    fn call(&self, cx: StepCx, args: Vec<Payload>) -> BoxFuture<'static, Result<Payload, StepError>> {
        let (world, function, process) = (self.world.clone(), self.function.clone(), self.process);
        let (path, items) = address(cx.info().node.as_str());
        let Some(node) = self.numbers.get(&path).copied() else { return function.call(cx, args) };
        let at = Address { node, items };
        Box::pin(async move {
            let mut seen = Seen::begin(&world, process, at, &cx, &args);
            if world.strikes(300) {
                let span = Weather::span(&mut world.dice(), std::time::Duration::from_millis(200));
                world.pause(span).await;
            }
            let result = function.call(cx, args).await;
            seen.end = match &result {
                Ok(output) => End::Gave(output.clone()),
                Err(_) => End::Failed,
            };
            result
        })
    }
}

/// A call that is being seen: its end is noted when this is dropped.
struct Seen {
    world: World,
    process: Process,
    run: RunKey,
    call: usize,
    what: String,
    end: End,
}

impl Seen {
    fn begin(world: &World, process: Process, at: Address, cx: &StepCx, args: &[Payload]) -> Self {
        let info = cx.info();
        let run = RunKey { tenant: info.tenant.clone(), run: info.run };
        let what = format!("{} {} of {} in {}", info.part.as_str(), info.attempt, &*info.node, info.run);
        world.tell(|| format!("{process:?} begins {what}"));
        let (part, attempt) = (info.part, info.attempt);
        let begun = Begun { process, run: run.clone(), at, part, attempt, args: args.to_vec() };
        let now = (!world.was_set_back()).then(|| world.clock().now());
        let moment =
            Moment { uptime: world.clock().uptime(), now, prompt: world.weather().is_prompt() && !world.is_late() };
        let (call, held) = world.truth().begins(begun, &moment);
        world.note(held);
        Self { world: world.clone(), process, run, call, what, end: End::CutOff }
    }
}

impl Drop for Seen {
    fn drop(&mut self) {
        let end = std::mem::replace(&mut self.end, End::CutOff);
        self.world.tell(|| format!("{:?} ends {}: {end:?}", self.process, self.what));
        let on_time = !self.world.is_late() && !self.world.executor().is_dead(self.process);
        let uptime = self.world.clock().uptime();
        let held = self.world.truth().ends(&self.run, self.call, end, uptime, on_time);
        self.world.note(held);
    }
}
