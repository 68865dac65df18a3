//! What there is to measure.

use versus_measure::Durability::{self, Full, None, Normal, On};
use versus_measure::Store::{self, Memory, Postgres, Sqlite};

use crate::args::Args;

/// Something to measure, on each system that has it.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    pub name: &'static str,
    pub store: Store,
    pub durability: Durability,
    /// Part of a quick look.
    pub quick: bool,
    /// Only when it is named: it takes long, or much memory.
    pub on_demand: bool,
}

const fn case(name: &'static str, store: Store, durability: Durability, quick: bool) -> Case {
    Case { name, store, durability, quick, on_demand: false }
}

/// All cases. A quick look has none on Postgres, so it needs no server, unless it is a look at that store.
const ALL: &[Case] = &[
    case("dag-chain", Memory, None, true),
    case("dag-independent", Memory, None, true),
    case("dag-layered", Memory, None, true),
    case("chain10-100", Sqlite, Full, false),
    case("chain10-1000", Sqlite, Full, true),
    case("chain10-10000", Sqlite, Full, false),
    case("chain10-100", Sqlite, Normal, false),
    case("chain10-1000", Sqlite, Normal, false),
    case("chain10-10000", Sqlite, Normal, false),
    case("chain10-10000", Memory, None, false),
    case("jobs", Sqlite, Full, true),
    case("seq", Sqlite, Full, true),
    case("seq", Sqlite, Normal, false),
    case("seq", Memory, None, false),
    case("slope", Sqlite, Full, true),
    case("slope", Memory, None, false),
    case("wide", Sqlite, Full, true),
    case("start", Sqlite, Full, true),
    case("recover", Sqlite, Full, true),
    case("parked-100000", Sqlite, Full, true),
    Case { on_demand: true, ..case("parked-1000000", Sqlite, Full, false) },
    case("timers", Sqlite, Full, true),
    case("jobs", Postgres, On, false),
    case("chain10-1000", Postgres, On, false),
    case("chain10-10000", Postgres, On, false),
    case("seq", Postgres, On, false),
    case("fleet", Postgres, On, false),
    case("idle", Postgres, On, false),
    case("pinned", Postgres, On, false),
    Case { on_demand: true, ..case("pinned-300", Postgres, On, false) },
];

/// The cases that were asked for.
pub fn chosen(args: &Args) -> Vec<Case> {
    let quick = args.size == versus_measure::Size::Quick;
    let named = |case: &Case| args.cases.iter().any(|name| is_part(case.name, name));
    let exactly = |case: &Case| args.cases.iter().any(|name| case.name == name);
    let wanted = |case: &&Case| {
        let by_name = if args.cases.is_empty() { true } else { named(case) };
        let by_store = args.stores.is_empty() || args.stores.contains(&case.store);
        let quick_enough = case.quick || case.store == Postgres && args.stores.contains(&Postgres);
        let by_size = exactly(case) || !case.on_demand && (quick_enough || !quick);
        by_name && by_store && by_size
    };
    ALL.iter().filter(wanted).copied().collect()
}

/// The names of all cases.
pub fn names() -> Vec<&'static str> {
    let mut names = Vec::new();
    for case in ALL {
        if !names.contains(&case.name) {
            names.push(case.name);
        }
    }
    names
}

/// Whether a case's name is this one, or begins with it and a dash.
fn is_part(case: &str, name: &str) -> bool {
    case.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names_of(line: &str) -> Vec<&'static str> {
        let args = Args::parse(line.split_whitespace().map(str::to_owned)).expect("arguments");
        chosen(&args).iter().map(|case| case.name).collect()
    }

    #[test]
    fn a_case_is_named_whole_or_by_its_first_words() {
        assert_eq!(names_of("--case dag"), ["dag-chain", "dag-independent", "dag-layered"]);
        assert_eq!(names_of("--case dag-chain"), ["dag-chain"]);
        assert_eq!(names_of("--case chain1"), [""; 0]);
        assert_eq!(names_of("--case seq --store memory"), ["seq"]);
    }

    #[test]
    fn what_takes_long_is_done_only_when_it_is_named() {
        assert_eq!(names_of("--case parked"), ["parked-100000"]);
        assert_eq!(names_of("--case parked-1000000"), ["parked-1000000"]);
        assert!(!names_of("").contains(&"parked-1000000"));
        assert!(!names_of("--quick").contains(&"chain10-10000"));
    }

    #[test]
    fn a_quick_look_needs_no_server_unless_it_is_at_postgres() {
        let stores_of = |line: &str| {
            let args = Args::parse(line.split_whitespace().map(str::to_owned)).expect("arguments");
            chosen(&args).iter().map(|case| case.store).collect::<Vec<_>>()
        };
        assert!(!stores_of("--quick").contains(&Postgres));
        assert!(stores_of("").contains(&Postgres));
        assert_eq!(stores_of("--quick --store postgres"), [Postgres; 7]);
    }
}
