//! Operators (jq 1.7 manual, `+ - * / %`).

use std::collections::BTreeMap;
use std::ops::{Add, Div, Mul, Neg, Rem, Sub};
use std::rc::Rc;

use jaq_core::ops::Math;
use jaq_core::{Error, ValR};

use super::meter;
use super::value::{Num, Val};

/// Whole as long as that is exact.
fn number(a: Num, b: Num, whole: fn(i128, i128) -> Option<i128>, float: fn(f64, f64) -> f64) -> Val {
    let exact = if let (Num::Int(a), Num::Int(b)) = (a, b) { whole(a, b) } else { None };
    Val::Num(exact.map_or_else(|| Num::float(float(a.as_f64(), b.as_f64())), Num::Int))
}

impl Add for Val {
    type Output = ValR<Self>;

    fn add(self, other: Self) -> ValR<Self> {
        match (self, other) {
            (Self::Null, value) | (value, Self::Null) => Ok(value),
            (Self::Num(a), Self::Num(b)) => Ok(number(a, b, i128::checked_add, |a, b| a + b)),
            (Self::Str(a), Self::Str(b)) => {
                meter::bytes(a.len() + b.len());
                meter::steps((a.len() + b.len()) as u64 / 64);
                Ok(Self::text([&*a, &*b].concat()))
            }
            (Self::Arr(a), Self::Arr(b)) => Ok(a.items.iter().chain(&b.items).cloned().collect()),
            (Self::Obj(a), Self::Obj(b)) => {
                meter::steps((a.map.len() + b.map.len()) as u64);
                let mut map = a.map.clone();
                map.extend(b.map.iter().map(|(key, value)| (key.clone(), value.clone())));
                Ok(Self::map(map))
            }
            (a, b) => Err(Error::math(a, Math::Add, b)),
        }
    }
}

impl Sub for Val {
    type Output = ValR<Self>;

    fn sub(self, other: Self) -> ValR<Self> {
        match (self, other) {
            (Self::Num(a), Self::Num(b)) => Ok(number(a, b, i128::checked_sub, |a, b| a - b)),
            (Self::Arr(a), Self::Arr(b)) => {
                let mut gone: Vec<&Self> = b.items.iter().collect();
                meter::steps(gone.len() as u64);
                gone.sort();
                Ok(a.items.iter().filter(|item| gone.binary_search(item).is_err()).cloned().collect())
            }
            (a, b) => Err(Error::math(a, Math::Sub, b)),
        }
    }
}

impl Mul for Val {
    type Output = ValR<Self>;

    fn mul(self, other: Self) -> ValR<Self> {
        match (self, other) {
            (Self::Num(a), Self::Num(b)) => Ok(number(a, b, i128::checked_mul, |a, b| a * b)),
            (Self::Str(text), Self::Num(n)) | (Self::Num(n), Self::Str(text)) => {
                let times = n.as_f64();
                if times.is_nan() || times <= 0.0 {
                    return Ok(Self::Null);
                }
                let times = times.ceil().max(1.0) as usize;
                meter::bytes(text.len().saturating_mul(times));
                Ok(Self::text(text.repeat(if text.is_empty() { 0 } else { times })))
            }
            (Self::Obj(a), Self::Obj(b)) => Ok(merged(&Self::Obj(a), &Self::Obj(b))),
            (a, b) => Err(Error::math(a, Math::Mul, b)),
        }
    }
}

/// Two objects as one, and so what both have; otherwise the second. As deep as they are, which is bounded.
fn merged(a: &Val, b: &Val) -> Val {
    let (Val::Obj(a), Val::Obj(b)) = (a, b) else { return b.clone() };
    meter::steps((a.map.len() + b.map.len()) as u64);
    let mut map: BTreeMap<Rc<str>, Val> = a.map.clone();
    for (key, value) in &b.map {
        let both = map.get(key).map_or_else(|| value.clone(), |before| merged(before, value));
        map.insert(key.clone(), both);
    }
    Val::map(map)
}

impl Div for Val {
    type Output = ValR<Self>;

    fn div(self, other: Self) -> ValR<Self> {
        match (self, other) {
            (Self::Num(a), Self::Num(b)) if b.as_f64() == 0.0 => {
                Err(Error::math(Self::Num(a), Math::Div, Self::Num(b)))
            }
            (Self::Num(a), Self::Num(b)) => {
                let exact =
                    |a: i128, b: i128| a.checked_rem(b).filter(|rest| *rest == 0).and_then(|_| a.checked_div(b));
                Ok(number(a, b, exact, |a, b| a / b))
            }
            (Self::Str(text), Self::Str(separator)) => {
                meter::steps(text.len() as u64 / 8);
                if separator.is_empty() {
                    return Ok(text.chars().map(|c| Self::text(c.encode_utf8(&mut [0; 4]))).collect());
                }
                let parts = if text.is_empty() { None } else { Some(text.split(&*separator)) };
                Ok(parts.into_iter().flatten().map(Self::text).collect())
            }
            (a, b) => Err(Error::math(a, Math::Div, b)),
        }
    }
}

impl Rem for Val {
    type Output = ValR<Self>;

    fn rem(self, other: Self) -> ValR<Self> {
        match (self, other) {
            (Self::Num(a), Self::Num(b)) => {
                if a.as_f64().is_nan() || b.as_f64().is_nan() {
                    return Ok(Self::Num(Num::Float(f64::NAN)));
                }
                let whole = |n: Num| match n {
                    Num::Int(n) => n,
                    Num::Float(x) => x as i128,
                };
                // The sign is that of what is divided.
                match whole(a).checked_rem(whole(b).saturating_abs()) {
                    Some(rest) => Ok(Self::int(rest)),
                    None => Err(Error::math(Self::Num(a), Math::Rem, Self::Num(b))),
                }
            }
            (a, b) => Err(Error::math(a, Math::Rem, b)),
        }
    }
}

impl Neg for Val {
    type Output = ValR<Self>;

    fn neg(self) -> ValR<Self> {
        match self {
            Self::Num(n) => Ok(number(Num::Int(0), n, i128::checked_sub, |_, b| -b)),
            other => Err(Error::typ(other, "number")),
        }
    }
}
