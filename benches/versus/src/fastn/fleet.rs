//! `pinned`, `fleet` and `idle`: what matters where many executors share a database for long.

use std::sync::Arc;
use std::time::{Duration, Instant};

use fastn::prelude::*;
use tokio::task::JoinSet;
use tokio_postgres::{Client, NoTls};
use versus_measure::{Ask, Fallible, Figure, VALUE, rate};

use super::{chain, engine};

/// How many runs are under way at a time.
const AT_ONCE: usize = 1_000;

/// Steps a second while somebody else's transaction keeps the server from cleaning up, as a part of those without it: over the
/// last half of the time, when most is left lying about. Both begin with empty tables and an empty write-ahead log, which the
/// server clears now and then: what that costs hits both alike.
pub async fn pinned(ask: &Ask) -> Fallible<Vec<Figure>> {
    let span = Duration::from_secs(match ask.number() {
        Ok(seconds) => u64::try_from(seconds)?,
        Err(_) => u64::try_from(ask.pick(30, 4))?,
    });
    let chain = Arc::new(chain(10)?);
    let other = connect(ask).await?;
    let mut rates = Vec::new();
    for (schema, begin) in
        [("free", ""), ("pinned", "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM pg_class")]
    {
        other.batch_execute("CHECKPOINT").await?;
        other.batch_execute(begin).await?;
        let url = format!("{}?schema={schema}", ask.url()?);
        let engine = Engine::builder().store(url).serve(&chain).open().await?;
        let quarters = quarters(&engine, &chain, span).await?;
        engine.shutdown().await?;
        other.batch_execute("ROLLBACK").await?;
        other.batch_execute(&format!("DROP SCHEMA {schema} CASCADE")).await?;
        eprintln!("{schema}: {quarters:.0?}");
        rates.push((quarters[2] + quarters[3]) / 2.0);
    }
    let [free, pinned] = rates[..] else { return Err("two rates".into()) };
    Ok(vec![
        Figure::new(format!("{}-free", ask.case), free, "steps/s"),
        Figure::new(ask.case.clone(), pinned, "steps/s"),
        Figure::new(format!("{}-cost", ask.case), free / pinned, "×"),
    ])
}

/// Steps a second of four executors together, as a part of those of one.
pub async fn fleet(ask: &Ask) -> Fallible<Vec<Figure>> {
    let runs = ask.pick(20_000, 2_000);
    let chain = Arc::new(chain(10)?);
    let mut rates = Vec::new();
    for executors in [1, 4] {
        let mut engines = Vec::new();
        for _ in 0..executors {
            let engine = engine(ask)?.serve(&chain).open().await?;
            one(&engine, &chain).await?;
            engines.push(engine);
        }
        let began = Instant::now();
        let mut tasks = JoinSet::new();
        for number in 0..runs {
            let (engine, chain) = (engines[number % executors].clone(), chain.clone());
            tasks.spawn(async move { one(&engine, &chain).await });
        }
        while let Some(ended) = tasks.join_next().await {
            ended??;
        }
        rates.push(rate(runs * 10, began.elapsed()));
        for engine in engines {
            engine.shutdown().await?;
        }
    }
    let [one, four] = rates[..] else { return Err("two rates".into()) };
    Ok(vec![
        Figure::new("fleet-1", one, "steps/s"),
        Figure::new("fleet-4", four, "steps/s"),
        Figure::new("fleet", one / four, "×"),
    ])
}

/// What an executor costs that has nothing to do.
pub async fn idle(ask: &Ask) -> Fallible<Vec<Figure>> {
    let span = Duration::from_secs(u64::try_from(ask.pick(20, 5))?);
    let chain = Arc::new(chain(10)?);
    let engine = engine(ask)?.serve(&chain).open().await?;
    one(&engine, &chain).await?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let other = connect(ask).await?;
    let (queries, processor) = (transactions(&other).await?, processor()?);
    tokio::time::sleep(span).await;
    // The question itself is one.
    let queries = transactions(&other).await? - queries - 1.0;
    let processor = self::processor()? - processor;
    engine.shutdown().await?;
    Ok(vec![
        Figure::new("idle-queries", queries / span.as_secs_f64(), "queries/s"),
        Figure::new("idle-processor", 100.0 * processor / span.as_secs_f64(), "%"),
    ])
}

/// Steps a second in each quarter of a time under full load.
async fn quarters(engine: &Engine, chain: &Arc<Workflow<String, String>>, span: Duration) -> Fallible<[f64; 4]> {
    let mut rates = [0.0; 4];
    for rate_of in &mut rates {
        let (began, mut done) = (Instant::now(), 0);
        let mut tasks = JoinSet::new();
        while began.elapsed() < span / 4 {
            while tasks.len() < AT_ONCE {
                let (engine, chain) = (engine.clone(), chain.clone());
                tasks.spawn(async move { one(&engine, &chain).await });
            }
            if let Some(ended) = tasks.join_next().await {
                ended??;
                done += 1;
            }
        }
        while let Some(ended) = tasks.join_next().await {
            ended??;
            done += 1;
        }
        *rate_of = rate(done * 10, began.elapsed());
    }
    Ok(rates)
}

async fn one(engine: &Engine, chain: &Workflow<String, String>) -> Fallible<()> {
    let output = engine.start(chain, VALUE.to_owned()).await?.output().await?;
    if output == VALUE { Ok(()) } else { Err("a value was lost on its way".into()) }
}

async fn connect(ask: &Ask) -> Fallible<Client> {
    let (client, connection) = tokio_postgres::connect(ask.url()?, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

/// How many transactions the server has ended in this database.
async fn transactions(client: &Client) -> Fallible<f64> {
    // What a session has done is told after a second at the latest.
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let row = client
        .query_one(
            "SELECT (xact_commit + xact_rollback)::float8 FROM pg_stat_database WHERE datname = current_database()",
            &[],
        )
        .await?;
    Ok(row.try_get(0)?)
}

/// The processor time of this process, in seconds (proc(5), /proc/self/stat, fields 14 and 15).
fn processor() -> Fallible<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let (_, fields) = stat.rsplit_once(')').ok_or("stat has a name")?;
    let ticks = fields.split_whitespace().skip(11).take(2).map(str::parse::<f64>).sum::<Result<f64, _>>()?;
    Ok(ticks / 100.0)
}
