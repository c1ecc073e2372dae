//! A connector's storage: per connection, keys to bytes with versions, within a granted size. Guests read through a
//! [`StorageView`]; what they write is staged and comes with a commit.

use std::collections::{BTreeMap, HashMap};

use sluice_model::id::{ConnectionId, OrgId};
use sluice_model::manifest::StorageStep;

use crate::connection::require_connection;
use crate::file::{self, FileWrite};
use crate::key::{Key, Parts, Span};
use crate::moved::{MAX_KEPT_BYTES, MAX_KEPT_ROWS};
use crate::row::{cap, corrupt};
use crate::table::{Rows, Table, Writer};
use crate::{Error, MAX_LIMIT, Store};

/// One staged write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorageWrite {
    pub key: String,
    /// `None` deletes.
    pub value: Option<Vec<u8>>,
    /// The version that must be there; 0 for "no such key"; `None` for any.
    pub expect: Option<u64>,
}

/// The staged writes of one call, in order, and the granted sizes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StorageWrites {
    pub writes: Vec<StorageWrite>,
    /// Bytes of keys and values together that the connection may use.
    pub quota: u64,
    /// What becomes of its files.
    pub files: Vec<FileWrite>,
    /// Bytes of files that the connection may keep.
    pub files_quota: u64,
}

impl StorageWrites {
    /// Whether nothing is written.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.writes.is_empty() && self.files.is_empty()
    }
}

/// What became of a storage's keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Migrated {
    pub renamed: u64,
    pub removed: u64,
    /// Those that stay as they are.
    pub kept: u64,
}

/// Reads for guests: synchronous, each get its own short read of the last commit, so nothing is held open while a guest
/// computes. The reads of one call may therefore straddle a commit; a write that depends on what was read says so with
/// [`StorageWrite::expect`].
#[derive(Debug, Clone)]
pub struct StorageView {
    store: Store,
    org: OrgId,
    connection: ConnectionId,
}

impl StorageView {
    /// The value and its version. Blocks for a few page reads at most; call it from a guest's thread or fiber.
    pub fn get(&self, key: &str) -> Result<Option<(Vec<u8>, u64)>, Error> {
        self.store.read_now(|rows| {
            rows.look(
                Table::Storage,
                &of(self.org, self.connection).tail(key),
                |content| {
                    let (version, value) = split(content)?;
                    Ok((value.to_vec(), version))
                },
            )
        })
    }

    /// Keys that begin with `prefix` and come behind `after`, in order; at most `limit`, and 1,000.
    pub fn keys(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Vec<String>, Error> {
        self.store.read_now(|rows| {
            let of_connection = of(self.org, self.connection);
            let mut span = Span::prefix(&of_connection.clone().tail(prefix));
            if let Some(after) = after.filter(|after| *after >= prefix) {
                span = span.after(of_connection.clone().tail(after));
            }
            rows.collect(Table::Storage, &span, false, limit.min(MAX_LIMIT), |key, _| {
                let key = Parts::new(key.get(of_connection.bytes().len()..).unwrap_or_default()).tail_text();
                key.map(|key| Some(key.to_owned()))
                    .ok_or_else(|| corrupt(Table::Storage, "a key is not UTF-8"))
            })
        })
    }

    /// Bytes of keys and values in use.
    pub fn used_bytes(&self) -> Result<u64, Error> {
        self.store
            .read_now(|rows| Ok(usage(rows, self.org, self.connection)?.used))
    }
}

impl Store {
    /// A view for one call. Does nothing yet, so it cannot fail or wait.
    #[must_use]
    pub fn storage_snapshot(&self, org: OrgId, connection: ConnectionId) -> StorageView {
        StorageView {
            store: self.clone(),
            org,
            connection,
        }
    }

    /// What migrating the storage so would come to; nothing is written. [`Error::Conflict`] where a key would have another's name,
    /// [`Error::TooLarge`] where there is more than a move keeps, so that it could not be taken back.
    pub async fn try_storage(
        &self,
        org: OrgId,
        connection: ConnectionId,
        steps: Vec<StorageStep>,
    ) -> Result<Migrated, Error> {
        self.read(move |rows| Ok(migrated(values(rows, org, connection)?, &steps)?.1))
            .await
    }

    /// Commits staged writes by themselves, for calls that are neither a page nor a receipt (an action).
    /// [`Error::Quota`], [`Error::FileQuota`], [`Error::StorageVersion`], [`Error::TooLarge`], [`Error::Missing`].
    pub async fn commit_storage(
        &self,
        org: OrgId,
        connection: ConnectionId,
        staged: StorageWrites,
    ) -> Result<(), Error> {
        let bytes = check(&staged)?;
        let drafts = file::drafts(&staged.files);
        self.write(bytes, move |rows| {
            require_connection(rows, org, connection)?;
            let plan = plan(rows, org, connection, &staged)?;
            apply(rows, org, connection, &staged, plan)
        })
        .await?;
        self.settle(drafts).await;
        Ok(())
    }

    /// Puts the files of a commit in their place.
    pub(crate) async fn settle(&self, drafts: Vec<std::sync::Arc<file::Draft>>) {
        for draft in drafts {
            draft.settle().await;
        }
    }
}

/// A storage key is a name, not a value.
pub const MAX_KEY_BYTES: usize = 512;

/// A value of a connector's storage is at most this large.
pub const MAX_STORED_BYTES: usize = 1 << 20;

#[derive(Debug, Clone, Copy, Default)]
struct Usage {
    used: u64,
    /// Versions count up per connection, so that a key that was deleted and written again has a new one.
    version: u64,
}

/// What the writes come to, if they are allowed.
pub(crate) struct Plan(Usage, file::Plan);

/// The checks that need no transaction; answers the bytes of it all.
pub(crate) fn check(staged: &StorageWrites) -> Result<usize, Error> {
    let mut bytes = 0;
    for write in &staged.writes {
        let value = write.value.as_ref().map_or(0, Vec::len);
        cap("a storage key", write.key.len(), MAX_KEY_BYTES)?;
        cap("a storage value", value, MAX_STORED_BYTES)?;
        bytes += write.key.len() + value;
    }
    file::check(&staged.files)?;
    Ok(bytes + file::bytes(&staged.files))
}

/// Decides whether the staged writes are allowed, without writing: versions first, then the quota. Writes that do not
/// make the whole larger pass also above the quota, so that a connector can clear up after its grant was cut.
pub(crate) fn plan(
    rows: &mut impl Rows,
    org: OrgId,
    connection: ConnectionId,
    staged: &StorageWrites,
) -> Result<Plan, Error> {
    let files = file::plan(rows, org, connection, &staged.files, staged.files_quota)?;
    let mut usage = Usage::default();
    if staged.writes.is_empty() {
        return Ok(Plan(usage, files));
    }
    usage = self::usage(rows, org, connection)?;
    let before = usage.used;
    let mut now: HashMap<&str, (u64, u64)> = HashMap::new();
    for write in &staged.writes {
        let (version, size) = match now.get(write.key.as_str()) {
            Some(known) => *known,
            None => rows
                .look(Table::Storage, &of(org, connection).tail(&write.key), |content| {
                    let (version, value) = split(content)?;
                    Ok((version, size(&write.key, value)))
                })?
                .unwrap_or_default(),
        };
        if let Some(expected) = write.expect
            && expected != version
        {
            return Err(Error::StorageVersion {
                key: write.key.clone(),
                expected,
                found: version,
            });
        }
        usage.used = usage.used.saturating_sub(size);
        usage.version += 1;
        let written = write
            .value
            .as_ref()
            .map_or((0, 0), |value| (usage.version, self::size(&write.key, value)));
        usage.used = usage.used.saturating_add(written.1);
        now.insert(&write.key, written);
    }
    if usage.used > before && usage.used > staged.quota {
        return Err(Error::Quota {
            used: usage.used,
            quota: staged.quota,
        });
    }
    Ok(Plan(usage, files))
}

/// Writes what [`plan`] allowed.
pub(crate) fn apply(
    rows: &mut Writer<'_>,
    org: OrgId,
    connection: ConnectionId,
    staged: &StorageWrites,
    plan: Plan,
) -> Result<(), Error> {
    let Plan(after, files) = plan;
    file::apply(rows, org, connection, &staged.files, files)?;
    if staged.writes.is_empty() {
        return Ok(());
    }
    let mut version = after.version - staged.writes.len() as u64;
    for write in &staged.writes {
        version += 1;
        let key = of(org, connection).tail(&write.key);
        match &write.value {
            Some(value) => rows.put(Table::Storage, &key, &[&version.to_be_bytes(), value])?,
            None => rows.delete(Table::Storage, &key)?,
        }
    }
    rows.put(
        Table::StorageUse,
        &of(org, connection),
        &[&after.used.to_be_bytes(), &after.version.to_be_bytes()],
    )
}

/// Bytes in use.
pub(crate) fn used(rows: &mut impl Rows, org: OrgId, connection: ConnectionId) -> Result<u64, Error> {
    Ok(usage(rows, org, connection)?.used)
}

/// All keys and values as they are after the steps; nothing where they change none. What can go wrong does so here, before anything is
/// written: a commit that has begun to write is one with others.
pub(crate) fn plan_migration(
    rows: &mut impl Rows,
    org: OrgId,
    connection: ConnectionId,
    steps: &[StorageStep],
) -> Result<Option<Vec<Entry>>, Error> {
    if steps.is_empty() {
        return Ok(None);
    }
    let (values, came) = migrated(values(rows, org, connection)?, steps)?;
    Ok((came.renamed + came.removed > 0).then_some(values))
}

/// A key and its value.
pub(crate) type Entry = (Vec<u8>, Vec<u8>);

/// All of it, if it is no more than a move keeps.
fn values(rows: &mut impl Rows, org: OrgId, connection: ConnectionId) -> Result<Vec<Entry>, Error> {
    const WHAT: &str = "a storage that is to be migrated";
    let used = usage(rows, org, connection)?.used;
    let most = usize::try_from(MAX_KEPT_BYTES).unwrap_or(usize::MAX);
    cap(WHAT, usize::try_from(used).unwrap_or(usize::MAX), most)?;
    let of_connection = of(org, connection);
    let start = of_connection.bytes().len();
    let span = Span::prefix(&of_connection);
    let found = rows.collect(Table::Storage, &span, false, MAX_KEPT_ROWS + 1, |key, content| {
        let (_, value) = split(content)?;
        Ok(Some((
            key.get(start..).unwrap_or_default().to_vec(),
            value.to_vec(),
        )))
    })?;
    cap(WHAT, found.len(), MAX_KEPT_ROWS)?;
    Ok(found)
}

fn migrated(values: Vec<Entry>, steps: &[StorageStep]) -> Result<(Vec<Entry>, Migrated), Error> {
    let before = values.len();
    // Each with whether it has the name that it had.
    let mut now: BTreeMap<Vec<u8>, (Vec<u8>, bool)> = values
        .into_iter()
        .map(|(key, value)| (key, (value, true)))
        .collect();
    for step in steps {
        let (prefix, to) = match step {
            StorageStep::Rename { from, to } => (from.as_bytes(), Some(to.as_bytes())),
            StorageStep::Remove(prefix) => (prefix.as_bytes(), None),
        };
        let fits = |key: &&Vec<u8>| key.starts_with(prefix);
        let taken: Vec<_> = now
            .range(prefix.to_vec()..)
            .map(|(key, _)| key)
            .take_while(fits)
            .cloned()
            .collect();
        let taken: Vec<_> = taken
            .into_iter()
            .filter_map(|key| now.remove(&key).map(|(value, _)| (key, value)))
            .collect();
        let Some(to) = to else { continue };
        for (key, value) in taken {
            let rest = key.get(prefix.len()..).unwrap_or_default();
            let key = [to, rest].concat();
            cap("a storage key", key.len(), MAX_KEY_BYTES)?;
            let name = String::from_utf8_lossy(&key).into_owned();
            if now.insert(key, (value, false)).is_some() {
                return Err(Error::Conflict {
                    what: "a storage key",
                    name,
                });
            }
        }
    }
    let kept = now.values().filter(|(_, is_old)| *is_old).count();
    let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    let came = Migrated {
        renamed: count(now.len() - kept),
        removed: count(before - now.len()),
        kept: count(kept),
    };
    let values = now.into_iter().map(|(key, (value, _))| (key, value)).collect();
    Ok((values, came))
}

/// Puts these keys and values in the place of all that is there. Each has a version that none had before, so that a call
/// that began earlier does not take it for what it read.
pub(crate) fn replace(
    rows: &mut Writer<'_>,
    org: OrgId,
    connection: ConnectionId,
    values: Vec<(Vec<u8>, Vec<u8>)>,
) -> Result<(), Error> {
    let of_connection = of(org, connection);
    let mut version = usage(rows, org, connection)?.version;
    let mut all = usize::MAX;
    rows.delete_prefix(Table::Storage, &of_connection, &mut all)?;
    let mut used = 0u64;
    for (key, value) in values {
        version += 1;
        used = used.saturating_add((key.len() + value.len()) as u64);
        let place = of_connection.clone().tail(&key);
        rows.put(Table::Storage, &place, &[&version.to_be_bytes(), &value])?;
    }
    let parts: [&[u8]; 2] = [&used.to_be_bytes(), &version.to_be_bytes()];
    rows.put(Table::StorageUse, &of_connection, &parts)
}

fn usage(rows: &mut impl Rows, org: OrgId, connection: ConnectionId) -> Result<Usage, Error> {
    let found = rows.look(Table::StorageUse, &of(org, connection), |content| {
        let mut parts = Parts::new(content);
        let (used, version) = parts
            .number()
            .zip(parts.number())
            .ok_or_else(|| corrupt(Table::StorageUse, "a row is truncated"))?;
        Ok(Usage { used, version })
    })?;
    Ok(found.unwrap_or_default())
}

pub(crate) fn split(content: &[u8]) -> Result<(u64, &[u8]), Error> {
    let (version, value) = content
        .split_first_chunk::<8>()
        .ok_or_else(|| corrupt(Table::Storage, "a row is truncated"))?;
    Ok((u64::from_be_bytes(*version), value))
}

const fn size(key: &str, value: &[u8]) -> u64 {
    (key.len() + value.len()) as u64
}

fn of(org: OrgId, connection: ConnectionId) -> Key {
    Key::org(org).id(connection)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(keys: &[&str], steps: &[(&str, Option<&str>)], expected: Option<(&[&str], [u64; 3])>) {
        let steps: Vec<_> = steps
            .iter()
            .map(|(from, to)| match to {
                Some(to) => StorageStep::Rename {
                    from: (*from).to_owned(),
                    to: (*to).to_owned(),
                },
                None => StorageStep::Remove((*from).to_owned()),
            })
            .collect();
        let values = keys.iter().map(|key| (key.as_bytes().to_vec(), b"v".to_vec()));
        let found = migrated(values.collect(), &steps).ok().map(|(values, came)| {
            let keys: Vec<_> = values
                .into_iter()
                .map(|(key, _)| String::from_utf8(key).unwrap())
                .collect();
            (keys, [came.renamed, came.removed, came.kept])
        });
        let expected =
            expected.map(|(keys, counts)| (keys.iter().map(|key| (*key).to_owned()).collect(), counts));
        assert_eq!(found, expected, "{keys:?} {steps:?}");
    }

    #[test]
    fn keys_are_renamed_and_removed_by_how_they_begin() {
        let keys = &["a/1", "a/2", "b", "c/1"];
        check(keys, &[], Some((keys, [0, 0, 4])));
        check(
            keys,
            &[("a/", Some("z/")), ("c/", None)],
            Some((&["b", "z/1", "z/2"], [2, 1, 1])),
        );
        // What the first step made is what the second finds.
        check(
            keys,
            &[("a/", Some("c/x")), ("c/", None)],
            Some((&["b"], [0, 3, 1])),
        );
        // One beginning within the other.
        check(
            &["a", "aa"],
            &[("a", Some("aa"))],
            Some((&["aa", "aaa"], [2, 0, 0])),
        );
        // Two keys of one name.
        check(keys, &[("a/", Some("c/"))], None);
        check(&["a"], &[("a", Some(&"x".repeat(MAX_KEY_BYTES + 1)))], None);
    }
}
