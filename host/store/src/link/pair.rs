//! Pairs: what a link knows of one record on both sides, and what of them is open.

use sluice_model::Timestamp;
use sluice_model::id::{LinkId, OrgId};
use sluice_model::record::Change;

use super::{Link, Side};
use crate::key::{Key, Parts, Span};
use crate::record::Quarantined;
use crate::row::corrupt;
use crate::table::{Rows, Table, Writer};
use crate::{Error, Page};

/// A record on both sides.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Pair {
    /// The record's ids; none where a side has none yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// What both sides were when they agreed last; JSON text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<(String, String)>,
    /// Writes whose outcome is not known yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pending: Vec<Pending>,
    /// Why a person has to decide; JSON text of the service's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conflict: Option<String>,
}

impl Pair {
    /// The id on a side.
    #[must_use]
    pub fn id(&self, side: Side) -> Option<&str> {
        match side {
            Side::Source => self.source.as_deref(),
            Side::Target => self.target.as_deref(),
        }
    }

    /// Sets the id on a side.
    pub fn set_id(&mut self, side: Side, id: Option<String>) {
        match side {
            Side::Source => self.source = id,
            Side::Target => self.target = id,
        }
    }
}

/// A write that is under way.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Pending {
    pub side: Side,
    /// The same for every try.
    pub key: String,
    /// What the other side was when this was decided; none where the base has it already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// What to set, as JSON text; none: delete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub put: Option<String>,
    /// The vendor's revision that it builds on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
}

/// A pair and its number in the link; none for a new one.
pub type Numbered = (Option<u64>, Pair);

/// Records of one stream as a vendor has them after writes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Written {
    pub changes: Vec<Change>,
    pub quarantined: Vec<Quarantined>,
}

/// What one step of a link came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkStep {
    pub pairs: Vec<Numbered>,
    /// Pairs of records that are gone on both sides.
    pub gone: Vec<u64>,
    /// What a side's feed is dealt with up to.
    pub at: Option<(Side, u64)>,
    pub written: Vec<(Side, Written)>,
    pub writes: u64,
    pub now: Timestamp,
    /// The lease's new end.
    pub until: Timestamp,
}

pub(super) const PENDING: u64 = 0;
pub(super) const CONFLICT: u64 = 1;

/// Pairs that are open for one reason, by number.
pub(super) fn open(
    rows: &mut impl Rows,
    org: OrgId,
    link: LinkId,
    why: u64,
    page: Page<u64>,
) -> Result<Vec<(u64, Pair)>, Error> {
    let of = Key::org(org).id(link).number(why);
    let mut span = Span::prefix(&of);
    if let Some(after) = page.after {
        span = span.after(of.clone().number(after));
    }
    let numbers = rows.collect(Table::LinkOpen, &span, false, page.limit, |key, _| {
        Ok(Parts::new(key.get(of.bytes().len()..).unwrap_or_default()).number())
    })?;
    let mut found = Vec::with_capacity(numbers.len());
    for number in numbers {
        let pair = rows.get_json(Table::LinkPairs, &pair_key(org, link, number))?;
        let pair = pair.ok_or_else(|| corrupt(Table::LinkOpen, "a row has no pair"))?;
        found.push((number, pair));
    }
    Ok(found)
}

pub(super) fn save_pair(
    rows: &mut Writer<'_>,
    org: OrgId,
    link: &mut Link,
    number: Option<u64>,
    pair: &Pair,
) -> Result<(), Error> {
    let number = number.unwrap_or_else(|| {
        link.last_pair += 1;
        link.pairs += 1;
        link.last_pair
    });
    let place = pair_key(org, link.id, number);
    let old: Pair = rows.get_json(Table::LinkPairs, &place)?.unwrap_or_default();
    for side in [Side::Source, Side::Target] {
        if old.id(side) == pair.id(side) {
            continue;
        }
        if let Some(id) = old.id(side) {
            rows.delete(Table::LinkSides, &side_key(org, link.id, side, id))?;
        }
        if let Some(id) = pair.id(side) {
            rows.put_number(Table::LinkSides, &side_key(org, link.id, side, id), number)?;
        }
    }
    let reasons = [
        (PENDING, !pair.pending.is_empty(), !old.pending.is_empty()),
        (CONFLICT, pair.conflict.is_some(), old.conflict.is_some()),
    ];
    for (why, now, before) in reasons {
        let row = Key::org(org).id(link.id).number(why).number(number);
        match (now, before) {
            (true, false) => rows.put(Table::LinkOpen, &row, &[])?,
            (false, true) => rows.delete(Table::LinkOpen, &row)?,
            _ => {}
        }
    }
    link.conflicts = (link.conflicts + u64::from(pair.conflict.is_some()))
        .saturating_sub(u64::from(old.conflict.is_some()));
    rows.put_json(Table::LinkPairs, &place, pair)
}

pub(super) fn drop_pair(
    rows: &mut Writer<'_>,
    org: OrgId,
    link: &mut Link,
    number: u64,
) -> Result<(), Error> {
    save_pair(rows, org, link, Some(number), &Pair::default())?;
    link.pairs = link.pairs.saturating_sub(1);
    rows.delete(Table::LinkPairs, &pair_key(org, link.id, number))
}

pub(super) fn pair_key(org: OrgId, link: LinkId, number: u64) -> Key {
    Key::org(org).id(link).number(number)
}

pub(super) fn side_key(org: OrgId, link: LinkId, side: Side, id: &str) -> Key {
    let side = match side {
        Side::Source => 0,
        Side::Target => 1,
    };
    Key::org(org).id(link).number(side).tail(id)
}
