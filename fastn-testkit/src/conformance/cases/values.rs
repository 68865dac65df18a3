//! Values that break what is not careful: they come back as they were, or as one record less than the store could hold.

use fastn_core::{ContentType, Event, Outcome, Payload, Record, Timestamp};
use fastn_store::{NewRun, RunQuery, RunStatus, Then};

use crate::conformance::case::{Case, Found, case, ensure, same};
use crate::conformance::trial::Trial;
use crate::sample::{at, definition, key, new_run, record, turn_of};

pub(in crate::conformance) const CASES: &[Case] = &[
    case!(empty_values_come_back_unchanged),
    case!(values_with_nul_come_back_unchanged),
    case!(every_byte_comes_back_unchanged),
    case!(every_plane_of_unicode_comes_back_unchanged),
    case!(numbers_beyond_doubles_come_back_unchanged),
    case!(huge_values_come_back_unchanged),
    case!(text_that_looks_like_sql_is_only_text),
    case!(the_ends_of_time_come_back_unchanged),
    case!(a_turn_of_many_records_comes_back_whole),
];

/// Two characters of every plane.
fn planes() -> String {
    (0..=16_u32).flat_map(|plane| [plane << 16 | 0x41, plane << 16 | 0xFFFD]).filter_map(char::from_u32).collect()
}

/// Gives a value to runs as their input and as their output, and looks at both, before and after their end.
async fn check(t: &Trial, values: Vec<Payload>) -> Found {
    let lease = t.acquire("a", 0).await?;
    for (n, value) in values.into_iter().enumerate() {
        let name = n.to_string();
        let no = t.create(Some(&lease), NewRun { input: value.clone(), ..new_run("t", &name, "w")? }).await?;
        ensure(t.history("t", &name).await?.input == value, format_args!("input {n} is not what it was"))?;
        let outcome = Outcome::Succeeded(value.clone());
        let records = [record(0), Record { time: at(2), event: Event::Finished { outcome } }];
        t.commit(&lease, vec![turn_of(no, 0, &records, Then::End(RunStatus::Succeeded))?]).await?;
        let history = t.history("t", &name).await?;
        ensure(history.input == value, format_args!("input {n} is not what it was after the run's end"))?;
        ensure(history.records == records, format_args!("output {n} is not what it was"))?;
    }
    Ok(())
}

async fn empty_values_come_back_unchanged(t: Trial) -> Found {
    let empty = [Payload::json(""), Payload::json("\"\""), Payload::null()];
    let odd = [Payload::new(ContentType::Bytes, ""), Payload::new(ContentType::from(""), "")];
    check(&t, empty.into_iter().chain(odd).collect()).await
}

async fn values_with_nul_come_back_unchanged(t: Trial) -> Found {
    let values = ["\"\\u0000\"", "\0", "before\0after", "\0\0\0"].map(Payload::json);
    check(&t, values.into_iter().chain([Payload::new(ContentType::from("x/\u{0}y"), "z\0")]).collect()).await
}

async fn every_byte_comes_back_unchanged(t: Trial) -> Found {
    let bytes: Vec<u8> = (0..=255).collect();
    check(&t, vec![Payload::new(ContentType::Bytes, bytes.clone()), Payload::json(bytes)]).await
}

async fn every_plane_of_unicode_comes_back_unchanged(t: Trial) -> Found {
    let planes = planes();
    let name = format!("Prüfung {planes}");
    check(&t, vec![Payload::json(format!("\"{planes}\"")), Payload::new(ContentType::from(name.as_str()), "z")])
        .await?;
    t.free(&planes, &name, &name).await?;
    let history = t.history(&planes, &name).await?;
    same((&history.run.key, &history.run.definition), (&key(&planes, &name)?, &definition(&name)?))?;
    let query = RunQuery { tenant: Some(history.run.key.tenant.clone()), ..RunQuery::default() };
    same(t.list(query).await?, vec![history.run.no])?;
    let query = RunQuery { workflow: Some(history.run.definition.workflow), ..RunQuery::default() };
    same(t.list(query).await?, vec![history.run.no])
}

async fn numbers_beyond_doubles_come_back_unchanged(t: Trial) -> Found {
    // 2^53 + 1 is the first integer that a double cannot hold.
    let numbers =
        ["9007199254740993", "-9007199254740993", "18446744073709551615", "0.1000000000000000055511151231", "1e400"];
    check(&t, numbers.map(Payload::json).into()).await?;
    let odd = Timestamp::from_micros((1 << 53) + 1);
    t.create(None, NewRun { created_at: odd, ..new_run("t", "odd", "w")? }).await?;
    same(t.history("t", "odd").await?.run.created_at, odd)
}

async fn huge_values_come_back_unchanged(t: Trial) -> Found {
    check(&t, vec![Payload::json(vec![b'7'; 8 << 20]), Payload::new(ContentType::Bytes, vec![0; 1 << 20])]).await
}

async fn text_that_looks_like_sql_is_only_text(t: Trial) -> Found {
    let texts = ["'; DROP TABLE journal; --", "\"; DELETE FROM flow_executions; --", "%_\\'\"`[]{}$1 ?1 :a @b", "NULL"];
    check(&t, texts.map(Payload::json).into()).await?;
    for text in texts {
        t.free(text, text, text).await?;
        let history = t.history(text, text).await?;
        same((&history.run.key, &history.run.definition), (&key(text, text)?, &definition(text)?))?;
        let query = RunQuery { tenant: Some(history.run.key.tenant), ..RunQuery::default() };
        same(t.list(query).await?, vec![history.run.no])?;
    }
    let executor = t.store.acquire(crate::sample::lease_ask("Jürgen's \"executor\" \u{1F600}", 60)?).await?;
    same(executor.executor.as_str(), "Jürgen's \"executor\" \u{1F600}")
}

async fn the_ends_of_time_come_back_unchanged(t: Trial) -> Found {
    let lease = t.acquire("a", 0).await?;
    for (name, time) in [("first", Timestamp::from_micros(i64::MIN)), ("last", Timestamp::MAX)] {
        let no = t.create(Some(&lease), NewRun { created_at: time, ..new_run("t", name, "w")? }).await?;
        let records = [Record { time, ..record(0) }];
        t.commit(&lease, vec![turn_of(no, 0, &records, Then::Wait(time))?]).await?;
        let history = t.history("t", name).await?;
        same((history.run.created_at, history.run.wake_at), (time, Some(time)))?;
        same(history.records, records.to_vec())?;
    }
    Ok(())
}

async fn a_turn_of_many_records_comes_back_whole(t: Trial) -> Found {
    let lease = t.acquire("a", 0).await?;
    let no = t.held(&lease, "1").await?;
    t.turn(&lease, no, 0, 20_000, Then::Run).await?;
    t.turn(&lease, no, 20_000, 1, Then::Run).await?;
    let records = t.history("t", "1").await?.records;
    ensure(records == (0..=20_000).map(record).collect::<Vec<_>>(), "some records are missing or out of order")
}
