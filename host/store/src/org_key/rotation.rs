//! An organization's key rotated: a pass over its values, and the end of the versions before.

use std::ops::ControlFlow;

use sluice_model::id::{Id, OrgId, kind};
use sluice_model::seal::Sealed;

use super::{Sealer, newest, next, older_than, oldest, open_value, put_wrapped, row_key};
use crate::key::{Key, Parts, Span};
use crate::keyring::Keyring;
use crate::row::{corrupt, split_head_bytes};
use crate::table::{Rows, Table, Writer};
use crate::{Error, Store, authorization};

/// How an organization's key stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OrgKeyState {
    /// The version that seals. Goes up by one with every rotation.
    pub version: u32,
    /// How often it has sealed. At nine tenths of `OrgKey::MAX_USES` the next value makes a new version.
    pub uses: u64,
    /// Versions before it that are not destroyed yet.
    pub older: usize,
    /// Values that are sealed under those.
    pub left: u64,
}

impl Store {
    /// Makes a new version of the organization's key, seals every value anew under it in bounded steps, and destroys
    /// what was before. If a rotation is under way it goes on with that one instead. Interrupted or dropped,
    /// [`Store::sweep`] goes on with it. Everything can be read and written meanwhile. [`Error::Missing`],
    /// [`Error::Seal`].
    pub async fn rotate_org_key(&self, org: OrgId) -> Result<OrgKeyState, Error> {
        let ring = self.keyring().clone();
        self.write(64, move |rows| {
            let newest = newest(rows, org)?;
            if oldest(rows, org)? != newest {
                return Ok(());
            }
            let (version, wrapped) = next(&ring, org, newest)?;
            put_wrapped(rows, org, version.version(), &wrapped)
        })
        .await?;
        let mut steps = usize::MAX;
        self.reseal(org, &mut steps).await?;
        self.org_key(org).await
    }

    /// How the organization's key stands. [`Error::Missing`].
    pub async fn org_key(&self, org: OrgId) -> Result<OrgKeyState, Error> {
        self.read(move |rows| {
            let version = newest(rows, org)?;
            let older = rows.collect(
                Table::OrgKeys,
                &older_than(org, version),
                false,
                MAX_VERSIONS,
                |_, _| Ok(Some(())),
            )?;
            let mut state = OrgKeyState {
                version,
                uses: rows.get_number(Table::OrgKeyUses, &row_key(org, version))?,
                older: older.len(),
                left: 0,
            };
            if state.older > 0 {
                for table in SEALED {
                    state.left += count(rows, table, org, version)?;
                }
            }
            Ok(state)
        })
        .await
    }

    /// Goes on with a rotation for up to `steps` steps, and takes those it did off them. Whether there is more to do.
    pub(crate) async fn reseal(&self, org: OrgId, steps: &mut usize) -> Result<bool, Error> {
        let versions = self.read_now(|rows| Ok((oldest(rows, org)?, newest(rows, org)?)))?;
        let (oldest, target) = versions;
        if oldest == target {
            return Ok(false);
        }
        let mut outcome = Renewed::default();
        for table in SEALED {
            let mut span = Some(Span::prefix(&Key::org(org)));
            while let Some(part) = span.take() {
                let batch = self.read(move |rows| batch(rows, table, &part, target)).await?;
                if batch.keys.is_empty() {
                    break;
                }
                let all = Span::prefix(&Key::org(org));
                span = batch.last.map(|last| all.after(last));
                let ring = self.keyring().clone();
                let step = self
                    .write_bulk(batch.bytes, move |rows| {
                        renew(rows, &ring, org, table, &batch.keys)
                    })
                    .await?;
                outcome.done += step.done;
                outcome.kept += step.kept;
                *steps = steps.saturating_sub(1);
                if *steps == 0 {
                    // Steps that only find what does not open would find it again.
                    return Ok(outcome.done > 0);
                }
            }
        }
        if outcome.kept > 0 {
            tracing::error!(
                %org, values = outcome.kept,
                "values do not open and keep the organization's former key where it is: set or remove them"
            );
            return Ok(false);
        }
        self.write(64, move |rows| forget(rows, org, target)).await?;
        Ok(false)
    }
}

/// What one step seals anew at most, so that its commit stays short.
const STEP_VALUES: usize = 250;
/// And how many bytes of sealed values it reads, save for a last one.
const STEP_BYTES: usize = 4 << 20;
/// One is usual, two during a rotation.
const MAX_VERSIONS: usize = 1000;
/// Tables with values under an organization's key: a head with `version`, then what is sealed, or nothing.
const SEALED: [Table; 2] = [Table::Secrets, Table::Authorizations];

/// What is common to the heads of sealed rows.
#[derive(serde::Deserialize)]
struct Head {
    version: u32,
}

/// Whether a version before `target` sealed what this row holds.
fn is_stale(table: Table, content: &[u8], target: u32) -> Result<bool, Error> {
    let (_, _, sealed) = split_head_bytes::<Head>(table, content)?;
    let begins = sealed.get(..SEALED_HEAD).unwrap_or(sealed);
    let version = Sealed::from_bytes(begins.to_vec()).key_version();
    // What is in no known format counts as well: it keeps the key that it may need.
    Ok(!sealed.is_empty() && version.map_or(true, |version| version < target))
}

/// As much of a sealed value as says its version.
const SEALED_HEAD: usize = 8;

fn count(rows: &mut impl Rows, table: Table, org: OrgId, target: u32) -> Result<u64, Error> {
    let mut found = 0;
    rows.scan(table, &Span::prefix(&Key::org(org)), false, |_, content| {
        found += u64::from(is_stale(table, content, target)?);
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(found)
}

/// Values of a stretch that versions before the target sealed.
struct Batch {
    keys: Vec<Key>,
    bytes: usize,
    /// The last of them, if there may be more behind it.
    last: Option<Key>,
}

fn batch(rows: &mut impl Rows, table: Table, span: &Span, target: u32) -> Result<Batch, Error> {
    let (mut keys, mut bytes, mut last) = (Vec::new(), 0, None);
    rows.scan(table, span, false, |key, content| {
        if !is_stale(table, content, target)? {
            return Ok(ControlFlow::Continue(()));
        }
        keys.push(Key::empty().tail(key));
        bytes += content.len();
        if keys.len() < STEP_VALUES && bytes < STEP_BYTES {
            return Ok(ControlFlow::Continue(()));
        }
        last = keys.last().cloned();
        Ok(ControlFlow::Break(()))
    })?;
    Ok(Batch { keys, bytes, last })
}

/// What became of a batch.
#[derive(Default)]
struct Renewed {
    done: usize,
    /// How many do not open and stay as they are.
    kept: usize,
}

/// Seals values anew under the newest version.
fn renew(
    rows: &mut Writer<'_>,
    ring: &Keyring,
    org: OrgId,
    table: Table,
    keys: &[Key],
) -> Result<Renewed, Error> {
    let sealer = Sealer::new(rows, ring, org)?;
    let (mut renewed, mut kept) = (Vec::with_capacity(keys.len()), 0);
    for key in keys {
        // Removed, ended or set anew meanwhile.
        let Some(content) = rows.get(table, key)? else {
            continue;
        };
        let (Head { version }, head, sealed) = split_head_bytes(table, &content)?;
        if sealed.is_empty() {
            continue;
        }
        let (owner, field) = place(table, key)?;
        let place = (owner.as_str(), field.as_str(), version);
        match open_value(rows, ring, org, place, sealed.to_vec()) {
            Ok(secret) => renewed.push((key, head.to_vec(), sealer.seal(place, &secret)?)),
            Err(error @ Error::Seal(_)) => {
                tracing::error!(%org, owner, field, code = error.code(), "a value does not open");
                kept += 1;
            }
            Err(error) => return Err(error),
        }
    }
    for (key, head, sealed) in &renewed {
        rows.put(table, key, &[head, sealed])?;
    }
    if !renewed.is_empty() {
        sealer.note(rows)?;
    }
    Ok(Renewed {
        done: renewed.len(),
        kept,
    })
}

/// Owner and field of a sealed row.
fn place(table: Table, key: &Key) -> Result<(String, String), Error> {
    let malformed = || corrupt(table, "a key is malformed");
    let mut parts = Parts::new(key.bytes().get(16..).unwrap_or_default());
    if table == Table::Authorizations {
        let id: Id<kind::Authorization> = parts.id().ok_or_else(malformed)?;
        return Ok((id.to_string(), authorization::FIELD.to_owned()));
    }
    let owner = parts.text().ok_or_else(malformed)?.to_owned();
    let field = parts.tail_text().ok_or_else(malformed)?.to_owned();
    Ok((owner, field))
}

/// Destroys the versions before `target`.
fn forget(rows: &mut Writer<'_>, org: OrgId, target: u32) -> Result<(), Error> {
    for table in [Table::OrgKeys, Table::OrgKeyUses] {
        let old = rows.collect(table, &older_than(org, target), false, MAX_VERSIONS, |key, _| {
            Ok(Some(Key::empty().tail(key)))
        })?;
        old.iter().try_for_each(|key| rows.delete(table, key))?;
    }
    Ok(())
}
