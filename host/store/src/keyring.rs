//! The master keys that were given: one that wraps from now on, and those before it that may still have to open.
//!
//! What must always hold: for every master key under which an organization's key may be wrapped there is a check value
//! wrapped under it, and the database opens only if every check value does. So a key that is still needed cannot be left
//! out, and once the last check value but the present key's is gone, the others are not needed for anything.

use std::sync::atomic::{AtomicU64, Ordering};

use sluice_model::id::OrgId;
use sluice_model::seal::{MasterKey, OrgKey, SealError};

use crate::Error;
use crate::key::{Key, Span};
use crate::table::{Rows, Table, Writer};

/// The master key and those before it.
#[derive(Debug)]
pub(crate) struct Keyring {
    present: MasterKey,
    previous: Vec<MasterKey>,
    /// Counts the values that were opened.
    opened: AtomicU64,
}

/// How the check values of a database open.
pub(crate) struct Checks {
    /// How many open under a key of the ring.
    pub(crate) opened: usize,
    /// How many do not.
    pub(crate) refused: usize,
    /// How many open under the present key.
    present: usize,
    /// Previous keys, counted from one, that open none which the present key does not.
    pub(crate) idle: Vec<usize>,
}

impl Keyring {
    pub(crate) const fn new(present: MasterKey, previous: Vec<MasterKey>) -> Self {
        Self {
            present,
            previous,
            opened: AtomicU64::new(0),
        }
    }

    /// Values that were opened since the start.
    pub(crate) fn opened(&self) -> u64 {
        self.opened.load(Ordering::Relaxed)
    }

    pub(crate) fn note_opened(&self) {
        self.opened.fetch_add(1, Ordering::Relaxed);
    }

    /// How many keys there are beside the present one.
    pub(crate) const fn previous(&self) -> usize {
        self.previous.len()
    }

    /// Wraps an organization's key under the present master key.
    pub(crate) fn wrap(&self, key: &OrgKey, org: OrgId) -> Result<Vec<u8>, SealError> {
        self.present.wrap(key, org)
    }

    /// Opens an organization's key under whichever master key does.
    pub(crate) fn unwrap(&self, wrapped: &[u8], org: OrgId, version: u32) -> Result<OrgKey, SealError> {
        let mut keys = std::iter::once(&self.present).chain(&self.previous);
        keys.find_map(|key| match key.unwrap(wrapped, org, version) {
            Err(SealError::Refused) => None,
            other => Some(other),
        })
        .unwrap_or(Err(SealError::Refused))
    }

    /// Whether this is wrapped under the present master key.
    pub(crate) fn is_present(&self, wrapped: &[u8], org: OrgId, version: u32) -> bool {
        self.present.unwrap(wrapped, org, version).is_ok()
    }

    /// Looks at the check values; none if the table has none.
    pub(crate) fn check(&self, rows: &mut impl Rows) -> Result<Option<Checks>, Error> {
        let values = values(rows)?;
        if values.is_empty() {
            return Ok(None);
        }
        let opens = |key: &MasterKey, value: &[u8]| key.unwrap(value, place(), OrgKey::FIRST).is_ok();
        let others: Vec<_> = values
            .iter()
            .filter(|(_, value)| !opens(&self.present, value))
            .collect();
        let present = values.len() - others.len();
        let by_previous = |value: &[u8]| self.previous.iter().any(|key| opens(key, value));
        let refused = others.iter().filter(|(_, value)| !by_previous(value)).count();
        let numbered = self.previous.iter().zip(1..);
        let is_idle = |key: &MasterKey| !others.iter().any(|(_, value)| opens(key, value));
        Ok(Some(Checks {
            opened: values.len() - refused,
            refused,
            present,
            idle: numbered
                .filter_map(|(key, number)| is_idle(key).then_some(number))
                .collect(),
        }))
    }

    /// A check value under the present key.
    pub(crate) fn new_check(&self) -> Result<Vec<u8>, SealError> {
        self.present.wrap(&OrgKey::generate(OrgKey::FIRST)?, place())
    }
}

impl Checks {
    /// Whether nothing is wrapped under the present key yet.
    pub(crate) const fn is_new(&self) -> bool {
        self.present == 0
    }

    /// Whether the present key is the only one that is needed.
    pub(crate) const fn is_settled(&self) -> bool {
        self.present == 1 && self.opened == 1 && self.refused == 0
    }
}

/// Puts a check value beside those that are there.
pub(crate) fn add(rows: &mut Writer<'_>, check: &[u8]) -> Result<(), Error> {
    // They only ever go all at once, so their number is a free name.
    let number = values(rows)?.len();
    rows.put(
        Table::Meta,
        &Key::empty().tail(format!("{CHECK}/{number}")),
        &[check],
    )
}

/// Puts one check value in the place of all, if there are any.
pub(crate) fn settle(rows: &mut Writer<'_>, check: &[u8]) -> Result<(), Error> {
    for (key, _) in values(rows)? {
        rows.delete(Table::Meta, &key)?;
    }
    rows.put(Table::Meta, &Key::empty().tail(CHECK), &[check])
}

fn values(rows: &mut impl Rows) -> Result<Vec<(Key, Vec<u8>)>, Error> {
    let span = Span::prefix(&Key::empty().tail(CHECK));
    rows.collect(Table::Meta, &span, false, MAX_CHECKS, |key, content| {
        Ok(Some((Key::empty().tail(key), content.to_vec())))
    })
}

/// What the check values' names begin with.
const CHECK: &str = "check";
/// As many master keys as nobody has.
const MAX_CHECKS: usize = 1000;

/// The organization that check values are wrapped for: none.
const fn place() -> OrgId {
    OrgId::from_bytes([0; 16])
}
