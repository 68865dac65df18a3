//! The shop that the compile-fail cases play in.
#![allow(dead_code, unused_imports)]

pub use fastn_core::{Failure, Op, PlanFaults, StepCx, Workflow};
pub use fastn_workflow::{Flow, Out, Work, call, secs, step, workflow};
use serde::{Deserialize, Serialize};

pub type Shop = std::io::Error;

macro_rules! things {
    ($($Thing:ident)*) => {
        $(#[derive(Clone, Debug, Serialize, Deserialize)] pub struct $Thing;)*
    };
}

things!(OrderId Order Line Label Quote Hold Receipt Message Posted);

pub const POST: Op<Message, Posted> = Op::new("slack", "post");

pub async fn fetch(_: OrderId) -> Result<Order, Shop> {
    Ok(Order)
}
pub async fn lines(_: Order) -> Result<Vec<Line>, Shop> {
    Ok(vec![])
}
pub async fn label(_: Line) -> Result<Label, Shop> {
    Ok(Label)
}
pub async fn price(_: Order) -> Result<Quote, Shop> {
    Ok(Quote)
}
pub async fn reserve(_: Order) -> Result<Hold, Shop> {
    Ok(Hold)
}
pub async fn release(_: Hold) -> Result<(), Shop> {
    Ok(())
}
pub async fn charge(_: Quote, _: Hold) -> Result<Receipt, Shop> {
    Ok(Receipt)
}
pub async fn fee(_: Quote) -> Result<u32, Shop> {
    Ok(1)
}
