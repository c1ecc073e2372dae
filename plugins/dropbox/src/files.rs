//! Files and folders (HTTP documentation, `/files/list_folder` and `/continue`): listed once with all that is below the folder,
//! and then asked for what changed, by the cursor that the last answer gave.
//!
//! Dropbox's entries are to be taken in their order, each as a change of a local state by its path: an entry puts a file or a
//! folder there, a file takes the place of whatever was below, and a deletion takes what is below along. The state is the
//! [`index`]. So a record's id is its path, and a move is a deletion and an entry, in whichever order Dropbox tells them.
//!
//! Where the configuration says so, a file's bytes are kept with its record ([`keeping`]). A page that has had its share of them ends
//! there, and the same answer is asked for again: what is kept by then is not fetched once more.
//!
//! Where Dropbox no longer takes the cursor (`reset`), everything is listed again, and what that did not show is deleted.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sluice_sdk::http::Response;
use sluice_sdk::record::{self, Text};
use sluice_sdk::{Change, Connection, Error, Page, ReadRequest, log};

use crate::index::{self, Kept};
use crate::{api, config};
use keeping::Keeping;

mod keeping;

/// Entries that Dropbox gives at once, its most ("list_folder", `limit`).
const LIMIT: u32 = 2_000;

/// The same where files are kept: what a page's share cuts off is asked for again with all that was before it.
const LIMIT_OF_KEPT: u32 = 100;

/// Changes of a page, below the 10,000 that the host takes: deleting a folder may come to any number of them.
const MAX_CHANGES: usize = 8_000;

/// The longest cursor of Dropbox's that is carried on.
const MAX_CURSOR_BYTES: usize = 8_192;

/// How often a pass may begin again because Dropbox no longer took its cursor.
const MAX_RESTARTS: u8 = 3;

/// The longest id of a record, in bytes; a longer path is cut and given a hash.
const MAX_ID_BYTES: usize = 512;

/// Where reading stands.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Cursor {
    /// Dropbox's, from its last answer that was taken up whole.
    list: String,
    /// The number of the listing that it came from.
    generation: u32,
    /// Whether that listing is still under way, and then its end brings a look at what it did not show.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    listing: bool,
    /// The key of the index to go on with after the listing, for what it did not show; none at any other time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sweep: Option<String>,
    /// How often the same answer was asked for because it came to more changes, or to more bytes of files, than a page has.
    #[serde(default, skip_serializing_if = "is_zero")]
    again: u32,
    #[serde(default, skip_serializing_if = "is_zero")]
    restarts: u32,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde calls it with a reference"
)]
const fn is_zero(number: &u32) -> bool {
    *number == 0
}

#[derive(Deserialize)]
struct List<'a> {
    #[serde(borrow)]
    entries: &'a RawValue,
    #[serde(borrow, default)]
    cursor: Text<'a>,
    has_more: bool,
}

#[derive(Deserialize)]
struct Entry<'a> {
    #[serde(rename = ".tag", borrow, default)]
    tag: Text<'a>,
    #[serde(borrow, default)]
    path_lower: Text<'a>,
    #[serde(borrow, default)]
    server_modified: Text<'a>,
    #[serde(borrow, default)]
    name: Text<'a>,
    #[serde(borrow, default)]
    rev: Text<'a>,
    #[serde(default)]
    size: u64,
    /// What is Google's or Paper's has no bytes of its own.
    is_downloadable: Option<bool>,
}

/// The next page.
pub(crate) fn read(connection: &Connection, request: &ReadRequest) -> Result<Page, Error> {
    let Some(cursor) = request.cursor::<Cursor>()? else {
        return begin(connection, 0);
    };
    if let Some(after) = cursor.sweep.clone() {
        return sweep(cursor, &after);
    }
    if cursor.list.is_empty() {
        return list(connection, cursor);
    }
    #[derive(Serialize)]
    struct Arguments<'a> {
        cursor: &'a str,
    }
    let arguments = Arguments { cursor: &cursor.list };
    let response = api::call("/2/files/list_folder/continue", &arguments)?.send()?;
    if api::is_refused_as(&response, "reset") {
        log::info("Dropbox no longer takes the cursor: everything is listed again");
        return begin(connection, cursor.restarts + 1);
    }
    take(connection, cursor, response)
}

/// The first page of a listing.
fn begin(connection: &Connection, restarts: u32) -> Result<Page, Error> {
    if restarts > u32::from(MAX_RESTARTS) {
        return Err(Error::transient(
            "Dropbox ends its cursors again and again before they are used",
        ));
    }
    let cursor = Cursor {
        generation: index::next_generation()?,
        listing: true,
        restarts,
        ..Cursor::default()
    };
    list(connection, cursor)
}

/// The first answer of a listing.
fn list(connection: &Connection, cursor: Cursor) -> Result<Page, Error> {
    #[derive(Serialize)]
    struct Arguments<'a> {
        path: &'a str,
        recursive: bool,
        include_deleted: bool,
        include_mounted_folders: bool,
        limit: u32,
    }
    let arguments = Arguments {
        path: &config::folder(connection)?,
        recursive: true,
        include_deleted: false,
        include_mounted_folders: true,
        limit: if config::keep_up_to(connection)? > 0 {
            LIMIT_OF_KEPT
        } else {
            LIMIT
        },
    };
    let response = api::call("/2/files/list_folder", &arguments)?.send()?;
    take(connection, cursor, response)
}

/// The changes of an answer.
fn take(connection: &Connection, mut cursor: Cursor, response: Response) -> Result<Page, Error> {
    // What is refused with `path` is the folder of the configuration: it is not there, or no folder.
    let by_path = api::is_refused_as(&response, "path");
    let response = api::ok(response).map_err(|error| match by_path {
        true => error.blame_config("/folder"),
        false => error,
    })?;
    let list: List<'_> = response.json()?;
    let next = list.cursor.as_str();
    if next.is_empty() || next.len() > MAX_CURSOR_BYTES {
        return Err(Error::invalid_data(
            "Dropbox's answer has no cursor that can be carried on",
        ));
    }
    if list.has_more && next == cursor.list {
        return Err(Error::invalid_data(
            "Dropbox says that there is more and gives the same cursor again",
        ));
    }
    let mut changes = Changes {
        list: Vec::with_capacity(LIMIT as usize),
        is_full: false,
        keeping: Keeping::new(connection)?,
    };
    // Of a path that is told of more than once the last counts; were each kept, two of them could take turns at being fetched.
    let mut last = BTreeMap::new();
    if changes.keeping.is_wanted() {
        for (number, element) in record::each::<Entry<'_>>(list.entries.get()).enumerate() {
            last.insert(element?.0.path_lower.as_str().to_owned(), number);
        }
    }
    for (number, element) in record::each::<Entry<'_>>(list.entries.get()).enumerate() {
        let (entry, text) = element?;
        if last
            .get(entry.path_lower.as_str())
            .is_some_and(|last| *last > number)
        {
            changes.pass(&entry, &cursor)?;
        } else {
            changes.take(&entry, text, &cursor)?;
        }
        if changes.is_full {
            // The deletions of this page are out of the index and its files in it; the same answer goes on behind them.
            cursor.again += 1;
            return Page::at(changes.list, &cursor, true);
        }
    }
    next.clone_into(&mut cursor.list);
    cursor.again = 0;
    let mut more = list.has_more;
    if !more {
        cursor.restarts = 0;
        // Before the first listing there was nothing that it could have left out.
        if cursor.listing && cursor.generation > 1 {
            cursor.sweep = Some(String::new());
            more = true;
        }
        cursor.listing = false;
    }
    Page::at(changes.list, &cursor, more)
}

/// Deletes what the listing did not show.
fn sweep(mut cursor: Cursor, after: &str) -> Result<Page, Error> {
    let mut changes = Vec::new();
    let mut place = Some(after.to_owned());
    while let Some(after) = place.take() {
        if changes.len() + 1_000 > MAX_CHANGES {
            cursor.sweep = Some(after);
            return Page::at(changes, &cursor, true);
        }
        let (stale, last) = index::stale(cursor.generation, &after);
        for kept in &stale {
            changes.push(gone(kept)?);
        }
        place = last;
    }
    cursor.sweep = None;
    Page::at(changes, &cursor, false)
}

struct Changes {
    list: Vec<Change>,
    /// Whether some of the entry at hand is left for the next page.
    is_full: bool,
    keeping: Keeping,
}

impl Changes {
    fn take(&mut self, entry: &Entry<'_>, text: &str, cursor: &Cursor) -> Result<(), Error> {
        let (path, tag) = (entry.path_lower.as_str(), entry.tag.as_str());
        if tag == "deleted" {
            self.remove_below(path)?;
            if !self.is_full
                && let Some(kept) = index::at(path)
            {
                self.list.push(gone(&kept)?);
            }
            return Ok(());
        }
        if !matches!(tag, "file" | "folder") {
            log::warn("an entry of Dropbox's is neither a file, nor a folder, nor a deletion: passed over");
            return Ok(());
        }
        self.pass(entry, cursor)?;
        if self.is_full {
            return Ok(());
        }
        let modified = entry.server_modified.timestamp();
        if path.is_empty() {
            self.list
                .push(Change::Upsert(record::item(id(path), text, modified)));
            return Ok(());
        }
        let file = self.keeping.keep(entry, &id(path))?;
        let (revision, text) = match &file {
            keeping::Kept::File(reference) => (Some(entry.rev.as_str()), &*keeping::with(text, reference)),
            keeping::Kept::Not => (None, text),
            keeping::Kept::Later => {
                self.is_full = true;
                return Ok(());
            }
        };
        index::note(path, cursor.generation, revision)?;
        self.list
            .push(Change::Upsert(record::item(id(path), text, modified)));
        Ok(())
    }

    /// What an entry does to what was below its path. While everything is listed, what is no longer there is found at the end.
    fn pass(&mut self, entry: &Entry<'_>, cursor: &Cursor) -> Result<(), Error> {
        match entry.tag.as_str() {
            "deleted" => self.remove_below(entry.path_lower.as_str()),
            "file" if !cursor.listing => self.remove_below(entry.path_lower.as_str()),
            _ => Ok(()),
        }
    }

    fn remove_below(&mut self, path: &str) -> Result<(), Error> {
        loop {
            let room = MAX_CHANGES.saturating_sub(self.list.len());
            // One more than there is room for says whether anything is left.
            let below = index::below(path, room.min(999) + 1);
            if below.is_empty() {
                return Ok(());
            }
            if room == 0 {
                self.is_full = true;
                return Ok(());
            }
            for kept in below.iter().take(room) {
                self.list.push(gone(kept)?);
            }
        }
    }
}

fn gone(kept: &Kept) -> Result<Change, Error> {
    index::forget(kept)?;
    Ok(Change::Delete(id(&kept.path)))
}

/// A record's id: its path, cut and with a hash where it is too long for one.
fn id(path: &str) -> String {
    if path.len() <= MAX_ID_BYTES {
        return path.to_owned();
    }
    let hash = format!("#{:032x}", index::hash(path));
    let mut end = MAX_ID_BYTES - hash.len();
    while !path.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{hash}", path.get(..end).unwrap_or_default())
}

#[cfg(test)]
mod tests;
