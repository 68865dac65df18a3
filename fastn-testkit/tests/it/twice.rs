//! Every step executed twice shows which of them add up.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use fastn_connectors::{Registry, typed};
use fastn_core::{Durability, Failure, Op, StepCx, StepError, Workflow};
use fastn_runtime::Engine;
use fastn_testkit::{every_call_twice, every_step_twice, one_call_twice, one_step_twice};
use fastn_workflow::{Work as _, workflow};

/// A bank that knows keys, and one that does not.
#[derive(Clone, Default)]
struct World {
    careful: Arc<Mutex<BTreeMap<String, u64>>>,
    careless: Arc<Mutex<u64>>,
    once: Arc<Mutex<u64>>,
}

fn shop(world: &World) -> Workflow<u64, u64> {
    let (careful, careless, once) = (world.careful.clone(), world.careless.clone(), world.once.clone());
    let book = move |cx: StepCx, n: u64| {
        careful.lock().unwrap().insert(cx.info().idempotency_key(), n);
        async move { Ok::<_, StepError>(n) }
    };
    let pay = move |n: u64| {
        *careless.lock().unwrap() += n;
        async move { Ok::<_, StepError>(n) }
    };
    let send = move |n: u64| {
        *once.lock().unwrap() += n;
        async move { Ok::<_, StepError>(n) }
    };
    async fn fails(_: u64) -> Result<u64, StepError> {
        Err(StepError::permanent("no"))
    }
    async fn instead(_: Failure, n: u64) -> Result<u64, StepError> {
        Ok(n)
    }
    workflow("shop")
        .define(|flow, n| {
            let booked = flow.step("book", book, n);
            let paid = flow.step("pay", pay, booked);
            let sent = flow.step("send", send.durability(Durability::AtMostOnce), paid);
            flow.step("thank", fails.on_error(instead), sent)
        })
        .unwrap()
}

/// What the world looks like after a run: booked, paid, sent.
async fn after(change: impl FnOnce(&Workflow<u64, u64>) -> Workflow<u64, u64>) -> (u64, u64, u64) {
    let world = World::default();
    let flow = shop(&world);
    let changed = change(&flow);
    assert_eq!(changed.plan().hash(), flow.plan().hash(), "it is the same workflow");
    let engine = Engine::builder().serve(&changed).open().await.unwrap();
    assert_eq!(engine.start(&changed, 7).await.unwrap().output().await.unwrap(), 7);
    engine.shutdown().await.unwrap();
    let booked = world.careful.lock().unwrap().values().sum();
    let (paid, sent) = (*world.careless.lock().unwrap(), *world.once.lock().unwrap());
    (booked, paid, sent)
}

#[tokio::test]
async fn only_what_adds_up_shows() {
    assert_eq!(after(Workflow::clone).await, (7, 7, 7));
    assert_eq!(after(every_step_twice).await, (7, 14, 7));
    assert_eq!(after(|flow| one_step_twice(flow, "book")).await, (7, 7, 7));
    assert_eq!(after(|flow| one_step_twice(flow, "pay")).await, (7, 14, 7));
}

const BOOK: Op<u64, u64> = Op::new("bank", "book");
const PAY: Op<u64, u64> = Op::new("bank", "pay");
const SEND: Op<u64, u64> = Op::new("bank", "send");

/// A bank as a connector, with an action that knows keys and two that do not.
fn bank(world: &World) -> Registry {
    let (careful, careless, once) = (world.careful.clone(), world.careless.clone(), world.once.clone());
    let book = move |cx: StepCx, n: u64| {
        careful.lock().unwrap().insert(cx.info().idempotency_key(), n);
        async move { Ok::<_, StepError>(n) }
    };
    let pay = move |_: StepCx, n: u64| {
        *careless.lock().unwrap() += n;
        async move { Ok::<_, StepError>(n) }
    };
    let send = move |_: StepCx, n: u64| {
        *once.lock().unwrap() += n;
        async move { Ok::<_, StepError>(n) }
    };
    let bank = typed("bank").op(BOOK, book).op(PAY, pay).op(SEND, send).build().unwrap();
    Registry::new().with(bank).unwrap()
}

/// The same as [`shop`], by calls; it pays in two steps, of which one is an item's.
fn calling_shop(name: &str) -> Workflow<u64, u64> {
    let list = |n: u64| async move { Ok::<_, StepError>(vec![n]) };
    workflow(name)
        .define(|flow, n| {
            let booked = flow.call("book", BOOK, n);
            let paid = flow.call("pay", PAY, booked);
            let sent = flow.call("send", SEND.durability(Durability::AtMostOnce), paid);
            let items = flow.step("list", list, sent);
            let each = flow.each("each", items.at_most(1), |flow, item| flow.call("pay", PAY, item));
            flow.step("thank", |n: u64, _: Vec<u64>| async move { Ok::<_, StepError>(n) }, (sent, each))
        })
        .unwrap()
}

/// What the world looks like after a run of the shop with changed connectors: booked, paid, sent.
async fn after_calls(change: impl FnOnce(&Registry) -> Registry) -> (u64, u64, u64) {
    let (world, flow) = (World::default(), calling_shop("shop"));
    let engine = Engine::builder().connectors(change(&bank(&world))).serve(&flow).open().await.unwrap();
    assert_eq!(engine.start(&flow, 7).await.unwrap().output().await.unwrap(), 7);
    engine.shutdown().await.unwrap();
    let booked = world.careful.lock().unwrap().values().sum();
    let (paid, sent) = (*world.careless.lock().unwrap(), *world.once.lock().unwrap());
    (booked, paid, sent)
}

#[tokio::test]
async fn only_what_adds_up_shows_in_what_connectors_do() {
    let (shop, other) = (calling_shop("shop"), calling_shop("other"));
    assert_eq!(after_calls(Registry::clone).await, (7, 14, 7));
    assert_eq!(after_calls(|bank| every_call_twice(bank, &shop).unwrap()).await, (7, 28, 7));
    assert_eq!(after_calls(|bank| one_call_twice(bank, &shop, "book").unwrap()).await, (7, 14, 7));
    assert_eq!(after_calls(|bank| one_call_twice(bank, &shop, "pay").unwrap()).await, (7, 21, 7));
    assert_eq!(after_calls(|bank| one_call_twice(bank, &shop, "each/pay").unwrap()).await, (7, 21, 7));
    assert_eq!(after_calls(|bank| every_call_twice(bank, &other).unwrap()).await, (7, 14, 7), "another workflow");
}

#[tokio::test]
async fn what_undoes_or_takes_over_from_a_step_is_called_twice_however_often_the_step_may_be() {
    let calls = Arc::new(Mutex::new(BTreeMap::<&str, u32>::new()));
    let counts = |name: &'static str, fails: bool| {
        let calls = calls.clone();
        move |n: u64| {
            *calls.lock().unwrap().entry(name).or_default() += 1;
            std::future::ready(if fails { Err(StepError::permanent("no")) } else { Ok(n) })
        }
    };
    let (undo, instead) = (counts("undo", false), counts("instead", false));
    let undo = move |n: u64| {
        let undone = undo(n);
        async move { undone.await.map(drop) }
    };
    let once = Durability::AtMostOnce;
    let flow = workflow("trip")
        .define(|flow, n| {
            let booked = flow.step("book", counts("book", false).durability(once).undo(undo), n);
            let instead = move |_: Failure, n: u64| instead(n);
            let rented = flow.step("rent", counts("rent", true).durability(once).on_error(instead), booked);
            flow.step("fly", counts("fly", true), rented)
        })
        .unwrap();
    let twice = every_step_twice(&flow);
    let engine = Engine::builder().serve(&twice).open().await.unwrap();
    engine.start(&twice, 7).await.unwrap().output().await.unwrap_err();
    engine.shutdown().await.unwrap();
    let expected = [("book", 1), ("fly", 1), ("instead", 2), ("rent", 1), ("undo", 2)];
    assert_eq!(*calls.lock().unwrap(), BTreeMap::from(expected), "what fails the first time is not called again");
}
