//! What goes from the disk: drafts of the process before, bytes that no row names any more, and files whose records are gone.

use std::time::Duration;

use sluice_model::Timestamp;
use sluice_model::id::{ConnectionId, FileId, OrgId, kind};

use super::{KeptFile, OfRecord, of, rows};
use crate::key::{Key, Parts, Span};
use crate::record::{Head, stream_key};
use crate::row::{corrupt, from_json};
use crate::sweep::STEP_ROWS;
use crate::table::{Rows, Table};
use crate::{Error, Store, stream_settings};

/// A file whose record is gone is kept at least so long, and as long as the history of the record's stream: a record that was deleted
/// may come back, by a later reading or by a person who takes the run back.
pub const MISSED_FOR: Duration = Duration::from_secs(7 * 86_400);

/// Files that one look goes through.
const LOOK: usize = 1000;

/// A place of a file, and what is to be done there.
type Place = (ConnectionId, String);

impl Store {
    /// Ends what the process before this one left half done: a draft that was committed is put in its place, every other is removed.
    /// Blocks; for a start only, before there are new drafts.
    pub(crate) fn tidy_files(&self) -> Result<(), Error> {
        let failed = |error: std::io::Error| Error::Failed {
            reason: format!("tidy the files: {error}").into(),
        };
        for draft in self.shelf().arrivals().map_err(failed)? {
            let known = self.read_now(|rows| rows::by_id(rows, draft.org, draft.id))?;
            if known.is_some_and(|(_, file)| file.blob == draft.blob) {
                // It is found where it is; the next sweep puts it in its place.
                continue;
            }
            std::fs::remove_file(&draft.path).map_err(failed)?;
        }
        Ok(())
    }

    /// Takes from the disk what no row names any more, and lets go of files whose records are gone for [`MISSED_FOR`] or as long as
    /// their stream's history, in up to `max_steps` steps like [`Store::sweep`]'s. Answers whether there is more.
    ///
    /// # Errors
    /// [`Error::Failed`]. A disk that refuses is told in the log, and tried again the next time.
    pub async fn sweep_files(&self, now: Timestamp, max_steps: usize) -> Result<bool, Error> {
        let mut left = max_steps;
        match self.sweep_disk(&mut left).await {
            Ok(false) => {}
            Ok(true) => return Ok(true),
            Err(Refused::Disk(error)) => tracing::warn!(%error, "files that are gone are still on the disk"),
            Err(Refused::Store(error)) => return Err(error),
        }
        for org in self.list_orgs().await? {
            if self.sweep_missed(org.id, now, &mut left).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn sweep_disk(&self, left: &mut usize) -> Result<bool, Refused> {
        let shelf = self.shelf();
        for draft in shelf.arrivals()? {
            let known = self.read_now(|rows| rows::by_id(rows, draft.org, draft.id))?;
            if known.is_some_and(|(_, file)| file.blob == draft.blob) {
                shelf.settle(draft.org, draft.blob, &draft.path).await?;
            }
        }
        for org in shelf.orgs().await? {
            if self.get_org(org).await?.is_none() {
                while shelf.remove_org(org, STEP_ROWS).await? {
                    *left = left.saturating_sub(1);
                    if *left == 0 {
                        return Ok(true);
                    }
                }
                continue;
            }
            loop {
                let span = Span::prefix(&Key::org(org));
                let gone = self.read(move |rows| {
                    rows.collect(Table::FilesGone, &span, false, STEP_ROWS, |key, content| {
                        let mut parts = Parts::new(key);
                        let blob = parts.id::<kind::Org>().and_then(|_| parts.id());
                        let both = Parts::new(content).id().zip(blob);
                        both.map(Some)
                            .ok_or_else(|| corrupt(Table::FilesGone, "a row is too short"))
                    })
                });
                let gone: Vec<(FileId, FileId)> = gone.await?;
                if gone.is_empty() {
                    break;
                }
                let more = gone.len() == STEP_ROWS;
                shelf.remove(org, &gone).await?;
                self.write_bulk(64 * gone.len(), move |rows| {
                    gone.iter()
                        .try_for_each(|(_, blob)| rows.delete(Table::FilesGone, &Key::org(org).id(*blob)))
                })
                .await?;
                *left = left.saturating_sub(1);
                if *left == 0 {
                    return Ok(more);
                }
                if !more {
                    break;
                }
            }
        }
        Ok(false)
    }

    /// Goes through the organization's files that belong to records.
    async fn sweep_missed(&self, org: OrgId, now: Timestamp, left: &mut usize) -> Result<bool, Error> {
        let mut span = Some(Span::prefix(&Key::org(org)));
        while let Some(part) = span.take() {
            let (changed, last) = self.read(move |rows| look(rows, org, &part, now)).await?;
            span = last
                .map(|(connection, key)| Span::prefix(&Key::org(org)).after(of(org, connection).tail(key)));
            if changed.is_empty() {
                continue;
            }
            self.write_bulk(512 * changed.len(), move |rows| {
                for (connection, key) in changed {
                    let place = of(org, connection).tail(&key);
                    let Some(file) = rows.get_json::<KeptFile>(Table::Files, &place)? else {
                        continue;
                    };
                    match fate(rows, org, connection, &file, now)? {
                        Fate::Stays => {}
                        Fate::Missed(missed) => {
                            rows.put_json(Table::Files, &place, &KeptFile { missed, ..file })?;
                        }
                        Fate::Goes => rows::drop_file(rows, org, connection, &file)?,
                    }
                }
                Ok(())
            })
            .await?;
            *left = left.saturating_sub(1);
            if *left == 0 {
                return Ok(span.is_some());
            }
        }
        Ok(false)
    }
}

/// What a sweep means for a file.
enum Fate {
    Stays,
    /// Its record is missed since then, or is back.
    Missed(Option<Timestamp>),
    Goes,
}

/// Files of this stretch about which something has to be written, and where the stretch ended if there may be more.
fn look(
    rows: &mut impl Rows,
    org: OrgId,
    span: &Span,
    now: Timestamp,
) -> Result<(Vec<Place>, Option<Place>), Error> {
    let files: Vec<(ConnectionId, KeptFile)> =
        rows.collect(Table::Files, span, false, LOOK, |key, content| {
            let mut parts = Parts::new(key);
            let connection = parts
                .id::<kind::Org>()
                .and_then(|_| parts.id())
                .ok_or_else(|| corrupt(Table::Files, "a key is too short"))?;
            Ok(Some((connection, from_json(Table::Files, content)?)))
        })?;
    let mut changed = Vec::new();
    for (connection, file) in &files {
        if !matches!(fate(rows, org, *connection, file, now)?, Fate::Stays) {
            changed.push((*connection, file.key.clone()));
        }
    }
    let last = files.last().filter(|_| files.len() == LOOK);
    Ok((
        changed,
        last.map(|(connection, file)| (*connection, file.key.clone())),
    ))
}

fn fate(
    rows: &mut impl Rows,
    org: OrgId,
    connection: ConnectionId,
    file: &KeptFile,
    now: Timestamp,
) -> Result<Fate, Error> {
    let Some(OfRecord { stream, id }) = &file.record else {
        return Ok(Fate::Stays);
    };
    let record = stream_key(org, connection, stream).tail(id);
    // What is deleted has a row too. A generation that is being read will put what it has staged there.
    let mut is_there = false;
    for table in [Table::Records, Table::Staged] {
        let deleted = rows.look(table, &record, |content| Ok(Head::read(content)?.0.deleted))?;
        is_there |= deleted == Some(false);
    }
    if is_there {
        return Ok(match file.missed {
            None => Fate::Stays,
            Some(_) => Fate::Missed(None),
        });
    }
    let Some(since) = file.missed else {
        return Ok(Fate::Missed(Some(now)));
    };
    let history = stream_settings::history_of(rows, org, connection, stream)?;
    Ok(if now.since(since) >= history.max(MISSED_FOR) {
        Fate::Goes
    } else {
        Fate::Stays
    })
}

/// Who refused.
enum Refused {
    Disk(std::io::Error),
    Store(Error),
}

impl From<std::io::Error> for Refused {
    fn from(error: std::io::Error) -> Self {
        Self::Disk(error)
    }
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self::Store(error)
    }
}
