//! A process of the world: a host with an engine.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fastn_core::{Definition, Error, ErrorKind, ExecutorId, Result, RunId, TenantId, Workflow};
use fastn_runtime::{Delivery, Engine, RunHandle};
use fastn_store::{RunKey, RunQuery, Store};
use tokio::sync::oneshot;

use super::executor::Process;
use super::invariant::{Breach, Invariant, hold};
use super::script::{Build, Input, Start, Telling};
use super::steps::observed;
use super::store::Wire;
use super::truth::RunTruth;
use super::weather::Weather;
use super::world::{ProcessSpawner, World};

/// What every process of a world has.
#[derive(Clone)]
pub(super) struct Host {
    pub(super) world: World,
    pub(super) store: Arc<dyn Store>,
    pub(super) definitions: Vec<Definition>,
    pub(super) start: Start,
    pub(super) input: Input,
    pub(super) tells: Vec<Telling>,
    pub(super) build: Build,
    /// How many runs are to be started.
    pub(super) orders: u64,
    /// The last process has seen the end of every run.
    pub(super) over: Arc<AtomicBool>,
}

/// What one process does.
#[derive(Clone)]
struct Life {
    host: Host,
    process: Process,
    /// Whether it is the last, which sees to it that everything ends. There is no trouble then.
    last: bool,
    /// Whether attempts have time to end at shutdown.
    patient: bool,
}

impl Host {
    /// Starts a process.
    pub(super) fn begin(&self, process: Process, last: bool) {
        self.world.tell(|| format!("{process:?} begins"));
        let patient = last || self.world.dice().one_in(2);
        let life = Life { host: self.clone(), process, last, patient };
        self.world.spawn(process, async move {
            let (world, over) = (life.host.world.clone(), life.host.over.clone());
            if let Err(error) = life.live().await {
                world.tell(|| format!("{process:?} gives up: {}", error.chain().join(": ")));
                let calm = hold(!last, Invariant::NoErrorWithoutTrouble, || error.chain().join(": "));
                world.note(calm);
            }
            world.tell(|| format!("{process:?} ends"));
            if last {
                over.store(true, Ordering::Relaxed);
            }
        });
    }
}

impl Life {
    async fn live(self) -> Result<()> {
        let (world, process) = (self.host.world.clone(), self.process);
        if self.last && world.weather().calendar {
            // Calls that were sent by another calendar are still on their way.
            world.pause(Duration::from_secs(60)).await;
        }
        let (seed, patience, grace, park, lease) = {
            let mut dice = world.dice();
            let grace = Duration::from_millis(if self.patient { 5_000 } else { dice.pick(&[0, 500]) });
            let park = Duration::from_millis(dice.pick(&[0, 200, 5_000]));
            let lease = Duration::from_millis(dice.pick(&[1_000, 5_000, 30_000]));
            (dice.next(), Duration::from_millis(dice.pick(&[300, 5_000, 20_000])), grace, park, lease)
        };
        let (store, flights) = (self.host.store.clone(), Arc::default());
        let wire = Wire { world: world.clone(), process, store, flights };
        let executor = ExecutorId::new(format!("process {}", process.0));
        let executor = executor.map_err(|error| Error::new(ErrorKind::Internal, "name executor").caused_by(error))?;
        let builder = Engine::builder()
            .store(Arc::new(wire) as Arc<dyn Store>)
            .executor(executor)
            .clock(Arc::new(world.clock().clone()))
            .spawner(Arc::new(ProcessSpawner { world: world.clone(), process }))
            .seed(seed)
            .patience(if self.last { Duration::from_secs(20) } else { patience })
            .grace(grace)
            .lease(lease)
            .park_after(park)
            // Processes die here whatever runs do.
            .poison_after(0)
            .always_suspend(world.weather().suspend);
        let definitions: Vec<_> = self.host.definitions.iter().map(|own| observed(own, &world, process)).collect();
        let serve = |builder, definition: &Definition| -> fastn_runtime::EngineBuilder {
            fastn_runtime::EngineBuilder::serve(builder, &Workflow::<(), ()>::assume(definition.clone()))
        };
        let builder = definitions.iter().fold((self.host.build)(builder), serve);
        let engine = builder.open().await?;
        let mut tasks = Vec::new();
        for order in 0..self.host.orders {
            if self.last || world.dice().one_in(2) {
                let place = order.checked_rem(definitions.len() as u64).and_then(|place| usize::try_from(place).ok());
                let Some(definition) = place.and_then(|place| definitions.get(place)).cloned() else { continue };
                let (done, is_done) = oneshot::channel();
                let (life, engine) = (self.clone(), engine.clone());
                world.spawn(process, async move {
                    let result = life.order(&engine, &definition, order).await;
                    // Given back before the end is told: the engine is to be left alone then.
                    drop(engine);
                    let _ = done.send(result);
                });
                tasks.push(is_done);
            }
        }
        self.stay(&engine, tasks).await?;
        self.leave(engine).await
    }

    /// Goes on for a while.
    async fn stay(&self, engine: &Engine, tasks: Vec<oneshot::Receiver<Result<()>>>) -> Result<()> {
        let world = &self.host.world;
        let plan = if self.last { 0 } else { world.dice().below(4) };
        match plan {
            0 | 1 => {
                for task in tasks {
                    task.await.unwrap_or(Ok(()))?;
                }
                if self.last {
                    self.look_around(engine).await?;
                }
            }
            2 => {
                let span = Weather::span(&mut world.dice(), Duration::from_secs(20));
                world.pause(span).await;
            }
            _ => {
                while !self.host.over.load(Ordering::Relaxed) {
                    world.pause(Duration::from_secs(20)).await;
                }
            }
        }
        Ok(())
    }

    async fn leave(&self, engine: Engine) -> Result<()> {
        let (world, process) = (&self.host.world, self.process);
        if !self.last && world.dice().one_in(4) {
            world.tell(|| format!("{process:?} drops its engine"));
            drop(engine);
            return Ok(());
        }
        world.tell(|| format!("{process:?} shuts down"));
        engine.shutdown().await?;
        let left = world.executor().engine_tasks(process);
        world.tell(|| format!("{process:?} has shut down"));
        // What was slow may have had no time left.
        if self.patient && !world.is_late() && world.weather().slow == 0 {
            world.note(world.truth().gave_is_recorded(process));
        }
        let none = hold(left == 0 || world.is_late(), Invariant::NothingIsLeft, || format!("{left} tasks are left"));
        world.note(none);
        Ok(())
    }

    /// Starts a run, and does something with it.
    async fn order(&self, engine: &Engine, definition: &Definition, order: u64) -> Result<()> {
        let world = &self.host.world;
        let span = Weather::span(&mut world.dice(), Duration::from_secs(2));
        world.pause(span).await;
        let odd = !self.last && world.dice().one_in(12);
        // The same key with another input, now and then.
        let number = if odd { order + 1_000 } else { order };
        let key = RunKey { tenant: TenantId::default(), run: RunId::named(&format!("order {order}")) };
        let started = (self.host.start)(engine, definition, number, &format!("order {order}")).await;
        world.tell(|| format!("{:?} started order {number}: {:?}", self.process, started.as_ref().map(RunHandle::id)));
        let recorded = world.truth().runs.get(&key).map(|run| run.input.clone());
        let same = recorded.is_some() && recorded == (self.host.input)(number);
        let run = match started {
            Ok(run) => {
                let (kept, what) = (Invariant::AcknowledgedIsRecorded, format!("run {}", run.id()));
                world.note(hold(recorded.is_some(), kept, || format!("{what} is not there")));
                world.note(hold(same, Invariant::KeysAreOfOneInput, || format!("{what} was given {recorded:?}")));
                run
            }
            // Whoever was first has the key.
            Err(error) if error.kind() == ErrorKind::Conflict => {
                world.note(hold(!same, Invariant::KeysAreOfOneInput, || error.chain().join(": ")));
                engine.runs().handle(&key.tenant, key.run)
            }
            Err(error) => return Err(error),
        };
        let plan = if self.last { 0 } else { world.dice().below(8) };
        match plan {
            1 => return Ok(()),
            2 => drop(run.status().await?),
            3 | 4 => {
                let span = Weather::span(&mut world.dice(), Duration::from_secs(10));
                world.pause(span).await;
                self.cancel(&run, &key).await?;
            }
            5 => {
                let mut events = run.events();
                while events.next().await.is_some() {}
            }
            6 => {
                drop(run);
                let span = Weather::span(&mut world.dice(), Duration::from_secs(10));
                world.pause(span).await;
                let run = engine.runs().handle::<()>(&key.tenant, key.run);
                return self.end_of(engine, &run, &key).await;
            }
            _ => {}
        }
        self.end_of(engine, &run, &key).await
    }

    async fn cancel(&self, run: &RunHandle<()>, key: &RunKey) -> Result<()> {
        let world = &self.host.world;
        world.tell(|| format!("{:?} cancels {}", self.process, key.run));
        let found = run.cancel("the host has changed its mind").await;
        world.tell(|| format!("{:?} has cancelled {}: {found:?}", self.process, key.run));
        let found = found?;
        let recorded = world.truth().runs.get(key).is_some_and(|run| {
            run.records.iter().any(|record| matches!(record.event, fastn_core::Event::CancelRequested { .. }))
        });
        // Where another engine has it, a message is on its way.
        let sent = world.truth().mail.has_any(key);
        world.note(hold(!found || recorded || sent, Invariant::AcknowledgedIsRecorded, || {
            format!("run {} was cancelled, and that is neither recorded nor sent", key.run)
        }));
        Ok(())
    }

    /// Tells a run what it may wait for, again and again.
    async fn tell(&self, engine: &Engine, key: &RunKey) -> Result<Infallible> {
        let world = &self.host.world;
        let plan = world.truth().runs.get(key).map(|run| run.plan.clone());
        let known = |telling: &&Telling| plan.as_ref().is_some_and(|plan| plan.signals().contains_key(&*telling.0));
        let tells: Vec<&Telling> = self.host.tells.iter().filter(known).collect();
        loop {
            let pause = Weather::span(&mut world.dice(), Duration::from_secs(if self.last { 5 } else { 30 }));
            world.pause(pause).await;
            let place = usize::try_from(world.dice().below(tells.len() as u64)).unwrap_or(0);
            let Some((signal, value)) = tells.get(place) else { return std::future::pending().await };
            // Some are told again, by whomever.
            let number = if world.dice().one_in(2) { world.dice().below(4) } else { world.dice().next() >> 16 };
            let Some(value) = value(number) else { continue };
            let name = format!("{signal} {number}");
            let id = *RunId::named(&format!("signal\0{signal}\0{name}")).as_bytes();
            if let Some(run) = world.truth().runs.get_mut(key) {
                run.sent.insert(id, (signal.clone(), value.clone()));
            }
            let send = engine.runs().signal_named(&key.tenant, key.run, signal.clone(), Ok(value)).id(&name);
            let told = send.await;
            world.tell(|| format!("{:?} told {} {name}: {told:?}", self.process, key.run));
            let told = told?;
            let truth = world.truth();
            let run = truth.runs.get(key);
            let ending = run.is_some_and(RunTruth::is_ending);
            let posted = told != Delivery::Ended && truth.mail.accepted.contains(&(key.clone(), id));
            let heard = run.is_some_and(|run| run.has_use_of(&id) == Some(false));
            let kept = ending || posted || (heard && told != Delivery::Ended);
            drop(truth);
            world.note(hold(kept, Invariant::AcknowledgedIsRecorded, || {
                format!("run {} was told {name}, {told:?}, and that is neither recorded nor sent", key.run)
            }));
        }
    }

    /// Waits for the end.
    async fn end_of(&self, engine: &Engine, run: &RunHandle<()>, key: &RunKey) -> Result<()> {
        let world = &self.host.world;
        let told = tokio::select! {
            biased;
            told = run.outcome() => told,
            failed = self.tell(engine, key) => match failed? {},
        };
        world.tell(|| format!("{:?} is told the end of {}: {told:?}", self.process, key.run));
        let told = told?;
        let recorded = world.truth().runs.get(key).and_then(|run| run.facts.over.clone());
        let same = recorded.as_ref() == Some(&told);
        world.note(hold(same, Invariant::ToldAsRecorded, || format!("{told}, and {recorded:?} is recorded")));
        Ok(())
    }

    /// Every run is listed, as it ended.
    async fn look_around(&self, engine: &Engine) -> Result<()> {
        let (world, mut query) = (&self.host.world, RunQuery { limit: 3, ..RunQuery::default() });
        let (mut found, known) = (0, world.truth().runs.len());
        loop {
            let page = engine.runs().list(query.clone()).await?;
            found += page.runs.len();
            let open = page.runs.iter().find(|run| !run.status.is_final());
            world.note(open.map_or(Ok(()), |run| {
                Err(Breach { invariant: Invariant::EveryRunEnds, what: format!("{} is {}", run.key.run, run.status) })
            }));
            query.before = page.next;
            // More than there are is enough to know.
            if page.next.is_none() || found > known {
                break;
            }
        }
        world
            .note(hold(found == known, Invariant::StoreKeepsItsWord, || format!("{found} of {known} runs are listed")));
        Ok(())
    }
}
