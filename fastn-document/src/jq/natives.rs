//! The library that expressions have.
//!
//! It is jq's, without what asks the machine it runs on (its clock, its environment, its time zone, its output): an expression
//! gives the same whenever it is evaluated. What could take long within one step is written anew, or pays first.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use jaq_core::load::parse::Def;
use jaq_core::native::{Filter, Fun, bome, run, unary, v};
use jaq_core::{DataT, Error, RunPtr, ValR, ValXs};

use super::meter;
use super::refs::Refs;
use super::value::{Num, Val};

/// Functions that are left out, and those whose definitions need them: what asks the machine or speaks to it, and Bessel
/// functions of a degree, which take as long as the degree is high.
const ABSENT: &[&str] = &[
    "env",
    "now",
    "halt",
    "halt_error",
    "debug",
    "stderr",
    "debug_empty",
    "stderr_empty",
    "localtime",
    "strflocaltime",
    "jn",
    "yn",
];

/// Definitions in whose place there are functions of ours: theirs divide by zero, which is a failure here.
const REPLACED: &[&str] = &["nan", "infinite", "isnan"];

/// Functions that are found under another name, so that a definition of ours can pay before it calls them.
const PAID: &[(&str, &str)] =
    &[("matches", "unpaid_matches"), ("split_matches", "unpaid_split_matches"), ("split_", "unpaid_split_")];

/// What is written in jq itself.
const DEFINITIONS: &str = r#"
def matches($re; $flags): pay_regex($re) | unpaid_matches($re; $flags);
def split_matches($re; $flags): pay_regex($re) | unpaid_split_matches($re; $flags);
def split_($re; $flags): pay_regex($re) | unpaid_split_($re; $flags);
def tonumber: if type == "number" then . else text_to_number end;
def toboolean: if type == "boolean" then . elif . == "true" then true elif . == "false" then false
  else error("cannot parse as boolean") end;
def in(whole): . as $key | whole | has($key);
def inside(whole): . as $part | whole | contains($part);
def index($part): indices($part) | if . == null then null else .[0] end;
def rindex($part): indices($part) | if . == null then null else .[-1:][0] end;
def transpose: . as $rows | [range(0; ([$rows[] | length] | max) // 0) as $i | [$rows[][$i]]];
def @json: tojson;
def ascii: [.] | implode;
def IN(stream): any(stream == .; .);
def IN(source; stream): any(source == stream; .);
def INDEX(stream; key): reduce stream as $row ({}; .[$row | key | tostring] |= $row);
def INDEX(key): INDEX(.[]; key);
def toarray: if type == "array" then . else [.] end;
def trimstr($part): ltrimstr($part) | rtrimstr($part);
def join($between): reduce .[] as $x (null; (if . == null then "" else . + $between end)
  + ($x | if . == null then "" elif type == "string" then . elif type == "boolean" or type == "number" then tojson
  else error("cannot join \(type)s") end)) // "";
def from_entries: reduce .[] as $x ({}; . + {
  ($x | if .key == null then .k // .name // .Name // .K // .Key else .key end
   | if type == "string" then . else tojson end): ($x | if has("value") then .value elif has("v") then .v else .Value end) });
def delpaths($paths): reduce ($paths | unique | reverse[]) as $path (.;
  if $path == [] then null
  elif ($path[-1] | type) == "object" or (try (getpath($path[:-1]) | has($path[-1])) catch false)
    or (($path[-1] | type) == "number" and $path[-1] < 0) then getpath($path) |= empty else . end);
def del(parts): delpaths([path(parts)]);
def @csv: [.[] | if type == "string" then "\"" + gsub("\""; "\"\"") + "\"" elif . == null then "" else tostring end] | join(",");
def @tsv: [.[] | if type == "string" then gsub("\\\\"; "\\\\") | gsub("\t"; "\\t") | gsub("\n"; "\\n") | gsub("\r"; "\\r")
  elif . == null then "" else tostring end] | join("\t");
"#;

/// A definition, and the names of what it calls.
type Known = (Def<&'static str>, BTreeSet<&'static str>);

/// All definitions, in an order in which the later may use the earlier. Read once: every expression needs some of them.
static LIBRARY: LazyLock<Vec<Known>> = LazyLock::new(|| {
    let ours = jaq_core::load::parse(DEFINITIONS, |p| p.defs()).unwrap_or_default();
    // What of theirs is defined once more by ours, such as `del`, theirs go on using as it was.
    let theirs = jaq_core::defs().chain(jaq_std::defs());
    let theirs = theirs.filter(|def| !ABSENT.contains(&def.name) && !REPLACED.contains(&def.name));
    // What pays stands before those who call it.
    let (first, last): (Vec<_>, Vec<_>) =
        ours.into_iter().partition(|def| PAID.iter().any(|(name, _)| *name == def.name));
    let all = first.into_iter().chain(theirs).chain(last);
    all.map(|def| {
        let mut refs = Refs::default();
        refs.def(&def);
        (def, refs.calls)
    })
    .collect()
});

/// The definitions that are needed to call these, for a compiler. It keeps all that it is given in every expression.
pub(super) fn definitions(calls: &BTreeSet<&str>) -> Needed {
    let mut needed: BTreeSet<&'static str> = BTreeSet::new();
    // What is defined later calls what is defined earlier, so one way back finds all.
    for (def, inside) in LIBRARY.iter().rev() {
        if calls.contains(def.name) || needed.contains(def.name) {
            needed.insert(def.name);
            needed.extend(inside);
        }
    }
    let known = LIBRARY.iter().filter(|(def, _)| needed.contains(def.name)).map(|(def, _)| def.clone()).collect();
    let paths = PATHS.iter().any(|name| calls.contains(name) || needed.contains(name));
    Needed { definitions: known, paths }
}

/// Functions that follow paths without an end to their length.
const PATHS: [&str; 2] = ["path", "path_value"];

/// What an expression needs of the library.
pub(super) struct Needed {
    pub(super) definitions: Vec<Def<&'static str>>,
    /// Whether it follows paths.
    pub(super) paths: bool,
}

/// The functions, for a compiler.
pub(super) fn functions<D: for<'a> DataT<V<'a> = Val>>() -> impl Iterator<Item = Fun<D>> {
    let ours: Vec<Fun<D>> = own().into_vec().into_iter().map(run).collect();
    let known: Vec<&str> = ours.iter().map(|(name, ..)| *name).collect();
    let theirs = jaq_core::funs().chain(jaq_std::funs());
    let theirs = theirs.filter(move |(name, ..)| !ABSENT.contains(name) && !known.contains(name));
    theirs
        .map(|(name, args, f)| {
            let name = PAID.iter().find(|(theirs, _)| *theirs == name).map_or(name, |(_, ours)| ours);
            (name, args, f)
        })
        .chain(ours)
}

fn own<D: for<'a> DataT<V<'a> = Val>>() -> Box<[Filter<RunPtr<D>>]> {
    Box::new([
        ("range", v(3), |mut cv| {
            let by = cv.0.pop_var();
            let to = cv.0.pop_var();
            range(cv.0.pop_var(), to, by)
        }),
        ("length", v(0), |cv| bome(length(cv.1))),
        ("contains", v(1), |cv| unary(cv, |whole, part| contains(&whole, &part).map(Val::Bool))),
        ("has", v(1), |cv| unary(cv, has)),
        ("indices", v(1), |cv| unary(cv, |whole, part| whole.indices(&part))),
        ("bsearch", v(1), |cv| unary(cv, search)),
        ("tojson", v(0), |cv| bome(Ok(Val::text(cv.1.to_json_text())))),
        ("fromjson", v(0), |cv| bome(from_json(&cv.1))),
        ("nan", v(0), |_| bome(Ok(Val::Num(Num::Float(f64::NAN))))),
        ("infinite", v(0), |_| bome(Ok(Val::Num(Num::Float(f64::INFINITY))))),
        ("isnan", v(0), |cv| {
            bome(match &cv.1 {
                Val::Num(n) => Ok(Val::Bool(n.as_f64().is_nan())),
                other => Err(Error::typ(other.clone(), "number")),
            })
        }),
        ("text_to_number", v(0), |cv| bome(to_number(&cv.1))),
        ("pay_regex", v(1), |cv| {
            unary(cv, |text, re| {
                pay_regex(&text, &re);
                Ok(text)
            })
        }),
    ])
}

fn range<'a>(from: Val, to: Val, by: Val) -> ValXs<'a, Val> {
    let up = by > Val::int(0);
    let down = by < Val::int(0);
    let mut next = Some(from);
    Box::new(std::iter::from_fn(move || {
        meter::steps(1);
        let now = next.take()?;
        let goes_on = if up {
            now < to
        } else if down {
            now > to
        } else {
            now != to
        };
        if !goes_on {
            return None;
        }
        match now.clone() + by.clone() {
            Ok(after) => {
                next = Some(after);
                Some(Ok(now))
            }
            Err(error) => Some(Err(error.into())),
        }
    }))
}

fn length(value: Val) -> ValR<Val> {
    Ok(match value {
        Val::Null => Val::int(0),
        Val::Bool(_) => return Err(Error::str(format_args!("{value} has no length"))),
        Val::Num(n) if n < Num::Int(0) => return -Val::Num(n),
        Val::Num(n) => Val::Num(n),
        Val::Str(text) => {
            meter::steps(text.len() as u64 / 64);
            Val::from(text.chars().count())
        }
        Val::Arr(arr) => Val::from(arr.items.len()),
        Val::Obj(obj) => Val::from(obj.map.len()),
    })
}

fn contains(whole: &Val, part: &Val) -> ValR<bool, Val> {
    meter::steps(1);
    Ok(match (whole, part) {
        (Val::Obj(whole), Val::Obj(part)) => {
            for (key, part) in &part.map {
                match whole.map.get(key) {
                    Some(whole) if contains(whole, part)? => {}
                    _ => return Ok(false),
                }
            }
            true
        }
        (Val::Arr(whole), Val::Arr(part)) => {
            for part in &part.items {
                // Of different types none contains the other.
                let mut within = whole.items.iter().map(|item| contains(item, part).unwrap_or(false));
                if !within.any(|within| within) {
                    return Ok(false);
                }
            }
            true
        }
        (Val::Str(whole), Val::Str(part)) => {
            meter::steps(whole.len() as u64 / 8);
            whole.contains(&**part)
        }
        (Val::Null, Val::Null) | (Val::Bool(_), Val::Bool(_)) | (Val::Num(_), Val::Num(_)) => whole == part,
        _ => return Err(Error::str(format_args!("{whole} cannot contain {part}"))),
    })
}

fn has(whole: Val, key: Val) -> ValR<Val> {
    match (&whole, &key) {
        (Val::Obj(obj), Val::Str(key)) => Ok(Val::Bool(obj.map.contains_key(key))),
        (Val::Arr(arr), Val::Num(at)) => {
            let at = at.as_f64();
            Ok(Val::Bool(at >= 0.0 && at < arr.items.len() as f64))
        }
        _ => Err(Error::index(whole, key)),
    }
}

/// Where it is in a sorted list, or where it would be, as -1 - that.
fn search(list: Val, wanted: Val) -> ValR<Val> {
    let Val::Arr(arr) = &list else { return Err(Error::typ(list, "a list")) };
    Ok(match arr.items.binary_search(&wanted) {
        Ok(at) => Val::from(at),
        Err(at) => Val::int(-1 - at as i128),
    })
}

fn from_json(value: &Val) -> ValR<Val> {
    let Val::Str(text) = value else { return Err(Error::typ(value.clone(), "string")) };
    meter::steps(text.len() as u64 / 8);
    meter::bytes(text.len() * 8);
    let json: serde_json::Value =
        serde_json::from_str(text).map_err(|why| Error::str(format_args!("{value} is no JSON: {why}")))?;
    Ok(Val::of(&json))
}

fn to_number(value: &Val) -> ValR<Val> {
    let no = || Error::str(format_args!("{value} cannot be parsed as a number"));
    let Val::Str(text) = value else { return Err(no()) };
    let number: serde_json::Number = serde_json::from_str(text).map_err(|_| no())?;
    Ok(Val::Num(Num::of(&number)))
}

/// A match takes as long as text and pattern are long, multiplied. How large a pattern becomes follows from its counts: as if
/// each repeated all of it.
fn pay_regex(text: &Val, re: &Val) {
    let (Val::Str(text), Val::Str(re)) = (text, re) else { return };
    let counts = re.split('{').skip(1).map(|rest| rest.split(['}', '{']).next().unwrap_or_default());
    let highest =
        counts.map(|count| count.split(',').filter_map(|n| n.trim().parse::<u64>().ok()).max().unwrap_or(1).max(1));
    let size = highest.fold(8 + re.len() as u64, u64::saturating_mul);
    meter::bytes(usize::try_from(size.saturating_mul(64)).unwrap_or(usize::MAX));
    meter::steps(size.saturating_mul(text.len() as u64 + 8) / 64);
}
