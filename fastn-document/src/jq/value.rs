//! Values that know how large and how deep they are.

use std::collections::BTreeMap;
use std::rc::Rc;

use serde_json::{Number as JsonNumber, Value as Json};

use super::meter;

/// A JSON value. Cloning is cheap.
#[derive(Clone, Debug)]
pub(super) enum Val {
    Null,
    Bool(bool),
    Num(Num),
    Str(Rc<str>),
    Arr(Rc<Arr>),
    Obj(Rc<Obj>),
}

/// A number: exact as long as it is whole.
#[derive(Clone, Copy, Debug)]
pub(super) enum Num {
    Int(i128),
    Float(f64),
}

/// What stands in a list. Parts of it may be shared, so that it could be written out as far more than it takes.
#[derive(Clone, Debug, Default)]
pub(super) struct Arr {
    pub(super) items: Vec<Val>,
    weight: u64,
    depth: u32,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Obj {
    pub(super) map: BTreeMap<Rc<str>, Val>,
    weight: u64,
    depth: u32,
}

/// What a container takes for each thing in it, about.
const SLOT: usize = 32;

impl Val {
    /// How much it is when it is written out, about, in bytes.
    pub(super) fn weight(&self) -> u64 {
        match self {
            Self::Null | Self::Bool(_) | Self::Num(_) => 8,
            Self::Str(text) => 8 + text.len() as u64,
            Self::Arr(arr) => arr.weight,
            Self::Obj(obj) => obj.weight,
        }
    }

    /// How deep it is.
    pub(super) fn depth(&self) -> u32 {
        match self {
            Self::Arr(arr) => arr.depth,
            Self::Obj(obj) => obj.depth,
            _ => 0,
        }
    }

    /// Pays for going through all of it.
    pub(super) fn walk(&self) {
        meter::steps(self.weight() / 8);
    }

    pub(super) fn text(text: impl AsRef<str>) -> Self {
        let text = text.as_ref();
        meter::bytes(SLOT + text.len());
        Self::Str(Rc::from(text))
    }

    pub(super) fn int(n: impl Into<i128>) -> Self {
        Self::Num(Num::Int(n.into()))
    }

    pub(super) fn list(items: Vec<Self>) -> Self {
        let (mut weight, mut depth) = (8_u64, 0);
        for item in &items {
            weight = weight.saturating_add(item.weight());
            depth = depth.max(item.depth());
        }
        Self::Arr(Rc::new(Arr { items, weight: heavy(weight), depth: deep(depth) }))
    }

    pub(super) fn map(map: BTreeMap<Rc<str>, Self>) -> Self {
        meter::bytes(SLOT + map.len() * 3 * SLOT);
        let (mut weight, mut depth) = (8_u64, 0);
        for (key, value) in &map {
            weight = weight.saturating_add(key.len() as u64 + 8).saturating_add(value.weight());
            depth = depth.max(value.depth());
        }
        Self::Obj(Rc::new(Obj { map, weight: heavy(weight), depth: deep(depth) }))
    }

    /// Of JSON, whose depth is that of its parser at most.
    pub(super) fn of(json: &Json) -> Self {
        match json {
            Json::Null => Self::Null,
            Json::Bool(value) => Self::Bool(*value),
            Json::Number(number) => Self::Num(Num::of(number)),
            Json::String(text) => Self::text(text),
            Json::Array(items) => items.iter().map(Self::of).collect(),
            Json::Object(map) => {
                Self::map(map.iter().map(|(key, value)| (Rc::from(key.as_str()), Self::of(value))).collect())
            }
        }
    }

    pub(super) fn into_json(self) -> Json {
        match self {
            Self::Null => Json::Null,
            Self::Bool(value) => Json::Bool(value),
            Self::Num(number) => number.into_json(),
            Self::Str(text) => Json::String(text.to_string()),
            Self::Arr(arr) => arr.items.iter().cloned().map(Self::into_json).collect(),
            Self::Obj(obj) => {
                Json::Object(obj.map.iter().map(|(key, value)| (key.to_string(), value.clone().into_json())).collect())
            }
        }
    }
}

/// The parts of a container may be shared; what it is written out must still be bounded, since comparing and writing go
/// through all of it.
fn heavy(weight: u64) -> u64 {
    const MOST: u64 = 256 << 20;
    if weight > MOST {
        meter::bytes(usize::MAX);
    }
    weight
}

fn deep(inside: u32) -> u32 {
    meter::depth(inside + 1);
    inside + 1
}

impl FromIterator<Val> for Val {
    fn from_iter<T: IntoIterator<Item = Self>>(iter: T) -> Self {
        meter::bytes(SLOT);
        let items = iter.into_iter().inspect(|_| {
            meter::steps(1);
            meter::bytes(SLOT);
        });
        Self::list(items.collect())
    }
}

impl Num {
    pub(super) fn of(number: &JsonNumber) -> Self {
        match (number.as_i64(), number.as_u64()) {
            (Some(whole), _) => Self::Int(whole.into()),
            (_, Some(whole)) => Self::Int(whole.into()),
            _ => Self::Float(number.as_f64().unwrap_or(f64::NAN)),
        }
    }

    /// A result: whole if it is exactly so.
    pub(super) fn float(x: f64) -> Self {
        const EXACT: f64 = 9_007_199_254_740_992.0;
        if x.fract() == 0.0 && x.abs() < EXACT && !(x == 0.0 && x.is_sign_negative()) {
            Self::Int(x as i128)
        } else {
            Self::Float(x)
        }
    }

    pub(super) const fn as_f64(self) -> f64 {
        match self {
            Self::Int(n) => n as f64,
            Self::Float(x) => x,
        }
    }

    /// JSON has no infinities and nothing that is no number: the largest and nothing, as jq writes them.
    pub(super) fn into_json(self) -> Json {
        let whole = match self {
            Self::Int(n) => JsonNumber::from_i128(n),
            Self::Float(_) => None,
        };
        let float = || match self.as_f64() {
            x if x.is_nan() => Json::Null,
            x => Json::from(x.clamp(f64::MIN, f64::MAX)),
        };
        whole.map_or_else(float, Json::Number)
    }
}
