//! `start`: open a file, commit twice, close it.

use std::time::Instant;

use versus_measure::{Ask, Fallible, Figure, VALUE, median};

use super::sqlite;

pub fn measure(ask: &Ask) -> Fallible<Vec<Figure>> {
    let (mut new, mut again) = (Vec::new(), Vec::new());
    for time in 0..ask.pick(40, 10) {
        let ask = Ask { folder: ask.folder.join(time.to_string()), ..ask.clone() };
        std::fs::create_dir(&ask.folder)?;
        new.push(once(&ask)?);
        again.push(once(&ask)?);
    }
    Ok(vec![Figure::new("start-new", median(new), "ms"), Figure::new("start-again", median(again), "ms")])
}

/// The whole of it, in milliseconds.
fn once(ask: &Ask) -> Fallible<f64> {
    let began = Instant::now();
    let conn = sqlite::open(ask)?;
    conn.execute(sqlite::INSERT, (1, 0, VALUE.as_bytes()))?;
    conn.execute(sqlite::INSERT, (1, 1, VALUE.as_bytes()))?;
    conn.close().map_err(|(_, error)| error)?;
    Ok(began.elapsed().as_secs_f64() * 1e3)
}
