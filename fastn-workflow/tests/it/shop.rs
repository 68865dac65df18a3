//! A shop: the steps that the tests wire.

use fastn_core::{Failure, Op, StepCx, StepError};
use serde::{Deserialize, Serialize};

pub(crate) type Shop = std::io::Error;

macro_rules! things {
    ($($Thing:ident($Of:ty))*) => {
        $(
            #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
            pub(crate) struct $Thing(pub(crate) $Of);
        )*
    };
}

things! { OrderId(u64) Order(Vec<Line>) Line(String) Label(String) Quote(u64) Hold(u64) Receipt(String) Message(String) Posted(u64) }

pub(crate) mod slack {
    use super::{Message, Op, Posted};

    pub(crate) const POST: Op<Message, Posted> = Op::new("slack", "post");
}

pub(crate) async fn fetch(id: OrderId) -> Result<Order, Shop> {
    Ok(Order((0..id.0).map(|n| Line(format!("line {n}"))).collect()))
}

pub(crate) async fn lines(order: Order) -> Result<Vec<Line>, Shop> {
    Ok(order.0)
}

pub(crate) async fn label(line: Line) -> Result<Label, StepError> {
    Ok(Label(line.0.to_uppercase()))
}

pub(crate) async fn price(order: Order) -> Result<Quote, Shop> {
    Ok(Quote(10 * order.0.len() as u64))
}

pub(crate) async fn reserve(_: Order) -> Result<Hold, Shop> {
    Ok(Hold(7))
}

pub(crate) async fn release(hold: Hold) -> Result<(), Shop> {
    if hold.0 == 7 { Ok(()) } else { Err(Shop::other("no such hold")) }
}

pub(crate) async fn charge(quote: Quote, hold: Hold) -> Result<Receipt, Shop> {
    Ok(Receipt(format!("{} for hold {}", quote.0, hold.0)))
}

pub(crate) async fn charge_later(cx: StepCx, failure: Failure, quote: Quote, _: Hold) -> Result<Receipt, Shop> {
    Ok(Receipt(format!("{}: {failure}, owes {}", cx.info().idempotency_key(), quote.0)))
}

pub(crate) async fn tell(receipt: Receipt) -> Result<Message, Shop> {
    Ok(Message(receipt.0))
}
