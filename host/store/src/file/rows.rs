//! The rows of files: decided together with the rest of a call's storage, written in the same commit.

use std::collections::HashMap;
use std::sync::Arc;

use sluice_model::file::{MAX_KEY_BYTES, charge};
use sluice_model::id::{ConnectionId, FileId, OrgId};

use super::{Draft, FileChange, FileUse, FileWrite, KeptFile, NewFile, of, place};
use crate::Error;
use crate::key::{Key, Parts, Span};
use crate::row::{cap, cap_name, corrupt, from_json};
use crate::table::{Rows, Table, Writer};

/// What the writes come to, if they are allowed.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    usage: FileUse,
    steps: Vec<Step>,
}

#[derive(Debug)]
enum Step {
    Put {
        file: KeptFile,
        /// The bytes that are not needed any more.
        overtakes: Option<FileId>,
        /// There was none under its key.
        added: bool,
    },
    Delete(KeptFile),
}

/// The checks that need no transaction.
pub(crate) fn check(writes: &[FileWrite]) -> Result<(), Error> {
    for write in writes {
        cap("a file's key", write.key.len(), MAX_KEY_BYTES)?;
        if let FileChange::Keep(file) = &write.change {
            cap_name("a file's name", &file.name)?;
            cap_name("a file's media type", &file.media_type)?;
            if let Some(record) = &file.record {
                cap_name("a stream's name", &record.stream)?;
                cap_name("a record's id", &record.id)?;
            }
        }
    }
    Ok(())
}

/// About how much the writes are.
pub(crate) const fn bytes(writes: &[FileWrite]) -> usize {
    writes.len() * 2048
}

/// The drafts among them.
pub(crate) fn drafts(writes: &[FileWrite]) -> Vec<Arc<Draft>> {
    let draft = |write: &FileWrite| match &write.change {
        FileChange::Keep(file) => file.draft.clone(),
        FileChange::Delete => None,
    };
    writes.iter().filter_map(draft).collect()
}

/// Decides without writing: the key's own file first, then the quota. Writes that do not make the whole larger pass also above it.
pub(crate) fn plan(
    rows: &mut impl Rows,
    org: OrgId,
    connection: ConnectionId,
    writes: &[FileWrite],
    quota: u64,
) -> Result<Plan, Error> {
    if writes.is_empty() {
        return Ok(Plan::default());
    }
    let mut usage = usage(rows, org, connection)?;
    let before = usage.used_bytes;
    let mut steps = Vec::with_capacity(writes.len());
    let mut now: HashMap<&str, Option<KeptFile>> = HashMap::new();
    for write in writes {
        let there = match now.remove(write.key.as_str()) {
            Some(known) => known,
            None => rows.get_json(Table::Files, &of(org, connection).tail(&write.key))?,
        };
        if let Some(there) = &there {
            usage.used_bytes = usage.used_bytes.saturating_sub(charge(there.bytes));
            usage.files = usage.files.saturating_sub(1);
        }
        let after = match &write.change {
            FileChange::Keep(new) => {
                let (file, overtakes) = kept(&write.key, new, there.as_ref())?;
                usage.used_bytes = usage.used_bytes.saturating_add(charge(file.bytes));
                usage.files += 1;
                steps.push(Step::Put {
                    file: file.clone(),
                    overtakes,
                    added: there.is_none(),
                });
                Some(file)
            }
            FileChange::Delete => {
                steps.extend(there.map(Step::Delete));
                None
            }
        };
        now.insert(&write.key, after);
    }
    if usage.used_bytes > before && usage.used_bytes > quota {
        return Err(Error::FileQuota {
            used: usage.used_bytes,
            quota,
        });
    }
    Ok(Plan { usage, steps })
}

/// The row of a file, and the bytes that it overtakes.
fn kept(key: &str, new: &NewFile, there: Option<&KeptFile>) -> Result<(KeptFile, Option<FileId>), Error> {
    // Another call was quicker; what this one says of the file in its answer is not so.
    let changed = || Error::FileChanged { key: key.to_owned() };
    if there.is_some_and(|there| there.id != new.id) {
        return Err(changed());
    }
    let same = there.filter(|there| there.sha256 == new.sha256);
    let (blob, kept) = match (&new.draft, same) {
        (Some(draft), _) => (draft.blob(), new.at),
        (None, Some(same)) => (same.blob, same.kept),
        (None, None) => return Err(changed()),
    };
    let file = KeptFile {
        id: new.id,
        key: key.to_owned(),
        name: new.name.clone(),
        media_type: new.media_type.clone(),
        bytes: new.bytes,
        sha256: new.sha256.clone(),
        record: new.record.clone(),
        kept,
        blob,
        missed: None,
    };
    let overtakes = there.map(|there| there.blob).filter(|old| *old != blob);
    Ok((file, overtakes))
}

/// Writes what [`plan`] allowed.
pub(crate) fn apply(
    rows: &mut Writer<'_>,
    org: OrgId,
    connection: ConnectionId,
    writes: &[FileWrite],
    plan: Plan,
) -> Result<(), Error> {
    if plan.steps.is_empty() {
        return Ok(());
    }
    for draft in drafts(writes) {
        draft.take();
    }
    for step in plan.steps {
        match step {
            Step::Put {
                file,
                overtakes,
                added,
            } => {
                rows.put_json(Table::Files, &of(org, connection).tail(&file.key), &file)?;
                if added {
                    let parts: [&[u8]; 2] = [connection.as_bytes(), file.key.as_bytes()];
                    rows.put(Table::FileIds, &Key::org(org).id(file.id), &parts)?;
                }
                if let Some(blob) = overtakes {
                    let_go(rows, org, file.id, blob)?;
                }
            }
            Step::Delete(file) => delete(rows, org, connection, &file)?,
        }
    }
    put_usage(rows, org, connection, plan.usage)
}

/// Deletes the rows of a file; its bytes follow.
fn delete(rows: &mut Writer<'_>, org: OrgId, connection: ConnectionId, file: &KeptFile) -> Result<(), Error> {
    rows.delete(Table::Files, &of(org, connection).tail(&file.key))?;
    rows.delete(Table::FileIds, &Key::org(org).id(file.id))?;
    let_go(rows, org, file.id, file.blob)
}

/// Puts bytes on the list of what goes from the disk.
fn let_go(rows: &mut Writer<'_>, org: OrgId, id: FileId, blob: FileId) -> Result<(), Error> {
    rows.put(Table::FilesGone, &Key::org(org).id(blob), &[id.as_bytes()])
}

/// Deletes files of a connection until the budget is used up.
pub(crate) fn remove_rows(
    rows: &mut Writer<'_>,
    org: OrgId,
    connection: ConnectionId,
    budget: &mut usize,
) -> Result<(), Error> {
    let of_connection = of(org, connection);
    let files: Vec<KeptFile> = rows.collect(
        Table::Files,
        &Span::prefix(&of_connection),
        false,
        *budget,
        |_, content| from_json(Table::Files, content).map(Some),
    )?;
    *budget -= files.len();
    for file in &files {
        delete(rows, org, connection, file)?;
    }
    rows.delete(Table::FileUse, &of_connection)
}

/// Deletes one file outside of any call.
pub(super) fn drop_file(
    rows: &mut Writer<'_>,
    org: OrgId,
    connection: ConnectionId,
    file: &KeptFile,
) -> Result<(), Error> {
    let mut usage = usage(rows, org, connection)?;
    usage.used_bytes = usage.used_bytes.saturating_sub(charge(file.bytes));
    usage.files = usage.files.saturating_sub(1);
    delete(rows, org, connection, file)?;
    put_usage(rows, org, connection, usage)
}

pub(super) fn by_id(
    rows: &mut impl Rows,
    org: OrgId,
    id: FileId,
) -> Result<Option<(ConnectionId, KeptFile)>, Error> {
    let Some((connection, key)) = rows.look(Table::FileIds, &Key::org(org).id(id), place)? else {
        return Ok(None);
    };
    let file = rows.get_json(Table::Files, &of(org, connection).tail(&key))?;
    let file = file.ok_or_else(|| corrupt(Table::FileIds, "an id leads to no file"))?;
    Ok(Some((connection, file)))
}

pub(super) fn usage(rows: &mut impl Rows, org: OrgId, connection: ConnectionId) -> Result<FileUse, Error> {
    let found = rows.look(Table::FileUse, &of(org, connection), |content| {
        let mut parts = Parts::new(content);
        let (used_bytes, files) = parts
            .number()
            .zip(parts.number())
            .ok_or_else(|| corrupt(Table::FileUse, "a row is truncated"))?;
        Ok(FileUse { used_bytes, files })
    })?;
    Ok(found.unwrap_or_default())
}

fn put_usage(
    rows: &mut Writer<'_>,
    org: OrgId,
    connection: ConnectionId,
    usage: FileUse,
) -> Result<(), Error> {
    let parts: [&[u8]; 2] = [&usage.used_bytes.to_be_bytes(), &usage.files.to_be_bytes()];
    rows.put(Table::FileUse, &of(org, connection), &parts)
}
