//! Files that are kept with their records (HTTP documentation, `/files/download`). A file's key is the [`index`]'s of its path, so that
//! it goes as its record goes, and what is there next takes its place; the revision that was kept stands there too, so that what did
//! not change is not downloaded again.
//!
//! A revision that Dropbox does not give out is a record without its file.

use serde::Serialize;
use serde_json::Value;
use sluice_sdk::files::{self, Fetched, Save};
use sluice_sdk::{Connection, Error, log};

use super::Entry;
use crate::{api, config, index};

/// Bytes of files that one page fetches, beside the first file: 32 seconds at 1 MiB a second.
const SHARE_BYTES: u64 = 32 << 20;

/// What is kept, and how much of its share a page has had.
pub(super) struct Keeping {
    up_to: u64,
    fetched: Option<u64>,
}

/// What became of a file.
pub(super) enum Kept {
    /// It is kept; this refers to it.
    File(Value),
    Not,
    /// The page has had its share.
    Later,
}

impl Keeping {
    pub(super) fn new(connection: &Connection) -> Result<Self, Error> {
        Ok(Self {
            up_to: config::keep_up_to(connection)?,
            fetched: None,
        })
    }

    /// Whether any file is.
    pub(super) const fn is_wanted(&self) -> bool {
        self.up_to > 0
    }

    /// Keeps the file of an entry for this record, if it is one that is wanted; what was kept of another in its place is let go.
    pub(super) fn keep(&mut self, entry: &Entry<'_>, record: &str) -> Result<Kept, Error> {
        let (path, revision) = (entry.path_lower.as_str(), entry.rev.as_str());
        let (key, known) = (index::key(path), index::at(path).and_then(|kept| kept.revision));
        let has_bytes = entry.tag.as_str() == "file" && entry.is_downloadable != Some(false);
        let is_wanted = self.is_wanted() && has_bytes && entry.size <= self.up_to;
        if !is_wanted || revision.is_empty() || !revision.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            if known.is_some() {
                files::delete(&key).map_err(Error::from)?;
            }
            return Ok(Kept::Not);
        }
        if known.as_deref() == Some(revision)
            && let Some(file) = files::get(&key)
        {
            return Ok(Kept::File(file.reference()));
        }
        if self
            .fetched
            .is_some_and(|fetched| fetched + entry.size > SHARE_BYTES)
        {
            return Ok(Kept::Later);
        }
        self.fetched = Some(self.fetched.unwrap_or_default() + entry.size);
        fetch(entry, Save::new(key, entry.name.as_str()).of("files", record))
    }
}

fn fetch(entry: &Entry<'_>, save: Save) -> Result<Kept, Error> {
    #[derive(Serialize)]
    struct Arguments {
        path: String,
    }
    let path = format!("rev:{}", entry.rev.as_str());
    let request = api::download("/2/files/download", &Arguments { path })?;
    let response = match files::try_fetch(request, save) {
        Ok(Fetched::File(file)) => return Ok(Kept::File(file.reference())),
        Ok(Fetched::Response(response)) => response,
        // The grant's bound may be smaller than the configuration's.
        Err(files::Error::TooLarge(bytes)) if bytes > 0 => {
            log::warn("a file is larger than what may be kept of one: passed over");
            return Ok(Kept::Not);
        }
        Err(error) => return Err(error.into()),
    };
    // 409 is about this file: it is gone, or not to be had. Everything else is about all of them.
    let is_its_own = ["path", "unsupported_file"]
        .iter()
        .any(|tag| api::is_refused_as(&response, tag));
    if !is_its_own {
        api::ok(response)?;
        return Err(Error::invalid_data("Dropbox's answer to a download is no file"));
    }
    log::info("Dropbox does not give out a file that it has listed: passed over");
    Ok(Kept::Not)
}

/// An entry with what refers to its file. An entry is an object with a member at least: it has a tag.
pub(super) fn with(entry: &str, reference: &Value) -> String {
    let entry = entry.trim_end();
    let open = entry.strip_suffix('}').unwrap_or(entry);
    format!("{open},\"kept\":{reference}}}")
}
