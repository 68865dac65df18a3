//! What the interpreter asks of a value: its parts, and to change them.

use std::collections::BTreeMap;
use std::rc::Rc;

use jaq_core::box_iter::{BoxIter, box_once};
use jaq_core::path::Opt;
use jaq_core::val::Range;
use jaq_core::{Error, Exn, ValR, ValT, ValX};

use super::meter;
use super::value::{Arr, Num, Obj, Val};

impl From<bool> for Val {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<isize> for Val {
    fn from(n: isize) -> Self {
        Self::int(n as i128)
    }
}

impl From<usize> for Val {
    fn from(n: usize) -> Self {
        Self::int(n as i128)
    }
}

impl From<f64> for Val {
    fn from(x: f64) -> Self {
        Self::Num(Num::float(x))
    }
}

impl From<String> for Val {
    fn from(text: String) -> Self {
        Self::text(text)
    }
}

impl From<Range<Self>> for Val {
    fn from(range: Range<Self>) -> Self {
        let ends = [("start", range.start), ("end", range.end)];
        Self::map(ends.into_iter().filter_map(|(key, end)| Some((Rc::from(key), end?))).collect())
    }
}

/// A list whose items are to be changed. One that others hold too is copied.
fn items_of(arr: Rc<Arr>) -> Vec<Val> {
    Rc::try_unwrap(arr).map(|arr| arr.items).unwrap_or_else(|shared| {
        meter::steps(shared.items.len() as u64);
        meter::bytes(shared.items.len() * 32);
        shared.items.clone()
    })
}

fn map_of(obj: Rc<Obj>) -> BTreeMap<Rc<str>, Val> {
    Rc::try_unwrap(obj).map(|obj| obj.map).unwrap_or_else(|shared| {
        meter::steps(shared.map.len() as u64);
        meter::bytes(shared.map.len() * 96);
        shared.map.clone()
    })
}

impl Val {
    fn whole(&self) -> Option<i128> {
        match self {
            Self::Num(Num::Int(n)) => Some(*n),
            Self::Num(Num::Float(x)) if x.is_finite() => Some(x.floor() as i128),
            _ => None,
        }
    }

    /// Where an index points to, which counts from the end if it is negative.
    fn at(&self, len: usize) -> Option<Result<usize, i128>> {
        let at = self.whole()?;
        let from_start = if at < 0 { at + len as i128 } else { at };
        Some(usize::try_from(from_start).ok().filter(|at| *at < len).ok_or(from_start))
    }

    /// The part from one end to the other that a range means of something so long.
    fn cut(range: &Range<&Self>, len: usize) -> Result<std::ops::Range<usize>, Error<Self>> {
        let end = |value: Option<&Self>, up: bool, or: usize| match value {
            None | Some(Self::Null) => Ok(or),
            Some(Self::Num(n)) => {
                let x = if up { n.as_f64().ceil() } else { n.as_f64().floor() };
                let x = if x < 0.0 { x + len as f64 } else { x };
                Ok((x.max(0.0) as usize).min(len))
            }
            Some(other) => Err(Error::typ(other.clone(), "integer")),
        };
        let (start, end) = (end(range.start, false, 0)?, end(range.end, true, len)?);
        Ok(start..end.max(start))
    }

    pub(super) fn get(self, index: &Self) -> ValR<Option<Self>, Self> {
        Ok(match (self, index) {
            (Self::Null, Self::Null | Self::Str(_) | Self::Num(_) | Self::Obj(_)) => None,
            (Self::Obj(obj), Self::Str(key)) => obj.map.get(key).cloned(),
            (Self::Arr(arr), at @ Self::Num(_)) => {
                at.at(arr.items.len()).and_then(Result::ok).and_then(|at| arr.items.get(at).cloned())
            }
            (Self::Arr(arr), Self::Arr(_)) => Some(Self::Arr(arr).indices(index)?),
            (value @ (Self::Arr(_) | Self::Str(_)), Self::Obj(range)) => {
                Some(value.range(range.map.get("start")..range.map.get("end"))?)
            }
            (value, index) => return Err(Error::index(value, index.clone())),
        })
    }

    /// Where a part begins in a text, in characters, or in a list (`indices`).
    pub(super) fn indices(&self, part: &Self) -> ValR<Self> {
        match (self, part) {
            (Self::Null, _) => Ok(Self::Null),
            (Self::Str(_), Self::Str(part)) if part.is_empty() => Ok(Self::Null),
            (Self::Str(text), Self::Str(part)) => {
                self.walk();
                let (mut chars, mut from) = (0_usize, 0);
                // Those that overlap count too.
                let starts =
                    text.char_indices().filter(|(at, _)| text.get(*at..).is_some_and(|rest| rest.starts_with(&**part)));
                let mut found = Vec::new();
                for (at, _) in starts {
                    chars += text.get(from..at).map_or(0, |between| between.chars().count());
                    from = at;
                    found.push(Self::from(chars));
                }
                meter::steps(text.len() as u64 * part.len().min(64) as u64 / 64);
                Ok(found.into_iter().collect())
            }
            (Self::Arr(arr), Self::Arr(part)) => {
                if part.items.is_empty() {
                    return Ok(Self::Null);
                }
                meter::steps(arr.items.len() as u64);
                let windows = arr.items.windows(part.items.len()).enumerate();
                Ok(windows.filter(|(_, window)| *window == part.items).map(|(at, _)| Self::from(at)).collect())
            }
            (Self::Arr(arr), item) => {
                meter::steps(arr.items.len() as u64);
                Ok(arr
                    .items
                    .iter()
                    .enumerate()
                    .filter(|(_, other)| *other == item)
                    .map(|(at, _)| Self::from(at))
                    .collect())
            }
            _ => Err(Error::index(self.clone(), part.clone())),
        }
    }
}

impl ValT for Val {
    fn from_num(n: &str) -> ValR<Self> {
        let number = n.parse::<i128>().map(Num::Int).or_else(|_| n.parse().map(Num::float));
        number.map(Self::Num).map_err(|_| Error::str(format_args!("{n} is no number")))
    }

    fn from_map<I: IntoIterator<Item = (Self, Self)>>(iter: I) -> ValR<Self> {
        let mut map = BTreeMap::new();
        for (key, value) in iter {
            let Self::Str(key) = key else {
                return Err(Error::str(format_args!("cannot use {key} as the key of an object")));
            };
            meter::steps(1);
            map.insert(key, value);
        }
        Ok(Self::map(map))
    }

    fn key_values(self) -> BoxIter<'static, ValR<(Self, Self), Self>> {
        match self {
            Self::Arr(arr) => {
                Box::new(items_of(arr).into_iter().enumerate().map(|(at, item)| Ok((Self::from(at), item))))
            }
            Self::Obj(obj) => Box::new(map_of(obj).into_iter().map(|(key, value)| Ok((Self::Str(key), value)))),
            other => box_once(Err(Error::typ(other, "a list or an object"))),
        }
    }

    fn values(self) -> Box<dyn Iterator<Item = ValR<Self>>> {
        match self {
            Self::Arr(arr) => Box::new(items_of(arr).into_iter().map(Ok)),
            Self::Obj(obj) => Box::new(map_of(obj).into_values().map(Ok)),
            other => box_once(Err(Error::typ(other, "a list or an object"))),
        }
    }

    fn index(self, index: &Self) -> ValR<Self> {
        Ok(self.get(index)?.unwrap_or(Self::Null))
    }

    fn range(self, range: Range<&Self>) -> ValR<Self> {
        match self {
            Self::Null => Ok(Self::Null),
            Self::Arr(arr) => {
                let cut = Self::cut(&range, arr.items.len())?;
                Ok(arr.items.get(cut).unwrap_or_default().iter().cloned().collect())
            }
            Self::Str(text) => {
                meter::steps(text.len() as u64 / 8);
                let cut = Self::cut(&range, text.chars().count())?;
                Ok(Self::text(text.chars().skip(cut.start).take(cut.len()).collect::<String>()))
            }
            other => Err(Error::typ(other, "a list or a text")),
        }
    }

    fn map_values<'a, I: Iterator<Item = ValX<'a, Self>>>(self, opt: Opt, f: impl Fn(Self) -> I) -> ValX<'a, Self> {
        match self {
            Self::Arr(arr) => items_of(arr).into_iter().flat_map(f).collect(),
            Self::Obj(obj) => {
                let mut map = BTreeMap::new();
                for (key, value) in map_of(obj) {
                    if let Some(value) = f(value).next().transpose()? {
                        map.insert(key, value);
                    }
                }
                Ok(Self::map(map))
            }
            other => opt.fail(other, |other| Exn::from(Error::typ(other, "a list or an object"))),
        }
    }

    fn map_index<'a, I: Iterator<Item = ValX<'a, Self>>>(
        self,
        index: &Self,
        opt: Opt,
        f: impl Fn(Self) -> I,
    ) -> ValX<'a, Self> {
        match (self, index) {
            (value @ (Self::Arr(_) | Self::Str(_)), Self::Obj(range)) => {
                let (start, end) = (range.map.get("start").cloned(), range.map.get("end").cloned());
                value.map_range(start.as_ref()..end.as_ref(), opt, f)
            }
            (value @ (Self::Obj(_) | Self::Null), Self::Str(key)) => {
                let mut map = if let Self::Obj(obj) = value { map_of(obj) } else { BTreeMap::new() };
                let before = map.remove(key).unwrap_or(Self::Null);
                if let Some(after) = f(before).next().transpose()? {
                    map.insert(key.clone(), after);
                }
                Ok(Self::map(map))
            }
            (value @ (Self::Arr(_) | Self::Null), at @ Self::Num(_)) => {
                let mut items = if let Self::Arr(arr) = value { items_of(arr) } else { Vec::new() };
                let at = match at.at(items.len()) {
                    Some(Ok(at)) => at,
                    // Behind the end it becomes longer, as in jq, with nothing in between.
                    Some(Err(behind)) => match usize::try_from(behind) {
                        Ok(at) => {
                            meter::steps((at - items.len()) as u64);
                            meter::bytes((at - items.len() + 1).saturating_mul(32));
                            items.resize(at + 1, Self::Null);
                            at
                        }
                        Err(_) => {
                            let why = format!("index {index} is before the beginning");
                            return opt.fail(Self::list(items), |_| Exn::from(Error::str(why)));
                        }
                    },
                    None => return opt.fail(Self::list(items), |_| Exn::from(Error::str("an index must be finite"))),
                };
                let before = items.get_mut(at).map_or(Self::Null, |slot| std::mem::replace(slot, Self::Null));
                match (f(before).next().transpose()?, items.get_mut(at)) {
                    (Some(after), Some(slot)) => *slot = after,
                    _ => drop(items.remove(at)),
                }
                Ok(Self::list(items))
            }
            (value, index) => opt.fail(value, |value| Exn::from(Error::index(value, index.clone()))),
        }
    }

    fn map_range<'a, I: Iterator<Item = ValX<'a, Self>>>(
        self,
        range: Range<&Self>,
        opt: Opt,
        f: impl Fn(Self) -> I,
    ) -> ValX<'a, Self> {
        let Self::Arr(arr) = self else {
            return opt.fail(self, |value| Exn::from(Error::typ(value, "a list")));
        };
        let cut = match Self::cut(&range, arr.items.len()) {
            Ok(cut) => cut,
            Err(error) => return opt.fail(Self::Arr(arr), |_| Exn::from(error)),
        };
        let part: Self = arr.items.get(cut.clone()).unwrap_or_default().iter().cloned().collect();
        let after = match f(part).next().transpose()? {
            Some(Self::Arr(after)) => items_of(after),
            None => Vec::new(),
            Some(other) => return Err(Exn::from(Error::typ(other, "a list"))),
        };
        meter::bytes(after.len() * 32);
        let mut items = items_of(arr);
        drop(items.splice(cut, after));
        Ok(Self::list(items))
    }

    fn as_bool(&self) -> bool {
        !matches!(self, Self::Null | Self::Bool(false))
    }

    fn into_string(self) -> Self {
        match self {
            Self::Str(_) => self,
            other => Self::text(other.to_json_text()),
        }
    }
}

impl jaq_std::ValT for Val {
    fn into_seq<S: FromIterator<Self>>(self) -> Result<S, Self> {
        match self {
            Self::Arr(arr) => {
                // Whoever takes it all sorts it or turns it round.
                meter::steps(arr.items.len() as u64);
                Ok(items_of(arr).into_iter().collect())
            }
            other => Err(other),
        }
    }

    fn is_int(&self) -> bool {
        matches!(self, Self::Num(Num::Int(_)))
    }

    fn as_isize(&self) -> Option<isize> {
        match self {
            Self::Num(Num::Int(n)) => isize::try_from(*n).ok(),
            _ => None,
        }
    }

    fn as_f64(&self) -> Option<f64> {
        if let Self::Num(n) = self { Some(n.as_f64()) } else { None }
    }

    fn is_utf8_str(&self) -> bool {
        matches!(self, Self::Str(_))
    }

    fn as_bytes(&self) -> Option<&[u8]> {
        let Self::Str(text) = self else { return None };
        // Whoever asks goes through them.
        meter::steps(text.len() as u64 / 8);
        Some(text.as_bytes())
    }

    fn as_sub_str(&self, sub: &[u8]) -> Self {
        Self::text(String::from_utf8_lossy(sub))
    }

    fn from_utf8_bytes(b: impl AsRef<[u8]> + Send + 'static) -> Self {
        Self::text(String::from_utf8_lossy(b.as_ref()))
    }
}
