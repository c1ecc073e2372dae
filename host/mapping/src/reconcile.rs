//! Two records that should say the same, on two sides: what has to be written where, and who wins when both were changed.
//!
//! Each side's record comes as its own vendor has it and as the other side would be told of it (`mapped`). What both sides
//! last agreed on is the base: only what differs from it was changed. What must always hold: a side that has everything it
//! would be told is told nothing, so what was written never comes back as news; a field that one side changed alone never
//! overwrites what the other changed; whoever wins, nothing is decided that the policy does not say, but left to a person.

mod policy;

use std::borrow::Cow;
use std::collections::BTreeSet;

use sluice_model::Timestamp;

use crate::json::{self, Malformed, encode, members, same};

pub use policy::{Judge, Policy, PolicyError};

/// A record of one side.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// As its vendor has it.
    pub own: &'a str,
    /// The members that the other side is told; none where it is never told anything.
    pub mapped: Option<&'a str>,
    /// When the vendor says it was changed last.
    pub modified: Option<Timestamp>,
}

/// Both sides, and what they agreed on last. A side without a record has none, or no longer.
#[derive(Debug, Clone, Copy, Default)]
pub struct Pair<'a> {
    pub source: Option<Known<'a>>,
    pub target: Option<Known<'a>>,
    /// Of each side, what it had.
    pub base: Option<(Known<'a>, Known<'a>)>,
    /// Whether the source is told what the target changes.
    pub both_ways: bool,
}

/// What one side is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tell {
    /// These members, as a JSON object; of a record that it does not have, all there are.
    Put(String),
    Delete,
}

/// What has to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// They say the same, or as much the same as they should: this is the new base.
    Agreed,
    /// Nothing is to be written, and it is not said that they agree.
    Leave,
    Write {
        source: Option<Tell>,
        target: Option<Tell>,
    },
    /// A person has to say. The members that both sides changed, by the target's names; empty where it is the whole record.
    Conflict(Vec<String>),
}

/// Which side's word counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Take {
    Source,
    Target,
}

type Members<'a> = Vec<(Cow<'a, str>, &'a str)>;

fn fields(text: &str) -> Result<Members<'_>, Malformed> {
    let found = members(text)?;
    Ok(found.into_iter().map(|(name, _, value)| (name, value)).collect())
}

fn field<'a>(of: &Members<'a>, name: &str) -> Option<&'a str> {
    of.iter()
        .find(|(found, _)| found == name)
        .map(|(_, value)| *value)
}

/// Whether two members say the same; one that is missing says null.
fn agree(left: Option<&str>, right: Option<&str>) -> bool {
    same(left.unwrap_or("null"), right.unwrap_or("null"))
}

fn object<'a>(of: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let parts: Vec<String> = of
        .map(|(name, value)| format!("{}:{value}", encode(name)))
        .collect();
    format!("{{{}}}", parts.join(","))
}

/// The members of `told` that `has` does not have so.
fn missing<'a>(told: &Members<'a>, has: &Members<'_>) -> Vec<(String, &'a str)> {
    let lacks = |(name, value): &&(Cow<'a, str>, &'a str)| !agree(Some(value), field(has, name));
    told.iter()
        .filter(lacks)
        .map(|(name, value)| (name.to_string(), *value))
        .collect()
}

fn put(parts: &[(String, &str)]) -> Tell {
    Tell::Put(object(parts.iter().map(|(name, value)| (name.as_str(), *value))))
}

/// What the other side would be told of a record.
fn told<'a>(known: &Known<'a>) -> Result<Members<'a>, Malformed> {
    fields(known.mapped.unwrap_or("{}"))
}

/// Whether what the other side is told of has changed.
fn changed(now: &Known<'_>, before: Option<&Known<'_>>) -> Result<bool, Malformed> {
    let Some(before) = before else { return Ok(true) };
    let (now, before) = (told(now)?, told(before)?);
    let names: BTreeSet<&str> = now.iter().chain(&before).map(|(name, _)| name.as_ref()).collect();
    Ok(names
        .into_iter()
        .any(|name| !agree(field(&now, name), field(&before, name))))
}

/// Decides. Records that are no JSON objects are nobody's to reconcile: an error says so.
///
/// # Errors
///
/// [`PolicyError`] for such records, and where the policy's own program fails on them.
pub fn decide(judge: &Judge, pair: &Pair<'_>) -> Result<Verdict, PolicyError> {
    let (base_source, base_target) = match &pair.base {
        Some((source, target)) => (Some(source), Some(target)),
        None => (None, None),
    };
    match (&pair.source, &pair.target) {
        (None, None) => Ok(Verdict::Agreed),
        (Some(source), None) => one_sided(judge, pair, Take::Source, (source, base_source)),
        (None, Some(target)) if pair.both_ways => one_sided(judge, pair, Take::Target, (target, base_target)),
        // It was written by us, and its source is gone.
        (None, Some(_)) if pair.base.is_some() => Ok(write(None, Some(Tell::Delete))),
        (None, Some(_)) => Ok(Verdict::Leave),
        (Some(source), Some(target)) => {
            if settled(pair, source, target)? {
                return Ok(Verdict::Agreed);
            }
            let source_changed = changed(source, base_source)?;
            let target_changed = pair.both_ways && changed(target, base_target)?;
            match (source_changed, target_changed) {
                (false, false) => Ok(Verdict::Agreed),
                (true, false) => tell(pair, Take::Source),
                (false, true) => tell(pair, Take::Target),
                (true, true) => judge.judge(pair),
            }
        }
    }
}

/// What has to be written for one side's word to count, as it stands now.
///
/// # Errors
///
/// [`PolicyError::Record`].
pub fn take(pair: &Pair<'_>, side: Take) -> Result<Verdict, PolicyError> {
    match (&pair.source, &pair.target, side) {
        (Some(_), _, Take::Source) | (_, Some(_), Take::Target) => tell(pair, side),
        (None, Some(_), Take::Source) => Ok(write(None, Some(Tell::Delete))),
        (Some(_), None, Take::Target) => Ok(write(Some(Tell::Delete), None)),
        (None, None, _) => Ok(Verdict::Agreed),
    }
}

/// Whether each side has everything that it would be told.
fn settled(pair: &Pair<'_>, source: &Known<'_>, target: &Known<'_>) -> Result<bool, PolicyError> {
    let has_all = |told_of: &Known<'_>, has: &Known<'_>| -> Result<bool, Malformed> {
        Ok(missing(&told(told_of)?, &fields(has.own)?).is_empty())
    };
    Ok(has_all(source, target)? && (!pair.both_ways || has_all(target, source)?))
}

/// Only one side has a record.
fn one_sided(
    judge: &Judge,
    pair: &Pair<'_>,
    side: Take,
    (known, base): (&Known<'_>, Option<&Known<'_>>),
) -> Result<Verdict, PolicyError> {
    if pair.base.is_none() {
        // It is new.
        return tell(pair, side);
    }
    // The other side's was deleted.
    let is_changed = changed(known, base)?;
    if side == Take::Source && !pair.both_ways {
        return if is_changed {
            tell(pair, side)
        } else {
            Ok(Verdict::Leave)
        };
    }
    if !is_changed {
        return Ok(match side {
            Take::Source => write(Some(Tell::Delete), None),
            Take::Target => write(None, Some(Tell::Delete)),
        });
    }
    match judge.always() {
        Some(side) => take(pair, side),
        None => Ok(Verdict::Conflict(Vec::new())),
    }
}

/// Tells the other side what this one has.
fn tell(pair: &Pair<'_>, side: Take) -> Result<Verdict, PolicyError> {
    let (from, to) = match side {
        Take::Source => (&pair.source, &pair.target),
        Take::Target => (&pair.target, &pair.source),
    };
    let Some(from) = from else {
        return Ok(Verdict::Leave);
    };
    let parts = told(from)?;
    let parts = match to {
        Some(to) => missing(&parts, &fields(to.own)?),
        None => parts
            .iter()
            .map(|(name, value)| (name.to_string(), *value))
            .collect(),
    };
    if parts.is_empty() {
        return Ok(Verdict::Agreed);
    }
    let told = Some(put(&parts));
    Ok(match side {
        Take::Source => write(None, told),
        Take::Target => write(told, None),
    })
}

const fn write(source: Option<Tell>, target: Option<Tell>) -> Verdict {
    Verdict::Write { source, target }
}

/// Both sides changed different members: each is told the other's. Members that both changed are the conflict.
fn merge(pair: &Pair<'_>) -> Result<Verdict, PolicyError> {
    let (Some(source), Some(target), Some((base_source, base_target))) =
        (&pair.source, &pair.target, &pair.base)
    else {
        return Ok(Verdict::Conflict(Vec::new()));
    };
    let (now, before) = (told(source)?, told(base_source)?);
    let (has, had) = (fields(target.own)?, fields(base_target.own)?);
    let names: BTreeSet<&str> = now.iter().chain(&before).map(|(name, _)| name.as_ref()).collect();
    let (mut to_target, mut clash) = (Vec::new(), Vec::new());
    for name in names {
        let value = field(&now, name);
        if agree(value, field(&before, name)) || agree(value, field(&has, name)) {
            continue;
        }
        if agree(field(&has, name), field(&had, name)) {
            to_target.push((name.to_owned(), value.unwrap_or("null")));
        } else {
            clash.push(name.to_owned());
        }
    }
    if !clash.is_empty() {
        return Ok(Verdict::Conflict(clash));
    }
    let (now, before, has) = (told(target)?, told(base_target)?, fields(source.own)?);
    let to_source: Vec<(String, &str)> = now
        .iter()
        .filter(|(name, value)| {
            !agree(Some(value), field(&before, name)) && !agree(Some(value), field(&has, name))
        })
        .map(|(name, value)| (name.to_string(), *value))
        .collect();
    let told = |parts: &[(String, &str)]| (!parts.is_empty()).then(|| put(parts));
    match (told(&to_source), told(&to_target)) {
        (None, None) => Ok(Verdict::Agreed),
        (source, target) => Ok(write(source, target)),
    }
}

/// The members that both sides changed, for whoever has to decide.
fn clashing(pair: &Pair<'_>) -> Result<Vec<String>, PolicyError> {
    match merge(pair)? {
        Verdict::Conflict(names) => Ok(names),
        _ => Ok(Vec::new()),
    }
}

/// Chosen members of a record under other names: what a link without rules tells the other side.
///
/// # Errors
///
/// [`PolicyError::Record`] where the record is no JSON object.
pub fn pick(record: &str, names: &[(String, String)]) -> Result<String, PolicyError> {
    let of = fields(record)?;
    let picked = names
        .iter()
        .filter_map(|(from, to)| Some((to.as_str(), field(&of, from)?)));
    Ok(object(picked))
}

/// A record with these members set.
///
/// # Errors
///
/// [`PolicyError::Record`] where either is no JSON object.
pub fn with(record: &str, parts: &str) -> Result<String, PolicyError> {
    let (of, parts) = (fields(record)?, fields(parts)?);
    let kept = of.iter().filter(|(name, _)| field(&parts, name).is_none());
    Ok(object(
        kept.chain(&parts).map(|(name, value)| (name.as_ref(), *value)),
    ))
}

/// The text of a member, decoded where it is a string.
///
/// # Errors
///
/// [`PolicyError::Record`] where the record is no JSON object.
pub fn member(record: &str, name: &str) -> Result<Option<String>, PolicyError> {
    let of = fields(record)?;
    Ok(field(&of, name).filter(|value| *value != "null").map(|value| {
        if json::kind(value) == json::Kind::Text {
            json::decode(value).into_owned()
        } else {
            value.to_owned()
        }
    }))
}

#[cfg(test)]
mod tests;
