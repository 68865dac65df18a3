//! `seq` and `slope`: a commit for each step, one after the other.

use versus_measure::{Ask, Fallible, Marks, VALUE};

use super::sqlite;

/// When each of so many steps began. Without threads and tasks: there is nothing to wait for but the disk.
pub fn marks(ask: &Ask, steps: usize) -> Fallible<Marks> {
    let conn = sqlite::open(ask)?;
    let mut insert = conn.prepare(sqlite::INSERT)?;
    let marks = Marks::new(steps);
    for step in 0..steps {
        marks.note();
        // Outside a transaction a statement is one.
        insert.execute((1, step as i64, VALUE.as_bytes()))?;
    }
    Ok(marks)
}
