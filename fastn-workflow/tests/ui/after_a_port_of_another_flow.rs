#[path = "../cast/mod.rs"]
mod cast;
use cast::*;

fn main() {
    let _ = workflow("outer").define(|outer, id| {
        let order = outer.step("fetch", fetch, id);
        let _ = workflow("inner").define(|inner, id| inner.step("fetch", fetch.after(order), id));
        order
    });
}
