//! The organizations' keys: each in versions, the newest of which seals. A sealed value says which version opens it.
//!
//! What must always hold: a version is there for as long as a value is sealed under it, and not longer than its rotation;
//! all sealing happens in the writer, so that a version which is not the newest gains no values. Each rotation is a pass
//! over the organization's values that seals anew what an older version sealed, in bounded steps; the version goes in the
//! last commit. A value that does not open keeps its version where it is until somebody sets or removes it.

mod rotation;

pub use rotation::OrgKeyState;

use sluice_model::id::OrgId;
use sluice_model::seal::{Aad, OrgKey, SealError, Sealed};
use sluice_model::secret::Secret;

use crate::key::{Key, Parts, Span};
use crate::keyring::Keyring;
use crate::row::corrupt;
use crate::table::{Rows, Table, Writer};
use crate::{Error, Store};

/// Which key a row of `OrgKeys` is.
pub(crate) struct Wrapped {
    pub(crate) org: OrgId,
    pub(crate) version: u32,
}

/// The key that seals now. Nothing is written before [`Sealer::note`].
pub(crate) struct Sealer {
    org: OrgId,
    key: OrgKey,
    /// The key as it is kept, if it is a new version.
    made: Option<Vec<u8>>,
}

impl Store {
    /// How many secrets were unsealed since the start: what is used often is opened once and kept by whoever uses it.
    #[must_use]
    pub fn secrets_opened(&self) -> u64 {
        self.keyring().opened()
    }
}

impl Sealer {
    /// The newest version; one more where that is worn.
    pub(crate) fn new(rows: &mut impl Rows, ring: &Keyring, org: OrgId) -> Result<Self, Error> {
        let version = newest(rows, org)?;
        let uses = rows.get_number(Table::OrgKeyUses, &row_key(org, version))?;
        let key = load(rows, ring, org, version)?.with_uses(uses);
        if !key.is_worn() {
            let made = None;
            return Ok(Self { org, key, made });
        }
        tracing::info!(%org, version, "the organization's key has sealed enough: a new version is made");
        let (key, wrapped) = next(ring, org, version)?;
        let made = Some(wrapped);
        Ok(Self { org, key, made })
    }

    /// Seals a value. `place`: owner, field and version of the value.
    pub(crate) fn seal(
        &self,
        (owner, field, version): (&str, &str, u32),
        secret: &Secret,
    ) -> Result<Vec<u8>, Error> {
        let aad = Aad {
            org: self.org,
            owner,
            field,
            version,
        };
        let sealed = self.key.seal(&aad, secret.expose()).map_err(Error::Seal)?;
        Ok(sealed.as_bytes().to_vec())
    }

    /// Keeps the count of uses, and the key if it is new, in the commit of the values.
    pub(crate) fn note(self, rows: &mut Writer<'_>) -> Result<(), Error> {
        let version = self.key.version();
        if let Some(wrapped) = &self.made {
            put_wrapped(rows, self.org, version, wrapped)?;
        }
        rows.put_number(Table::OrgKeyUses, &row_key(self.org, version), self.key.uses())
    }
}

/// Seals one value under the organization's key and counts the use.
pub(crate) fn seal_value(
    rows: &mut Writer<'_>,
    ring: &Keyring,
    org: OrgId,
    place: (&str, &str, u32),
    secret: &Secret,
) -> Result<Vec<u8>, Error> {
    let sealer = Sealer::new(rows, ring, org)?;
    let sealed = sealer.seal(place, secret)?;
    sealer.note(rows)?;
    Ok(sealed)
}

/// Opens what [`seal_value`] sealed.
pub(crate) fn open_value(
    rows: &mut impl Rows,
    ring: &Keyring,
    org: OrgId,
    (owner, field, version): (&str, &str, u32),
    sealed: Vec<u8>,
) -> Result<Secret, Error> {
    let aad = Aad {
        org,
        owner,
        field,
        version,
    };
    let sealed = Sealed::from_bytes(sealed);
    let key = sealed.key_version().map_err(Error::Seal)?;
    ring.note_opened();
    load(rows, ring, org, key)?
        .open(&aad, &sealed)
        .map_err(Error::Seal)
}

/// The first version of a new organization's key, as it is kept.
pub(crate) fn first(ring: &Keyring, org: OrgId) -> Result<Vec<u8>, Error> {
    OrgKey::generate(OrgKey::FIRST)
        .and_then(|key| ring.wrap(&key, org))
        .map_err(Error::Seal)
}

/// A version as it is kept.
pub(crate) fn wrapped(rows: &mut impl Rows, org: OrgId, version: u32) -> Result<Option<Vec<u8>>, Error> {
    rows.get(Table::OrgKeys, &row_key(org, version))
}

pub(crate) fn put_wrapped(
    rows: &mut Writer<'_>,
    org: OrgId,
    version: u32,
    wrapped: &[u8],
) -> Result<(), Error> {
    rows.put(Table::OrgKeys, &row_key(org, version), &[wrapped])
}

/// Destroys every version: nothing that any of them sealed opens from then on.
pub(crate) fn destroy(rows: &mut Writer<'_>, org: OrgId) -> Result<(), Error> {
    let mut all = usize::MAX;
    rows.delete_prefix(Table::OrgKeys, &Key::org(org), &mut all)
}

/// Gives the keys of format 1, of which there was one for each organization, their version.
pub(crate) fn number_versions(rows: &mut Writer<'_>) -> Result<(), Error> {
    for table in [Table::OrgKeys, Table::OrgKeyUses] {
        let old = rows.collect(table, &Span::all(), false, usize::MAX, |key, content| {
            Ok(Some((Key::empty().tail(key), content.to_vec())))
        })?;
        for (key, content) in old {
            let org = Parts::new(key.bytes())
                .id()
                .ok_or_else(|| corrupt(table, "a key is too short"))?;
            rows.delete(table, &key)?;
            rows.put(table, &row_key(org, OrgKey::FIRST), &[&content])?;
        }
    }
    Ok(())
}

fn row_key(org: OrgId, version: u32) -> Key {
    Key::org(org).number(version.into())
}

fn older_than(org: OrgId, version: u32) -> Span {
    Span::prefix(&Key::org(org)).before(row_key(org, version))
}

fn newest(rows: &mut impl Rows, org: OrgId) -> Result<u32, Error> {
    end(rows, org, true)
}

fn oldest(rows: &mut impl Rows, org: OrgId) -> Result<u32, Error> {
    end(rows, org, false)
}

fn end(rows: &mut impl Rows, org: OrgId, backwards: bool) -> Result<u32, Error> {
    let span = Span::prefix(&Key::org(org));
    let found = rows.collect(Table::OrgKeys, &span, backwards, 1, |key, _| {
        let number = Parts::new(key.get(16..).unwrap_or_default()).number();
        let version = number.and_then(|number| u32::try_from(number).ok());
        version
            .map(Some)
            .ok_or_else(|| corrupt(Table::OrgKeys, "a key is malformed"))
    })?;
    found.first().copied().ok_or(Error::Missing {
        what: "the organization",
    })
}

/// The key, unwrapped anew each time: once its row is gone no memory of the process opens anything.
fn load(rows: &mut impl Rows, ring: &Keyring, org: OrgId, version: u32) -> Result<OrgKey, Error> {
    let Some(wrapped) = wrapped(rows, org, version)? else {
        // Either the organization is gone, or this version of its key, and with it what it sealed.
        newest(rows, org)?;
        return Err(Error::Seal(SealError::Refused));
    };
    ring.unwrap(&wrapped, org, version).map_err(Error::Seal)
}

/// A version more than this one, and as it is kept.
fn next(ring: &Keyring, org: OrgId, version: u32) -> Result<(OrgKey, Vec<u8>), Error> {
    let version = version
        .checked_add(1)
        .ok_or(Error::Broken("count an organization's keys"))?;
    let key = OrgKey::generate(version).map_err(Error::Seal)?;
    let wrapped = ring.wrap(&key, org).map_err(Error::Seal)?;
    Ok((key, wrapped))
}

#[cfg(test)]
mod tests;
