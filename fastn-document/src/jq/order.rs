//! Which value comes before which (jq 1.7 manual, `sort`): null, false, true, numbers, texts, lists, maps.

use std::cmp::Ordering;

use super::value::{Num, Val};

impl Val {
    const fn rank(&self) -> u8 {
        match self {
            Self::Null => 0,
            Self::Bool(false) => 1,
            Self::Bool(true) => 2,
            Self::Num(_) => 3,
            Self::Str(_) => 4,
            Self::Arr(_) => 5,
            Self::Obj(_) => 6,
        }
    }
}

impl Ord for Val {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Num(a), Self::Num(b)) => a.cmp(b),
            (Self::Str(a), Self::Str(b)) => {
                super::meter::steps(a.len().min(b.len()) as u64 / 8);
                a.cmp(b)
            }
            (Self::Arr(a), Self::Arr(b)) => {
                super::meter::steps(1 + a.items.len().min(b.items.len()) as u64 / 8);
                a.items.cmp(&b.items)
            }
            (Self::Obj(a), Self::Obj(b)) => {
                super::meter::steps(1 + a.map.len().min(b.map.len()) as u64);
                a.map.keys().cmp(b.map.keys()).then_with(|| a.map.values().cmp(b.map.values()))
            }
            _ => self.rank().cmp(&other.rank()),
        }
    }
}

impl PartialOrd for Val {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Val {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Val {}

impl Ord for Num {
    /// What is no number comes before all that are.
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Int(a), Self::Int(b)) => a.cmp(b),
            (a, b) => {
                let (a, b) = (a.as_f64(), b.as_f64());
                a.partial_cmp(&b).unwrap_or_else(|| b.is_nan().cmp(&a.is_nan()))
            }
        }
    }
}

impl PartialOrd for Num {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Num {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Num {}
