//! A table of next due times.

use fastn_schedule::Calendar;

use crate::support::{at, due, zone};

#[test]
fn due_times_are_those_that_others_find() {
    let table = include_str!("next.tsv");
    let mut rows = 0;
    for row in table.lines().filter(|line| !line.starts_with('#')) {
        let [expression, name, after, expected] = row.split('\t').collect::<Vec<_>>().try_into().expect(row);
        let calendar = Calendar::cron(expression).expect(row);
        assert_eq!(
            due(&calendar, &zone(name), at(after), 4).join(" "),
            expected,
            "{expression} in {name} after {after}"
        );
        rows += 1;
    }
    assert!(rows > 400, "{rows} rows are not all of them");
}
