#[path = "../cast/mod.rs"]
mod cast;
use cast::*;

fn main() {
    let _ = workflow("outer").define(|outer, id| {
        let order = outer.step("fetch", fetch, id);
        let _ = workflow("inner").define(|inner, _: Out<'_, u32>| inner.step("price", price, order));
        outer.step("price", price, order)
    });
}
