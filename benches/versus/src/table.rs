//! Figures side by side.

use std::fmt::Write as _;

use versus_measure::{Durability, Figure, Store, median};

use crate::cases::Case;

/// The figures of all rounds, in the order in which they were first met.
#[derive(Debug, Default)]
pub struct Table(Vec<Entry>);

#[derive(Debug)]
struct Entry {
    case: String,
    system: &'static str,
    store: Store,
    durability: Durability,
    unit: String,
    values: Vec<f64>,
}

/// One figure of one system, and how it compares.
#[derive(Debug)]
pub struct Row {
    case: String,
    system: &'static str,
    store: Store,
    durability: Durability,
    value: f64,
    unit: String,
    ratio_to_fastn: Option<f64>,
}

impl Table {
    pub fn add(&mut self, case: &Case, system: &'static str, figures: Vec<Figure>) {
        for figure in figures {
            let same = |entry: &&mut Entry| {
                entry.case == figure.case
                    && entry.system == system
                    && entry.store == case.store
                    && entry.durability == case.durability
            };
            match self.0.iter_mut().find(same) {
                Some(entry) => entry.values.push(figure.value),
                None => self.0.push(Entry {
                    case: figure.case,
                    system,
                    store: case.store,
                    durability: case.durability,
                    unit: figure.unit,
                    values: vec![figure.value],
                }),
            }
        }
    }

    /// The median of each figure, and what multiple it is of fastn's on the same store at the same durability. Rows of
    /// one case stand together.
    pub fn rows(&self) -> Vec<Row> {
        let of_fastn = |entry: &Entry| {
            let same = |other: &&Entry| {
                other.system == "fastn"
                    && other.case == entry.case
                    && other.store == entry.store
                    && other.durability == entry.durability
            };
            self.0.iter().find(same).map(|fastn| median(fastn.values.clone()))
        };
        let row = |entry: &Entry| {
            let value = median(entry.values.clone());
            Row {
                case: entry.case.clone(),
                system: entry.system,
                store: entry.store,
                durability: entry.durability,
                value,
                unit: entry.unit.clone(),
                // Nothing is a multiple of nothing.
                ratio_to_fastn: of_fastn(entry).map(|fastn| value / fastn).filter(|ratio| ratio.is_finite()),
            }
        };
        let mut rows: Vec<Row> = Vec::with_capacity(self.0.len());
        for entry in &self.0 {
            let kin =
                |row: &Row| row.case == entry.case && row.store == entry.store && row.durability == entry.durability;
            let place = rows.iter().rposition(kin).map_or(rows.len(), |last| last + 1);
            rows.insert(place, row(entry));
        }
        rows
    }
}

impl Row {
    pub fn to_json(&self) -> String {
        let Self { case, system, store, durability, value, unit, ratio_to_fastn } = self;
        // By hand, since the order of the fields is part of the format; none of the texts needs escaping.
        let ratio = ratio_to_fastn.map_or_else(|| "null".to_owned(), |ratio| ratio.to_string());
        format!(
            "{{\"case\":\"{case}\",\"system\":\"{system}\",\"store\":\"{store}\",\"durability\":\"{durability}\",\
             \"value\":{value},\"unit\":\"{unit}\",\"ratio_to_fastn\":{ratio}}}\n"
        )
    }

    /// A table, as Markdown, so that it can be kept.
    pub fn print(rows: &[Self]) -> String {
        let mut text = String::new();
        let _ = writeln!(
            text,
            "| case              | system          | store    | durability |        value | unit     | ÷ fastn |"
        );
        let _ = writeln!(
            text,
            "|-------------------|-----------------|----------|------------|-------------:|----------|--------:|"
        );
        for row in rows {
            let ratio = row.ratio_to_fastn.map_or_else(|| "-".to_owned(), short);
            let _ = writeln!(
                text,
                "| {:<17} | {:<15} | {:<8} | {:<10} | {:>12} | {:<8} | {ratio:>7} |",
                row.case,
                row.system,
                row.store,
                row.durability,
                short(row.value),
                row.unit
            );
        }
        text
    }
}

/// A figure with as many digits as mean something.
fn short(value: f64) -> String {
    match value.abs() {
        large if large >= 100.0 => format!("{value:.0}"),
        middle if middle >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_to_the_median_of_fastn_at_the_same_durability() {
        let case = |durability| Case { name: "seq", store: Store::Sqlite, durability, quick: true, on_demand: false };
        let figure = |value| vec![Figure::new("seq-p50", value, "µs")];
        let mut table = Table::default();
        for value in [300.0, 100.0, 200.0] {
            table.add(&case(Durability::Full), "fastn", figure(value));
        }
        table.add(&case(Durability::Normal), "raw", figure(5.0));
        table.add(&case(Durability::Full), "raw", figure(100.0));
        let rows = table.rows();
        let ratios: Vec<_> = rows.iter().map(|row| (row.system, row.durability, row.ratio_to_fastn)).collect();
        assert_eq!(
            ratios,
            [
                ("fastn", Durability::Full, Some(1.0)),
                ("raw", Durability::Full, Some(0.5)),
                ("raw", Durability::Normal, None)
            ]
        );
        assert_eq!(
            rows[1].to_json(),
            "{\"case\":\"seq-p50\",\"system\":\"raw\",\"store\":\"sqlite\",\"durability\":\"FULL\",\"value\":100,\
             \"unit\":\"µs\",\"ratio_to_fastn\":0.5}\n"
        );
    }
}
