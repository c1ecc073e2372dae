//! Functions of ours that programs call, most of them without knowing.

use jaq_core::box_iter::box_once;
use jaq_core::native::{Filter, Fun, v};
use jaq_core::{Cv, Error, Exn, Native, RunPtr, ValX};
use jaq_json::{Num, Val};

use super::charge::{Metered, Spent};
use crate::jq::value;
use crate::json;

type Value<'a> = ValX<'a, Val>;

/// All functions that a program or jaq's definitions may need.
pub(crate) fn natives() -> impl Iterator<Item = Fun<Metered>> {
    let meter = [
        (super::STEP, v(0), stepping()),
        (super::WEIGH, v(0), weighing()),
        (
            super::INDEX,
            v(0),
            Native::<Metered>::new(|cv| box_once(cv.0.data().meter.pay_index().map(|()| cv.1))),
        ),
    ];
    let own: [Filter<RunPtr<Metered>>; 5] = [
        ("!times", v(2), |cv| box_once(times(cv))),
        ("!contains", v(1), |cv| box_once(contains(cv))),
        ("!join", v(1), |cv| box_once(join(cv))),
        ("!fromjson", v(0), |cv| box_once(from_json(cv))),
        ("!tonumber", v(0), |cv| box_once(to_number(cv))),
    ];
    let theirs = jaq_core::funs()
        .chain(jaq_std::base_funs())
        .chain(jaq_json::funs());
    let own = own.map(|(name, args, run)| (name, args, Native::<Metered>::new(run)));
    meter.into_iter().chain(own).chain(theirs)
}

/// A function that gives what it gets after paying, also in `path(..)` and on the left of `|=`.
fn stepping() -> Native<Metered> {
    Native::<Metered>::new(|cv| box_once(cv.0.data().meter.pay(1).map(|()| cv.1)))
        .with_paths(|cv| box_once(cv.0.data().meter.pay(1).map(|()| cv.1)))
        .with_update(|cv, change| match cv.0.data().meter.pay(1) {
            Ok(()) => change(cv.1),
            Err(end) => box_once(Err(end)),
        })
}

fn weighing() -> Native<Metered> {
    Native::<Metered>::new(|cv| box_once(cv.0.data().meter.weigh(&cv.1).map(|()| cv.1)))
        .with_paths(|cv| box_once(cv.0.data().meter.weigh(&cv.1.0).map(|()| cv.1)))
        .with_update(|cv, change| match cv.0.data().meter.weigh(&cv.1) {
            Ok(()) => change(cv.1),
            Err(end) => box_once(Err(end)),
        })
}

fn times<'a>(mut cv: Cv<'a, Metered>) -> Value<'a> {
    let right = cv.0.pop_var();
    let left = cv.0.pop_var();
    if let (Val::TStr(text) | Val::BStr(text), Val::Num(number))
    | (Val::Num(number), Val::TStr(text) | Val::BStr(text)) = (&left, &right)
    {
        let meter = cv.0.data().meter;
        let count = match number {
            Num::Int(count) => u64::try_from(*count).unwrap_or(0),
            Num::BigInt(_) => return Err(meter.end(Spent::Size)),
            Num::Float(_) | Num::Dec(_) => 0,
        };
        let bytes = u64::try_from(text.len()).unwrap_or(u64::MAX);
        meter.allow_bytes(bytes.max(1).saturating_mul(count))?;
    }
    (left * right).map_err(Exn::from)
}

fn contains<'a>(mut cv: Cv<'a, Metered>) -> Value<'a> {
    let part = cv.0.pop_var();
    let meter = cv.0.data().meter;
    holds(&cv.1, &part, &mut |steps| meter.pay(steps)).map(Val::from)
}

/// As jq: texts inside texts, elements inside some element, members inside members, and otherwise equal.
fn holds<'a>(
    whole: &Val,
    part: &Val,
    pay: &mut impl FnMut(u64) -> Result<(), Exn<'a, Val>>,
) -> Result<bool, Exn<'a, Val>> {
    pay(1)?;
    match (whole, part) {
        (Val::TStr(whole), Val::TStr(part)) => {
            pay(u64::try_from(whole.len() / 8).unwrap_or(u64::MAX))?;
            let (Ok(whole), Ok(part)) = (std::str::from_utf8(whole), std::str::from_utf8(part)) else {
                return Ok(false);
            };
            Ok(whole.contains(part))
        }
        (Val::Arr(whole), Val::Arr(parts)) => {
            for part in parts.iter() {
                let mut found = false;
                for whole in whole.iter() {
                    found = holds(whole, part, pay)?;
                    if found {
                        break;
                    }
                }
                if !found {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        (Val::Obj(whole), Val::Obj(parts)) => {
            for (key, part) in parts.iter() {
                let Some(whole) = whole.get(key) else {
                    return Ok(false);
                };
                if !holds(whole, part, pay)? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        (whole, part) => Ok(whole == part),
    }
}

fn join<'a>(mut cv: Cv<'a, Metered>) -> Value<'a> {
    let (Val::Arr(parts), Val::TStr(between)) = (cv.1.clone(), cv.0.pop_var()) else {
        return Err(Exn::from(Error::str("join needs an array and a text")));
    };
    let texts: Vec<Vec<u8>> = parts
        .iter()
        .map(|part| match part {
            Val::TStr(text) => Ok(text.to_vec()),
            Val::Null => Ok(Vec::new()),
            Val::Bool(_) | Val::Num(_) => Ok(part.to_string().into_bytes()),
            _ => Err(Exn::from(Error::str(
                "join takes texts, numbers, booleans and null",
            ))),
        })
        .collect::<Result<_, Exn<'_, Val>>>()?;
    let bytes: usize = texts.iter().map(|text| text.len() + between.len()).sum();
    cv.0.data()
        .meter
        .allow_bytes(u64::try_from(bytes).unwrap_or(u64::MAX))?;
    Ok(Val::utf8_str(texts.join(&between[..])))
}

fn from_json<'a>(cv: Cv<'a, Metered>) -> Value<'a> {
    let read = text(&cv.1).and_then(|text| value::read(text).ok());
    read.ok_or_else(|| Exn::from(Error::str("the text is not JSON")))
}

fn to_number<'a>(cv: Cv<'a, Metered>) -> Value<'a> {
    match &cv.1 {
        Val::Num(_) => Ok(cv.1),
        other => match text(other).filter(|text| json::is_number(text)) {
            Some(text) => Ok(value::number(text)),
            None => Err(Exn::from(Error::str("the text is not a number"))),
        },
    }
}

fn text(value: &Val) -> Option<&str> {
    match value {
        Val::TStr(text) => std::str::from_utf8(text).ok(),
        _ => None,
    }
}
