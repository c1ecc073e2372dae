//! JSON text to jaq's values and back, numbers exact in both directions.

use jaq_json::{Map, Num, Val};

use crate::json::{self, MAX_DEPTH, Malformed, Scan};
use sluice_model::record::MAX_RECORD_BYTES;

/// Integers longer than this stay text; a program that calculates with one gets a float.
const MAX_INTEGER_BYTES: usize = 1_000;

/// A value of JSON text; the error is a sentence.
pub(super) fn read(text: &str) -> Result<Val, String> {
    let mut scan = Scan { text, at: 0 };
    scan.space();
    let value = value(&mut scan, 0).and_then(|value| {
        scan.end()?;
        Ok(value)
    });
    value.map_err(|malformed| malformed.to_string())
}

fn value(scan: &mut Scan<'_>, depth: usize) -> Result<Val, Malformed> {
    let start = scan.at;
    match scan.peek() {
        Some(b'{' | b'[') if depth >= MAX_DEPTH => Err(Malformed::Deep),
        Some(b'{') => object(scan, depth),
        Some(b'[') => array(scan, depth),
        Some(b'"') => text(scan),
        Some(b'n') => scan.word("null").map(|()| Val::Null),
        Some(b't') => scan.word("true").map(|()| Val::Bool(true)),
        Some(b'f') => scan.word("false").map(|()| Val::Bool(false)),
        _ => {
            scan.number()?;
            Ok(number(scan.slice(start, scan.at)?))
        }
    }
}

fn text(scan: &mut Scan<'_>) -> Result<Val, Malformed> {
    let start = scan.at;
    scan.string()?;
    let raw = scan.slice(start, scan.at)?;
    Ok(Val::utf8_str(json::decode(raw).into_owned()))
}

fn object(scan: &mut Scan<'_>, depth: usize) -> Result<Val, Malformed> {
    scan.take(b'{')?;
    scan.space();
    let mut pairs = Map::default();
    if scan.skip(b'}') {
        return Ok(Val::obj(pairs));
    }
    loop {
        scan.space();
        let key = text(scan)?;
        scan.space();
        scan.take(b':')?;
        scan.space();
        if pairs.insert(key, value(scan, depth + 1)?).is_some() {
            return Err(Malformed::Twice);
        }
        scan.space();
        if scan.skip(b'}') {
            return Ok(Val::obj(pairs));
        }
        scan.take(b',')?;
    }
}

fn array(scan: &mut Scan<'_>, depth: usize) -> Result<Val, Malformed> {
    scan.take(b'[')?;
    scan.space();
    let mut values = Vec::new();
    if scan.skip(b']') {
        return Ok(values.into_iter().collect());
    }
    loop {
        scan.space();
        values.push(value(scan, depth + 1)?);
        scan.space();
        if scan.skip(b']') {
            return Ok(values.into_iter().collect());
        }
        scan.take(b',')?;
    }
}

/// A number that goes out as it came in, unless it is calculated with.
pub(super) fn number(text: &str) -> Val {
    let is_whole = json::is_integer(text) && text != "-0" && text.len() <= MAX_INTEGER_BYTES;
    let whole = is_whole.then(|| Num::from_str_radix(text, 10)).flatten();
    Val::Num(whole.unwrap_or_else(|| Num::Dec(text.to_owned().into())))
}

/// The JSON text of a value; the error is a sentence.
pub(super) fn write(value: &Val) -> Result<String, &'static str> {
    let mut out = String::new();
    write_to(value, 0, &mut out)?;
    Ok(out)
}

fn write_to(value: &Val, depth: usize, out: &mut String) -> Result<(), &'static str> {
    if depth > MAX_DEPTH {
        return Err("the program's result is nested too deep");
    }
    if out.len() > MAX_RECORD_BYTES {
        return Err("the program's result is longer than a record may be");
    }
    match value {
        Val::Null => out.push_str("null"),
        Val::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Val::Num(Num::Int(value)) => out.push_str(&value.to_string()),
        Val::Num(Num::BigInt(value)) => out.push_str(&value.to_string()),
        Val::Num(Num::Dec(text)) => out.push_str(text),
        Val::Num(Num::Float(value)) if value.is_finite() => {
            out.push_str(
                &serde_json::to_string(value)
                    .map_err(|_| "the program's result has a number that JSON cannot write")?,
            );
        }
        Val::Num(Num::Float(_)) => return Err("the program's result has a number that JSON cannot write"),
        Val::TStr(text) => out.push_str(&json::encode(utf8(text)?)),
        Val::BStr(_) => return Err("the program's result has bytes that are not text"),
        Val::Arr(values) => {
            out.push('[');
            for (place, value) in values.iter().enumerate() {
                if place > 0 {
                    out.push(',');
                }
                write_to(value, depth + 1, out)?;
            }
            out.push(']');
        }
        Val::Obj(pairs) => {
            out.push('{');
            for (place, (key, value)) in pairs.iter().enumerate() {
                if place > 0 {
                    out.push(',');
                }
                let Val::TStr(key) = key else {
                    return Err("the program's result has a key that is not text");
                };
                out.push_str(&json::encode(utf8(key)?));
                out.push(':');
                write_to(value, depth + 1, out)?;
            }
            out.push('}');
        }
    }
    Ok(())
}

fn utf8(bytes: &[u8]) -> Result<&str, &'static str> {
    std::str::from_utf8(bytes).map_err(|_| "the program's result has bytes that are not text")
}
