//! An order is checked, reserved and priced side by side, charged over HTTP and shipped; then the same again with a
//! crash in the middle, after which the order is finished without a second charge.
#![allow(clippy::print_stdout, reason = "an example prints")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use fastn::connectors::http::{self, Http};
use fastn::prelude::*;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;

#[derive(Clone, Serialize, Deserialize)]
struct Order {
    id: String,
    pencils: u32,
    /// Where the bank is.
    bank: String,
}

async fn validate(order: Order) -> Result<Order, StepError> {
    if order.pencils == 0 { Err(StepError::permanent("an order of nothing")) } else { Ok(order) }
}

async fn reserve(order: Order) -> Result<u32, StepError> {
    println!("  reserved {} pencils", order.pencils);
    Ok(order.pencils)
}

async fn release(pencils: u32) -> Result<(), StepError> {
    println!("  released {pencils} pencils");
    Ok(())
}

async fn price(order: Order) -> Result<http::Request, StepError> {
    Ok(http::Request::post(order.bank).json(serde_json::json!({ "cents": order.pencils * 150 })))
}

async fn ship(order: Order, charged: http::Response) -> Result<String, StepError> {
    if std::env::var_os("POWER_CUT").is_some() {
        println!("  shipping ... and the power goes out");
        std::process::abort();
    }
    Ok(format!("{} is shipped, the bank said {}", order.id, charged.status))
}

/// Takes an order to its end, with its runs kept in the file that `store` names.
async fn place(store: &str, order: Order) -> Result<(), Error> {
    let checkout = workflow("checkout").define(|flow, order| {
        let order = flow.step("validate", validate, order);
        let hold = flow.step("reserve", reserve.undo(release), order);
        let bill = flow.step("price", price, order);
        let charged = flow.call("charge", http::REQUEST.retry(5).within(secs(10)).after(hold), bill);
        flow.step("ship", ship, (order, charged))
    })?;
    // Targets that are not on the public internet must be allowed by name.
    let registry = Registry::new().with(Http::builder().allow("127.0.0.1").build()?)?;
    let engine = Engine::builder().store(store).connectors(registry).serve(&checkout).open().await?;
    let key = order.id.clone();
    // Starting a run again under its key attaches to it, so this can be called until it succeeds.
    let run = engine.start(&checkout, order).key(&key).await?;
    println!("  {}", run.output().await?);
    engine.shutdown().await
}

/// A bank that counts the charges by idempotency key, which the HTTP connector sends along by itself.
async fn bank(listener: TcpListener, charges: Arc<Mutex<BTreeMap<String, u32>>>) -> std::io::Result<()> {
    loop {
        let mut client = BufReader::new(listener.accept().await?.0);
        let (mut key, mut length, mut line) = (String::new(), 0, String::new());
        while client.read_line(&mut line).await? > 2 {
            match line.trim_end().split_once(": ") {
                Some(("idempotency-key", value)) => key = value.to_owned(),
                Some(("content-length", value)) => length = value.parse().unwrap_or(0),
                _ => {}
            }
            line.clear();
        }
        let mut body = vec![0; length];
        tokio::io::AsyncReadExt::read_exact(&mut client, &mut body).await?;
        println!("  the bank charges {}", String::from_utf8_lossy(&body));
        *charges.lock().unwrap_or_else(PoisonError::into_inner).entry(key).or_default() += 1;
        client.write_all(b"HTTP/1.1 201 Created\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await?;
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let order = |id: &str, pencils, bank: &str| Order { id: id.to_owned(), pencils, bank: bank.to_owned() };
    // Started by itself, for the crash below.
    if let [_, store, bank] = &*std::env::args().collect::<Vec<_>>() {
        return Ok(place(store, order("order 2", 5, bank)).await?);
    }

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/charges", listener.local_addr()?);
    let charges = Arc::new(Mutex::new(BTreeMap::new()));
    let bank = tokio::spawn(bank(listener, charges.clone()));
    let folder = tempfile::tempdir()?;
    let store = format!("sqlite:{}", folder.path().join("shop.db").display());

    println!("the first order");
    place(&store, order("order 1", 3, &url)).await?;

    println!("the second order, in a process that dies");
    let mut doomed = tokio::process::Command::new(std::env::current_exe()?);
    let ended = doomed.args([&store, &url]).env("POWER_CUT", "1").status().await?;
    println!("the process has {}; another one opens the same file", if ended.success() { "ended" } else { "died" });
    place(&store, order("order 2", 5, &url)).await?;

    let charges: Vec<u32> = charges.lock().unwrap_or_else(PoisonError::into_inner).values().copied().collect();
    println!("charges by idempotency key: {charges:?}");
    bank.abort();
    Ok(())
}
