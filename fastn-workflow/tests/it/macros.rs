//! The macros are the verbs, written as calls.

use fastn_core::{Durability, Failure};
use fastn_workflow::{Work, call, hours, minutes, secs, step, workflow};

use crate::shop::{self, *};

#[test]
fn both_forms_of_the_checkout_give_the_same_plan() {
    let builder = workflow("checkout").version(3).define(|flow, id| {
        let order = flow.step("fetch", fetch, id);
        let quote = flow.step("price", price, order);
        let hold = flow.step("reserve", reserve.undo(release), order);
        flow.step("charge", charge.retry(5).within(secs(10)), (quote, hold))
    });
    let macros = workflow!("checkout", version = 3, |flow, id: OrderId| {
        let order = step!(flow, "fetch", fetch(id));
        let quote = step!(flow, "price", price(order));
        let hold = step!(flow, "reserve", reserve(order), undo = release);
        step!(flow, "charge", charge(quote, hold), retry = 5, within = secs(10))
    });
    let (builder, macros) = (builder.expect("a flow"), macros.expect("a flow"));
    assert_eq!(builder.plan().hash(), macros.plan().hash());
    assert_eq!(builder.plan().to_string(), macros.plan().to_string());
}

#[test]
fn every_adverb_and_setting_has_its_word() {
    let none = |_: Failure, _: Quote, _: Hold| async { Ok::<_, Shop>(Receipt("none".into())) };
    let start = || async { Ok::<_, Shop>(OrderId(1)) };
    let builder = workflow("all").version(2).deadline(hours(1)).define(|flow, _: fastn_workflow::Out<'_, ()>| {
        let id = flow.step("start", start, ());
        let order = flow.step("fetch", shop::fetch.durability(Durability::Relaxed), id);
        let hold = flow.step("reserve", reserve, order);
        let quote = flow.step("price", price.after(hold).deadline(minutes(3)), order);
        let receipt = flow.step("charge", charge.on_error(none), (quote, hold));
        let note = flow.step("word", tell, receipt);
        flow.call("tell", slack::POST.retry(3), note)
    });
    let macros = workflow!("all", version = 2, deadline = hours(1), |flow, _input: ()| {
        let id = step!(flow, "start", start());
        let order = step!(flow, "fetch", shop::fetch(id), durability = Durability::Relaxed);
        let hold = step!(flow, "reserve", crate::shop::reserve(order));
        let quote = step!(flow, "price", price(order), after = hold, deadline = minutes(3));
        let receipt = step!(flow, "charge", charge(quote, hold), on_error = none);
        let note = step!(flow, "word", tell(receipt,),);
        call!(flow, "tell", slack::POST(note), retry = 3,)
    });
    assert_eq!(builder.expect("a flow").plan().hash(), macros.expect("a flow").plan().hash());
}

#[test]
fn the_type_of_the_input_need_not_be_said() {
    let short = workflow!("short", |flow, id| step!(flow, "fetch", fetch(id)));
    assert_eq!(short.expect("a flow").plan().to_string(), "short v1\n└─ fetch(input)\n-> fetch");
}

/// A host that sees the macros through another crate, and imports no trait.
mod facade {
    mod fastn {
        pub(super) use fastn_workflow::{call, secs, step, workflow};
    }

    use crate::shop::{Message, OrderId, Shop, slack};

    async fn note(id: OrderId) -> Result<Message, Shop> {
        Ok(Message(id.0.to_string()))
    }

    #[test]
    fn macros_need_nothing_imported() {
        let tell = fastn::workflow!("tell", |flow, id: OrderId| {
            let note = fastn::step!(flow, "note", note(id), retry = 1, within = fastn::secs(1));
            fastn::call!(flow, "tell", slack::POST(note), retry = 3)
        });
        assert_eq!(tell.expect("a flow").plan().nodes().len(), 2);
    }
}
