//! Plans and steps that nobody wrote: chance draws them.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use fastn_core::plan::{DraftKind, DraftNode, DraftScope, DraftSource, WorkIx};
use fastn_core::{
    BoxFuture, Definition, Draft, Durability, FailureKind, Functions, Jitter, Part, Payload, Retry, SignalRef, StepCx,
    StepError, StepFn, StepPolicy, Take, Tolerance,
};

use super::weather::Weather;
use super::world::World;
use crate::dice::Dice;

/// Where the steps find their world, which is made after them.
pub(super) type Stage = Arc<OnceLock<World>>;

/// A workflow that takes a list of numbers. `None` if what was drawn has faults, which is not expected.
pub(super) fn workflow(name: &str, dice: &mut Dice, stage: &Stage) -> Option<Definition> {
    let mut author = Author { dice, gives: Vec::new() };
    let root = author.scope(true, 0);
    let deadline = author.dice.one_in(8).then(|| author.millis(60_000));
    let draft = Draft { name: name.to_owned(), root, deadline, ..Draft::default() };
    let functions = author.gives.into_iter().map(|gives| {
        let function = || Arc::new(Step { gives, stage: stage.clone() }) as Arc<dyn StepFn>;
        Functions { work: function(), undo: Some(function()), on_error: Some(function()) }
    });
    let functions = functions.collect();
    Some(Definition::new(draft.check().ok()?, functions))
}

/// What the work of a step gives.
#[derive(Clone, Copy)]
enum Gives {
    /// A list of numbers.
    List,
    /// The number of one of so many arms.
    Arm(u64),
}

struct Author<'a> {
    dice: &'a mut Dice,
    gives: Vec<Gives>,
}

impl Author<'_> {
    /// A scope that gives a list. Whether its input is one decides what may be made of it.
    fn scope(&mut self, input_is_list: bool, depth: u32) -> DraftScope {
        let mut scope = DraftScope::default();
        let mut any = vec![DraftSource::Input];
        let mut lists = if input_is_list { any.clone() } else { Vec::new() };
        let most = if depth == 0 { 6 } else { 2 };
        for number in 0..=self.dice.below(most) {
            // The first makes sure that there is a list.
            let kind = if lists.is_empty() { 0 } else { self.dice.below(14) };
            let name = format!("n{number}");
            let (node, is_list) = match kind {
                9 => {
                    let span = self.millis(30_000);
                    let mut node = DraftNode::new(&name, DraftKind::Sleep(span));
                    node.inputs = vec![self.one_of(&lists)];
                    (node, true)
                }
                10 if depth < 2 => {
                    let input = self.one_of(&lists);
                    let count = 1 + self.dice.below(3);
                    let arms = (0..count).map(|arm| (format!("arm{arm}"), self.scope(true, depth + 1))).collect();
                    let mut node = DraftNode::new(&name, DraftKind::When(arms));
                    node.inputs = vec![input];
                    node.work = self.function(Gives::Arm(count));
                    node.policy.retry = self.retry();
                    (node, true)
                }
                11 if depth < 2 => {
                    let concurrency = 1 + u32::try_from(self.dice.below(3)).unwrap_or(0);
                    let body = self.scope(false, depth + 1);
                    let mut node =
                        DraftNode::new(&name, DraftKind::Each { body, concurrency, tolerance: Tolerance::None });
                    node.inputs = vec![self.one_of(&lists)];
                    (node, true)
                }
                12 | 13 => {
                    let take = self.dice.pick(&[Take::Each, Take::Each, Take::First]);
                    let mut node =
                        DraftNode::new(&name, DraftKind::Wait(SignalRef { name: take.as_str().into(), take }));
                    node.inputs = (0..self.dice.below(3)).map(|_| self.one_of(&any)).collect();
                    node.work = self.function(Gives::List);
                    node.policy = self.patience();
                    (node, true)
                }
                _ => {
                    let mut node = DraftNode::new(&name, DraftKind::Step);
                    node.inputs = (0..self.dice.below(3)).map(|_| self.one_of(&any)).collect();
                    node.work = self.function(Gives::List);
                    node.policy = self.policy();
                    (node, true)
                }
            };
            let mut node = node;
            if self.dice.one_in(6)
                && let DraftSource::Node(other) = self.one_of(&any)
            {
                node.after.push(other);
            }
            let source = DraftSource::Node(name);
            any.push(source.clone());
            if is_list {
                lists.push(source);
            }
            scope.nodes.push(node);
        }
        scope.output = Some(self.one_of(&lists));
        scope
    }

    fn one_of(&mut self, sources: &[DraftSource]) -> DraftSource {
        let place = usize::try_from(self.dice.below(sources.len() as u64)).unwrap_or(0);
        sources.get(place).cloned().unwrap_or(DraftSource::Input)
    }

    fn function(&mut self, gives: Gives) -> Option<WorkIx> {
        self.gives.push(gives);
        u32::try_from(self.gives.len() - 1).ok().map(WorkIx)
    }

    fn millis(&mut self, most: u64) -> Duration {
        let most = Duration::from_millis(most);
        Weather::span(self.dice, most)
    }

    fn retry(&mut self) -> Retry {
        let attempts = 2 + u32::try_from(self.dice.below(3)).unwrap_or(0);
        match self.dice.below(6) {
            0 => Retry::fixed(self.millis(4_000)).attempts(attempts),
            1 => Retry::exponential(self.millis(1_000)).attempts(attempts),
            2 => Retry::linear(self.millis(20_000)).jitter(Jitter::None).attempts(attempts),
            _ => Retry::none(),
        }
    }

    /// How long a wait lasts.
    fn patience(&mut self) -> StepPolicy {
        StepPolicy {
            retry: self.retry(),
            within: self.dice.one_in(2).then(|| self.millis(20_000)),
            deadline: self.dice.one_in(6).then(|| self.millis(40_000)),
            on_error: self.dice.one_in(3),
            ..StepPolicy::default()
        }
    }

    fn policy(&mut self) -> StepPolicy {
        let durability = [Durability::Strict, Durability::Strict, Durability::Relaxed, Durability::AtMostOnce];
        let durability = if self.dice.one_in(2) { self.dice.pick(&durability) } else { Durability::Strict };
        StepPolicy {
            retry: self.retry(),
            within: self.dice.one_in(6).then(|| self.millis(4_000)),
            deadline: self.dice.one_in(12).then(|| self.millis(20_000)),
            durability,
            undo: self.dice.one_in(3).then(|| Retry::fixed(Duration::from_secs(1)).attempts(3)),
            // Otherwise a person would have to say what became of it, and in these worlds there are only programs.
            on_error: self.dice.one_in(5) || durability == Durability::AtMostOnce,
        }
    }
}

/// A step that does what comes to its mind.
struct Step {
    gives: Gives,
    stage: Stage,
}

impl StepFn for Step {
    fn call(&self, cx: StepCx, _: Vec<Payload>) -> BoxFuture<'static, Result<Payload, StepError>> {
        let (gives, stage) = (self.gives, self.stage.clone());
        Box::pin(async move {
            let Some(world) = stage.get() else { return Err(StepError::permanent("there is no world")) };
            let rough = world.weather().rough && !world.is_calm();
            let mood = world.dice().below(if rough { 60 } else { 300 });
            match mood {
                0..=3 => return Err(StepError::new("not now")),
                4 => return Err(StepError::permanent("never")),
                5 => return Err(StepError::new("later").retry_after(Duration::from_millis(700))),
                6 => return Err(StepError::new("odd").of_kind(FailureKind::new("odd"))),
                // Without the hook that prints.
                7 if rough => std::panic::resume_unwind(Box::new("a step panics")),
                8 if rough => hang(world, &cx).await,
                9 if rough => {
                    tokio::select! {
                        biased;
                        () = cx.cancelled() => {
                            world.pause(Duration::from_millis(30)).await;
                            return Err(StepError::new("told to stop"));
                        }
                        () = world.pause(Duration::from_secs(8)) => {}
                    }
                }
                10..=14 => {
                    let span = Weather::span(&mut world.dice(), Duration::from_secs(6));
                    world.pause(span).await;
                }
                15..=25 => {
                    for _ in 0..mood {
                        tokio::task::yield_now().await;
                    }
                }
                _ => {}
            }
            Ok(match (gives, cx.info().part) {
                (Gives::Arm(count), Part::Work) => Payload::json(world.dice().below(count).to_string()),
                _ => {
                    // Never the same twice, so that what is recorded can be held against what was given.
                    let mut dice = world.dice();
                    let more = dice.below(3);
                    let text: Vec<String> = (0..=more).map(|_| (dice.next() >> 16).to_string()).collect();
                    Payload::json(format!("[{}]", text.join(",")))
                }
            })
        })
    }
}

/// Goes on until it is cut off, or the world calms down.
async fn hang(world: &World, cx: &StepCx) {
    while !world.is_calm() && !cx.is_cancelled() {
        world.pause(Duration::from_secs(7)).await;
    }
}
